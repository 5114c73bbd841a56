"""The compressed sparse Merkle map, updated level by level (ledger format, section 1.4).

The same map as :class:`ledger.core.sparse_map.SparseMap`, which says what a node is. Keys are *slots*, numbers from 0 up.
The leaves lie in buckets by the first bits of their position, about as many buckets as leaves, and above the buckets
there is one node for each prefix, node 1 on top, the children of node i being 2i and 2i + 1. An update collects the leaves
of the touched buckets, folds all of these buckets together, and then goes up level by level. It costs time for what
changed only; the exception is that the buckets are laid out anew when their number has become too small.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ledger.core.map_proof import EMPTY_NODE
from ledger.core.sparse_map import PREFIX_BITS_MAX, Subtree
from ledger.engines.hash_rows import HASH, Hashes, Memo, Numbers, grown, hash_inner_nodes

_POSITION_BITS = 256
_BUCKET_LEAVES_MAX = 4
"""The mean number of leaves in a bucket above which there will be more buckets."""

_END = -1
_NO_LEAF = -2

Words = npt.NDArray[np.uint64]


class BatchMap:
    """All rows under one prefix of positions, by slot; without arguments the whole map.

    ``prefix`` is the number that the first ``prefix_bits`` (0 to 16) bits of every position in it have. About 120 bytes
    for each key. Not safe for use from several threads.
    """

    def __init__(self, prefix: int = 0, prefix_bits: int = 0) -> None:
        """Start without any key."""
        if not 0 <= prefix_bits <= PREFIX_BITS_MAX or not 0 <= prefix < 1 << prefix_bits:
            raise AssertionError(f"there is no prefix {prefix} of {prefix_bits} bits")
        self._prefix = prefix
        self._prefix_bits = prefix_bits
        self._size = 0
        self._leaves = 0
        self._positions: Hashes = np.zeros(0, HASH)
        self._leaf_nodes: Hashes = np.zeros(0, HASH)
        # The leaves of a bucket are a chain from the bucket's head through these.
        self._next: npt.NDArray[np.int32] = np.zeros(0, np.int32)
        self._lay_out(0)

    def __len__(self) -> int:
        """The number of keys that have a leaf."""
        return self._leaves

    @property
    def size(self) -> int:
        """The number of slots."""
        return self._size

    def add_keys(self, positions: Hashes) -> None:
        """Give the next slots to keys at ``positions``, each of which is new; they have no leaf yet.

        A position of another shard is a mistake of the caller (``AssertionError``), and then nothing is changed.
        """
        # Two steps, because 64 bits cannot be shifted out at once.
        heads = words_of(positions)[:, 0] >> np.uint64(64 - PREFIX_BITS_MAX)
        if (heads >> np.uint64(PREFIX_BITS_MAX - self._prefix_bits) != self._prefix).any():
            raise AssertionError("a position does not belong to this shard")
        start, self._size = self._size, self._size + len(positions)
        self._positions = grown(self._positions, self._size)
        self._leaf_nodes = grown(self._leaf_nodes, self._size)
        self._next = grown(self._next, self._size, _NO_LEAF)
        self._positions[start : self._size] = positions

    def positions(self, slots: Numbers) -> Hashes:
        """The positions of ``slots``."""
        return self._positions[slots]

    def update(self, slots: Numbers, leaf_nodes: Hashes) -> None:
        """Put the leaves of ``slots`` (each once) into the map; old leaves are replaced."""
        if not len(slots):
            return
        assert slots.max() < self._size, "a slot is one that a key has"
        self._leaf_nodes[slots] = leaf_nodes
        fresh = slots[self._next[slots] == _NO_LEAF]
        self._leaves += len(fresh)
        if self._leaves > _BUCKET_LEAVES_MAX << self._bits:
            self._lay_out(self._leaves.bit_length() - 1)
            self._next[fresh] = _END
            self._link(np.flatnonzero(self._next != _NO_LEAF))
            buckets = np.flatnonzero(self._heads != _END)
        else:
            self._link(fresh)
            buckets = distinct(np.sort(self._buckets_of(slots)))
        self._rehash(buckets)

    def subtree(self) -> Subtree:
        """The node on top and the number of leaves below it."""
        return Subtree(self._nodes[1].tobytes(), self._leaves)

    def _lay_out(self, bits: int) -> None:
        """Lay out empty buckets by ``bits`` bits; bucket i is node 2^bits + i."""
        self._bits = bits
        self._heads = np.full(1 << bits, _END, np.int32)
        self._nodes = np.zeros(2 << bits, HASH)
        # Leaves below each node, where 2 stands for any greater number.
        self._weights = np.zeros(2 << bits, np.uint8)

    def _buckets_of(self, slots: Numbers) -> Numbers:
        if not self._bits:
            return np.zeros(len(slots), np.int64)
        heads = words_of(self._positions[slots])[:, 0]
        shift = np.uint64(64 - self._prefix_bits - self._bits)
        return (heads >> shift & np.uint64((1 << self._bits) - 1)).astype(np.int64)

    def _link(self, slots: Numbers) -> None:
        """Put ``slots`` at the front of their buckets' chains."""
        if not len(slots):
            return
        buckets = self._buckets_of(slots)
        order = np.argsort(buckets)
        slots, buckets = slots[order], buckets[order]
        following = np.empty(len(slots), np.int64)
        following[:-1] = slots[1:]
        is_last = np.empty(len(slots), np.bool_)
        is_last[-1] = True
        np.not_equal(buckets[1:], buckets[:-1], out=is_last[:-1])
        following[is_last] = self._heads[buckets[is_last]]
        self._next[slots] = following
        is_first = np.empty(len(slots), np.bool_)
        is_first[0] = True
        is_first[1:] = is_last[:-1]
        self._heads[buckets[is_first]] = slots[is_first]

    def _rehash(self, buckets: Numbers) -> None:
        """Compute the nodes of ``buckets`` (ascending, none of them empty) and all nodes above them."""
        chains, found = self._heads[buckets], []
        while len(chains):
            found.append(chains.astype(np.int64))
            chains = self._next[chains]
            chains = chains[chains != _END]
        slots = np.concatenate(found)
        words = words_of(self._positions[slots])
        order = _ascending(words)
        slots, words = slots[order], words[order]
        starts, nodes = fold_leaves(words, self._leaf_nodes[slots], self._prefix_bits + self._bits)
        level = buckets + (1 << self._bits)
        self._nodes[level] = nodes[starts]
        self._weights[level] = np.minimum(np.diff(starts, append=len(slots)), 2)
        # The children of a node are neighbours, so both are one element of an array of pairs.
        pairs, weights = self._nodes.view(f"V{2 * HASH.itemsize}"), self._weights.reshape(-1, 2)
        while level[0] > 1:
            level = distinct(level >> 1)
            weight = weights[level].sum(axis=1, dtype=np.uint8)
            full = level[weight > 1]
            self._nodes[full] = hash_inner_nodes(pairs[full])
            lone = level[weight == 1]
            self._nodes[lone] = self._nodes[2 * lone + (weights[lone, 0] == 0)]
            self._weights[level] = np.minimum(weight, 2)


