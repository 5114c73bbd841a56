"""The map updated by batches: many keys, growth, shards. The property tests hold it to the core's for any positions."""

from __future__ import annotations

import numpy as np
import pytest

from ledger.core.index import KeyRow, key_position, leaf_node, value_hash
from ledger.core.sparse_map import EMPTY_SUBTREE, SparseMap, shard_of
from ledger.engines.batch_map import BatchMap
from ledger.engines.hash_rows import as_hashes

ROW = KeyRow(1, 0, bytes(range(32)))
CHANGED = KeyRow(2, 5, bytes(32))


def map_of(keys: list[int], prefix: int = 0, bits: int = 0) -> BatchMap:
    """A map in which the keys, as text, have slots in this order."""
    batch = BatchMap(prefix, bits)
    batch.add_keys(as_hashes(b"".join(key_position(str(key)) for key in keys)))
    return batch


def put(batch: BatchMap, slots: list[int], row: KeyRow = ROW) -> None:
    numbers = np.array(slots, np.int64)
    nodes = [leaf_node(position, value_hash(row)) for position in batch.positions(numbers).tolist()]
    batch.update(numbers, as_hashes(b"".join(nodes)))


def core_of(slots: list[int], changed: list[int]) -> SparseMap:
    core = SparseMap()
    core.update((str(slot), CHANGED if slot in changed else ROW) for slot in slots)
    return core


def test_a_map_without_keys_is_empty() -> None:
    batch = map_of([1, 2])
    put(batch, [])
    assert (batch.subtree(), len(batch)) == (EMPTY_SUBTREE, 0)


@pytest.mark.parametrize("step", [1, 7, 500, 3000])
def test_a_map_that_grows_in_steps_is_the_one_made_at_once(step: int) -> None:
    slots = list(range(3000))
    batch = map_of(slots)
    count = 300 if step == 1 else 3000
    for start in range(0, count, step):
        put(batch, slots[start : min(start + step, count)])
    assert batch.subtree() == core_of(slots[:count], []).subtree()


def test_a_changed_leaf_replaces_the_old_one_and_is_counted_once() -> None:
    slots = list(range(400))
    batch = map_of(slots)
    put(batch, slots)
    put(batch, [399, 5, 7], CHANGED)
    assert len(batch) == 400
    assert batch.subtree() == core_of(slots, [399, 5, 7]).subtree()


def test_keys_that_come_later_get_the_next_slots() -> None:
    batch = map_of([0, 1])
    put(batch, [1])
    batch.add_keys(as_hashes(key_position("2") + key_position("3")))
    put(batch, [3], CHANGED)
    assert batch.subtree() == core_of([1, 3], [3]).subtree()


def test_a_slot_that_no_key_has_is_refused() -> None:
    with pytest.raises(AssertionError):
        put(map_of([0, 1]), [2])


def test_slots_come_in_any_order_and_need_not_follow_each_other() -> None:
    batch = map_of(list(range(1000)))
    put(batch, [900, 3, 77])
    put(batch, [5, 800], CHANGED)
    assert batch.subtree() == core_of([900, 3, 77, 5, 800], [5, 800]).subtree()


@pytest.mark.parametrize("bits", [1, 3, 16])
def test_a_shard_is_that_part_of_the_map_and_refuses_other_positions(bits: int) -> None:
    prefix = shard_of(key_position("0"), bits)
    mine = [slot for slot in range(600) if shard_of(key_position(str(slot)), bits) == prefix]
    other = next(slot for slot in range(600) if slot not in mine)
    batch = map_of(mine, prefix, bits)
    put(batch, list(range(len(mine))))
    with pytest.raises(AssertionError):
        batch.add_keys(as_hashes(key_position(str(other))))
    assert batch.subtree() == core_of(list(range(600)), []).subtree(prefix, bits)


@pytest.mark.parametrize(("prefix", "bits"), [(1, 0), (2, 1), (-1, 1), (0, 17)])
def test_there_is_no_map_for_a_prefix_that_does_not_fit(prefix: int, bits: int) -> None:
    with pytest.raises(AssertionError):
        BatchMap(prefix, bits)
