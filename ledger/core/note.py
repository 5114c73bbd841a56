"""Signed notes and their keys (C2SP signed-note; transparency formats, section 4.2).

::

    This is an example message.

    — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=

A text that ends in a newline, a blank line, and signature lines: U+2014, a space, the key's name, a space,
and the base64 of 4 bytes key id and the signature over the text with its final newline. The *last* blank line
divides the two. UTF-8, no control characters (U+0000-001F, U+007F) but newline.

A key is known by its name and its key id together; the id hangs on the signature's type, so that one key pair
signs notes (0x01) and cosigns checkpoints (0x04) without confusion. What a signature of a type is made of is
the business of the :class:`Signer` and :class:`Verifier` at hand: here it is bytes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ledger.core.strict import (
    decode_base64,
    decode_utf8,
    encode_base64,
    encode_utf8,
    parse_hex,
    parse_lines,
    shown,
)
from ledger.errors import FormatError, SignatureError

ED25519 = 0x01
ED25519_COSIGNATURE = 0x04
ML_DSA_44_COSIGNATURE = 0x06
PUBLIC_KEY_BYTES = {ED25519: 32, ED25519_COSIGNATURE: 32, ML_DSA_44_COSIGNATURE: 1312}
"""Signature type -> the length of its public keys."""

KEY_ID_BYTES = 4
SIGNATURES_MAX = 100

_DASH = "\u2014 "
_search_control = re.compile("[\x00-\x09\x0b-\x1f\x7f]").search


class Signer(Protocol):
    """A key that makes signatures of one type."""

    @property
    def name(self) -> str:
        """The key's name."""
        ...

    @property
    def key_id(self) -> bytes:
        """The 4 bytes of :func:`compute_key_id`."""
        ...

    def sign(self, message: bytes) -> bytes:
        """What stands behind the key id in the signature of the note text ``message``."""
        ...


class Verifier(Protocol):
    """A known key of one type."""

    @property
    def name(self) -> str:
        """The key's name."""
        ...

    @property
    def key_id(self) -> bytes:
        """The 4 bytes of :func:`compute_key_id`."""
        ...

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether ``signature`` (all behind the key id) is this key's for the note text ``message``."""
        ...


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: the key's name, its 4 bytes of key id, and the bytes behind them (one at least)."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class UnverifiedNote:
    """A well-formed note of which nothing is known to be true; ``signatures`` are all its lines in order."""

    text: str
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, slots=True)
class OpenedNote:
    """A note that at least one known key signed.

    ``verified_signatures`` has the first line of each known key, in the order of the note; ``signatures`` all
    lines, those of unknown keys included.
    """

    text: str
    verified_signatures: tuple[NoteSignature, ...]
    signatures: tuple[NoteSignature, ...]

    @property
    def verified(self) -> tuple[str, ...]:
        """The names of the known keys that signed, each once (a rotated key keeps its name), in the note's order."""
        return tuple(dict.fromkeys(signature.name for signature in self.verified_signatures))


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key as a vkey writes it; ``algorithm`` is the signature type."""

    name: str
    key_id: bytes
    algorithm: int
    public_key: bytes


def check_name(name: str) -> str:
    """``name`` if it can name a key: not empty, no Unicode space, control character or plus sign; else FormatError."""
    if not name or "+" in name or _search_control(name) or any(character.isspace() for character in name):
        raise FormatError(f"{shown(name)} is not the name of a key")
    encode_utf8(name)
    return name


def compute_key_id(name: str, algorithm: int, public_key: bytes) -> bytes:
    """The first 4 bytes of SHA-256(name || 0x0A || type || public key)."""
    return hashlib.sha256(b"%s\n%c%s" % (encode_utf8(name), algorithm, public_key)).digest()[:KEY_ID_BYTES]


def make_verifier_key(name: str, algorithm: int, public_key: bytes) -> VerifierKey:
    """The key with its id; FormatError for a bad name, an unknown type or a public key of another length."""
    check_name(name)
    if len(public_key) != PUBLIC_KEY_BYTES.get(algorithm):
        raise FormatError(f"{len(public_key)} bytes are not a public key of a known type ({algorithm:#04x})")
    return VerifierKey(name, compute_key_id(name, algorithm, public_key), algorithm, public_key)


def format_vkey(key: VerifierKey) -> str:
    """``name+hex8(key id)+base64(type || public key)``."""
    return f"{key.name}+{key.key_id.hex()}+{encode_base64(bytes([key.algorithm]) + key.public_key)}"


def parse_vkey(text: str) -> VerifierKey:
    """The public key that ``text`` writes as a vkey; FormatError also when the id is not the key's own."""
    parts = text.split("+", 2)  # from the left: base64 may hold a plus sign
    if len(parts) != 3:
        raise FormatError(f"{shown(text)} is not a vkey")
    name, id_text, key_text = parts
    stated_id = parse_hex(id_text, KEY_ID_BYTES)
    typed_key = decode_base64(key_text)
    if not typed_key:
        raise FormatError(f"{shown(text)} is a vkey without a key")
    key = make_verifier_key(name, typed_key[0], typed_key[1:])
    if key.key_id != stated_id:
        raise FormatError(f"the key id {id_text} of {shown(name)} is not that of its key")
    return key


