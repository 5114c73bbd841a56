"""The sparse map against its definition, taken from the text level by level.

"An empty subtree is 32 zero bytes; a subtree with one leaf is that leaf's node; inner node =
SHA-256("gl/map/node/v1" || 0x00 || left || right); bits of the position from the most significant; a proof
holds the siblings from the root down and the leaf met there (its own, another's, or none)."
"""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.core.index import KeyRow
from ledger.core.sparse_map import (
    EMPTY_SUBTREE,
    MapLeaf,
    MapProof,
    SparseMap,
    Subtree,
    check_map_proof,
    combine_shards,
    shard_of,
)
from ledger.errors import ProofError

Rows = dict[bytes, KeyRow]


def naive_value(row: KeyRow) -> bytes:
    """Return V as the text has it."""
    numbers = row.count.to_bytes(8, "big") + row.last_seq.to_bytes(8, "big")
    return sha256(b"gl/map/value/v1" + b"\x00" + numbers + row.key_root).digest()


def naive_halves(rows: Rows, depth: int) -> tuple[Rows, Rows]:
    """Return the rows whose bit at ``depth`` is 0, and those where it is 1."""
    halves: tuple[Rows, Rows] = ({}, {})
    for position, row in rows.items():
        halves[f"{int.from_bytes(position, 'big'):0256b}"[depth] == "1"][position] = row
    return halves


def naive_node(rows: Rows, depth: int = 0) -> bytes:
    """Return the node at ``depth`` over ``rows``, which share the bits above it."""
    if not rows:
        return bytes(32)
    if len(rows) == 1:
        ((position, row),) = rows.items()
        return sha256(b"gl/map/leaf/v1" + b"\x00" + position + naive_value(row)).digest()
    left, right = naive_halves(rows, depth)
    halves = naive_node(left, depth + 1) + naive_node(right, depth + 1)
    return sha256(b"gl/map/node/v1" + b"\x00" + halves).digest()


def naive_proof(rows: Rows, position: bytes) -> MapProof:
    """Walk down along ``position`` until at most one leaf is left."""
    siblings: list[bytes] = []
    for depth in range(257):
        if len(rows) <= 1:
            break
        halves = naive_halves(rows, depth)
        bit = int(f"{int.from_bytes(position, 'big'):0256b}"[depth])
        siblings.append(naive_node(halves[1 - bit], depth + 1))
        rows = halves[bit]
    leaf = next((MapLeaf(met, naive_value(row)) for met, row in rows.items()), None)
    return MapProof(position in rows, tuple(siblings), leaf)


def row_of(number: int) -> KeyRow:
    """Return some row, another one for each ``number``."""
    return KeyRow(number + 1, 3 * number + 2, sha256(b"root %d" % number).digest())


# Positions that share long beginnings: a few stems, each with a few of its bits turned.
stems = st.sampled_from([bytes(32), b"\xff" * 32, sha256(b"stem").digest(), sha256(b"other stem").digest()])
bits = st.one_of(st.integers(0, 20), st.integers(0, 255))
positions = st.builds(
    lambda stem, turned: (int.from_bytes(stem, "big") ^ sum(1 << 255 - bit for bit in turned)).to_bytes(
        32, "big"
    ),
    stems,
    st.sets(bits, max_size=3),
)
maps = st.dictionaries(positions, st.integers(0, 1000).map(row_of), max_size=60)
keys = st.sets(st.integers(0, 5000).map(lambda number: f"dev:d{number}"), max_size=60)


def built(rows: Rows) -> SparseMap:
    """Return the map of ``rows``, built at once."""
    sparse = SparseMap()
    sparse.update(rows.items())
    return sparse


def keyed(names: set[str]) -> dict[str, KeyRow]:
    """Return a row for each of ``names``."""
    return {name: row_of(number) for number, name in enumerate(sorted(names))}


def flipped(data: bytes, bit: int) -> bytes:
    """Return ``data`` with one bit turned."""
    return (int.from_bytes(data, "big") ^ 1 << bit).to_bytes(len(data), "big")


@given(maps)
def test_the_root_is_that_of_the_definition(rows: Rows) -> None:
    sparse = built(rows)
    assert sparse.root() == naive_node(rows)
    assert len(sparse) == len(rows)


@given(maps, st.lists(positions, max_size=5))
def test_every_proof_is_that_of_the_definition(rows: Rows, others: list[bytes]) -> None:
    sparse = built(rows)
    for position in [*rows, *others]:
        assert sparse.prove(position) == naive_proof(rows, position)


@given(st.lists(maps, max_size=6))
def test_updating_step_by_step_equals_building_at_once(steps: list[Rows]) -> None:
    sparse = SparseMap()
    rows: Rows = {}
    for step in steps:
        sparse.update(step.items())
        rows |= step
        assert sparse.root() == naive_node(rows)
        assert len(sparse) == len(rows)
    assert all(sparse.prove(position) == naive_proof(rows, position) for position in rows)


