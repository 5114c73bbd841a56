"""Salts, commitments and event ids (ledger format, section 1.2; HKDF: RFC 5869; HMAC: RFC 2104).

::

    salt       = HKDF-SHA-256(key of the granting account, no HKDF salt, info = uid || 0x00 || field, 32 bytes)
    commitment = HMAC-SHA-256(salt, value), 64 hex digits
    event id   = "e_" + hex of the first 16 bytes of HMAC-SHA-256(HKDF-SHA-256(that key, info = "event"), event id)

Whoever holds the account's key can open a commitment; without it (the key is destroyed when a person is erased) the
value cannot even be guessed at. Entries without a subject have no such key: theirs is a random salt, which the caller
stores beside the value.
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from hashlib import sha256

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ledger.core.canonical import JsonValue
from ledger.ports import Randomness, Subject

KEY_BYTES = 32
SALT_BYTES = 32

_EVENT_TAG_BYTES = 16
_EVENT_KEYS_KEPT = 65_536
_HMAC_BLOCK_BYTES = 64
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))
_SHA256 = SHA256()


def derive(key: bytes, info: bytes) -> bytes:
    """32 bytes of HKDF-SHA-256 from ``key`` without an HKDF salt."""
    return HKDF(_SHA256, KEY_BYTES, None, info).derive(key)


def salt_of(key: bytes, uid: str, field: str) -> bytes:
    """The 32-byte salt of the member ``field`` of the entry ``uid``, from the granting account's ``key``."""
    return derive(key, uid.encode() + b"\x00" + field.encode())


def commit(salt: bytes, value: bytes) -> str:
    """The commitment to ``value`` under ``salt``: 64 hex digits."""
    return hmac.digest(salt, value, "sha256").hex()


def is_committed(commitment: JsonValue, salt: bytes, value: bytes) -> bool:
    """Whether ``commitment`` is the one to ``value`` under ``salt``; compares in constant time."""
    return isinstance(commitment, str) and hmac.compare_digest(
        commitment.encode(), commit(salt, value).encode()
    )


def new_salt(randomness: Randomness) -> bytes:
    """A salt for an entry without a subject; the caller stores it."""
    return randomness.token(SALT_BYTES)


def event_tag(key: bytes, event_id: str) -> str:
    """How the platform's ``event_id`` is written in entries about the account whose key is ``key``."""
    # HMAC by its definition: the library's own takes three times as long and lets other threads in at each call.
    inner, outer = _event_pads(key)
    made = sha256(outer + sha256(inner + event_id.encode()).digest()).digest()
    return "e_" + made[:_EVENT_TAG_BYTES].hex()


@lru_cache(maxsize=_EVENT_KEYS_KEPT)
def _event_pads(key: bytes) -> tuple[bytes, bytes]:
    """The two padded keys of the HMAC of event ids under an account's ``key``."""
    # Kept, because an account has many events and a derivation costs more than all else about a delivery.
    block = derive(key, b"event").ljust(_HMAC_BLOCK_BYTES, b"\x00")
    return block.translate(_INNER_PAD), block.translate(_OUTER_PAD)


class SubjectCommitments:
    """The :class:`~ledger.ports.commitments.Commitments` of this module's functions."""

    def commit(self, subject: Subject, uid: str, field: str, value: bytes) -> str:
        """The commitment to ``value`` as the member ``field`` of the entry ``uid``."""
        return commit(salt_of(subject.key, uid, field), value)

    def identity(self, subject: Subject, uid: str, account_id: str) -> str:
        """The commitment that binds ``subject``'s tag to ``account_id`` in the ``account.registered`` entry ``uid``."""
        return self.commit(subject, uid, "identity", account_id.encode())

    def event_tag(self, subject: Subject, event_id: str) -> str:
        """How ``event_id`` is written in entries about ``subject``."""
        return event_tag(subject.key, event_id)
