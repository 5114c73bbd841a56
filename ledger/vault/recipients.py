"""Encryption of exports to X25519 keys, by PyNaCl (exports, section 5.5): a :class:`~ledger.ports.exports.RecipientSealing`.

The key of a file stands in a SealedBox for each recipient; the file is a secretstream (XChaCha20-Poly1305), whose parts
cannot be changed, left out, repeated or put in another order, and whose end is marked.
"""

from __future__ import annotations

from pathlib import Path

from nacl import bindings
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from ledger.core.strict import parse_hex
from ledger.errors import FormatError, ProofError, SettingsError, UsageError
from ledger.ports import Randomness
from ledger.vault.private_files import create_private_file, read_private_file

KEY_BYTES = 32
PUBLIC_PREFIX, PRIVATE_PREFIX = "x25519:", "x25519-private:"
_FINAL = bindings.crypto_secretstream_xchacha20poly1305_TAG_FINAL
_MESSAGE = bindings.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE


class NaclSealing:
    """Boxes and streams of PyNaCl, with file keys from ``randomness``."""

    def __init__(self, randomness: Randomness) -> None:
        """Nothing is kept between calls."""
        self._randomness = randomness

    def new_key(self) -> bytes:
        """A key for one file."""
        return self._randomness.token(KEY_BYTES)

    def box(self, key: bytes, recipient: bytes) -> bytes:
        """``key`` for the holder of the private key of ``recipient`` alone."""
        return bytes(SealedBox(PublicKey(recipient)).encrypt(key))

    def unbox(self, boxed: bytes, private_key: bytes) -> bytes | None:
        """The key in ``boxed``, or None where it is for somebody else."""
        try:
            key = bytes(SealedBox(PrivateKey(private_key)).decrypt(boxed))
        except (CryptoError, ValueError, TypeError):
            return None
        return key if len(key) == KEY_BYTES else None

    def public_of(self, private_key: bytes) -> bytes:
        """The X25519 key of ``private_key``."""
        return bytes(PrivateKey(private_key).public_key)

    def start_sealing(self, key: bytes, context: bytes) -> NaclSealingStream:
        """Begin to encrypt under ``key``."""
        return NaclSealingStream(key, context)

    def start_opening(self, key: bytes, header: bytes, context: bytes) -> NaclOpeningStream:
        """Begin to decrypt; FormatError where ``header`` is none."""
        return NaclOpeningStream(key, header, context)


class NaclSealingStream:
    """A secretstream being written."""

    def __init__(self, key: bytes, context: bytes) -> None:
        """``context`` is authenticated with each part."""
        self._state = bindings.crypto_secretstream_xchacha20poly1305_state()
        self._context = context
        self.header = bytes(bindings.crypto_secretstream_xchacha20poly1305_init_push(self._state, key))

    def push(self, part: bytes, *, is_last: bool) -> bytes:
        """``part``, encrypted."""
        tag = _FINAL if is_last else _MESSAGE
        return bytes(
            bindings.crypto_secretstream_xchacha20poly1305_push(self._state, part, self._context, tag)
        )


class NaclOpeningStream:
    """A secretstream being read."""

    def __init__(self, key: bytes, header: bytes, context: bytes) -> None:
        """Raises FormatError where ``header`` is no header."""
        if len(header) != bindings.crypto_secretstream_xchacha20poly1305_HEADERBYTES:
            raise FormatError("the stream of the sealed export has no header")
        self._state = bindings.crypto_secretstream_xchacha20poly1305_state()
        self._context = context
        bindings.crypto_secretstream_xchacha20poly1305_init_pull(self._state, header, key)

    def pull(self, part: bytes) -> tuple[bytes, bool]:
        """The part behind ``part``, and whether it is the last; ProofError where it is not what was encrypted."""
        try:
            plain, tag = bindings.crypto_secretstream_xchacha20poly1305_pull(self._state, part, self._context)
        except (CryptoError, RuntimeError, ValueError):
            raise ProofError(
                "a part of the sealed export was changed, or is missing", "SEALED_CHANGED"
            ) from None
        if tag not in (_FINAL, _MESSAGE):
            raise ProofError("a part of the sealed export is none", "SEALED_CHANGED")
        return bytes(plain), tag == _FINAL


def create_recipient_key(path: Path, randomness: Randomness) -> str:
    """Make a private key in the new file ``path`` (mode 0600); its public part as text, for the ledger's operator."""
    secret = randomness.token(KEY_BYTES)
    create_private_file(path, f"{PRIVATE_PREFIX}{secret.hex()}\n".encode(), "the recipient's key file")
    return format_recipient(bytes(PrivateKey(secret).public_key))


def load_recipient_key(path: Path) -> bytes:
    """The private key in the file ``path``; SettingsError where it is none."""
    text = read_private_file(path, "the recipient's key file").decode("ascii", "replace").strip()
    try:
        return parse_hex(text.removeprefix(PRIVATE_PREFIX), KEY_BYTES)
    except FormatError:
        raise SettingsError(
            f"{path} holds no recipient's key: make one with `grantledger export keygen`"
        ) from None


def format_recipient(public_key: bytes) -> str:
    """An X25519 key as text."""
    return PUBLIC_PREFIX + public_key.hex()


def parse_recipient(text: str) -> bytes:
    """The X25519 key that ``text`` writes; UsageError for anything else, and for keys that hide nothing."""
    if text.strip().startswith(PRIVATE_PREFIX):
        raise UsageError(
            "this is a recipient's private key, which nobody else may have: ask for the public one, which "
            "`grantledger export keygen` shows, and for another pair"
        )
    try:
        key = parse_hex(text.strip().removeprefix(PUBLIC_PREFIX), KEY_BYTES)
        # A key of low order gives everybody the same shared secret; the library refuses it here.
        SealedBox(PublicKey(key)).encrypt(b"")
    except (FormatError, CryptoError, RuntimeError):
        raise UsageError(
            "a recipient's key is x25519: and 64 hex digits, as `grantledger export keygen` shows it"
        ) from None
    return key
