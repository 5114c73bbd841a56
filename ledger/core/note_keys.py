"""Known keys that verify notes by a function for raw Ed25519 signatures (transparency formats, sections 4.2 and 4.6).

Who computes with curves is an adapter; what is signed is said here.
"""

from __future__ import annotations

from collections.abc import Callable

from ledger.core.cosignature import decode_cosignature, format_cosigned
from ledger.core.note import ED25519, ED25519_COSIGNATURE, VerifierKey, format_vkey
from ledger.core.strict import shown
from ledger.errors import FormatError

VerifyEd25519 = Callable[[bytes, bytes, bytes], bool]
"""``(public key of 32 bytes, message, signature)`` -> whether it is one; False also for ill-formed keys and signatures."""


class LogKey:
    """The key of a log: a :class:`ledger.core.note.Verifier`."""

    def __init__(self, key: VerifierKey, verify: VerifyEd25519) -> None:
        """Raises FormatError when ``key`` is of another signature type."""
        if key.algorithm != ED25519:
            raise FormatError(f"{shown(format_vkey(key))} is not the key of a log")
        self.name = key.name
        self.key_id = key.key_id
        self._public_key = key.public_key
        self._verify = verify

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether ``signature`` is this key's for the note text ``message``."""
        return self._verify(self._public_key, message, signature)


class CosignerKey:
    """The key of a witness or monitor that cosigns checkpoints: a :class:`ledger.core.note.Verifier`."""

    def __init__(self, key: VerifierKey, verify: VerifyEd25519) -> None:
        """Raises FormatError when ``key`` is of another signature type."""
        if key.algorithm != ED25519_COSIGNATURE:
            raise FormatError(f"{shown(format_vkey(key))} is not the key of a cosigner")
        self.name = key.name
        self.key_id = key.key_id
        self._public_key = key.public_key
        self._verify = verify

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether ``signature`` is this key's cosignature of the checkpoint ``message``."""
        try:
            cosignature = decode_cosignature(signature)
        except FormatError:
            return False
        cosigned = format_cosigned(cosignature.time_s, message)
        return self._verify(self._public_key, cosigned, cosignature.signature)
