"""The tree over entries that are read in order, its roots, its clock and its stored tiles."""

from __future__ import annotations

import pytest

from ledger.audit.structure import Structure
from ledger.core.faults import FaultList
from ledger.core.merkle import EMPTY_ROOT, hash_leaf, root_of
from ledger.engines.scalar import ScalarEngine
from tests.support.forged_logs import MemoryLog, encode_log, ignore_progress, open_log, pad


def make_entries(count: int) -> list[bytes]:
    log = open_log()
    pad(log, count - 1)
    return encode_log(log)


ENTRIES = make_entries(600)


def read(source: MemoryLog) -> tuple[Structure, FaultList]:
    faults = FaultList()
    structure = Structure(source, faults)
    reading = ScalarEngine().read(
        source, source.size_available(), with_index=False, with_identities=False, on_progress=ignore_progress
    )
    for facts in reading.chunks():
        structure.add(facts)
    return structure, faults


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 511, 512, 513, 599, 600])
def test_the_root_at_every_size_is_that_of_the_first_leaves(size: int) -> None:
    structure, _ = read(MemoryLog(ENTRIES))
    leaves = [hash_leaf(entry) for entry in ENTRIES[:size]]
    assert structure.root_at(size) == (root_of(leaves) if leaves else EMPTY_ROOT)


def test_there_is_no_root_beyond_the_entries() -> None:
    assert read(MemoryLog(ENTRIES))[0].root_at(601) is None


def test_entries_that_change_between_two_looks_give_no_root() -> None:
    source = MemoryLog(list(ENTRIES))
    structure, _ = read(source)
    source.entries = [b"{}", *ENTRIES[1:]]
    assert structure.root_at(100) is None
    assert structure.root_at(256) is not None


def test_the_ledgers_time_is_the_latest_that_was_recorded_wherever_it_stands() -> None:
    log = open_log()
    log.add("developer.registered", 900, developer="d")
    log.add("developer.registered", 1_000, developer="e")
    structure, _ = read(MemoryLog([*encode_log(log)[:3], b"{}"]))
    assert structure.ledger_time_ms == 1_000


class TilesOf(MemoryLog):
    """A log with the tiles of a smaller ``size``; ``edited`` adds a bit to its partial leaf tile."""

    def __init__(self, size: int, is_edited: bool = False) -> None:
        super().__init__(ENTRIES)
        self._smaller, self._is_edited = MemoryLog(ENTRIES[:size]), is_edited

    def read_tile(self, path: str) -> bytes | None:
        data = self._smaller.read_tile(path)
        if self._is_edited and data is not None and path.startswith("tile/0") and ".p/" in path:
            return data[:-1] + bytes([data[-1] ^ 1])
        return data


def check_tiles(source: TilesOf, size: int) -> list[tuple[str, int]]:
    structure, faults = read(source)
    structure.check_tiles(size, level_min=0)
    return [(fault.code, fault.position) for fault in faults.kept]


@pytest.mark.parametrize("size", [1, 100, 256, 300, 512, 600])
def test_the_tiles_of_every_size_are_those_of_the_entries(size: int) -> None:
    assert check_tiles(TilesOf(size), size) == []


@pytest.mark.parametrize("size", [300, 600])
def test_an_edited_partial_tile_is_found_in_the_rest_and_inside_a_full_group(size: int) -> None:
    assert check_tiles(TilesOf(size, is_edited=True), size) == [("TILE_MISMATCH", size // 256 * 256)]
