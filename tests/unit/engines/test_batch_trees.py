"""Growing many trees at once: what is refused, and what is remembered as changed."""

from __future__ import annotations

import numpy as np
import pytest

from ledger.core.index import key_leaf_hash
from ledger.core.merkle import root_of
from ledger.engines.batch_trees import BatchTrees
from ledger.engines.hash_rows import Hashes, Numbers, as_hashes


def leaves(count: int) -> Hashes:
    return as_hashes(b"".join(key_leaf_hash(seq, bytes(32)) for seq in range(count)))


def numbers(*values: int) -> Numbers:
    return np.array(values, np.int64)


def append(trees: BatchTrees, slots: Numbers, seqs: Numbers) -> None:
    trees.append(slots, seqs, leaves(16), seqs)


def test_leaves_are_taken_from_the_places_that_are_named() -> None:
    trees = BatchTrees()
    append(trees, numbers(0, 0, 0, 1), numbers(2, 7, 11, 7))
    made = leaves(16).tolist()
    assert trees.roots(numbers(0, 1)).tolist() == [root_of([made[2], made[7], made[11]]), made[7]]


@pytest.mark.parametrize(
    ("slots", "seqs"), [((0, 0), (4, 4)), ((0, 0), (5, 4)), ((1, 0), (4, 5)), ((0,), (3,)), ((0,), (2,))]
)
def test_a_batch_in_another_order_changes_nothing(slots: tuple[int, ...], seqs: tuple[int, ...]) -> None:
    trees = BatchTrees()
    append(trees, numbers(0), numbers(3))
    trees.take_changed()
    with pytest.raises(AssertionError):
        append(trees, numbers(*slots), numbers(*seqs))
    assert trees.counts(numbers(0)).tolist() == [1]
    assert trees.roots(numbers(0)).tolist() == [leaves(16).tolist()[3]]
    assert trees.take_changed().tolist() == []


def test_a_slot_is_told_as_changed_once_and_not_again() -> None:
    trees = BatchTrees()
    append(trees, numbers(4, 9), numbers(1, 0))
    append(trees, numbers(2, 9), numbers(3, 3))
    assert trees.take_changed().tolist() == [2, 4, 9]
    assert trees.take_changed().tolist() == []
    append(trees, numbers(4), numbers(5))
    assert trees.take_changed().tolist() == [4]


def test_an_empty_batch_changes_nothing() -> None:
    trees = BatchTrees()
    append(trees, numbers(), numbers())
    assert trees.take_changed().tolist() == []
