"""A published directory read as a log: what is missing or broken is told, never trusted."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import StoreError
from ledger.store.tile_directory import TileDirectory
from tests.support.forged_logs import encode_log, open_log, pad, publish, sign


def make_entries() -> list[bytes]:
    log = open_log()
    pad(log, 599)
    return encode_log(log)


ENTRIES = make_entries()


@pytest.fixture
def public(tmp_path: Path) -> Path:
    return publish(tmp_path, ENTRIES)


def test_blocks_are_the_entries_and_their_leaf_tiles(public: Path) -> None:
    source = TileDirectory.open(public)
    blocks = [source.read_block(first, 256) for first in (0, 256, 512)]
    assert [entry for block in blocks for entry in block.entries] == ENTRIES
    assert [block.fault for block in blocks] == [None] * 3
    assert [len(block.stored_hashes or b"") for block in blocks] == [8_192, 8_192, 88 * 32]


def test_left_over_full_files_stand_in_for_the_partial_ones_of_an_older_checkpoint(public: Path) -> None:
    (public / "checkpoint").write_bytes(sign(ENTRIES, size=300))
    source = TileDirectory.open(public)
    block = source.read_block(256, 256)
    assert (source.size_available(), block.entries, block.fault) == (300, ENTRIES[256:300], None)
    assert len(block.stored_hashes or b"") == 44 * 32


def test_a_missing_or_broken_bundle_ends_the_block_with_its_reason(public: Path) -> None:
    (public / "tile/entries/001").unlink()
    (public / "tile/entries/002.p/88").write_bytes(b"\0")
    source = TileDirectory.open(public)
    for first in (256, 512):
        block = source.read_block(first, 256)
        assert block.entries == []
        assert block.fault is not None
        assert "tile/entries/00" in block.fault


def test_beyond_the_checkpoints_size_there_is_nothing(public: Path) -> None:
    assert TileDirectory.open(public).read_block(768, 256).entries == []


def test_the_checkpoint_is_the_one_that_stood_there_when_the_log_was_opened(public: Path) -> None:
    source = TileDirectory.open(public)
    (public / "checkpoint").write_bytes(b"newer")
    assert source.checkpoint() == sign(ENTRIES)


@pytest.mark.parametrize("count", [0, 88, 256, 600])
def test_where_the_checkpoint_is_none_the_bundles_tell_the_size(tmp_path: Path, count: int) -> None:
    public = publish(tmp_path, ENTRIES[:count], note=b"\xff")
    assert TileDirectory.open(public).size_available() == count


def test_a_directory_without_a_checkpoint_is_no_published_log(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="published log"):
        TileDirectory.open(tmp_path)
