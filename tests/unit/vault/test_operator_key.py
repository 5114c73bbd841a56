"""The operator's key: from the environment or a file of its owner's alone, never shown."""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path

import pytest

from ledger.errors import SettingsError
from ledger.vault.operator_key import KEY_VARIABLE, create_key_file, load_operator_key, read_key_file

KEY = bytes(range(32))
TEXT = b64encode(KEY).decode()


class Fixed:
    def token(self, size_bytes: int) -> bytes:
        return KEY[:size_bytes]


def key_file(directory: Path, data: bytes, mode: int = 0o600) -> Path:
    path = directory / "operator.key"
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    path = key_file(tmp_path, b64encode(bytes(32)))
    assert load_operator_key({KEY_VARIABLE: TEXT}, path) == KEY


def test_without_the_variable_the_file_counts(tmp_path: Path) -> None:
    assert load_operator_key({}, key_file(tmp_path, TEXT.encode() + b"\n")) == KEY


def test_a_made_file_is_read_back(tmp_path: Path) -> None:
    made = create_key_file(tmp_path / "operator.key", Fixed())
    assert made == read_key_file(tmp_path / "operator.key") == KEY


def test_a_made_file_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        create_key_file(tmp_path / "operator.key", Fixed())
    finally:
        os.umask(before)
    assert (tmp_path / "operator.key").stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    path = key_file(tmp_path, b"something else")
    with pytest.raises(SettingsError, match="never replaced"):
        create_key_file(path, Fixed())
    assert path.read_bytes() == b"something else"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620, 0o602])
def test_a_file_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(SettingsError, match="chmod 600"):
        read_key_file(key_file(tmp_path, TEXT.encode(), mode))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        TEXT[:-1],
        TEXT + TEXT,
        b64encode(bytes(31)).decode(),
        f" {TEXT}",
        f"{TEXT}\n\n",
        "\u00e9" * 44,
    ],
)
def test_text_that_is_no_key_is_refused_without_being_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError) as from_file:
        read_key_file(key_file(tmp_path, text.encode()))
    with pytest.raises(SettingsError) as from_variable:
        load_operator_key({KEY_VARIABLE: text}, tmp_path / "none")
    assert len(text) < 20 or (text not in str(from_file.value) and text not in str(from_variable.value))
    assert KEY_VARIABLE in str(from_variable.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"operator\.key"):
        read_key_file(tmp_path / "operator.key")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        read_key_file(tmp_path)
