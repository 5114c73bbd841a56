"""The hash chain (ledger format, section 1.1): one hash serves the chain and the tree.

The leaf hash of entry n is ``SHA-256(0x00 || entry bytes)``; ``prev`` of entry n is the lower-case hex leaf
hash of entry n - 1, and 64 zeros for entry 0. Each link can be checked alone and all of them in parallel, and
every leaf commits to everything before it. Who compares a link with an entry's ``prev`` member is the
reader's business.
"""

from __future__ import annotations

from ledger.core.merkle import HASH_BYTES, hash_leaf

ZERO_PREV = "0" * (2 * HASH_BYTES)
"""``prev`` of entry 0."""


def leaf_hash(entry_bytes: bytes) -> bytes:
    """The 32-byte leaf hash of an entry given as its canonical bytes."""
    return hash_leaf(entry_bytes)


def link(previous_leaf_hash: bytes | None) -> str:
    """``prev`` of the entry after the one with this leaf hash (32 bytes); ``None``: of entry 0."""
    if previous_leaf_hash is None:
        return ZERO_PREV
    assert len(previous_leaf_hash) == HASH_BYTES, "a leaf hash has 32 bytes"
    return previous_leaf_hash.hex()
