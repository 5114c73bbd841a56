"""The hashes of whole arrays are those that the core has for one row."""

from __future__ import annotations

import numpy as np

from ledger.core.index import KeyRow, key_leaf_hash, leaf_node, value_hash
from ledger.core.map_proof import inner_node
from ledger.core.merkle import hash_leaf, hash_node
from ledger.core.strict import INTEGER_MAX
from ledger.engines.hash_rows import (
    as_hashes,
    grown,
    hash_inner_nodes,
    hash_key_leaves,
    hash_leaf_nodes,
    hash_nodes,
)

HASHES = [hash_leaf(bytes([number])) for number in range(6)]
JOINED = as_hashes(b"".join(HASHES))


def test_key_leaves_are_the_cores() -> None:
    for first in (0, 1 << 33, INTEGER_MAX - 5):
        expected = [key_leaf_hash(first + place, leaf) for place, leaf in enumerate(HASHES)]
        assert hash_key_leaves(first, JOINED).tolist() == expected


def test_nodes_of_trees_are_the_cores() -> None:
    expected = [hash_node(left, right) for left, right in zip(HASHES[::2], HASHES[1::2], strict=True)]
    assert hash_nodes(JOINED).tolist() == expected


def test_inner_nodes_of_the_map_are_the_cores() -> None:
    expected = [inner_node(left, right) for left, right in zip(HASHES[::2], HASHES[1::2], strict=True)]
    assert hash_inner_nodes(JOINED).tolist() == expected


def test_leaf_nodes_of_the_map_are_the_cores() -> None:
    counts, last_seqs = [1, 2, 1 << 40], [0, 1 << 35, INTEGER_MAX]
    rows = map(KeyRow, counts, last_seqs, HASHES[:3])
    expected = [leaf_node(position, value_hash(row)) for position, row in zip(HASHES[3:], rows, strict=True)]
    made = hash_leaf_nodes(JOINED[3:], np.array(counts), np.array(last_seqs), JOINED[:3])
    assert made.tolist() == expected


def test_nothing_is_hashed_for_no_rows() -> None:
    assert len(hash_nodes(JOINED[:0])) == len(hash_key_leaves(0, as_hashes(b""))) == 0


def test_a_grown_array_keeps_what_it_held_and_is_filled() -> None:
    array = grown(np.array([4, 5]), 5000, -1)
    assert array[:3].tolist() == [4, 5, -1]
    assert len(array) >= 5000
    assert (array[2:] == -1).all()
    assert grown(array, 5000) is array
