"""Replaying the index over a whole log (ledger format, section 1.4).

The keys of every entry were written down by the scan (:mod:`ledger.engines.files`). Here each process owns the keys of one
half of the map, by the top bit of their position, and grows their trees from the first entry on; at every ``map_size``
that a seal names it gives the root of its half. Both halves together are the map root that the seal must state.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from ledger.core.key_trees import KeyTrees
from ledger.core.sparse_map import SparseMap, Subtree, combine_shards
from ledger.engines.files import SHARDS, ChunkKeys, read_keys
from ledger.errors import StoreError

SHARD_BITS = 1


class _Shard:
    """The trees and the map of one half of the keys."""

    def __init__(self, shard: int) -> None:
        self._trees = KeyTrees()
        self._map = SparseMap(shard, SHARD_BITS)
        self._names: dict[int, dict[int, str]] = {}

    def append(self, chunk: ChunkKeys, first: int, start: int, end: int, place: int) -> int:
        """Append entries ``start <= i < end`` of a chunk; ``place`` is where their ids begin. Returns where they end."""
        names = self._names.setdefault(chunk.worker, {})
        names.update(chunk.fresh)
        append_entry = self._trees.append_entry
        counts, ids, leaves = chunk.counts, chunk.ids, chunk.leaves
        for entry in range(start, end):
            count = counts[entry]
            if count:
                keys = [names[key_id] for key_id in ids[place : place + count]]
                append_entry(keys, first + entry, leaves[entry * 32 : entry * 32 + 32])
                place += count
        return place

    def seal(self) -> Subtree:
        """The root of this half over everything appended so far."""
        self._map.update(self._trees.changed_rows())
        self._trees.mark_sealed()
        return self._map.subtree()


def replay_shard(scratch: Path, firsts: Sequence[int], map_sizes: Sequence[int], shard: int) -> list[Subtree]:
    """The subtrees of one shard at each of ``map_sizes`` (ascending), for a log whose chunks begin at ``firsts``."""
    state = _Shard(shard)
    wanted = list(map_sizes)
    subtrees: list[Subtree] = []
    for first in firsts:
        chunk = read_keys(scratch, first, shard)
        count = len(chunk.counts)
        done, place = 0, 0
        while wanted and wanted[0] <= first + count:
            place = state.append(chunk, first, done, wanted[0] - first, place)
            done = wanted.pop(0) - first
            subtrees.append(state.seal())
        if not wanted:
            break
        state.append(chunk, first, done, count, place)
    return subtrees


def replay_index(
    scratch: Path,
    firsts: Sequence[int],
    map_sizes: Sequence[int],
    processes: int,
) -> list[bytes]:
    """The map root over the first ``n`` entries for each ``n`` of ``map_sizes``, ascending and within the log."""
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
