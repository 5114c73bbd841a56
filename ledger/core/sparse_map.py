"""The compressed sparse Merkle map over the rows of all index keys (ledger format, section 1.4).

A key lies at the 256-bit position K, read from its most significant bit as the way from the root: 0 is
left, 1 is right. An empty subtree is 32 zero bytes, a subtree with one leaf *is* that leaf's node at
whatever depth, and every other subtree is ``SHA-256("gl/map/node/v1" || 0x00 || left || right)``, also
where one of its sides is empty.

:class:`SparseMap` holds the leaves in buckets by the first bits of their position, as many bits as keep a
bucket at a handful of leaves, and above the buckets one node for each prefix. An update touches the buckets
of the changed keys and the nodes above these. The map can be spread over processes: each holds the keys
under one prefix, and :func:`combine` joins their :class:`Subtree` values into the root.

It leaves to others: what a row is and how it is hashed (:mod:`ledger.core.index`), where the rows come from
(:mod:`ledger.core.key_trees`), proofs and their check (:mod:`ledger.core.map_proof`).
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from ledger.core.index import KeyRow, key_position, leaf_node, value_hash
from ledger.core.map_proof import EMPTY_NODE, NODE_PREFIX, MapLeaf, MapProof, check_map_proof, inner_node

__all__ = [
    "EMPTY_NODE",
    "EMPTY_SUBTREE",
    "MapLeaf",
    "MapProof",
    "SparseMap",
    "Subtree",
    "check_map_proof",
    "combine",
    "combine_shards",
    "shard_of",
]

PREFIX_BITS_MAX = 16
"""The most bits by which a map can be spread over processes."""

_POSITION_BITS = 256
_RECORD_BYTES = 96
_BUCKET_LEAVES = 8

_split_records = struct.Struct("32s64s").iter_unpack
_split_leaves = struct.Struct("32s32s32s").iter_unpack


@dataclass(frozen=True, slots=True)
class Subtree:
    """The part of a map under one prefix: its node (32 bytes) and the number of its leaves.

    The number is part of the value because a subtree with one leaf is combined in another way than one with
    more.
    """

    node: bytes
    leaves: int


EMPTY_SUBTREE = Subtree(EMPTY_NODE, 0)
"""A part of a map without any key."""


def combine(left: Subtree, right: Subtree) -> Subtree:
    """Return the subtree whose halves are ``left`` (next bit 0) and ``right`` (next bit 1)."""
    leaves = left.leaves + right.leaves
    if leaves <= 1:
        return left if left.leaves else right
    return Subtree(inner_node(left.node, right.node), leaves)


def combine_shards(shards: Sequence[Subtree]) -> Subtree:
    """Return the subtree made of ``shards``, one for each prefix of the same length, in ascending order.

    There is a power of two of them; anything else is a mistake of the caller (``AssertionError``).
    """
    if not shards or len(shards) & (len(shards) - 1):
        raise AssertionError(f"{len(shards)} shards are not one for each prefix")
    level = list(shards)
    while len(level) > 1:
        level = [combine(left, right) for left, right in zip(level[::2], level[1::2], strict=True)]
    return level[0]


def shard_of(position: bytes, bits: int) -> int:
    """Return the first ``bits`` (0 to 16) bits of ``position`` as a number: its shard."""
    return int.from_bytes(position[:2]) >> (PREFIX_BITS_MAX - bits)


class SparseMap:
    """All rows under one prefix of positions; without arguments the whole map.

    ``prefix`` is the number that the first ``prefix_bits`` (0 to 16) bits of every position in it have.
    About 110 bytes for each key and some 40 for the nodes above it. Not safe for use from several threads.
    """

    __slots__ = ("_bits", "_buckets", "_leaves", "_nodes", "_prefix", "_prefix_bits", "_weights")

    def __init__(self, prefix: int = 0, prefix_bits: int = 0) -> None:
        """Start without any key."""
        if not 0 <= prefix_bits <= PREFIX_BITS_MAX or not 0 <= prefix < 1 << prefix_bits:
            raise AssertionError(f"there is no prefix {prefix} of {prefix_bits} bits")
        self._prefix = prefix
        self._prefix_bits = prefix_bits
        self._lay_out(0)

    def __len__(self) -> int:
        """Return the number of keys."""
        return self._leaves

    def update(self, rows: Iterable[tuple[str | bytes, KeyRow]]) -> None:
        """Put ``rows`` into the map, each under its key or under the key's 32-byte position; old rows are replaced.

        Of several rows for one key the last one counts. All or nothing: a row that cannot be hashed, or
        that belongs to another shard (``AssertionError``), leaves the map as it was. 5 to 25 us a row
        at a million keys: the more rows come at once, the less each costs.
        """
        fresh: dict[bytes, bytes] = {}
        for key, row in rows:
            position = key_position(key) if isinstance(key, str) else key
            value = value_hash(row)
            fresh[position] = value + leaf_node(position, value)
        for position in fresh:
            if len(position) != 32 or shard_of(position, self._prefix_bits) != self._prefix:
                raise AssertionError(f"position {position.hex()} does not belong to this shard")
        if not fresh:
            return
        dirty = self._resize(max(len(fresh), self._leaves))
        dirty.update(self._merge(fresh))
        # Only now is it known how many of the rows were new; another layout has other buckets.
        self._rehash(self._resize(self._leaves) or dirty)

    def root(self) -> bytes:
        """Return the ``map_root`` (32 bytes) of the whole map; a shard has no root but a :meth:`subtree`."""
        if self._prefix_bits:
            raise AssertionError("a shard is not a whole map")
        return self._nodes[1]

    def subtree(self, prefix: int | None = None, bits: int | None = None) -> Subtree:
        """Return the part of the map under the ``prefix`` of ``bits`` (to 16) bits, by default all of it."""
        if prefix is None or bits is None:
            return Subtree(self._nodes[1], self._leaves)
        lost = bits - self._prefix_bits
        if not 0 <= lost <= PREFIX_BITS_MAX or prefix >> lost != self._prefix:
            raise AssertionError(f"prefix {prefix} of {bits} bits is not in this shard")
        low = prefix << (_POSITION_BITS - bits)
        high = low + (1 << (_POSITION_BITS - bits)) - 1
        first, last = self._bucket_of(low.to_bytes(32)), self._bucket_of(high.to_bytes(32))
        if lost <= self._bits:
            node = self._nodes[(1 << lost) + (prefix & ((1 << lost) - 1))]
            return Subtree(node, sum(map(len, self._buckets[first : last + 1])) // _RECORD_BYTES)
        positions, nodes = _leaves_of(self._buckets[first])
        start, end = _bounds(positions, low, high + 1)
        return Subtree(_fold(positions[start:end], nodes[start:end], bits), end - start)

    def prove(self, key: str | bytes) -> MapProof:
        """Return the proof of the row of ``key`` (or of the key's position), or of its absence, against :meth:`root`.

        At most 256 siblings, in practice little more than the binary logarithm of the number of keys.
        """
        if self._prefix_bits:
            raise AssertionError("a shard alone proves nothing")
        position = key_position(key) if isinstance(key, str) else key
        number = int.from_bytes(position)
        siblings: list[bytes] = []
        at, depth = 1, 0
        while self._weights[at] > 1 and depth < self._bits:
            at = 2 * at + (number >> (_POSITION_BITS - 1 - depth) & 1)
            siblings.append(self._nodes[at ^ 1])
            depth += 1
        if not self._weights[at]:
            return MapProof(False, tuple(siblings), None)
        while at < 1 << self._bits:
            # One leaf is left below, in whichever half: it is met here although it lies in a bucket further
            # down.
            at = 2 * at + (not self._weights[2 * at])
        records = self._buckets[at - (1 << self._bits)]
        positions, nodes = _leaves_of(records)
        start, end = 0, len(positions)
        while end - start > 1:
            bit = _POSITION_BITS - 1 - depth
            middle = bisect_left(positions, (positions[start] >> bit | 1) << bit, start, end)
            if number >> bit & 1:
                siblings.append(_fold(positions[start:middle], nodes[start:middle], depth + 1))
                start = middle
            else:
                siblings.append(_fold(positions[middle:end], nodes[middle:end], depth + 1))
                end = middle
            depth += 1
        if start == end:
            return MapProof(False, tuple(siblings), None)
        record = records[start * _RECORD_BYTES : (start + 1) * _RECORD_BYTES]
        return MapProof(positions[start] == number, tuple(siblings), MapLeaf(record[:32], record[32:64]))

    def _lay_out(self, bits: int) -> None:
        """Lay out empty buckets by ``bits`` bits; bucket i is node 2^bits + i, the top is node 1."""
        self._bits = bits
        self._leaves = 0
        self._buckets = [b""] * (1 << bits)
        self._nodes = [EMPTY_NODE] * (2 << bits)
        # Leaves below each node, where 2 stands for any greater number.
        self._weights = bytearray(2 << bits)

    def _bucket_of(self, position: bytes) -> int:
        return (int.from_bytes(position[:8]) >> (64 - self._prefix_bits - self._bits)) & (
            (1 << self._bits) - 1
        )

    def _resize(self, leaves: int) -> set[int]:
        """Lay the buckets out anew where ``leaves`` would crowd them, and return those to be hashed."""
        if leaves <= 2 * _BUCKET_LEAVES << self._bits:
            return set()
        records = b"".join(self._buckets)
        # A prefix and the bits of buckets have to fit into the first eight bytes of a position.
        self._lay_out(min((leaves // _BUCKET_LEAVES).bit_length(), 32))
        self._merge(dict(_split_records(records)))
        return {bucket for bucket, held in enumerate(self._buckets) if held}

    def _merge(self, fresh: dict[bytes, bytes]) -> set[int]:
        """Put the records ``fresh`` into their buckets and return these buckets; no node is changed yet."""
        touched: dict[int, list[bytes]] = {}
        shift = 64 - self._prefix_bits - self._bits
        mask = (1 << self._bits) - 1
        number = int.from_bytes
        for position in fresh:
            touched.setdefault(number(position[:8]) >> shift & mask, []).append(position)
        buckets = self._buckets
        for bucket, added in touched.items():
            held = buckets[bucket]
            if held:
                records = dict(_split_records(held))
                for position in added:
                    records[position] = fresh[position]
                buckets[bucket] = b"".join([position + records[position] for position in sorted(records)])
            else:
                added.sort()
                buckets[bucket] = b"".join([position + fresh[position] for position in added])
            self._leaves += (len(buckets[bucket]) - len(held)) // _RECORD_BYTES
        return set(touched)

    def _rehash(self, dirty: set[int]) -> None:
        """Compute the nodes of the ``dirty`` buckets and all nodes above them."""
        nodes, weights, buckets = self._nodes, self._weights, self._buckets
        first = 1 << self._bits
        depth = self._prefix_bits + self._bits
        for bucket in dirty:
            positions, leaf_nodes = _leaves_of(buckets[bucket])
            nodes[first + bucket] = _fold(positions, leaf_nodes, depth)
            weights[first + bucket] = min(len(positions), 2)
        level = {(first + bucket) >> 1 for bucket in dirty}
        while 0 not in level:
            for parent in level:
                left = 2 * parent
                weight = weights[left] + weights[left + 1]
                if weight > 1:
                    pair = NODE_PREFIX + nodes[left] + nodes[left + 1]
                    nodes[parent] = sha256(pair).digest()
                    weights[parent] = 2
                else:
                    nodes[parent] = nodes[left] if weights[left] else nodes[left + 1]
                    weights[parent] = weight
            level = {parent >> 1 for parent in level}


def _leaves_of(records: bytes) -> tuple[list[int], list[bytes]]:
    """Return the positions, as ascending numbers, and the leaf nodes of a bucket's records."""
    number = int.from_bytes
    positions: list[int] = []
    nodes: list[bytes] = []
    for position, _value, node in _split_leaves(records):
        positions.append(number(position))
        nodes.append(node)
    return positions, nodes


def _bounds(positions: list[int], low: int, end: int) -> tuple[int, int]:
    """Return the slice of the ascending ``positions`` that lies in ``low`` up to, not including, ``end``."""
    return bisect_left(positions, low), bisect_left(positions, end)


def _fold(positions: list[int], nodes: list[bytes], depth: int) -> bytes:
    """Return the node at ``depth`` over leaves at ascending ``positions`` that share their first ``depth`` bits.

    One pass from left to right. ``waiting`` holds left halves, each with the depth of the node that it
    belongs to, deepest last; a half is complete when the next leaf parts from the present one above it.
    Then it is raised: from the depth of its own node up to just below the next one each level has an empty
    other side. A lone leaf is its own node at every level and needs no raising.
    """
    if len(nodes) < 2:
        return nodes[0] if nodes else EMPTY_NODE
    hash_bytes = sha256
    waiting: list[tuple[int, bytes]] = []
    last = len(nodes) - 1
    for index, node in enumerate(nodes):
        position = positions[index]
        parting = depth - 1
        if index < last:
            parting = _POSITION_BITS - (position ^ positions[index + 1]).bit_length()
        level = 0
        while waiting and waiting[-1][0] > parting:
            upper, left = waiting.pop()
            for bit in range(_POSITION_BITS - level, _POSITION_BITS - 1 - upper):
                node = _raise(node, position >> bit & 1)
            node = hash_bytes(NODE_PREFIX + left + node).digest()
            level = upper
        for bit in range(_POSITION_BITS - level, _POSITION_BITS - 1 - parting):
            node = _raise(node, position >> bit & 1)
        waiting.append((parting, node))
    return waiting[0][1]


def _raise(node: bytes, bit: int) -> bytes:
    return inner_node(EMPTY_NODE, node) if bit else inner_node(node, EMPTY_NODE)
