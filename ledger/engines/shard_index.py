"""The index over a log's first entries, or one shard of it, grown by batches (ledger format, section 1.4).

Joins the trees of all keys (:mod:`ledger.engines.batch_trees`) with the map over their rows
(:mod:`ledger.engines.batch_map`). Keys are slots here; who they are is known to the caller:
:mod:`ledger.engines.key_index` has their text, :mod:`ledger.engines.replay` the ids of one verification.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from ledger.core.sparse_map import Subtree
from ledger.engines.batch_map import BatchMap
from ledger.engines.batch_trees import BatchTrees
from ledger.engines.hash_rows import HASH, Hashes, Numbers, hash_leaf_nodes

_LEAVES_AT_ONCE = 1 << 16


class ShardIndex:
    """Trees and map of the keys under one prefix of positions; without arguments of all. Not safe for threads."""

    def __init__(self, prefix: int = 0, prefix_bits: int = 0) -> None:
        """Start without any key."""
        self._trees = BatchTrees()
        self._map = BatchMap(prefix, prefix_bits)

    def add_keys(self, positions: Hashes) -> None:
        """Give the next slots to keys at ``positions``, in this order; a key is added once."""
        self._map.add_keys(positions)

    def append(self, first: int, leaves: Hashes, places: Numbers, slots: Numbers) -> None:
        """Append entries to the trees of their keys: for each i the entry at seq ``first + places[i]`` to ``slots[i]``.

        ``places`` ascend; ``leaves`` has at each place the leaf hash that the entry has in the trees of its keys. No
        entry stands twice for one key, and seqs follow those of the last call (``AssertionError``).
        """
        if not len(slots):
            return
        # Slot and row in one number: sorted by slot, and stable, by the fastest sort there is.
        bits = len(slots).bit_length()
        ordered = np.sort(slots << bits | np.arange(len(slots)))
        places = places[ordered & ((1 << bits) - 1)].astype(np.int64)
        self._trees.append(ordered >> bits, first + places, leaves, places)

    def save(self, out: BinaryIO) -> None:
        """Write positions and trees, from which :meth:`load` makes the rest anew."""
        # Keys that are told and have no entry yet have a slot as well.
        np.save(out, self._map.positions(np.arange(self._map.size)))
        self._trees.save(out)

    def load(self, source: BinaryIO) -> None:
        """Take, into an index that is empty, what was saved; every key with entries counts as changed."""
        self._map.add_keys(np.load(source, allow_pickle=False))
        self._trees.load(source)

    def subtree(self) -> Subtree:
        """The node of this shard over everything appended so far; with no prefix its node is the map root."""
        changed = self._trees.take_changed()
        leaf_nodes = np.empty(len(changed), HASH)
        trees, positions = self._trees, self._map.positions
        for start in range(0, len(changed), _LEAVES_AT_ONCE):
            part = slice(start, start + _LEAVES_AT_ONCE)
            slots = changed[part]
            leaf_nodes[part] = hash_leaf_nodes(
                positions(slots), trees.counts(slots), trees.last_seqs(slots), trees.roots(slots)
            )
        self._map.update(changed, leaf_nodes)
        return self._map.subtree()
