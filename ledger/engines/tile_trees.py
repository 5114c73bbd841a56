"""Many keys' trees grown at once, from the rows in which they are stored (:mod:`ledger.core.key_tiles`).

A batch is merged at one level for all its trees together, as :mod:`ledger.engines.batch_trees` does, but nothing is kept
between two batches: peaks come from rows and go into rows. On the way every 64th seq, and every 64th root of a tile, ends
a tile. The roots in new tiles come from the merging itself; those that a tile above takes from older tiles are checked
against it.

Trees are numbered from 0 up in the order of their rows; peaks and tails of all trees lie joined, one tree after another.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ledger.core.key_tiles import ROW_HEAD_BYTES, SEQ_BYTES, TILE_BITS, TILE_WIDTH
from ledger.core.merkle import HASH_BYTES, root_of_full
from ledger.engines.hash_rows import HASH, Hashes, Numbers, as_hashes, hash_nodes, ranges_of, starts_of
from ledger.errors import ProofError

LoadRoots = Callable[[int, int, int, int], Sequence[bytes]]
"""Returns the roots of the tiles ``[start, end)`` at a level of a tree: ``(tree, level, start, end)``."""

_HEAD = np.dtype([("count", ">u8"), ("last_seq", ">u8")])
_SEQ = np.dtype(">u8")

_encode_head = struct.Struct(">QQ").pack


class NewTile(NamedTuple):
    """Tile ``number`` at ``level`` of a tree: its root, and what it holds."""

    tree: int
    level: int
    number: int
    root: bytes
    data: bytes


@dataclass(slots=True)
class Trees:
    """The rows of some trees, as arrays; a tree without a row has no entries."""

    counts: Numbers
    last_seqs: Numbers
    peaks: Hashes
    tails: Numbers

    def roots(self) -> Hashes:
        """The root of each tree, zeros of one without entries."""
        lengths = popcount(self.counts)
        ends = np.cumsum(lengths)
        roots = np.zeros(len(lengths), HASH)
        some = np.flatnonzero(lengths)
        roots[some] = self.peaks[ends[some] - 1]
        for place in range(2, int(lengths.max(initial=0)) + 1):
            longer = np.flatnonzero(lengths >= place)
            pairs = np.empty((len(longer), 2), HASH)
            pairs[:, 0], pairs[:, 1] = self.peaks[ends[longer] - place], roots[longer]
            roots[longer] = hash_nodes(pairs)
        return roots

    def encode(self) -> list[bytes]:
        """The row of each tree; none of them is without entries."""
        peaks, tails = self.peaks.tobytes(), self.tails.astype(_SEQ).tobytes()
        peak_ends = (np.cumsum(popcount(self.counts)) * HASH_BYTES).tolist()
        tail_ends = (np.cumsum(self.counts % TILE_WIDTH) * SEQ_BYTES).tolist()
        rows, peak, tail = [], 0, 0
        for count, last_seq, peak_end, tail_end in zip(
            self.counts.tolist(), self.last_seqs.tolist(), peak_ends, tail_ends, strict=True
        ):
            rows.append(_encode_head(count, last_seq) + peaks[peak:peak_end] + tails[tail:tail_end])
            peak, tail = peak_end, tail_end
        return rows


def decode_rows(rows: Sequence[bytes]) -> Trees:
    """The trees whose rows these are, nothing for a tree that has none yet; ProofError where one is malformed."""
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    held = np.flatnonzero(lengths)
    if (lengths[held] < ROW_HEAD_BYTES).any():
        raise ProofError("a row of a key is too short")
    heads = np.frombuffer(b"".join([row[:ROW_HEAD_BYTES] for row in rows]), _HEAD)
    if (heads["count"] < 1).any() or (heads["last_seq"] >= 1 << 53).any():
        raise ProofError("a row of a key has a count or a seq that no key has")
    counts, last_seqs = np.zeros(len(rows), np.int64), np.full(len(rows), -1)
    counts[held], last_seqs[held] = heads["count"].astype(np.int64), heads["last_seq"].astype(np.int64)
    if (counts < 0).any() or (counts > last_seqs + 1).any():
        raise ProofError("a row of a key counts more entries than there were")
    peak_ends = np.where(lengths > 0, ROW_HEAD_BYTES, 0) + HASH_BYTES * popcount(counts)
    if (lengths != peak_ends + SEQ_BYTES * (counts % TILE_WIDTH)).any():
        raise ProofError("a row of a key has another length than its count gives")
    ends = peak_ends.tolist()
    peaks = b"".join([row[ROW_HEAD_BYTES:end] for row, end in zip(rows, ends, strict=True)])
    tails = b"".join([row[end:] for row, end in zip(rows, ends, strict=True)])
    return Trees(counts, last_seqs, as_hashes(peaks), np.frombuffer(tails, _SEQ).astype(np.int64))


def grow(
    trees: Trees, starts: Numbers, seqs: Numbers, leaves: Hashes, places: Numbers, load_roots: LoadRoots
) -> tuple[Trees, list[NewTile]]:
    """The trees after the entries at ``seqs``, and the tiles that became full, lowest level first.

    Tree i gets the entries from ``starts[i]`` up to the next start, at least one, in ascending order of seq and behind its
    last one; entry j has the leaf ``leaves[places[j]]``. Raises ProofError where the seqs of a tree do not follow its
    last one, or an older tile is missing or has not the root that it should.
    """
    added = np.diff(starts, append=len(seqs))
    counts = trees.counts + added
    is_first = np.zeros(len(seqs), np.bool_)
    is_first[starts] = True
    assert (is_first[1:] | (seqs[1:] > seqs[:-1])).all(), "a batch is ordered by tree and seq"
    if (seqs[starts] <= trees.last_seqs).any():
        raise ProofError("a key's row ends behind the entries that the index is over")
    merging = _Merging(trees, counts)
    merging.run(starts, added, leaves, places)
    tails, tiles = _cut_tails(trees, added, seqs, merging.full_roots(1))
    level = 1
    while len(roots := merging.full_roots(level + 1)[1]):
        tiles += _tiles_above(level, trees.counts, merging.full_roots(level), roots, counts, load_roots)
        level += 1
    return Trees(counts, seqs[starts + added - 1], merging.peaks, tails), tiles


class _Merging:
    """New leaves merged into trees, level by level; ``peaks`` are those of the trees afterwards."""

    def __init__(self, trees: Trees, counts: Numbers) -> None:
        self._old = trees
        self._counts = counts
        self._old_starts = starts_of(popcount(trees.counts))
        new = popcount(counts)
        self._new_starts = starts_of(new)
        self.peaks = np.zeros(int(new.sum()), HASH)
        self._full: dict[int, tuple[Numbers, Hashes]] = {}

    def full_roots(self, level: int) -> tuple[Numbers, Hashes]:
        """The new roots of full subtrees of 64^level leaves: which tree each belongs to, ascending, and the roots."""
        return self._full.get(level, (np.zeros(0, np.int64), np.zeros(0, HASH)))

    def run(self, starts: Numbers, added: Numbers, nodes: Hashes, order: Numbers | None) -> None:
        self._keep()
        trees, held, depth = np.arange(len(added)), self._old.counts, 0
        while True:
            carried = held & 1
            old_peaks = self._old_peaks(trees, depth)
            # A tree that gets anything has, if one is left over, a new node left over.
            left_over = np.flatnonzero((added + carried) & 1)
            last = (starts + added - 1)[left_over]
            tops = trees[left_over]
            self.peaks[self._new_starts[tops] + popcount(self._counts[tops] >> (depth + 1))] = nodes[
                last if order is None else order[last]
            ]
            pairs = (added + carried) >> 1
            rising = np.flatnonzero(pairs)
            if not len(rising):
                return
            pairs, carried, old_peaks, trees = (
                pairs[rising],
                carried[rising],
                old_peaks[rising],
                trees[rising],
            )
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
            held, starts, added = held[rising] >> 1, pair_starts, pairs
            depth += 1
            if depth % TILE_BITS == 0:
                self._full[depth // TILE_BITS] = (np.repeat(trees, pairs), nodes)

    def _keep(self) -> None:
        """Copy the peaks of the levels that nothing new reaches: those in front."""
        reached = bit_lengths(self._old.counts ^ self._counts)
        kept = popcount(self._old.counts >> reached)
        offsets = np.arange(int(kept.sum())) - np.repeat(starts_of(kept), kept)
        self.peaks[np.repeat(self._new_starts, kept) + offsets] = self._old.peaks[
            np.repeat(self._old_starts, kept) + offsets
        ]

    def _old_peaks(self, trees: Numbers, depth: int) -> Hashes:
        """The old peak of this level of each of ``trees``; anything where it had none."""
        if not len(self._old.peaks):
            return np.zeros(len(trees), HASH)
        places = self._old_starts[trees] + popcount(self._old.counts[trees] >> (depth + 1))
        return self._old.peaks.take(places, mode="clip")


def _cut_tails(
    trees: Trees, added: Numbers, seqs: Numbers, full: tuple[Numbers, Hashes]
) -> tuple[Numbers, list[NewTile]]:
    """The new tails, and the tiles at level 0 that the old ones and the new entries fill."""
    held = trees.counts % TILE_WIDTH
    joined = np.empty(len(trees.tails) + len(seqs), np.int64)
    behind = np.arange(len(seqs)) + np.repeat(np.cumsum(held), added)
    joined[behind] = seqs
    is_old = np.ones(len(joined), np.bool_)
    is_old[behind] = False
    joined[is_old] = trees.tails
    ends = np.cumsum(held + added)
    filled = (held + added) // TILE_WIDTH
    tail_lengths = (held + added) % TILE_WIDTH
    tails = joined[ranges_of(ends - tail_lengths, ends)]
    owners, roots = full
    assert len(owners) == filled.sum(), "each 64 leaves have a root"
    nth = np.arange(len(owners)) - np.repeat(starts_of(filled), filled)
    firsts = (ends - held - added)[owners] + nth * TILE_WIDTH
    data = joined[firsts[:, np.newaxis] + np.arange(TILE_WIDTH)].astype(_SEQ).tobytes()
    numbers = trees.counts[owners] // TILE_WIDTH + nth
    joined_roots, width = roots.tobytes(), TILE_WIDTH * SEQ_BYTES
    return tails, [
        NewTile(
            tree,
            0,
            number,
            joined_roots[at * HASH_BYTES : (at + 1) * HASH_BYTES],
            data[at * width : (at + 1) * width],
        )
        for at, (tree, number) in enumerate(zip(owners.tolist(), numbers.tolist(), strict=True))
    ]


def _tiles_above(
    level: int,
    held: Numbers,
    below: tuple[Numbers, Hashes],
    roots: Hashes,
    counts: Numbers,
    load_roots: LoadRoots,
) -> list[NewTile]:
    """The full tiles at ``level`` >= 1, of which there is one for each of ``roots``, over the roots ``below``."""
    owners, new_roots = below
    tiles: list[NewTile] = []
    bits = TILE_BITS * (level + 1)
    for tree in np.flatnonzero(held >> bits != counts >> bits).tolist():
        first_new = int(held[tree]) >> (TILE_BITS * level)
        start = int(np.searchsorted(owners, tree))
        for number in range(int(held[tree]) >> bits, int(counts[tree]) >> bits):
            begin, end = number * TILE_WIDTH, (number + 1) * TILE_WIDTH
            older = list(load_roots(tree, level - 1, begin, first_new)) if begin < first_new else []
            fresh = new_roots[start + max(begin, first_new) - first_new : start + end - first_new]
            data = b"".join(older) + fresh.tobytes()
            root = roots[len(tiles)].tobytes()
            if len(data) != TILE_WIDTH * HASH_BYTES or root_of_full(data) != root:
                raise ProofError(
                    f"tiles {begin} to {end} at level {level - 1} of a key's tree are not its own"
                )
            tiles.append(NewTile(tree, level, number, root, data))
    return tiles


def popcount(numbers: Numbers) -> Numbers:
    """How many bits are set in each of ``numbers`` >= 0."""
    return np.bitwise_count(numbers).astype(np.int64)


def bit_lengths(numbers: Numbers) -> Numbers:
    """How many bits each of ``numbers``, from 0 to 2^53, has."""
    return np.frexp(numbers.astype(np.float64))[1].astype(np.int64)