@given(maps, st.integers(0, 4))
def test_shards_combine_to_the_whole(rows: Rows, prefix_bits: int) -> None:
    shards = [SparseMap(prefix, prefix_bits) for prefix in range(1 << prefix_bits)]
    for prefix, shard in enumerate(shards):
        shard.update((at, row) for at, row in rows.items() if shard_of(at, prefix_bits) == prefix)
    whole = combine_shards([shard.subtree() for shard in shards])
    assert whole == built(rows).subtree() == Subtree(naive_node(rows), len(rows))


@given(maps, st.integers(0, 16))
def test_the_subtree_under_any_prefix_is_that_of_the_definition(rows: Rows, prefix_bits: int) -> None:
    sparse = built(rows)
    for prefix in {shard_of(position, prefix_bits) for position in rows}:
        under = {at: row for at, row in rows.items() if shard_of(at, prefix_bits) == prefix}
        assert sparse.subtree(prefix, prefix_bits) == Subtree(naive_node(under, prefix_bits), len(under))
        shard = SparseMap(prefix, prefix_bits)
        shard.update(under.items())
        assert shard.subtree() == shard.subtree(prefix, prefix_bits) == sparse.subtree(prefix, prefix_bits)
    assert SparseMap(0, prefix_bits).subtree() == EMPTY_SUBTREE


@given(keys, keys)
def test_proofs_of_present_and_of_absent_keys_check(names: set[str], others: set[str]) -> None:
    rows = keyed(names)
    sparse = SparseMap()
    sparse.update(rows.items())
    for name in names | others:
        proof = sparse.prove(name)
        assert proof.present == (name in rows)
        check_map_proof(name, proof, rows.get(name), sparse.root())


@given(keys, keys.filter(bool))
def test_no_proof_is_taken_for_its_opposite(names: set[str], others: set[str]) -> None:
    rows = keyed(names)
    sparse = SparseMap()
    sparse.update(rows.items())
    for name in names | others:
        proof = sparse.prove(name)
        opposite = MapProof(not proof.present, proof.siblings, proof.leaf)
        for row in (rows.get(name), row_of(7), None):
            with pytest.raises(ProofError):
                check_map_proof(name, opposite, row, sparse.root())


@settings(max_examples=20, deadline=None)
@given(keys.map(lambda names: names | {"dev:present"}), st.sampled_from(["dev:present", "dev:absent"]))
def test_no_bit_of_a_proof_can_be_turned(names: set[str], name: str) -> None:
    rows = keyed(names)
    sparse = SparseMap()
    sparse.update(rows.items())
    proof, row, root = sparse.prove(name), rows.get(name), sparse.root()
    check_map_proof(name, proof, row, root)
    for bit in range(256):
        forged: list[tuple[MapProof, KeyRow | None, bytes]] = [(proof, row, flipped(root, bit))]
        for level, sibling in enumerate(proof.siblings):
            others = (*proof.siblings[:level], flipped(sibling, bit), *proof.siblings[level + 1 :])
            forged.append((MapProof(proof.present, others, proof.leaf), row, root))
        if proof.leaf is not None:
            leaves = (
                MapLeaf(flipped(proof.leaf.position, bit), proof.leaf.value),
                MapLeaf(proof.leaf.position, flipped(proof.leaf.value, bit)),
            )
            forged += [(MapProof(proof.present, proof.siblings, leaf), row, root) for leaf in leaves]
        if row is not None:
            turned = KeyRow(row.count, row.last_seq, flipped(row.key_root, bit))
            forged.append((proof, turned, root))
        for other_proof, other_row, other_root in forged:
            with pytest.raises(ProofError):
                check_map_proof(name, other_proof, other_row, other_root)


@given(keys.map(lambda names: names | {"dev:present"}), st.sampled_from(["dev:present", "dev:absent"]))
def test_a_proof_cannot_be_lengthened_or_shortened(names: set[str], name: str) -> None:
    rows = keyed(names)
    sparse = SparseMap()
    sparse.update(rows.items())
    proof = sparse.prove(name)
    siblings = proof.siblings
    forged = [(*siblings, bytes(32)), (bytes(32), *siblings), (*siblings, b"\x01" * 32)]
    forged += [siblings[:level] + siblings[level + 1 :] for level in range(len(siblings))]
    forged += [
        (*siblings[:level], siblings[level][:31], *siblings[level + 1 :]) for level in range(len(siblings))
    ]
    for others in forged:
        with pytest.raises(ProofError):
            check_map_proof(name, MapProof(proof.present, others, proof.leaf), rows.get(name), sparse.root())
