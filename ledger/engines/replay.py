"""Replaying the index over a whole log (ledger format, section 1.4).

The keys of every entry were written down by the scan (:mod:`ledger.engines.key_files`). Here each process owns the keys of
one half of the map, by the top bit of their position, and grows their trees from the first entry on; at every ``map_size``
that a seal names it gives the root of its half. Both halves together are the map root that the seal must state.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ledger.core.sparse_map import Subtree, combine_shards
from ledger.engines.hash_rows import Numbers
from ledger.engines.key_files import SHARD_BITS, SHARDS, ChunkKeys, read_keys
from ledger.engines.shard_index import ShardIndex
from ledger.engines.slot_table import SlotTable
from ledger.errors import StoreError


class Replay:
    """The index of one shard, by key ids."""

    def __init__(self, shard: int) -> None:
        """Start without any entry."""
        self._table = SlotTable()
        self._index = ShardIndex(shard, SHARD_BITS)

    def slots_of(self, chunk: ChunkKeys) -> Numbers:
        """The slot of each row of ``chunk``, whose fresh keys become known."""
        ids, at = np.unique(chunk.fresh_ids, return_index=True)
        # Another process may have told of the same key in an earlier chunk.
        is_new = self._table.find(ids) < 0
        self._table.add(ids[is_new])
        self._index.add_keys(chunk.fresh_positions[at[is_new]])
        slots = self._table.find(chunk.ids)
        assert (slots >= 0).all(), "a key is told no later than it is used"
        return slots

    def append(self, first: int, chunk: ChunkKeys, slots: Numbers, start: int, end: int) -> None:
        """Append the entries ``start <= place < end`` of the chunk that begins at ``first``."""
        rows = slice(*np.searchsorted(chunk.places, (start, end)))
        self._index.append(first, chunk.leaves, chunk.places[rows], slots[rows])

    def seal(self) -> Subtree:
        """The root of this half over everything appended so far."""
        return self._index.subtree()

    def save(self, out: BinaryIO) -> None:
        """Write to ``out`` what :meth:`load` goes on from; everything appended was sealed."""
        np.save(out, self._table.ids)
        self._index.save(out)

    @classmethod
    def load(cls, shard: int, source: BinaryIO) -> Replay:
        """What was saved. Its root is computed anew from the keys' trees, so that it can be held against what it was."""
        made = cls(shard)
        made._table.add(np.load(source, allow_pickle=False))
        made._index.load(source)
        return made


def replay_shard(scratch: Path, firsts: Sequence[int], map_sizes: Sequence[int], shard: int) -> list[Subtree]:
    """The subtrees of one shard at each of ``map_sizes`` (ascending), for a log whose chunks begin at ``firsts``."""
    state = Replay(shard)
    wanted = list(map_sizes)
    subtrees: list[Subtree] = []
    for first in firsts:
        if not wanted:
            break
        chunk = read_keys(scratch, first, shard)
        slots = state.slots_of(chunk)
        count, done = len(chunk.leaves), 0
        while wanted and wanted[0] <= first + count:
            state.append(first, chunk, slots, done, wanted[0] - first)
            done = wanted.pop(0) - first
            subtrees.append(state.seal())
        if wanted:
            state.append(first, chunk, slots, done, count)
    return subtrees


def replay_index(
    scratch: Path,
    firsts: Sequence[int],
    map_sizes: Sequence[int],
    processes: int,
) -> list[bytes]:
    """The map root over the first ``n`` entries for each ``n`` of ``map_sizes``, ascending and within the log.

    ``firsts`` (ascending) are the first entries of the chunks whose keys lie in ``scratch``. With more than one of
    ``processes`` the shards are replayed at the same time; raises StoreError when such a process dies.
    """
    if processes <= 1 or len(firsts) <= 1:
        shards = [replay_shard(scratch, firsts, map_sizes, shard) for shard in range(SHARDS)]
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(SHARDS, context) as pool:
            try:
                tasks = [
                    pool.submit(replay_shard, scratch, firsts, map_sizes, shard) for shard in range(SHARDS)
                ]
                shards = [task.result() for task in tasks]
            except BrokenProcessPool as error:
                raise StoreError("a process that replayed the index died (out of memory?)") from error
    return [combine_shards(halves).node for halves in zip(*shards, strict=True)]
