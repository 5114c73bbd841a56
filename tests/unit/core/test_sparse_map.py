"""The sparse map's own behaviour: growth, replacement, shards, and the reasons a proof is refused for."""

from __future__ import annotations

from hashlib import sha256

import pytest

from ledger.core.index import KeyRow, key_position, leaf_node, value_hash
from ledger.core.map_proof import inner_node
from ledger.core.sparse_map import (
    EMPTY_NODE,
    EMPTY_SUBTREE,
    MapLeaf,
    MapProof,
    SparseMap,
    Subtree,
    check_map_proof,
    combine,
    combine_shards,
    shard_of,
)
from ledger.errors import ProofError


def row_of(number: int) -> KeyRow:
    """Return some row, another one for each ``number``."""
    return KeyRow(number + 1, 3 * number + 2, sha256(b"root %d" % number).digest())


ROWS = {f"dev:d{number}": row_of(number) for number in range(500)}


def built(rows: dict[str, KeyRow]) -> SparseMap:
    """Return the map of ``rows``, built at once."""
    sparse = SparseMap()
    sparse.update(rows.items())
    return sparse


WHOLE = built(ROWS)


def node_of(key: str) -> bytes:
    """Return the leaf node of ``key`` in :data:`ROWS`."""
    return leaf_node(key_position(key), value_hash(ROWS[key]))


def refused(key: str, proof: MapProof, row: KeyRow | None, reason: str, root: bytes | None = None) -> None:
    """Assert that ``proof`` is refused with a text that matches ``reason``."""
    with pytest.raises(ProofError, match=reason):
        check_map_proof(key, proof, row, WHOLE.root() if root is None else root)


def test_the_empty_map_has_the_zero_root_and_proves_any_absence_with_nothing() -> None:
    sparse = SparseMap()
    assert (sparse.root(), len(sparse), sparse.prove("dev:x")) == (bytes(32), 0, MapProof(False, (), None))
    check_map_proof("dev:x", sparse.prove("dev:x"), None, sparse.root())


def test_the_map_of_one_key_is_that_keys_leaf() -> None:
    assert built({"dev:d3": ROWS["dev:d3"]}).root() == node_of("dev:d3")


def test_updating_with_nothing_changes_nothing() -> None:
    sparse = built(ROWS)
    sparse.update([])
    assert (sparse.root(), len(sparse)) == (WHOLE.root(), len(ROWS))


def test_one_key_at_a_time_gives_the_same_map_as_all_at_once() -> None:
    sparse = SparseMap()
    for key, row in ROWS.items():
        sparse.update([(key, row)])
    assert (sparse.root(), len(sparse)) == (WHOLE.root(), len(ROWS))


def test_a_later_row_of_a_key_replaces_the_earlier_one() -> None:
    sparse = built({key: row_of(9999) for key in ROWS})
    sparse.update([("dev:d7", row_of(1)), *ROWS.items()])
    assert (sparse.root(), len(sparse)) == (WHOLE.root(), len(ROWS))


def test_a_position_stands_for_its_key() -> None:
    sparse = SparseMap()
    sparse.update((key_position(key), row) for key, row in ROWS.items())
    assert sparse.root() == WHOLE.root()
    assert sparse.prove(key_position("dev:d5")) == WHOLE.prove("dev:d5")


def test_an_update_with_an_unusable_row_leaves_the_map_as_it_was() -> None:
    sparse = built(ROWS)
    with pytest.raises(AssertionError):
        sparse.update([("dev:d1", row_of(77)), ("dev:d2", KeyRow(1, 1, b"short"))])
    with pytest.raises(AssertionError):
        sparse.update([("dev:d1", row_of(77)), (b"short", row_of(1))])
    assert sparse.root() == WHOLE.root()


def test_a_map_that_outgrows_its_buckets_in_many_steps_stays_right() -> None:
    sparse, at_once = SparseMap(), {f"dev:n{number}": row_of(number) for number in range(3000)}
    for start in range(0, 3000, 251):
        sparse.update((f"dev:n{number}", row_of(number)) for number in range(start, min(start + 251, 3000)))
    assert (sparse.root(), len(sparse)) == (built(at_once).root(), 3000)


def test_every_proof_of_a_grown_map_checks() -> None:
    for key in [*ROWS, *(f"dev:d{number}" for number in range(500, 700))]:
        check_map_proof(key, WHOLE.prove(key), ROWS.get(key), WHOLE.root())


def test_combining_keeps_a_lone_leaf_as_it_is() -> None:
    leaf = Subtree(node_of("dev:d1"), 1)
    assert combine(EMPTY_SUBTREE, EMPTY_SUBTREE) == EMPTY_SUBTREE
    assert combine(leaf, EMPTY_SUBTREE) == combine(EMPTY_SUBTREE, leaf) == leaf


def test_combining_hashes_an_empty_half_beside_two_leaves() -> None:
    pair = Subtree(b"\x05" * 32, 2)
    assert combine(pair, EMPTY_SUBTREE) == Subtree(inner_node(pair.node, EMPTY_NODE), 2)
    assert combine(EMPTY_SUBTREE, pair) == Subtree(inner_node(EMPTY_NODE, pair.node), 2)


def test_shards_in_eight_processes_give_the_root_of_the_whole() -> None:
    shards = [SparseMap(prefix, 3) for prefix in range(8)]
    for key, row in ROWS.items():
        shards[shard_of(key_position(key), 3)].update([(key, row)])
    assert combine_shards([shard.subtree() for shard in shards]) == Subtree(WHOLE.root(), len(ROWS))


