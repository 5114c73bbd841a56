"""The log's key file: made once, readable by its owner alone, and never repeated in an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import SettingsError
from ledger.vault.ed25519 import from_seed
from ledger.vault.log_key import create_log_key, load_log_key
from ledger.vault.private_files import FILE_BYTES_MAX, create_private_file

SIGNER = from_seed("ledger.example/acme", bytes(range(32)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    create_log_key(tmp_path / "log.key", SIGNER)
    return tmp_path / "log.key"


def test_a_key_file_gives_back_the_signer_that_was_written(path: Path) -> None:
    assert load_log_key(path).skey() == SIGNER.skey()


def test_a_key_file_is_its_owners_alone(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600


def test_making_a_key_leaves_no_other_file(path: Path) -> None:
    assert list(path.parent.iterdir()) == [path]


def test_a_key_file_is_never_replaced(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(SettingsError, match="never replaced"):
        create_log_key(path, from_seed("ledger.example/acme", bytes(32)))
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_file_that_others_may_touch_is_refused_with_the_fix(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(SettingsError, match="chmod 600"):
        load_log_key(path)


@pytest.mark.parametrize("data", [b"", b"\n", b"PRIVATE+KEY+x", b"\xff\xfe", b"x" * (FILE_BYTES_MAX + 1)])
def test_a_file_without_a_key_is_refused(tmp_path: Path, data: bytes) -> None:
    create_private_file(tmp_path / "log.key", data, "the key file")
    with pytest.raises(SettingsError):
        load_log_key(tmp_path / "log.key")


def test_the_refusal_of_a_damaged_key_repeats_nothing_of_it(tmp_path: Path) -> None:
    damaged = SIGNER.skey()[:-1]
    create_private_file(tmp_path / "log.key", damaged.encode(), "the key file")
    with pytest.raises(SettingsError) as refused:
        load_log_key(tmp_path / "log.key")
    assert damaged[-20:] not in str(refused.value)


def test_a_missing_key_file_is_told_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent\.key"):
        load_log_key(tmp_path / "absent.key")


def test_a_directory_is_no_key_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        load_log_key(tmp_path)


def test_a_key_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be written"):
        create_log_key(tmp_path / "absent" / "log.key", SIGNER)