def fold_leaves(
    words: Words, leaf_nodes: Hashes, depth: int, memo: Memo | None = None
) -> tuple[Numbers, Hashes]:
    """The nodes at ``depth`` over leaves at ascending positions: where each begins, and an array that has it there.

    From the deepest parting of two neighbours up: at each depth two halves that part there become one node, and every
    other node of more than one leaf is raised beside an empty half. A node stands at the place of its first leaf.
    """
    partings = _partings(words)
    starts = np.concatenate((np.zeros(1, np.int64), np.flatnonzero(partings < depth) + 1))
    inside = np.flatnonzero(partings >= depth)
    # Read-only where no two leaves share a bucket.
    nodes = leaf_nodes.copy()
    if not len(inside):
        return starts, nodes
    inside = inside[np.argsort(-partings[inside], kind="stable")]
    deepest = int(partings[inside[0]])
    ends = np.searchsorted(-partings[inside], np.arange(-deepest, 1 - depth), side="right")
    first_of = np.arange(len(nodes))
    last_of = np.arange(len(nodes))
    is_half = np.zeros(len(nodes), np.bool_)
    whole = np.zeros(0, np.int64)
    begin = 0
    for at, end in zip(range(deepest, depth - 1, -1), ends.tolist(), strict=True):
        parting, begin = inside[begin:end], end
        left, right = first_of[parting], parting + 1
        is_half[left] = is_half[right] = True
        raised = whole[~is_half[whole]]
        is_half[left] = is_half[right] = False
        pairs = np.zeros((len(left) + len(raised), 2), HASH)
        pairs[: len(left), 0] = nodes[left]
        pairs[: len(left), 1] = nodes[right]
        sides = words[raised, at >> 6] >> np.uint64(63 - (at & 63)) & np.uint64(1)
        pairs[np.arange(len(left), len(pairs)), sides.astype(np.int64)] = nodes[raised]
        whole = np.concatenate((left, raised))
        nodes[whole] = hash_inner_nodes(pairs, memo)
        last = last_of[right]
        last_of[left] = last
        first_of[last] = left
    return starts, nodes


def _partings(words: Words) -> Numbers:
    """How many bits each of these positions shares with the next one."""
    partings = np.full(len(words) - 1, _POSITION_BITS)
    unequal = words[1:] ^ words[:-1]
    open_ = np.arange(len(partings))
    for word in range(unequal.shape[1]):
        parts = unequal[open_, word]
        halves = np.where(parts >> np.uint64(32), parts >> np.uint64(32), parts)
        # A number of 32 bits is exact as a float, whose exponent is its length.
        lengths = np.frexp(halves.astype(np.float64))[1] + np.where(parts >> np.uint64(32), 32, 0)
        found = parts != 0
        partings[open_[found]] = 64 * word + 64 - lengths[found]
        open_ = open_[~found]
        if not len(open_):
            break
    return partings


def _ascending(words: Words) -> Numbers:
    """The order in which these positions ascend."""
    order = np.argsort(words[:, 0])
    ordered = words[order, 0]
    if (ordered[1:] == ordered[:-1]).any():
        return np.lexsort(words.T[::-1])
    return order


def words_of(positions: Hashes) -> Words:
    """Positions as numbers of 64 bits, four each, the most significant first."""
    return np.ascontiguousarray(positions).view(">u8").reshape(-1, 4).astype(np.uint64)


def distinct(ascending: Numbers) -> Numbers:
    """Ascending numbers, each once."""
    is_first = np.empty(len(ascending), np.bool_)
    is_first[:1] = True
    np.not_equal(ascending[1:], ascending[:-1], out=is_first[1:])
    return ascending[is_first]


assert bytes(HASH.itemsize) == EMPTY_NODE, "new nodes are zeros, and so is the empty node"
