"""Checkpoints: the size and root of a log, signed (C2SP tlog-checkpoint; transparency formats, section 4.3).

::

    ledger.example/acme
    5
    h9UMXqS06cZqY1DcnPgMhWQabcLU6G++7tynUvpM20w=

    — ledger.example/acme 8djhUaAk05XSdQpfuj3ynqL0VDzAN1is8wpi9tr4gV2k[...]7UpQg=

A signed note whose text is exactly three lines: the origin, the tree size in decimal, the root in base64. The
log's key is named by the origin; witnesses add their lines. Extension lines are refused: what else a log
commits to is in its entries (ledger format, section 1.3). Whether two checkpoints agree is
:mod:`ledger.core.merkle`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ledger.core.cosignature import ED25519_BYTES
from ledger.core.merkle import EMPTY_ROOT, HASH_BYTES
from ledger.core.note import OpenedNote, Signer, Verifier, check_name, open_note, sign_note
from ledger.core.strict import (
    decode_base64,
    encode_base64,
    format_decimal,
    parse_decimal,
    parse_lines,
    shown,
)
from ledger.errors import FormatError, SignatureError


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The tree of ``size`` entries of the log ``origin`` has the 32-byte ``root``."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class OpenedCheckpoint:
    """A checkpoint that the log's key signed, and the note it came in (for the witnesses' lines)."""

    checkpoint: Checkpoint
    note: OpenedNote


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """The three lines of ``checkpoint``.

    Raises FormatError when the origin cannot name a key, the size is not below 2^53, the root is not 32 bytes
    long, or the tree is empty and the root is not that of no leaves.
    """
    check_name(checkpoint.origin)
    if len(checkpoint.root) != HASH_BYTES:
        raise FormatError(f"the root has {len(checkpoint.root)} bytes, not {HASH_BYTES}")
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise FormatError("the root of size 0 is not that of the empty tree")
    return f"{checkpoint.origin}\n{format_decimal(checkpoint.size)}\n{encode_base64(checkpoint.root)}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint whose three lines are exactly ``text``; FormatError for any other text."""
    lines = parse_lines(text)
    if len(lines) != 3:
        raise FormatError(f"a checkpoint has 3 lines, not {len(lines)}")
    checkpoint = Checkpoint(lines[0], parse_decimal(lines[1]), decode_base64(lines[2]))
    if format_checkpoint(checkpoint) != text:
        raise FormatError("the checkpoint is not in canonical form")
    return checkpoint


def sign_checkpoint(checkpoint: Checkpoint, signers: Sequence[Signer]) -> bytes:
    """The note of ``checkpoint``, signed by ``signers`` in order; one of them is named by the origin."""
    if all(signer.name != checkpoint.origin for signer in signers):
        raise FormatError(f"no key to sign with is named {shown(checkpoint.origin)}")
    return sign_note(format_checkpoint(checkpoint), signers)


def open_checkpoint(data: bytes, origin: str, verifiers: Iterable[Verifier]) -> OpenedCheckpoint:
    """The checkpoint of the log ``origin`` in the note ``data``, verified by the known keys ``verifiers``.

    Raises what :func:`ledger.core.note.open_note` raises, FormatError when the text is not a checkpoint's,
    and SignatureError when it is another log's or only others than the log's own key have signed it.
    """
    note = open_note(data, verifiers)
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != origin:
        raise SignatureError(f"the checkpoint is of the log {shown(checkpoint.origin)}, not {shown(origin)}")
    # A cosignature is longer, by its time: whoever cosigns may call itself like the log, and is not the log.
    if not any(
        line.name == origin and len(line.signature) == ED25519_BYTES for line in note.verified_signatures
    ):
        raise SignatureError(f"no known key named {shown(origin)} has signed the checkpoint")
    return OpenedCheckpoint(checkpoint, note)
