"""The Merkle tree of RFC 6962 and its proofs (RFC 9162, section 2.1; transparency formats, section 4.1).

::

    MTH({}) = SHA-256("")      leaf(d) = SHA-256(0x00 || d)      node(l, r) = SHA-256(0x01 || l || r)
    MTH(D[n]) = node(MTH(D[0:k]), MTH(D[k:n])), k the largest power of two below n

A tree of any size is made of full subtrees, named by :class:`NodeId`; only these are ever stored. A proof is
made in three steps, so that reading is done once and by somebody else: *plan* which nodes are needed, *read*
them all in one call, *compute*. The hashes on the ragged right edge, which no node holds, are folded from the
full subtrees below them.

``check_*`` return None, or raise ProofError; they take nothing from their arguments on trust. Size 0 has no
proofs: its root is ``EMPTY_ROOT`` and every tree is consistent with it. Where nodes lie is
:mod:`ledger.core.tiles`'s business.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from ledger.core.strict import INTEGER_MAX
from ledger.errors import FormatError, ProofError

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

# To copy a prepared state costs about half as much as to set up a new one.
_new_leaf = hashlib.sha256(b"\x00").copy
_new_node = hashlib.sha256(b"\x01").copy

_iter_pairs = struct.Struct("64s").iter_unpack
_CHUNK_LEVEL_MAX = 12
"""Bulk work goes by subtrees of at most 2^12 leaves, which keeps the working set in a processor's cache."""


def hash_leaf(data: bytes) -> bytes:
    """The leaf hash of ``data``: SHA-256(0x00 || data)."""
    state = _new_leaf()
    state.update(data)
    return state.digest()


def hash_leaves(leaves: Iterable[bytes | memoryview]) -> list[bytes]:
    """:func:`hash_leaf` of each of ``leaves``, in order."""
    new_leaf = _new_leaf
    hashes = []
    for data in leaves:
        state = new_leaf()
        state.update(data)
        hashes.append(state.digest())
    return hashes


def hash_node(left: bytes, right: bytes) -> bytes:
    """The hash above the hashes ``left`` and ``right``: SHA-256(0x01 || left || right)."""
    state = _new_node()
    state.update(left + right)
    return state.digest()


def hash_pairs(hashes: bytes) -> bytes:
    """The level above a level of the tree: both as joined 32-byte hashes, an even number of them below."""
    new_node = _new_node
    above = []
    for (pair,) in _iter_pairs(hashes):
        state = new_node()
        state.update(pair)
        above.append(state.digest())
    return b"".join(above)


def root_of_full(hashes: bytes) -> bytes:
    """The root over joined 32-byte hashes whose number is a power of two."""
    count, rest = divmod(len(hashes), HASH_BYTES)
    assert rest == 0, "hashes have 32 bytes each"
    assert count.bit_count() == 1, "a full subtree has a power of two of hashes"
    for _ in range(count.bit_length() - 1):
        hashes = hash_pairs(hashes)
    return hashes


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """The root of the tree with these leaf hashes (32 bytes each); ``EMPTY_ROOT`` for none."""
    frontier = Frontier()
    frontier.extend(leaf_hashes)
    return frontier.root()


