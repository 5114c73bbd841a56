"""What ``publish`` writes, read by an independent tlog-tiles reader (transparency formats, sections 4.1 to 4.4)."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.core.checkpoint import Checkpoint, sign_checkpoint
from ledger.core.merkle import hash_leaf, root_of
from ledger.core.tiles import build_tiles, format_path
from ledger.ports import NewEntry
from ledger.store.engine import open_engine
from ledger.store.entries import SqlEntryStore
from ledger.store.migrate import upgrade
from ledger.transparency.publish import publish
from ledger.vault.ed25519 import from_seed
from tests.conformance.log_reader import Reading, read_published

SIGNER = from_seed("ledger.example/acme", bytes(range(32)))
SIZES = (1, 2, 255, 256, 257, 511, 512, 700)
TAMPERED_SIZE = 700
DEEP_SIZE = 70_000
"""A tree of three levels of tiles; the sizes of its partial ones are in section 4.4."""

OpenStore = Callable[[str], SqlEntryStore]


@pytest.fixture(scope="module")
def open_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenStore]:
    opened: list[SqlEntryStore] = []

    def open_one(name: str) -> SqlEntryStore:
        url = f"sqlite:///{tmp_path_factory.mktemp(name)}/ledger.db"
        upgrade(url)
        opened.append(SqlEntryStore(open_engine(url)))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


def grow(store: SqlEntryStore, size: int, directory: Path, salt: str = "") -> Checkpoint:
    """Append up to ``size`` entries, store their tiles and a signed checkpoint, and publish to ``directory``."""
    old_size = store.size()
    entries = [f'{{"n":{n}{salt}}}'.encode() for n in range(old_size, size)]
    store.append(
        old_size,
        [
            NewEntry(old_size + i, f"uid/{old_size + i}", hash_leaf(data), data, False)
            for i, data in enumerate(entries)
        ],
    )
    leaves = store.leaf_hashes(0, size)
    tiles = build_tiles(
        old_size,
        size,
        lambda start, end: leaves[32 * start : 32 * end],
        lambda tile: store.load_tile(format_path(tile)),
    )
    store.put_tiles([(format_path(tile), data) for tile, data in tiles])
    root = root_of([leaves[start : start + 32] for start in range(0, len(leaves), 32)])
    checkpoint = Checkpoint(SIGNER.name, size, root)
    store.put_checkpoint(size, sign_checkpoint(checkpoint, [SIGNER]))
    publish(store, directory, SIGNER.vkey())
    return checkpoint


def read(directory: Path, old_checkpoint: Path | None = None) -> Reading:
    return read_published(directory, (directory / "log.vkey").read_text().strip(), old_checkpoint)


@pytest.fixture(scope="module")
def published(open_store: OpenStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("published")
    grow(open_store("tampered"), TAMPERED_SIZE, directory)
    return directory


def test_the_reader_accepts_a_log_at_every_size_that_it_grows_through(
    open_store: OpenStore, tmp_path: Path
) -> None:
    store = open_store("growing")
    for size in SIZES:
        checkpoint = grow(store, size, tmp_path / "log")
        root = base64.b64encode(checkpoint.root).decode()
        assert read(tmp_path / "log") == Reading(True, f"ok size={size} root={root}", "")


def test_the_reader_finds_each_size_consistent_with_the_one_before(
    open_store: OpenStore, tmp_path: Path
) -> None:
    store = open_store("consistent")
    grow(store, SIZES[0], tmp_path / "log")
    for size in SIZES[1:]:
        old = shutil.copyfile(tmp_path / "log" / "checkpoint", tmp_path / "old")
        grow(store, size, tmp_path / "log")
        assert read(tmp_path / "log", old).accepted, size


def test_the_reader_accepts_a_log_with_three_levels_of_tiles(open_store: OpenStore, tmp_path: Path) -> None:
    grow(open_store("deep"), DEEP_SIZE, tmp_path / "log")
    assert (tmp_path / "log" / "tile" / "2" / "000.p" / "1").exists()
    assert read(tmp_path / "log").line.startswith(f"ok size={DEEP_SIZE} ")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("checkpoint", "invalid signature"),
        ("tile/0/000", "inconsistent tile"),
        ("tile/0/002.p/188", "inconsistent tile"),
        ("tile/1/000.p/2", "inconsistent tile"),
        ("tile/entries/001", "entry 256"),
        ("tile/entries/002.p/188", "entry 512"),
    ],
)
def test_the_reader_refuses_a_log_with_one_flipped_bit(
    published: Path, tmp_path: Path, name: str, reason: str
) -> None:
    directory = shutil.copytree(published, tmp_path / "log")
    data = bytearray((directory / name).read_bytes())
    data[2] ^= 1
    (directory / name).write_bytes(data)
    reading = read(directory)
    assert not reading.accepted
    assert reason in reading.reason


@pytest.mark.parametrize("name", ["checkpoint", "tile/0/001", "tile/1/000.p/2", "tile/entries/000"])
def test_the_reader_refuses_a_log_with_a_file_missing(published: Path, tmp_path: Path, name: str) -> None:
    directory = shutil.copytree(published, tmp_path / "log")
    (directory / name).unlink()
    assert "no such file" in read(directory).reason


def test_the_reader_refuses_a_log_under_another_key(published: Path) -> None:
    another = from_seed(SIGNER.name, bytes(32))
    assert "no verifiable signatures" in read_published(published, another.vkey()).reason


def test_the_reader_refuses_a_log_that_does_not_extend_the_earlier_checkpoint(
    published: Path, open_store: OpenStore, tmp_path: Path
) -> None:
    grow(open_store("forked"), TAMPERED_SIZE - 100, tmp_path / "fork", salt=',"forked":true')
    assert "consistency with size 600" in read(published, tmp_path / "fork" / "checkpoint").reason
