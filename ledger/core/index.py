"""Index keys and the leaves that stand behind them (ledger format, sections 1.4 and 1.7).

An entry concerns accounts, other people, developers and pairs of account and developer; each of them is a
*key*, and the index lists for every key the entries that carry it. This module says which keys an entry
has, what a leaf of a key's tree looks like and how a key's row enters the sparse map. The trees are in
:mod:`ledger.core.key_trees`, the map is in :mod:`ledger.core.sparse_map`, the evidence for one key in
:mod:`ledger.core.completeness`.

Rules kept here:

- The keys come from the members alone, whatever the kind, so that a kind nobody knows yet is still found.
- What is not a string yields no key and no error: an ill-typed member is a finding of the audit, not of the
  index.
- A change to any function here changes every ``map_root``: it needs a new value of :data:`MAP_FN`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from ledger.core.merkle import HASH_BYTES, hash_leaf

MAP_FN = 1
"""Version of the index function, the ``map_fn`` of ``ledger.opened`` and ``index.sealed``."""

KEY_LEAF_BYTES = 40
"""Size of one leaf of a key's tree: ``u64 seq || leaf_hash``."""

_POSITION_PREFIX = b"gl/map/key/v1\x00"
_VALUE_PREFIX = b"gl/map/value/v1\x00"
_LEAF_PREFIX = b"gl/map/leaf/v1\x00"
_DEVELOPER_MEMBERS = ("developer", "previous_developer", "processor")

_pack_key_leaf = struct.Struct(">Q32s").pack
_pack_value = struct.Struct(f">{len(_VALUE_PREFIX)}sQQ32s").pack


@dataclass(frozen=True, slots=True)
class KeyRow:
    """What the map says about one key over the first ``map_size`` entries.

    ``count`` entries carry the key (at least 1), the last of them at ``last_seq``; ``key_root`` is the RFC
    6962 root (32 bytes) of the key's tree.
    """

    count: int
    last_seq: int
    key_root: bytes


def index_keys(members: Mapping[str, object]) -> list[str]:
    """Return the keys under which the entry with ``members`` is indexed: each once, in ascending byte order.

    ``acct:<account>``; ``subj:<tag>`` for each of ``subjects``; ``dev:<d>`` for each distinct developer in
    ``developer``, ``previous_developer``, ``processor`` and ``received_by.developer``;
    ``pair:<account>:<d>`` for each of those where there is an account. Never raises (ledger format, section
    1.7, ``index_keys`` version 1).
    """
    developers = {name for member in _DEVELOPER_MEMBERS if isinstance(name := members.get(member), str)}
    received_by = members.get("received_by")
    if isinstance(received_by, Mapping) and isinstance(receiver := received_by.get("developer"), str):
        developers.add(receiver)
    keys = {f"dev:{developer}" for developer in developers}
    account = members.get("account")
    if isinstance(account, str):
        keys.add(f"acct:{account}")
        keys.update([f"pair:{account}:{developer}" for developer in developers])
    subjects = members.get("subjects")
    if isinstance(subjects, (list, tuple)):
        keys.update([f"subj:{tag}" for tag in subjects if isinstance(tag, str)])
    # Code point order is byte order: entries hold ASCII, and UTF-8 keeps the order of code points.
    return sorted(keys)


def encode_key_leaf(seq: int, leaf_hash: bytes) -> bytes:
    """Return the 40-byte leaf of a key's tree for the entry at ``seq`` with the 32-byte ``leaf_hash``."""
    if len(leaf_hash) != HASH_BYTES:
        raise AssertionError(f"a leaf hash has 32 bytes, not {len(leaf_hash)}")
    return _pack_key_leaf(seq, leaf_hash)


def key_leaf_hash(seq: int, leaf_hash: bytes) -> bytes:
    """Return the RFC 6962 leaf hash of :func:`encode_key_leaf`, the same for all keys of an entry."""
    return hash_leaf(encode_key_leaf(seq, leaf_hash))


def key_position(key: str) -> bytes:
    """Return the position K of ``key``: 32 bytes, whose bits from the most significant are its way."""
    return sha256(_POSITION_PREFIX + key.encode()).digest()


def value_hash(row: KeyRow) -> bytes:
    """Return the value V (32 bytes) that stands for ``row`` in the map."""
    if len(row.key_root) != HASH_BYTES:
        raise AssertionError(f"a key root has 32 bytes, not {len(row.key_root)}")
    return sha256(_pack_value(_VALUE_PREFIX, row.count, row.last_seq, row.key_root)).digest()


def leaf_node(position: bytes, value: bytes) -> bytes:
    """Return the map's node (32 bytes) of a leaf with ``value`` at ``position``, both 32 bytes."""
    return sha256(_LEAF_PREFIX + position + value).digest()
