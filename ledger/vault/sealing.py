"""Encryption at rest of bodies that wait and of apps' secrets (ledger format, section 1.2).

Implements :class:`ledger.ports.sealing.Sealing`. What is sealed is one byte 1 (the version), 24 random bytes (the nonce)
and PyNaCl's SecretBox (XSalsa20-Poly1305) of::

    u16 length of the context, big-endian || context, UTF-8 || data

so that the context is authenticated with the data and compared when it is opened: what an attacker moves to another row
does not open there. Keys are HKDF-SHA-256 of the account's key or the operator's, one for each use:

========================================  =================================================================
``grantledger sealed body v1``            bodies, from the account's key: gone for ever with it
``grantledger body digest v1``            the HMAC-SHA-256 of :meth:`VaultSealing.digest_for`, likewise
``grantledger sealed secret v1``          secrets of apps and tokens, from the operator's key
========================================  =================================================================

No error text repeats a key, a context or what was sealed.
"""

from __future__ import annotations

import hmac
from functools import lru_cache

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from ledger.errors import StoreError
from ledger.ports import Randomness, Subject
from ledger.vault.commitments import KEY_BYTES, derive

VERSION = b"\x01"
CONTEXT_BYTES_MAX = 65_535

_LENGTH_BYTES = 2
_KEYS_KEPT = 16_384
_BODY = b"grantledger sealed body v1"
_DIGEST = b"grantledger body digest v1"
_SECRET = b"grantledger sealed secret v1"


class VaultSealing:
    """A :class:`~ledger.ports.sealing.Sealing` under the 32-byte ``operator_key`` and the accounts' own keys."""

    def __init__(self, operator_key: bytes, randomness: Randomness) -> None:
        """``randomness`` gives the nonces."""
        assert len(operator_key) == KEY_BYTES, "the operator's key has 32 bytes"
        self._randomness = randomness
        self._secrets = SecretBox(derive(operator_key, _SECRET))

    def __repr__(self) -> str:
        """The class, nothing secret."""
        return "VaultSealing()"

    def seal_for(self, subject: Subject, context: str, data: bytes) -> bytes:
        """``data`` under ``subject``'s key, bound to ``context``; as long as both, and 43 bytes more."""
        return self._seal(_body_box(subject.key), context, data)

    def open_for(self, subject: Subject, context: str, sealed: bytes) -> bytes:
        """What :meth:`seal_for` sealed; StoreError where it was altered, or is another's, or of another context."""
        return _open(_body_box(subject.key), context, sealed)

    def digest_for(self, subject: Subject, context: str, data: bytes) -> bytes:
        """32 bytes that are the same for the same data of ``subject`` in ``context``, and tell nothing without its key."""
        return hmac.digest(_digest_key(subject.key), _prefix(context) + data, "sha256")

    def seal_secret(self, context: str, secret: str) -> bytes:
        """``secret`` under the operator's key, bound to ``context``."""
        return self._seal(self._secrets, context, secret.encode())

    def open_secret(self, context: str, sealed: bytes) -> str:
        """What :meth:`seal_secret` sealed; StoreError where it was altered, or of another context or operator's key."""
        return _open(self._secrets, context, sealed).decode()

    def _seal(self, box: SecretBox, context: str, data: bytes) -> bytes:
        nonce = self._randomness.token(SecretBox.NONCE_SIZE)
        return VERSION + bytes(box.encrypt(_prefix(context) + data, nonce))


def _open(box: SecretBox, context: str, sealed: bytes) -> bytes:
    prefix = _prefix(context)
    try:
        # An empty or unknown version opens nothing, and no more is told apart.
        plain = box.decrypt(sealed[len(VERSION) :]) if sealed[: len(VERSION)] == VERSION else b""
    except (CryptoError, ValueError):
        plain = b""
    if not hmac.compare_digest(plain[: len(prefix)], prefix):
        # Not chained: an error of the library may say more than is anybody's business.
        raise StoreError(
            "something sealed does not open: it was altered, belongs elsewhere, or was sealed under another key"
        ) from None
    return plain[len(prefix) :]


def _prefix(context: str) -> bytes:
    encoded = context.encode()
    assert len(encoded) <= CONTEXT_BYTES_MAX, "a context is a kind and an id"
    return len(encoded).to_bytes(_LENGTH_BYTES, "big") + encoded


@lru_cache(maxsize=_KEYS_KEPT)
def _body_box(key: bytes) -> SecretBox:
    """The box of an account's bodies."""
    # Kept, because an account has many events, and each is sealed once and opened at every attempt.
    return SecretBox(derive(key, _BODY))


@lru_cache(maxsize=_KEYS_KEPT)
def _digest_key(key: bytes) -> bytes:
    """The key of the digests of an account's bodies."""
    return derive(key, _DIGEST)
