"""A growing table as sorted runs, against a dictionary."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ledger.engines.sorted_runs import ABSENT, SortedRuns

KEYS = st.integers(-(1 << 63), (1 << 63) - 1)
BATCHES = st.lists(st.lists(KEYS, unique=True, max_size=9), max_size=12)


def filled(batches: list[list[int]]) -> tuple[SortedRuns, dict[int, int]]:
    table, known = SortedRuns(), dict[int, int]()
    for batch in batches:
        new = {key: len(known) + number for number, key in enumerate(set(batch) - known.keys())}
        table.add(np.array(list(new), np.int64), np.array(list(new.values()), np.int64))
        known |= new
    return table, known


@given(BATCHES, st.lists(KEYS, max_size=5))
def test_it_finds_what_was_put_in_and_nothing_else(batches: list[list[int]], others: list[int]) -> None:
    table, known = filled(batches)
    asked = [*known, *others]
    assert table.find(np.array(asked, np.int64)).tolist() == [known.get(key, ABSENT) for key in asked]
    assert len(table) == len(known)


@given(BATCHES, KEYS, KEYS)
def test_a_range_has_the_values_of_all_keys_in_it(batches: list[list[int]], one: int, other: int) -> None:
    table, known = filled(batches)
    low, high = min(one, other), max(one, other)
    assert sorted(table.between(low, high)) == sorted(
        value for key, value in known.items() if low <= key <= high
    )


@given(BATCHES)
def test_it_comes_back_from_its_arrays(batches: list[list[int]]) -> None:
    table, known = filled(batches)
    again = SortedRuns.of_arrays(table.arrays())
    assert again.find(np.array(list(known), np.int64)).tolist() == list(known.values())


def test_runs_stay_few() -> None:
    table = SortedRuns()
    for number in range(1_000):
        table.add(np.array([number * 7_919]), np.array([number]))
    assert len(table._runs) <= 11
