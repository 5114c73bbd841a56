"""Asking a witness for its cosignature: the bodies of ``POST …/add-checkpoint`` (C2SP tlog-witness; transparency formats,
section 4.6).

::

    old 3
    y9VxSDmv9CZVAhTAGXXUD4jJw7rZvjGBZOXYvxM4qlA=
    lqKW0iTyhcZ77pPDD4owkVfw2qNdxbh+QQt4YwoJz8c=

    ledger.example/acme
    5
    h9UMXqS06cZqY1DcnPgMhWQabcLU6G++7tynUvpM20w=

    — ledger.example/acme 8djhUaAk05XSdQpfuj3ynqL0VDzAN1is8wpi9tr4gV2k[...]7UpQg=

The size that the witness cosigned last (0: none), at most 63 hashes that prove the checkpoint to continue it, a blank line,
and the checkpoint as the log signed it. The answer to 200 is the witness's signature lines; to 409 the size that it did
cosign last, a line. Everything else an answer says is for people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.core.checkpoint import Checkpoint, parse_checkpoint
from ledger.core.merkle import HASH_BYTES
from ledger.core.note import NoteSignature, format_signature, parse_signature
from ledger.core.strict import (
    decode_base64,
    decode_utf8,
    encode_base64,
    format_decimal,
    parse_decimal,
    parse_lines,
    shown,
)
from ledger.errors import FormatError

PATH = "add-checkpoint"
HASHES_MAX = 63
REQUEST_BYTES_MAX = 1 << 16
ANSWER_BYTES_MAX = 1 << 16
SIZE_MEDIA_TYPE = "text/x.tlog.size"
LINES_MAX = 16
"""Signature lines of one answer; a witness has one or two keys."""

_OLD = "old "


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request: the last cosigned size, the consistency proof from there, and the checkpoint as a signed note."""

    old_size: int
    proof: tuple[bytes, ...]
    note: bytes


def format_add_checkpoint(request: AddCheckpoint) -> bytes:
    """The body of ``request``; FormatError when the proof is too long, or a hash is not 32 bytes."""
    _check_proof(request.proof)
    lines = [_OLD + format_decimal(request.old_size), *map(encode_base64, request.proof), ""]
    return "".join(f"{line}\n" for line in lines).encode("ascii") + request.note


def parse_add_checkpoint(data: bytes) -> AddCheckpoint:
    """The request whose body is exactly ``data``; FormatError for any other bytes. The note is not looked into."""
    if len(data) > REQUEST_BYTES_MAX:
        raise FormatError(f"the request has more than {REQUEST_BYTES_MAX} bytes")
    head, divider, note = data.partition(b"\n\n")
    if not divider:
        raise FormatError("the request has no blank line")
    old, *hashes = decode_utf8(head).split("\n")
    if not old.startswith(_OLD):
        raise FormatError(f"{shown(old)} is not an old size")
    if len(hashes) > HASHES_MAX:
        raise FormatError(f"the request has {len(hashes)} hashes, more than {HASHES_MAX}")
    proof = tuple(decode_base64(line) for line in hashes)
    _check_proof(proof)
    return AddCheckpoint(parse_decimal(old.removeprefix(_OLD)), proof, note)


def format_cosignatures(signatures: Sequence[NoteSignature]) -> bytes:
    """The body of an answer 200."""
    return "".join(map(format_signature, signatures)).encode()


def parse_cosignatures(data: bytes) -> tuple[NoteSignature, ...]:
    """The signature lines that the answer ``data`` is made of, 1 to 16; FormatError for anything else."""
    lines = parse_lines(decode_utf8(data))
    if not 1 <= len(lines) <= LINES_MAX:
        raise FormatError(f"the answer has {len(lines)} lines, not 1 to {LINES_MAX}")
    return tuple(map(parse_signature, lines))


def format_size(size: int) -> bytes:
    """The body of an answer 409: the size that was cosigned last."""
    return f"{format_decimal(size)}\n".encode("ascii")


def parse_size(data: bytes) -> int:
    """The size that the answer ``data`` tells; FormatError for anything but a decimal number and a newline."""
    lines = parse_lines(decode_utf8(data))
    if len(lines) != 1:
        raise FormatError("the answer is not one line with a size")
    return parse_decimal(lines[0])


def parse_body(text: str) -> Checkpoint:
    """The checkpoint in the note text of any log: its first three lines; the others, if there are any, are not empty.

    A witness cosigns logs whose checkpoints have extension lines; what those mean is not its business.
    """
    lines = parse_lines(text)
    if not all(lines):
        raise FormatError("the checkpoint has an empty line")
    return parse_checkpoint("".join(f"{line}\n" for line in lines[:3]))


def _check_proof(proof: Sequence[bytes]) -> None:
    if len(proof) > HASHES_MAX:
        raise FormatError(f"a consistency proof has at most {HASHES_MAX} hashes, not {len(proof)}")
    if any(len(value) != HASH_BYTES for value in proof):
        raise FormatError(f"a hash of the proof is not {HASH_BYTES} bytes long")