class Frontier:
    """The roots of the full subtrees that make up a tree (its *peaks*): enough to append and to root.

    There is a peak for each bit that is set in ``size``, the largest first. 53 hashes at most, whatever the
    size.
    """

    __slots__ = ("_peaks", "_size")

    def __init__(self) -> None:
        """The frontier of the empty tree."""
        self._size = 0
        self._peaks: list[bytes] = []

    @classmethod
    def from_peaks(cls, size: int, peaks: Sequence[bytes]) -> Frontier:
        """The frontier of a tree of ``size`` leaves with these ``peaks``, the largest first.

        Raises FormatError when their number or length does not fit.
        """
        if not 0 <= size <= INTEGER_MAX or len(peaks) != size.bit_count():
            raise FormatError(f"{len(peaks)} peaks do not make up a tree of size {size}")
        if any(len(peak) != HASH_BYTES for peak in peaks):
            raise FormatError("a peak is not 32 bytes long")
        frontier = cls()
        frontier._size = size
        frontier._peaks = list(peaks)
        return frontier

    @property
    def size(self) -> int:
        """How many leaves the tree has."""
        return self._size

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """The roots of the full subtrees, the largest first."""
        return tuple(self._peaks)

    def copy(self) -> Frontier:
        """Another frontier of the same tree, which grows on its own."""
        return Frontier.from_peaks(self._size, self._peaks)

    def append(self, leaf_hash: bytes) -> None:
        """Add one leaf by its 32-byte hash."""
        assert len(leaf_hash) == HASH_BYTES, "a leaf hash has 32 bytes"
        self.append_subtree(0, leaf_hash)

    def extend(self, leaf_hashes: Iterable[bytes]) -> None:
        """Add leaves by their 32-byte hashes, streaming, about as fast as :meth:`extend_joined`."""
        iterator = iter(leaf_hashes)
        while batch := list(islice(iterator, 1 << _CHUNK_LEVEL_MAX)):
            self.extend_joined(b"".join(batch))

    def extend_joined(self, leaf_hashes: bytes) -> None:
        """Add leaves by their hashes joined to one string of bytes: the fastest way for many.

        Whole aligned subtrees are hashed level by level, about one SHA-256 and 0.4 us a leaf.
        """
        count, rest = divmod(len(leaf_hashes), HASH_BYTES)
        assert rest == 0, "leaf hashes have 32 bytes each"
        start = 0
        while start < count:
            level = min(_CHUNK_LEVEL_MAX, (count - start).bit_length() - 1)
            if self._size:
                level = min(level, (self._size & -self._size).bit_length() - 1)
            end = start + (1 << level)
            self.append_subtree(level, root_of_full(leaf_hashes[start * HASH_BYTES : end * HASH_BYTES]))
            start = end

    def root(self) -> bytes:
        """The root of the tree; ``EMPTY_ROOT`` at size 0."""
        return _fold(self._peaks) if self._peaks else EMPTY_ROOT

    def append_subtree(self, level: int, subtree_root: bytes) -> None:
        """Add a full subtree of 2^level leaves by its 32-byte root; ``size`` is a multiple of its leaves."""
        assert self._size & ((1 << level) - 1) == 0, "a full subtree begins at a multiple of its leaves"
        carry = self._size >> level
        self._size += 1 << level
        while carry & 1:
            subtree_root = hash_node(self._peaks.pop(), subtree_root)
            carry >>= 1
        self._peaks.append(subtree_root)


@dataclass(frozen=True, slots=True, order=True)
class NodeId:
    """The root of the full subtree ``D[index * 2^level : (index + 1) * 2^level]``."""

    level: int
    index: int


ReadNodes = Callable[[Sequence[NodeId]], Sequence[bytes]]
"""Returns the 32-byte hashes of these nodes, in the order asked for; called once for a proof."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which nodes hashes are computed from: the first ``counts[0]`` of ``nodes`` fold into the first hash,
    and so on.
    """

    nodes: tuple[NodeId, ...]
    counts: tuple[int, ...]

    def compute(self, hashes: Sequence[bytes]) -> list[bytes]:
        """The planned hashes, from the hashes of ``nodes`` in order; ProofError when those do not fit the plan."""
        if len(hashes) != len(self.nodes):
            raise ProofError(f"{len(hashes)} hashes were read for {len(self.nodes)} nodes")
        _check_hashes(hashes)
        computed = []
        start = 0
        for count in self.counts:
            computed.append(_fold(hashes[start : start + count]))
            start += count
        return computed


def plan_root(size: int) -> Plan:
    """The plan of one hash, the root of the tree of ``size`` >= 1 leaves."""
    _check_size(size)
    return plan_ranges([(0, size)])


