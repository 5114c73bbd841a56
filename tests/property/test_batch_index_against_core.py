"""The index grown by batches against the core's, which takes entry by entry: whatever the log, the blocks and the seals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.index import KeyRow, key_leaf_hash, key_position, leaf_node, value_hash
from ledger.core.key_trees import KeyTrees
from ledger.core.merkle import hash_leaf
from ledger.core.sparse_map import SparseMap, combine_shards, shard_of
from ledger.engines.batch_map import BatchMap
from ledger.engines.batch_trees import BatchTrees
from ledger.engines.hash_rows import as_hashes
from ledger.engines.shard_index import ShardIndex

Log = list[list[str]]
"""The keys of each entry."""


@dataclass(frozen=True, slots=True)
class Steps:
    """A log, where its blocks end, and after which of these blocks there is a seal."""

    log: Log
    ends: list[int]
    sealed: list[bool]


@st.composite
def steps(draw: st.DrawFn) -> Steps:
    keys = [f"acct:{number}" for number in range(draw(st.integers(1, 30)))]
    # Some keys are in most entries, so that a block has many entries for one of them.
    common = st.sampled_from(keys[:2])
    entry = st.lists(st.one_of(common, st.sampled_from(keys)), max_size=4, unique=True)
    log = draw(st.lists(entry, min_size=1, max_size=120))
    ends = sorted(draw(st.sets(st.integers(1, len(log)), max_size=8)) | {len(log)})
    return Steps(log, ends, [draw(st.booleans()) for _ in ends])


def leaf_of(seq: int) -> bytes:
    return hash_leaf(b"entry %d" % seq)


def core_roots(made: Steps) -> list[bytes]:
    trees, sparse, roots, start = KeyTrees(), SparseMap(), [], 0
    for end, is_sealed in zip(made.ends, made.sealed, strict=True):
        for seq in range(start, end):
            trees.append_entry(made.log[seq], seq, leaf_of(seq))
        if is_sealed:
            sparse.update(trees.changed_rows())
            trees.mark_sealed()
            roots.append(sparse.root())
        start = end
    return roots


@given(steps())
def test_two_shards_together_have_the_roots_of_the_core(made: Steps) -> None:
    keys = sorted({key for keys in made.log for key in keys})
    mine = [[key for key in keys if shard_of(key_position(key), 1) == shard] for shard in (0, 1)]
    shards = [ShardIndex(shard, 1) for shard in (0, 1)]
    for shard, owned in zip(shards, mine, strict=True):
        shard.add_keys(as_hashes(b"".join(map(key_position, owned))))
    roots, start = [], 0
    for end, is_sealed in zip(made.ends, made.sealed, strict=True):
        leaves = as_hashes(b"".join(key_leaf_hash(seq, leaf_of(seq)) for seq in range(start, end)))
        for shard, owned in zip(shards, mine, strict=True):
            rows = [
                (place, owned.index(key))
                for place, keys in enumerate(made.log[start:end])
                for key in keys
                if key in owned
            ]
            places, slots = numbers([place for place, _ in rows]), numbers([slot for _, slot in rows])
            shard.append(start, leaves, places, slots)
        if is_sealed:
            roots.append(combine_shards([shard.subtree() for shard in shards]).node)
        start = end
    assert roots == core_roots(made)


@given(st.lists(st.lists(st.integers(0, 60), min_size=3, max_size=3), min_size=1, max_size=6))
def test_trees_have_the_rows_of_the_core_whatever_number_of_leaves_comes_at_once(
    batches: list[list[int]],
) -> None:
    trees, core, seq = BatchTrees(), KeyTrees(), 0
    for counts in batches:
        slots, seqs = [], []
        for slot, count in enumerate(counts):
            for _ in range(count):
                slots.append(slot)
                seqs.append(seq)
                core.append(str(slot), seq, leaf_of(seq))
                seq += 1
        leaves = as_hashes(b"".join(key_leaf_hash(each, leaf_of(each)) for each in seqs))
        trees.append(numbers(slots), numbers(seqs), leaves, np.arange(len(seqs)))
    changed = trees.take_changed()
    assert sorted(map(int, core)) == changed.tolist()
    rows = zip(
        trees.counts(changed).tolist(),
        trees.last_seqs(changed).tolist(),
        trees.roots(changed).tolist(),
        strict=True,
    )
    assert [KeyRow(*row) for row in rows] == [core.row(str(slot)) for slot in changed]


# Positions that part early, late, or in the last bit, as no hashes do.
positions = st.one_of(
    st.binary(min_size=32, max_size=32),
    st.builds(
        lambda head, tail: bytes([head]) + bytes(30) + bytes([tail]), st.integers(0, 3), st.integers(0, 255)
    ),
    st.builds(lambda at: (1 << at).to_bytes(32), st.integers(0, 255)),
)


@given(st.lists(st.lists(positions, max_size=12, unique=True), min_size=1, max_size=6))
def test_a_map_has_the_root_of_the_core_wherever_positions_part(updates: list[list[bytes]]) -> None:
    batch, core = BatchMap(), SparseMap()
    slots: dict[bytes, int] = {}
    known: list[bytes] = []
    for number, changed in enumerate(updates):
        rows = [KeyRow(1, number, leaf_of(number)) for _ in changed]
        core.update(zip(changed, rows, strict=True))
        nodes = [leaf_node(position, value_hash(row)) for position, row in zip(changed, rows, strict=True)]
        where = [slots.setdefault(position, len(slots)) for position in changed]
        batch.add_keys(as_hashes(b"".join(list(slots)[len(known) :])))
        known = list(slots)
        batch.update(numbers(where), as_hashes(b"".join(nodes)))
        assert batch.subtree() == core.subtree()


def numbers(values: Sequence[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, np.int64)
