"""Proofs in the sparse map and their check (ledger format, section 1.4).

A proof holds the siblings from the root down along a key's position and the leaf met at the end of that
way: the key's own leaf where the key is present; another key's leaf, or none, where it is absent. The
proofs are made by :class:`ledger.core.sparse_map.SparseMap`; their JSON shape belongs to
:mod:`ledger.core.completeness`.

The rule that makes the check sound: in a compressed map a lone leaf is never pushed down below an empty
sibling, and two empty halves are never an inner node. So the deepest sibling of a proof is never empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from ledger.core.index import KeyRow, key_position, leaf_node, value_hash
from ledger.errors import ProofError

EMPTY_NODE = bytes(32)
"""The node of a subtree without leaves, and the root of the empty map."""

NODE_PREFIX = b"gl/map/node/v1\x00"
"""What is hashed before the two halves of an inner node."""

_SIBLINGS_MAX = 256
_U64_MAX = 2**64 - 1


@dataclass(frozen=True, slots=True)
class MapLeaf:
    """A leaf as a proof shows it: ``position`` K and ``value`` V, 32 bytes each."""

    position: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class MapProof:
    """The claim that a key is ``present`` or absent, with the evidence.

    ``siblings`` are 32 bytes each, from the root down, at most 256; ``leaf`` is the one met below them, if
    any.
    """

    present: bool
    siblings: tuple[bytes, ...]
    leaf: MapLeaf | None


def inner_node(left: bytes, right: bytes) -> bytes:
    """Return the node over ``left`` and ``right``, 32 bytes each, of a subtree with two leaves or more."""
    return sha256(NODE_PREFIX + left + right).digest()


def check_map_proof(key: str, proof: MapProof, row: KeyRow | None, map_root: bytes) -> None:
    """Check that ``proof`` shows ``row`` to be the row of ``key``, or ``None`` its absence, under ``map_root``.

    Raises :class:`~ledger.errors.ProofError`, with the reason, on anything else. Present and absent are
    never taken for each other: ``proof.present`` has to agree with whether there is a row.
    """
    position = key_position(key)
    depth = len(proof.siblings)
    _check_sizes(proof, map_root)
    leaf = proof.leaf
    node = (
        _check_presence(position, leaf, row) if proof.present else _check_absence(position, leaf, row, depth)
    )
    if proof.siblings and proof.siblings[-1] == EMPTY_NODE:
        raise ProofError("map proof: the deepest sibling is empty, which no compressed map has")
    way = int.from_bytes(position) >> (_SIBLINGS_MAX - depth)
    for sibling in reversed(proof.siblings):
        node = inner_node(sibling, node) if way & 1 else inner_node(node, sibling)
        way >>= 1
    if node != map_root:
        raise ProofError(f"map proof: leads to the root {node.hex()}, not to {map_root.hex()}")


def _check_sizes(proof: MapProof, map_root: bytes) -> None:
    if len(proof.siblings) > _SIBLINGS_MAX:
        raise ProofError(f"map proof: {len(proof.siblings)} siblings, at most {_SIBLINGS_MAX} are possible")
    parts = [map_root, *proof.siblings]
    if proof.leaf is not None:
        parts += [proof.leaf.position, proof.leaf.value]
    if any(len(part) != len(EMPTY_NODE) for part in parts):
        raise ProofError("map proof: a hash that does not have 32 bytes")


def _check_presence(position: bytes, leaf: MapLeaf | None, row: KeyRow | None) -> bytes:
    if row is None:
        raise ProofError("map proof: presence is claimed without a row")
    if not 1 <= row.count <= row.last_seq + 1 <= _U64_MAX or len(row.key_root) != len(EMPTY_NODE):
        raise ProofError("map proof: a row that no key can have")
    if leaf is None:
        raise ProofError("map proof: presence is claimed without a leaf")
    if leaf.position != position:
        raise ProofError("map proof: another key's leaf is offered as presence")
    value = value_hash(row)
    if leaf.value != value:
        raise ProofError("map proof: the leaf does not hold the row")
    return leaf_node(position, value)


def _check_absence(position: bytes, leaf: MapLeaf | None, row: KeyRow | None, depth: int) -> bytes:
    if row is not None:
        raise ProofError("map proof: absence is claimed beside a row")
    if leaf is None:
        return EMPTY_NODE
    if leaf.position == position:
        raise ProofError("map proof: the key's own leaf is offered as absence")
    parting = 8 * len(position) - (int.from_bytes(position) ^ int.from_bytes(leaf.position)).bit_length()
    if parting < depth:
        raise ProofError(
            f"map proof: the leaf parts from the key's way at bit {parting}, above depth {depth}"
        )
    return leaf_node(leaf.position, leaf.value)