def format_signature(signature: NoteSignature) -> str:
    """The signature line, with its newline."""
    return f"{_DASH}{signature.name} {encode_base64(signature.key_id + signature.signature)}\n"


def parse_signature(line: str) -> NoteSignature:
    """The signature that ``line`` (without its newline) writes; FormatError for any other text."""
    if not line.startswith(_DASH):
        raise FormatError(f"{shown(line)} is not a signature line")
    name, _, blob_text = line.removeprefix(_DASH).partition(" ")
    check_name(name)
    blob = decode_base64(blob_text)
    if len(blob) <= KEY_ID_BYTES:
        raise FormatError(f"the signature of {shown(name)} is too short")
    return NoteSignature(name, blob[:KEY_ID_BYTES], blob[KEY_ID_BYTES:])


def sign_text(text: str, signer: Signer) -> NoteSignature:
    """The signature of ``signer`` for the note text ``text``, which ends in a newline."""
    return NoteSignature(signer.name, signer.key_id, signer.sign(_encode_text(text)))


def format_note(text: str, signatures: Sequence[NoteSignature]) -> bytes:
    """The note of ``text`` with 1 to 100 ``signatures``; FormatError when the text cannot be a note's."""
    if not 1 <= len(signatures) <= SIGNATURES_MAX:
        raise FormatError(f"a note does not have {len(signatures)} signatures")
    lines = []
    for signature in signatures:
        check_name(signature.name)
        lines.append(format_signature(signature))
    return _encode_text(text) + b"\n" + encode_utf8("".join(lines))


def sign_note(text: str, signers: Sequence[Signer]) -> bytes:
    """The note of ``text``, signed by each of ``signers`` (1 to 100) in order.

    Raises FormatError when the text does not end in a newline or holds another control character.
    """
    return format_note(text, [sign_text(text, signer) for signer in signers])


def parse_note(data: bytes) -> UnverifiedNote:
    """The text and the signatures of a note, none of them verified; FormatError when ill-formed."""
    whole = decode_utf8(data)
    if _search_control(whole):
        raise FormatError("the note holds a control character")
    text, divider, signature_text = whole.rpartition("\n\n")
    if not divider:
        raise FormatError("the note has no blank line")
    lines = parse_lines(signature_text)
    if not 1 <= len(lines) <= SIGNATURES_MAX:
        raise FormatError(f"the note has {len(lines)} signatures")
    return UnverifiedNote(text + "\n", tuple(parse_signature(line) for line in lines))


def open_note(data: bytes, verifiers: Iterable[Verifier]) -> OpenedNote:
    """The note ``data``, verified by the known keys ``verifiers``.

    Lines of unknown keys are ignored. Raises FormatError when the note is not well-formed (or two of the
    known keys go by one name and id), SignatureError when a known key's line does not verify, wherever it
    stands, or none does.
    """
    known: dict[tuple[str, bytes], Verifier] = {}
    for verifier in verifiers:
        if known.setdefault((verifier.name, verifier.key_id), verifier) is not verifier:
            raise FormatError(f"two known keys are {shown(verifier.name)} with one key id")
    note = parse_note(data)
    message = encode_utf8(note.text)
    verified: dict[tuple[str, bytes], NoteSignature] = {}
    for signature in note.signatures:
        key = (signature.name, signature.key_id)
        if key not in known:
            continue
        if not known[key].verify(message, signature.signature):
            raise SignatureError(f"the signature of {shown(signature.name)} does not verify")
        verified.setdefault(key, signature)
    if not verified:
        raise SignatureError("no known key has signed the note")
    return OpenedNote(note.text, tuple(verified.values()), note.signatures)


def _encode_text(text: str) -> bytes:
    if not text.endswith("\n") or _search_control(text):
        raise FormatError("a note's text ends in a newline and holds no other control character")
    return encode_utf8(text)