@pytest.mark.parametrize("number", [0, 3, 6])
def test_shards_that_are_not_one_for_each_prefix_do_not_combine(number: int) -> None:
    with pytest.raises(AssertionError, match=f"{number} shards"):
        combine_shards([EMPTY_SUBTREE] * number)


def test_a_shard_refuses_a_key_of_another_and_stays_as_it_was() -> None:
    other = 1 - shard_of(key_position("dev:d1"), 1)
    shard = SparseMap(other, 1)
    with pytest.raises(AssertionError, match="does not belong"):
        shard.update([("dev:d1", row_of(1))])
    assert shard.subtree() == EMPTY_SUBTREE


def test_a_shard_has_no_root_and_proves_nothing() -> None:
    shard = SparseMap(1, 1)
    with pytest.raises(AssertionError, match="not a whole map"):
        shard.root()
    with pytest.raises(AssertionError, match="proves nothing"):
        shard.prove("dev:d1")


@pytest.mark.parametrize(("prefix", "prefix_bits"), [(0, -1), (0, 17), (2, 1), (-1, 4), (1, 0)])
def test_there_is_no_shard_for_an_impossible_prefix(prefix: int, prefix_bits: int) -> None:
    with pytest.raises(AssertionError, match="no prefix"):
        SparseMap(prefix, prefix_bits)


@pytest.mark.parametrize(("prefix", "bits"), [(0, 1), (2, 2), (8, 4), (7, 2), (0, 0)])
def test_a_shard_has_no_subtree_outside_its_prefix(prefix: int, bits: int) -> None:
    with pytest.raises(AssertionError, match="not in this shard"):
        SparseMap(3, 2).subtree(prefix, bits)


def test_presence_without_a_row_is_refused() -> None:
    refused("dev:d1", WHOLE.prove("dev:d1"), None, "without a row")


def test_absence_beside_a_row_is_refused() -> None:
    refused("dev:d900", WHOLE.prove("dev:d900"), row_of(1), "beside a row")


def test_presence_without_a_leaf_is_refused() -> None:
    proof = WHOLE.prove("dev:d1")
    refused("dev:d1", MapProof(True, proof.siblings, None), ROWS["dev:d1"], "without a leaf")


def test_another_keys_leaf_as_presence_is_refused() -> None:
    refused("dev:d1", WHOLE.prove("dev:d2"), ROWS["dev:d2"], "another key's leaf")


def test_the_keys_own_leaf_as_absence_is_refused() -> None:
    proof = WHOLE.prove("dev:d1")
    refused("dev:d1", MapProof(False, proof.siblings, proof.leaf), None, "own leaf")


def test_a_leaf_off_the_keys_way_as_absence_is_refused() -> None:
    key = next(key for key in ROWS if key_position(key)[0] >> 7 != key_position("dev:d1")[0] >> 7)
    proof = WHOLE.prove(key)
    refused("dev:d1", MapProof(False, proof.siblings, proof.leaf), None, "parts from the key's way at bit 0")


def test_a_leaf_that_does_not_hold_the_row_is_refused() -> None:
    refused("dev:d1", WHOLE.prove("dev:d1"), row_of(2), "does not hold the row")


@pytest.mark.parametrize(
    "row", [KeyRow(0, 0, bytes(32)), KeyRow(3, 1, bytes(32)), KeyRow(1, 0, b""), KeyRow(1, 2**64, bytes(32))]
)
def test_a_row_that_no_key_can_have_is_refused(row: KeyRow) -> None:
    refused("dev:d1", WHOLE.prove("dev:d1"), row, "no key can have")


def test_a_lone_leaf_pushed_below_an_empty_sibling_is_refused_although_the_hashes_agree() -> None:
    key = "dev:d1"
    leaf = MapLeaf(key_position(key), value_hash(ROWS[key]))
    right = key_position(key)[0] >> 7
    root = inner_node(EMPTY_NODE, node_of(key)) if right else inner_node(node_of(key), EMPTY_NODE)
    refused(key, MapProof(True, (EMPTY_NODE,), leaf), ROWS[key], "deepest sibling is empty", root)


def test_two_empty_halves_as_absence_are_refused_although_the_hashes_agree() -> None:
    root = inner_node(EMPTY_NODE, EMPTY_NODE)
    refused("dev:d1", MapProof(False, (EMPTY_NODE,), None), None, "deepest sibling is empty", root)


def test_a_proof_that_leads_to_another_root_is_refused() -> None:
    refused("dev:d1", WHOLE.prove("dev:d1"), ROWS["dev:d1"], "leads to the root", bytes(32))


def test_more_siblings_than_bits_are_refused() -> None:
    proof = WHOLE.prove("dev:d1")
    refused("dev:d1", MapProof(True, (b"\x01" * 32,) * 257, proof.leaf), ROWS["dev:d1"], "257 siblings")


def test_hashes_of_another_size_are_refused() -> None:
    proof, row = WHOLE.prove("dev:d1"), ROWS["dev:d1"]
    assert proof.leaf is not None
    short = MapLeaf(proof.leaf.position, proof.leaf.value[:31])
    refused("dev:d1", MapProof(True, (*proof.siblings[:-1], b""), proof.leaf), row, "32 bytes")
    refused("dev:d1", MapProof(True, proof.siblings, short), row, "32 bytes")
    refused("dev:d1", proof, row, "32 bytes", b"")
