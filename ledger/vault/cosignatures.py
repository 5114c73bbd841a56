"""Ed25519 keys that cosign checkpoints and verify cosignatures (transparency formats, section 4.6, signature type 0x04).

They are a :class:`ledger.core.note.Signer` and a :class:`~ledger.core.note.Verifier` as the keys of notes are, so a note with
cosignatures opens like any other. A key that cosigns signs nothing else: a cosignature does not name its cosigner.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.core.cosignature import Cosignature, decode_cosignature, encode_cosignature, format_cosigned
from ledger.core.note import (
    ED25519_COSIGNATURE,
    NoteSignature,
    VerifierKey,
    format_vkey,
    make_verifier_key,
    parse_vkey,
)
from ledger.core.strict import encode_utf8
from ledger.errors import FormatError
from ledger.ports import Randomness
from ledger.vault.ed25519 import SEED_BYTES, format_skey, parse_skey


class CosignatureVerifier:
    """A public key that verifies cosignatures: a :class:`ledger.core.note.Verifier`. The time is for the caller to judge."""

    __slots__ = ("_key", "_public_key")

    def __init__(self, key: VerifierKey) -> None:
        """Raises FormatError when ``key`` is of another signature type."""
        if key.algorithm != ED25519_COSIGNATURE:
            raise FormatError(f"the key {key.name} is not an Ed25519 key for cosignatures")
        self._key = key
        self._public_key = Ed25519PublicKey.from_public_bytes(key.public_key)

    def __repr__(self) -> str:
        """The class and the vkey, nothing secret."""
        return f"CosignatureVerifier({self.vkey()!r})"

    @property
    def name(self) -> str:
        """The key's name."""
        return self._key.name

    @property
    def key_id(self) -> bytes:
        """The key's 4-byte id."""
        return self._key.key_id

    def vkey(self) -> str:
        """The public key as text."""
        return format_vkey(self._key)

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether ``signature``, time and all, is this key's for the checkpoint whose note text is ``message``."""
        try:
            cosignature = decode_cosignature(signature)
            self._public_key.verify(cosignature.signature, format_cosigned(cosignature.time_s, message))
        except (FormatError, InvalidSignature):
            return False
        return True


class CosignatureSigner:
    """A private key that cosigns checkpoints. It is told the time: when to say what is its owner's business."""

    __slots__ = ("_key", "_private_key")

    def __init__(self, name: str, private_key: Ed25519PrivateKey) -> None:
        """``name`` is the name of a witness; FormatError when it cannot be."""
        self._private_key = private_key
        self._key = make_verifier_key(name, ED25519_COSIGNATURE, private_key.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        """The class and the vkey, nothing secret."""
        return f"CosignatureSigner({self.vkey()!r})"

    @property
    def name(self) -> str:
        """The key's name."""
        return self._key.name

    @property
    def key_id(self) -> bytes:
        """The key's 4-byte id."""
        return self._key.key_id

    def vkey(self) -> str:
        """The public key as text."""
        return format_vkey(self._key)

    def skey(self) -> str:
        """The private key as text, a secret: what :func:`cosigner_from_skey` reads."""
        return format_skey(self.name, self.key_id, ED25519_COSIGNATURE, self._private_key.private_bytes_raw())

    def verifier(self) -> CosignatureVerifier:
        """The key that verifies what this one signs."""
        return CosignatureVerifier(self._key)

    def cosign(self, text: str, time_s: int) -> NoteSignature:
        """The cosignature, as of ``time_s``, of the checkpoint whose note text is ``text``."""
        signature = self._private_key.sign(format_cosigned(time_s, encode_utf8(text)))
        return NoteSignature(self.name, self.key_id, encode_cosignature(Cosignature(time_s, signature)))


def cosigner_from_seed(name: str, seed: bytes) -> CosignatureSigner:
    """The cosigner ``name`` whose private key is the 32-byte ``seed``; FormatError for another length or a bad name."""
    if len(seed) != SEED_BYTES:
        raise FormatError(f"the seed of a key has {SEED_BYTES} bytes, not {len(seed)}")
    return CosignatureSigner(name, Ed25519PrivateKey.from_private_bytes(seed))


def generate_cosigner(name: str, randomness: Randomness) -> CosignatureSigner:
    """A new cosigner ``name``, its seed drawn from ``randomness``."""
    return cosigner_from_seed(name, randomness.token(SEED_BYTES))


def cosigner_from_skey(text: str) -> CosignatureSigner:
    """The cosigner that ``text`` writes as ``PRIVATE+KEY+...``; FormatError (which does not repeat it) for other text."""
    return CosignatureSigner(*parse_skey(text, ED25519_COSIGNATURE))


def cosignature_verifier(text: str) -> CosignatureVerifier:
    """The verifier that ``text`` writes as a vkey; FormatError when it is none, or one of another signature type."""
    return CosignatureVerifier(parse_vkey(text))