def plan_inclusion(index: int, size: int) -> Plan:
    """The plan of PATH(index, D[size]); ProofError unless 0 <= index < size."""
    _check_size(size)
    _check_index(index, size)
    ranges = []
    start, end = 0, size
    while end - start > 1:
        middle = start + split_of(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return plan_ranges(ranges[::-1])


def plan_consistency(old_size: int, new_size: int) -> Plan:
    """The plan of PROOF(old_size, D[new_size]); ProofError unless 0 < old_size <= new_size."""
    _check_sizes(old_size, new_size)
    ranges = []
    start, end = 0, new_size
    while end != old_size:
        middle = start + split_of(end - start)
        if old_size <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start > 0:  # else the subtree is the old tree itself, whose root the checker has
        ranges.append((start, end))
    return plan_ranges(ranges[::-1])


def compute_root(size: int, read_nodes: ReadNodes) -> bytes:
    """The root of the tree of ``size`` >= 1 leaves, from its nodes."""
    plan = plan_root(size)
    return plan.compute(read_nodes(plan.nodes))[0]


def prove_inclusion(index: int, size: int, read_nodes: ReadNodes) -> list[bytes]:
    """The inclusion proof of leaf ``index`` in the tree of ``size`` leaves, from the leaf's sibling upwards.

    Raises ProofError unless 0 <= index < size, and when the nodes read do not fit.
    """
    plan = plan_inclusion(index, size)
    return plan.compute(read_nodes(plan.nodes))


def prove_consistency(old_size: int, new_size: int, read_nodes: ReadNodes) -> list[bytes]:
    """The proof that the tree of ``old_size`` leaves is the beginning of the one of ``new_size``.

    Raises ProofError unless 0 < old_size <= new_size, and when the nodes read do not fit.
    """
    plan = plan_consistency(old_size, new_size)
    return plan.compute(read_nodes(plan.nodes))


def check_inclusion(proof: Sequence[bytes], index: int, size: int, leaf_hash: bytes, root: bytes) -> None:
    """Raise ProofError unless ``proof`` shows ``leaf_hash`` at ``index`` of the tree of ``size`` leaves with ``root``.

    RFC 9162, section 2.1.3.2.
    """
    _check_size(size)
    _check_index(index, size)
    _check_hashes([leaf_hash, root, *proof])
    first, second = index, size - 1
    computed = leaf_hash
    for sibling in proof:
        if second == 0:
            raise ProofError("the inclusion proof is too long")
        if first & 1 or first == second:
            computed = hash_node(sibling, computed)
            while first and not first & 1:
                first >>= 1
                second >>= 1
        else:
            computed = hash_node(computed, sibling)
        first >>= 1
        second >>= 1
    if second != 0:
        raise ProofError("the inclusion proof is too short")
    if computed != root:
        raise ProofError(f"the inclusion proof of leaf {index} does not lead to the root of size {size}")


def check_consistency(
    proof: Sequence[bytes], old_size: int, new_size: int, old_root: bytes, new_root: bytes
) -> None:
    """Raise ProofError unless ``proof`` shows the tree with ``old_root`` to be the beginning of the one with
    ``new_root``.

    RFC 9162, section 2.1.4.2; between equal sizes the proof is empty and the roots are equal.
    """
    _check_sizes(old_size, new_size)
    _check_hashes([old_root, new_root, *proof])
    if old_size == new_size:
        if proof:
            raise ProofError("the consistency proof is too long")
        if old_root != new_root:
            raise ProofError(f"there are two roots of size {old_size}")
        return
    if not proof:
        raise ProofError("the consistency proof is too short")
    path = [old_root, *proof] if old_size.bit_count() == 1 else proof
    first, second = old_size - 1, new_size - 1
    while first & 1:
        first >>= 1
        second >>= 1
    old_computed = new_computed = path[0]
    for sibling in path[1:]:
        if second == 0:
            raise ProofError("the consistency proof is too long")
        if first & 1 or first == second:
            old_computed = hash_node(sibling, old_computed)
            new_computed = hash_node(sibling, new_computed)
            while first and not first & 1:
                first >>= 1
                second >>= 1
        else:
            new_computed = hash_node(new_computed, sibling)
        first >>= 1
        second >>= 1
    if second != 0:
        raise ProofError("the consistency proof is too short")
    if old_computed != old_root:
        raise ProofError(f"the consistency proof does not lead to the root of size {old_size}")
    if new_computed != new_root:
        raise ProofError(f"the consistency proof does not lead to the root of size {new_size}")


def split_of(count: int) -> int:
    """The largest power of two below ``count`` >= 2."""
    return 1 << ((count - 1).bit_length() - 1)


def plan_ranges(ranges: Iterable[tuple[int, int]]) -> Plan:
    """The plan of one hash for each range of leaves; a range starts at a multiple of its largest full subtree."""
    nodes: list[NodeId] = []
    counts = []
    for start, end in ranges:
        before = len(nodes)
        while start < end:
            level = (end - start).bit_length() - 1
            assert start & ((1 << level) - 1) == 0, "a range of the split starts where its subtrees do"
            nodes.append(NodeId(level, start >> level))
            start += 1 << level
        counts.append(len(nodes) - before)
    return Plan(tuple(nodes), tuple(counts))


def _fold(hashes: Sequence[bytes]) -> bytes:
    """The hash over full subtrees of descending size."""
    folded = hashes[-1]
    for left in reversed(hashes[:-1]):
        folded = hash_node(left, folded)
    return folded


def _check_size(size: int) -> None:
    if not 0 < size <= INTEGER_MAX:
        raise ProofError(f"there are no proofs for a tree of size {size}")


def _check_index(index: int, size: int) -> None:
    if not 0 <= index < size:
        raise ProofError(f"leaf {index} is not in a tree of size {size}")


def _check_sizes(old_size: int, new_size: int) -> None:
    _check_size(new_size)
    if not 0 < old_size <= new_size:
        raise ProofError(f"there is no proof from a tree of size {old_size} to one of size {new_size}")


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if any(len(value) != HASH_BYTES for value in hashes):
        raise ProofError("a hash is not 32 bytes long")
