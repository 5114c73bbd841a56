"""Sealed exports: only for the right key, not changed by a byte, and no name that leads anywhere else."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from nacl.public import PrivateKey

from ledger.errors import FormatError, LedgerError, ProofError, SettingsError, UsageError
from ledger.exports.sealed_file import PART_BYTES, SealedHeader, open_files, seal_files
from ledger.portable.bag_files import digest_file
from ledger.vault.recipients import (
    NaclSealing,
    create_recipient_key,
    format_recipient,
    load_recipient_key,
    parse_recipient,
)
from ledger.wiring.surroundings import SYSTEM_RANDOMNESS
from tests.support.hostile_exports import seal_hostile

SEALING = NaclSealing(SYSTEM_RANDOMNESS)
KEYS = [bytes([number]) * 32 for number in (1, 2, 3)]
PUBLIC = [bytes(PrivateKey(key).public_key) for key in KEYS]
FILES = {
    "bagit.txt": b"x",
    "data/a.bin": bytes(range(256)) * 700,
    "data/deep/er/b": b"",
    "data/c": b"y" * PART_BYTES,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, data in FILES.items():
        target = tmp_path / "bag" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return tmp_path / "bag"


def sealed(root: Path, paths: list[str] | None = None, recipients: list[bytes] | None = None) -> bytes:
    """The sealed file of ``root``."""
    keys = recipients or PUBLIC[:2]
    header = SealedHeader("x-1", bytes(32), tuple(hashlib.sha256(key).digest() for key in keys))
    out = io.BytesIO()
    files = {path: digest_file(str(root / path)) for path in paths or FILES}
    digest, size = seal_files(root, files, out, header, keys, SEALING)
    data = out.getvalue()
    assert (digest, size) == (hashlib.sha256(data).hexdigest(), len(data))
    return data


def opened(data: bytes, key: bytes, into: Path) -> dict[str, bytes]:
    """What comes out, by name."""
    open_files(io.BytesIO(data), key, SEALING, into)
    return {str(path.relative_to(into)): path.read_bytes() for path in into.rglob("*") if path.is_file()}


@pytest.mark.parametrize("number", [0, 1])
def test_each_recipient_gets_the_files_to_the_byte(root: Path, tmp_path: Path, number: int) -> None:
    assert opened(sealed(root), KEYS[number], tmp_path / "out") == FILES


def test_another_key_is_told_for_whom_it_is(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not sealed for your key"):
        opened(sealed(root), KEYS[2], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_of_the_files_can_be_read_without_a_key(root: Path) -> None:
    data = sealed(root)
    assert b"data/deep" not in data
    assert FILES["data/a.bin"][:64] not in data


def test_no_byte_can_be_changed_and_nothing_half_stays(root: Path, tmp_path: Path) -> None:
    data = sealed(root)
    places = [*range(0, 900, 7), *range(900, len(data), 9_973), len(data) - 1]
    for number, place in enumerate(places):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(LedgerError):
            opened(changed, KEYS[0], tmp_path / f"out-{number}")
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]


@pytest.mark.parametrize("cut", [1, 17, PART_BYTES + 17, -1])
def test_one_that_is_cut_off_or_longer_is_refused(root: Path, tmp_path: Path, cut: int) -> None:
    data = sealed(root)
    with pytest.raises(ProofError):
        opened(data + b"x" if cut < 0 else data[:-cut], KEYS[0], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_parts_in_another_order_are_refused(root: Path, tmp_path: Path) -> None:
    data = sealed(root)
    size = PART_BYTES + 17
    parts = [data[place : place + size] for place in range(len(data) - 3 * size, len(data), size)]
    assert len(parts) == 3
    mixed = data[: len(data) - 3 * size] + parts[1] + parts[0] + parts[2]
    with pytest.raises(ProofError):
        opened(mixed, KEYS[0], tmp_path / "out")


def hostile(name: bytes, content: bytes = b"x", count: int = 1) -> bytes:
    """A file that somebody sealed for the recipient, with a name of their choice."""
    return seal_hostile(format_recipient(PUBLIC[0]), name, content, count)


@pytest.mark.parametrize(
    "name",
    [
        b"../outside", b"/etc/passwd", b"a/../../b", b"a\\b", b"C:/x", b"a\0b", b"", b".", b"..", b"a//b", b"aux",
        b"a/NUL.txt", b"x" * 300, b"a/b/c/d/e/f/g", b"\xff", b"a ", b"a.", b"-rf", b"~root",
    ],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: bytes) -> None:
    target = tmp_path / "deep" / "out"
    target.parent.mkdir()
    # An empty name is the end, and then something stands behind it.
    with pytest.raises(FormatError):
        opened(hostile(name), KEYS[0], target)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep"]


def test_a_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError):
        opened(hostile(b"data/a", count=2), KEYS[0], tmp_path / "out")


def test_a_size_that_is_not_there_is_refused(tmp_path: Path) -> None:
    data = hostile(b"data/a")
    assert opened(data, KEYS[0], tmp_path / "first") == {"data/a": b"x"}
    with pytest.raises(LedgerError):
        opened(data[:-1], KEYS[0], tmp_path / "second")


@pytest.mark.parametrize("content", [b"y", b"yy", b""])
def test_a_file_that_changed_since_it_was_checked_is_not_sealed(root: Path, content: bytes) -> None:
    checked = {"bagit.txt": digest_file(str(root / "bagit.txt"))}
    (root / "bagit.txt").write_bytes(content)
    with pytest.raises(ProofError, match="changed while the export was sealed"):
        seal_files(root, checked, io.BytesIO(), SealedHeader("x-1", bytes(32), ()), PUBLIC, SEALING)


def test_a_link_in_the_place_of_a_file_is_not_followed(root: Path, tmp_path: Path) -> None:
    checked = {"bagit.txt": digest_file(str(root / "bagit.txt"))}
    (tmp_path / "elsewhere").write_bytes(b"x")
    (root / "bagit.txt").unlink()
    (root / "bagit.txt").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"bagit\.txt"):
        seal_files(root, checked, io.BytesIO(), SealedHeader("x-1", bytes(32), ()), PUBLIC, SEALING)


def test_what_its_reader_refuses_leaves_nothing(root: Path, tmp_path: Path) -> None:
    def refuse(directory: Path, header: SealedHeader) -> None:
        assert (directory / "bagit.txt").read_bytes() == b"x"
        raise ProofError(header.export, "NOT_APPROVED")

    with pytest.raises(ProofError, match="x-1"):
        open_files(io.BytesIO(sealed(root)), KEYS[0], SEALING, tmp_path / "out", refuse)
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]


def test_nothing_is_opened_into_what_is_there(root: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="there already"):
        opened(sealed(root), KEYS[0], tmp_path / "out")


def test_keys_as_text_and_in_files(tmp_path: Path) -> None:
    text = create_recipient_key(tmp_path / "key", SYSTEM_RANDOMNESS)
    private = load_recipient_key(tmp_path / "key")
    assert format_recipient(SEALING.public_of(private)) == text
    assert parse_recipient(f" {text}\n") == SEALING.public_of(private)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(SettingsError):
        create_recipient_key(tmp_path / "key", SYSTEM_RANDOMNESS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x25519:",
        "x25519:zz",
        "0" * 64,
        "x25519:" + "0" * 64,
        "x25519:" + "f" * 63,
        "x25519-private:" + "1" * 64,
    ],
)
def test_what_is_no_recipient_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_recipient(text)
