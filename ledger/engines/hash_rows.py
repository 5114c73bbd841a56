"""Arrays of hashes, and the hashes of the sparse map for many rows at once (ledger format, section 1.4).

What is computed here is said in :mod:`ledger.core.index` and :mod:`ledger.core.map_proof`, one row at a time. Written out
for whole arrays, because calls for each row would cost more than their hashes; the tests hold the two together. What
groups and orders the rows is in :mod:`ledger.engines.batch_trees` and :mod:`ledger.engines.batch_map`.

A hash is one opaque element of 32 bytes: such arrays are gathered and scattered as fast as numbers are.
"""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ledger.core.map_proof import NODE_PREFIX
from ledger.core.merkle import HASH_BYTES, hash_leaves, hash_pairs

Numbers = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.void]

HASH = np.dtype(f"V{HASH_BYTES}")
_KEY_LEAF = np.dtype([("seq", ">u8"), ("leaf_hash", HASH)])
_ROW = np.dtype([("count", ">u8"), ("last_seq", ">u8"), ("key_root", HASH)])

_new_value = sha256(b"gl/map/value/v1\x00").copy
_new_leaf = sha256(b"gl/map/leaf/v1\x00").copy
_new_inner = sha256(NODE_PREFIX).copy
_each_pair = struct.Struct("64s").iter_unpack
_each_hash = struct.Struct("32s").iter_unpack
_each_key_leaf = struct.Struct(f"{_KEY_LEAF.itemsize}s").iter_unpack
_each_row = struct.Struct(f"{_ROW.itemsize}s").iter_unpack

_CAPACITY_MIN = 1024

_Scalar = TypeVar("_Scalar", bound=np.generic)


def as_hashes(joined: bytes | npt.NDArray[np.uint8]) -> Hashes:
    """The hashes of 32 bytes each that ``joined`` holds, in memory one after the other; without a copy."""
    return np.frombuffer(joined, HASH)


def grown(array: npt.NDArray[_Scalar], size: int, fill: int | None = None) -> npt.NDArray[_Scalar]:
    """``array``, or a copy of at least twice its length, so that ``size`` elements fit; what is new is ``fill``, else 0.

    Appending by this costs a constant time for each element.
    """
    if size <= len(array):
        return array
    larger = np.zeros(max(size, 2 * len(array), _CAPACITY_MIN), array.dtype)
    larger[: len(array)] = array
    if fill is not None:
        larger[len(array) :] = fill
    return larger


def starts_of(lengths: Numbers) -> Numbers:
    """Where each of consecutive ranges of these lengths begins."""
    return np.cumsum(lengths) - lengths


def ranges_of(starts: Numbers, ends: Numbers) -> Numbers:
    """The numbers of all ranges ``[starts[i], ends[i])``, one range after the other."""
    counts = ends - starts
    return np.arange(int(counts.sum())) + np.repeat(starts - starts_of(counts), counts)


def hash_key_leaves(first: int, leaf_hashes: Hashes) -> Hashes:
    """The leaf hash in a key's tree of each entry from ``first`` on, as :func:`ledger.core.index.key_leaf_hash`."""
    leaves = np.empty(len(leaf_hashes), _KEY_LEAF)
    leaves["seq"] = np.arange(first, first + len(leaf_hashes))
    leaves["leaf_hash"] = leaf_hashes
    return as_hashes(b"".join(hash_leaves([leaf for (leaf,) in _each_key_leaf(leaves.tobytes())])))


def hash_nodes(pairs: Hashes) -> Hashes:
    """The nodes above consecutive pairs of nodes in RFC 6962 trees."""
    return as_hashes(hash_pairs(pairs.tobytes()))


Memo = dict[bytes, bytes]
"""Pairs of nodes of the map, joined, and the node above each."""


def hash_inner_nodes(pairs: Hashes, memo: Memo | None = None) -> Hashes:
    """The map's nodes above consecutive pairs of its nodes, as :func:`ledger.core.map_proof.inner_node`.

    Pairs that are in ``memo`` are not hashed again, the others go there.
    """
    new_inner = _new_inner
    if memo is not None:
        known = memo.get
        found = []
        for (pair,) in _each_pair(pairs.tobytes()):
            node = known(pair)
            if node is None:
                state = new_inner()
                state.update(pair)
                node = memo[pair] = state.digest()
            found.append(node)
        return as_hashes(b"".join(found))
    nodes = []
    for (pair,) in _each_pair(pairs.tobytes()):
        state = new_inner()
        state.update(pair)
        nodes.append(state.digest())
    return as_hashes(b"".join(nodes))


def hash_leaf_nodes(positions: Hashes, counts: Numbers, last_seqs: Numbers, key_roots: Hashes) -> Hashes:
    """The map's leaves at ``positions`` with the values of rows, as :func:`ledger.core.index.leaf_node`."""
    rows = np.empty(len(counts), _ROW)
    rows["count"], rows["last_seq"], rows["key_root"] = counts, last_seqs, key_roots
    new_value, new_leaf = _new_value, _new_leaf
    nodes = []
    for (row,), (position,) in zip(_each_row(rows.tobytes()), _each_hash(positions.tobytes()), strict=True):
        value = new_value()
        value.update(row)
        leaf = new_leaf()
        leaf.update(position + value.digest())
        nodes.append(leaf.digest())
    return as_hashes(b"".join(nodes))


def hash_values(counts: Numbers, last_seqs: Numbers, key_roots: Hashes) -> Hashes:
    """The values of rows in the map, as :func:`ledger.core.index.value_hash`."""
    rows = np.empty(len(counts), _ROW)
    rows["count"], rows["last_seq"], rows["key_root"] = counts, last_seqs, key_roots
    new_value = _new_value
    values = []
    for (row,) in _each_row(rows.tobytes()):
        value = new_value()
        value.update(row)
        values.append(value.digest())
    return as_hashes(b"".join(values))


def hash_map_leaves(leaves: Hashes) -> Hashes:
    """The map's leaves of consecutive pairs of position and value, as :func:`ledger.core.index.leaf_node`."""
    new_leaf = _new_leaf
    nodes = []
    for (leaf,) in _each_pair(leaves.tobytes()):
        state = new_leaf()
        state.update(leaf)
        nodes.append(state.digest())
    return as_hashes(b"".join(nodes))
