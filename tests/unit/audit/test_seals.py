"""Which seals are lawful, which are replayed, and what is told where a map root differs."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ledger.audit.seals import Seals
from ledger.core.faults import FaultList
from tests.support.builders import Log
from tests.support.forged_logs import add_seal


class Roots:
    """A reading that knows map roots; remembers what it was asked."""

    def __init__(self, **roots: str) -> None:
        self._roots = {int(name[1:]): bytes.fromhex(root) for name, root in roots.items()}
        self.asked: list[int] = []

    def map_roots(self, map_sizes: list[int]) -> list[bytes]:
        self.asked += map_sizes
        return [self._roots.get(size, b"\0" * 32) for size in map_sizes]


def take(*seals: tuple[int, int], **lies: Any) -> Seals:
    """Seals at ``(seq, map_size)``."""
    taken = Seals(FaultList())
    for seq, map_size in seals:
        entry = add_seal(Log(), map_size=map_size, **lies)
        taken.add(dataclasses.replace(entry, seq=seq))
    return taken


def told(seals: Seals) -> list[tuple[str, int]]:
    return [(fault.code, fault.position) for fault in seals.faults.kept]


def test_a_first_seal_may_cover_nothing_but_what_stands_before_it() -> None:
    assert told(take((5, 0))) == []
    assert told(take((5, 5))) == []
    assert told(take((5, 6))) == [("MAP_ROOT_MISMATCH", 5)]


@pytest.mark.parametrize(("map_size", "is_lawful"), [(5, False), (6, True), (9, True), (10, False)])
def test_a_later_seal_covers_the_seal_before_it(map_size: int, is_lawful: bool) -> None:
    seals = take((5, 5), (9, map_size))
    assert told(seals) == ([] if is_lawful else [("MAP_ROOT_MISMATCH", 9)])


def test_only_lawful_seals_are_replayed() -> None:
    seals, roots = take((5, 5), (9, 3), (12, 11)), Roots()
    seals.check_roots(roots, 20)  # type: ignore[arg-type]
    assert roots.asked == [5, 11]


def test_a_seal_that_covers_more_than_was_read_is_told_and_not_replayed() -> None:
    seals, roots = take((5, 5), (900, 900)), Roots()
    seals.check_roots(roots, 20)  # type: ignore[arg-type]
    assert (roots.asked, told(seals)) == ([5], [("MAP_ROOT_MISMATCH", 900)])


def test_seqs_that_go_back_never_ask_for_roots_out_of_order() -> None:
    seals, roots = take((9, 9), (5, 4), (7, 6), (12, 10)), Roots()
    seals.check_roots(roots, 20)  # type: ignore[arg-type]
    assert roots.asked == sorted(roots.asked)


def test_a_root_that_is_not_the_replayed_one_is_told_at_the_seal() -> None:
    seals = take((5, 5), (9, 9), map_root="1" * 64)
    seals.check_roots(Roots(n5="1" * 64, n9="2" * 64), 10)  # type: ignore[arg-type]
    assert told(seals) == [("MAP_ROOT_MISMATCH", 9)]


def test_another_index_function_is_not_replayed() -> None:
    assert told(take((5, 5), map_fn=2)) == [("MAP_ROOT_MISMATCH", 5)]


def test_a_checkpoint_covers_a_seal_as_its_last_entry() -> None:
    seals = take((5, 5))
    seals.check_last(6)
    assert told(seals) == []
    seals.check_last(5)
    assert told(seals) == [("MAP_ROOT_MISMATCH", 4)]


def test_an_empty_log_needs_no_seal() -> None:
    seals = take()
    seals.check_last(0)
    assert told(seals) == []
