"""Numbering ids, whichever cells they fall into."""

from __future__ import annotations

import numpy as np
import pytest

from ledger.engines.slot_table import Ids, SlotTable


def ids_of(kind: str, count: int) -> Ids:
    numbers = np.arange(count, dtype=np.uint64)
    if kind == "crowded":  # all begin at the same cell
        return numbers << np.uint64(40)
    if kind == "ascending":
        return numbers
    return numbers * np.uint64(0x9E3779B97F4A7C15)


@pytest.mark.parametrize(("kind", "count"), [("scattered", 40_000), ("ascending", 5_000), ("crowded", 300)])
def test_every_id_is_found_in_the_order_in_which_it_was_added(kind: str, count: int) -> None:
    table, ids = SlotTable(), ids_of(kind, count)
    for start in range(0, count, count // 7):
        table.add(ids[start : start + count // 7])
    assert len(table) == count
    assert table.find(ids[::-1]).tolist() == list(range(count))[::-1]


@pytest.mark.parametrize("kind", ["scattered", "ascending", "crowded"])
def test_ids_that_were_never_added_are_not_found(kind: str) -> None:
    table, ids = SlotTable(), ids_of(kind, 200)
    assert table.find(ids).tolist() == [-1] * 200
    table.add(ids[:100])
    assert table.find(ids[100:]).tolist() == [-1] * 100


def test_an_id_of_zero_is_an_id_as_any_other() -> None:
    table = SlotTable()
    assert table.find(np.zeros(1, np.uint64)).tolist() == [-1]
    table.add(np.array([7, 0], np.uint64))
    assert table.find(np.zeros(2, np.uint64)).tolist() == [1, 1]
