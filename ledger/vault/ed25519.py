"""Ed25519 keys that sign and verify notes (transparency formats, section 4.2, signature type 0x01; RFC 8032).

Public keys travel as vkeys; a private key as its 32-byte seed, or as the one line of golang.org/x/mod's
``sumdb/note`` tools, ``PRIVATE+KEY+name+hex8(key id)+base64(type || seed)``. Where seeds are kept, and that
they never show up in a log line, is for the caller: a signer's ``repr`` holds its vkey only.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from ledger.core.note import ED25519, VerifierKey, format_vkey, make_verifier_key, parse_vkey
from ledger.core.strict import decode_base64, encode_base64
from ledger.errors import FormatError
from ledger.ports import Randomness

SEED_BYTES = 32

_SKEY_PREFIX = "PRIVATE+KEY+"


class Ed25519Verifier:
    """A public key that verifies notes: a :class:`ledger.core.note.Verifier`."""

    __slots__ = ("_key", "_public_key")

    def __init__(self, key: VerifierKey) -> None:
        """Raises FormatError when ``key`` is of another signature type."""
        if key.algorithm != ED25519:
            raise FormatError(f"the key {key.name} is not an Ed25519 key for notes")
        self._key = key
        self._public_key = Ed25519PublicKey.from_public_bytes(key.public_key)

    def __repr__(self) -> str:
        """The class and the vkey, nothing secret."""
        return f"Ed25519Verifier({self.vkey()!r})"

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

    def public_key(self) -> bytes:
        """The public key itself, 32 bytes."""
        return self._key.public_key

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether ``signature`` is this key's for ``message``; a signature of another length is not."""
        try:
            self._public_key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class Ed25519Signer:
    """A private key that signs notes: a :class:`ledger.core.note.Signer`. Signing is deterministic."""

    __slots__ = ("_key", "_private_key")

    def __init__(self, name: str, private_key: Ed25519PrivateKey) -> None:
        """``name`` is the origin of a log or the name of a witness; FormatError when it cannot be."""
        self._private_key = private_key
        self._key = make_verifier_key(name, ED25519, private_key.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        """The class and the vkey, nothing secret."""
        return f"Ed25519Signer({self.vkey()!r})"

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
        """The private key as text, a secret: what :func:`signer_from_skey` reads."""
        return format_skey(self.name, self.key_id, ED25519, self._private_key.private_bytes_raw())

    def verifier(self) -> Ed25519Verifier:
        """The key that verifies what this one signs."""
        return Ed25519Verifier(self._key)

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of ``message``."""
        return self._private_key.sign(message)


def from_seed(name: str, seed: bytes) -> Ed25519Signer:
    """The signer ``name`` whose private key is the 32-byte ``seed``; FormatError for another length or a bad name."""
    if len(seed) != SEED_BYTES:
        raise FormatError(f"the seed of a key has {SEED_BYTES} bytes, not {len(seed)}")
    return Ed25519Signer(name, Ed25519PrivateKey.from_private_bytes(seed))


def generate(name: str, randomness: Randomness) -> Ed25519Signer:
    """A new signer ``name``, its seed drawn from ``randomness``."""
    return from_seed(name, randomness.token(SEED_BYTES))


def format_skey(name: str, key_id: bytes, algorithm: int, seed: bytes) -> str:
    """A private key as text, a secret: what :func:`parse_skey` reads."""
    return f"{_SKEY_PREFIX}{name}+{key_id.hex()}+{encode_base64(bytes([algorithm]) + seed)}"


def parse_skey(text: str, algorithm: int) -> tuple[str, Ed25519PrivateKey]:
    """The name and the private key that ``text`` writes for signatures of the type ``algorithm``.

    FormatError, which does not repeat the text, for any other text.
    """
    name, _, rest = text.removeprefix(_SKEY_PREFIX).partition("+")
    try:
        seed = decode_base64(rest.partition("+")[2])[1:]
        if len(seed) != SEED_BYTES:
            raise FormatError("a seed has another length")
        private_key = Ed25519PrivateKey.from_private_bytes(seed)
        key = make_verifier_key(name, algorithm, private_key.public_key().public_bytes_raw())
    except FormatError:
        raise FormatError("the text is not a private key") from None
    if format_skey(name, key.key_id, algorithm, seed) != text:
        raise FormatError("the text is not a private key")
    return name, private_key


def signer_from_skey(text: str) -> Ed25519Signer:
    """The signer that ``text`` writes as ``PRIVATE+KEY+...``; FormatError (which does not repeat it) for other text."""
    return Ed25519Signer(*parse_skey(text, ED25519))


def is_signed(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the public ``key`` (32 bytes) signed ``message``; what is no key has signed nothing.

    By libsodium, which computes beside the interpreter: several threads verify at once.
    """
    try:
        crypto_sign_open(signature + message, key)
    except (BadSignatureError, ValueError, TypeError):
        return False
    return True


def verifier_from_vkey(text: str) -> Ed25519Verifier:
    """The verifier that ``text`` writes as a vkey; FormatError when it is none, or one of another signature type."""
    return Ed25519Verifier(parse_vkey(text))


def verify_ed25519(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is that of ``public_key`` (32 bytes) for ``message``; False also for ill-formed ones."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
