"""The RFC 6962 trees of many index keys, grown by batches and level by level (ledger format, section 1.4).

The same trees as :class:`ledger.core.key_trees.KeyTrees`, which says what is remembered of a tree: its count, its last
seq and one peak for each set bit of the count. Keys are *slots* here, numbers from 0 up. A batch is merged at one level
for all its keys together: a key's peak of that level goes before its new nodes, neighbours make pairs, and what is left
over is the new peak. NumPy finds the pairs, so that per node only the hashing itself is left.

Few keys reach a high level, so each level holds its peaks densely, and says of each where it stands one level up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from ledger.engines.hash_rows import HASH, Hashes, Numbers, grown, hash_nodes

_ABSENT = -1


@dataclass(slots=True)
class _Level:
    """The peaks of one level; ``above[i]`` is where the tree of place i stands one level up."""

    size: int = 0
    peaks: Hashes = field(default_factory=lambda: np.empty(0, HASH))
    above: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))

    def reach(self, size: int) -> None:
        """Have ``size`` places."""
        self.size = size
        self.peaks = grown(self.peaks, size)
        self.above = grown(self.above, size, _ABSENT)


class BatchTrees:
    """The trees of the slots 0, 1, 2, ...; about 100 bytes for a slot and 40 more for each doubling of its entries.

    Not safe for use from several threads.
    """

    def __init__(self) -> None:
        """Start without any entry."""
        self._size = 0
        self._counts: Numbers = np.zeros(0, np.int64)
        self._last_seqs: Numbers = np.zeros(0, np.int64)
        self._is_changed: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._changed: list[Numbers] = []
        self._levels = [_Level()]

    @property
    def size(self) -> int:
        """The number of slots, which all have an entry where none was skipped."""
        return self._size

    def save(self, out: BinaryIO) -> None:
        """Write the trees to ``out``, as NumPy arrays one after the other."""
        np.save(out, self._counts[: self._size])
        np.save(out, self._last_seqs[: self._size])
        np.save(out, np.array([len(self._levels)]))
        for level in self._levels:
            np.save(out, level.peaks[: level.size])
            np.save(out, level.above[: level.size])

    def load(self, source: BinaryIO) -> None:
        """Take, into trees that are empty, those that were saved; every slot with entries counts as changed."""
        self._counts = np.load(source, allow_pickle=False)
        self._last_seqs = np.load(source, allow_pickle=False)
        self._size = len(self._counts)
        self._is_changed = self._counts > 0
        self._changed = [np.flatnonzero(self._is_changed)]
        self._levels = []
        for _ in range(int(np.load(source, allow_pickle=False)[0])):
            peaks = np.load(source, allow_pickle=False)
            above = np.load(source, allow_pickle=False)
            self._levels.append(_Level(len(peaks), peaks, above))

    def append(self, slots: Numbers, seqs: Numbers, leaves: Hashes, places: Numbers) -> None:
        """Append to the tree of each ``slots[i]`` the leaf ``leaves[places[i]]`` for the entry at ``seqs[i]``.

        ``slots`` ascend, and the seqs of one slot ascend strictly, from its last one on; another order is a mistake of
        the caller (``AssertionError``), and then nothing is changed.
        """
        if not len(slots):
            return
        is_first = np.empty(len(slots), np.bool_)
        is_first[0] = True
        np.not_equal(slots[1:], slots[:-1], out=is_first[1:])
        starts = np.flatnonzero(is_first)
        keys = slots[starts]
        counts = np.diff(starts, append=len(slots))
        self._reach(int(keys[-1]) + 1)
        if not (is_first[1:] | (seqs[1:] > seqs[:-1])).all() or (slots[1:] < slots[:-1]).any():
            raise AssertionError("a batch is ordered by slot and seq")
        if (seqs[starts] <= self._last_seqs[keys]).any():
            raise AssertionError("the seqs of a key ascend")
        held = self._counts[keys]
        self._merge(keys, held, starts, counts, leaves, places)
        self._counts[keys] = held + counts
        self._last_seqs[keys] = seqs[starts + counts - 1]
        fresh = keys[~self._is_changed[keys]]
        self._is_changed[fresh] = True
        self._changed.append(fresh)

    def take_changed(self) -> Numbers:
        """The slots appended to since the last call, ascending."""
        changed = np.sort(np.concatenate(self._changed)) if self._changed else np.zeros(0, np.int64)
        self._is_changed[changed] = False
        self._changed = []
        return changed

    def counts(self, slots: Numbers) -> Numbers:
        """How many entries each of ``slots`` has."""
        return self._counts[slots]

    def last_seqs(self, slots: Numbers) -> Numbers:
        """The seq of the last entry of each of ``slots``."""
        return self._last_seqs[slots]

    def roots(self, slots: Numbers) -> Hashes:
        """The roots of the trees of ``slots``, each of which has an entry."""
        roots = np.zeros(len(slots), HASH)
        # A tree is folded from its smallest peak on, which is its root as long as it is the only one.
        is_begun = np.zeros(len(slots), np.bool_)
        trees, places, rest = np.arange(len(slots)), slots, self._counts[slots]
        for level in self._levels:
            has_peak = (rest & 1).astype(np.bool_)
            with_peak, peaks = trees[has_peak], level.peaks[places[has_peak]]
            joins = is_begun[with_peak]
            joined = with_peak[joins]
            pairs = np.empty((len(joined), 2), HASH)
            pairs[:, 0] = peaks[joins]
            pairs[:, 1] = roots[joined]
            roots[with_peak[~joins]] = peaks[~joins]
            roots[joined] = hash_nodes(pairs)
            is_begun[with_peak] = True
            rest = rest >> 1
            goes_on = rest > 0
            if not goes_on.any():
                break
            trees, rest = trees[goes_on], rest[goes_on]
            places = level.above[places[goes_on]].astype(np.int64)
        return roots

    def _reach(self, size: int) -> None:
        if size > self._size:
            self._size = size
            self._counts = grown(self._counts, size)
            self._last_seqs = grown(self._last_seqs, size, -1)
            self._is_changed = grown(self._is_changed, size)
            self._levels[0].reach(size)

    def _merge(
        self,
        places: Numbers,
        held: Numbers,
        starts: Numbers,
        counts: Numbers,
        nodes: Hashes,
        order: Numbers | None,
    ) -> None:
        """Put new nodes into trees with ``held`` nodes, from the lowest level up.

        The tree at ``places[i]`` of a level gets ``counts[i]`` >= 1 nodes: those of ``nodes``, taken in ``order``, from
        ``starts[i]`` on.
        """
        depth = 0
        while True:
            level = self._levels[depth]
            carried = held & 1
            # A tree that gets anything has, if one is left over, a new node left over.
            left_over = np.flatnonzero((counts + carried) & 1)
            last = (starts + counts - 1)[left_over]
            old_peaks = level.peaks[places]
            level.peaks[places[left_over]] = nodes[last if order is None else order[last]]
            pairs = (counts + carried) >> 1
            rising = np.flatnonzero(pairs)
            if not len(rising):
                return
            pairs, carried, old_peaks = pairs[rising], carried[rising], old_peaks[rising]
            ends = np.cumsum(pairs)
            pair_starts = ends - pairs
            paired = np.arange(2 * int(ends[-1])) + np.repeat(
                starts[rising] - carried - 2 * pair_starts, 2 * pairs
            )
            # Where a peak will stand this takes any node.
            below = nodes.take(paired if order is None else order.take(paired, mode="wrap"), mode="wrap")
            with_peak = np.flatnonzero(carried)
            below[2 * pair_starts[with_peak]] = old_peaks[with_peak]
            nodes, order = hash_nodes(below), None
            places = self._above(depth, places[rising])
            held, starts, counts = held[rising] >> 1, pair_starts, pairs
            depth += 1

    def _above(self, depth: int, places: Numbers) -> Numbers:
        """Where the trees at ``places`` of the level ``depth`` stand one level up, made where they were never that high."""
        level = self._levels[depth]
        above = level.above[places].astype(np.int64)
        fresh = np.flatnonzero(above == _ABSENT)
        if len(fresh):
            if depth + 1 == len(self._levels):
                self._levels.append(_Level())
            upper = self._levels[depth + 1]
            above[fresh] = np.arange(upper.size, upper.size + len(fresh))
            upper.reach(upper.size + len(fresh))
            level.above[places[fresh]] = above[fresh]
        return above
