"""Tickets: the log's signed promise that an attempt was decided before it left (ledger format, section 1.5).

::

    ledger.example/prod/17:3f0c...9a4e bqymhoQE5FUJO3a...
    <origin>/<seq>:<leaf hash> <base64 of key id and signature>

A ticket travels with its delivery (``x-ledger-entry``). It is a signed note on one line: the note's text is
``<origin>/<seq>:<leaf hash>`` and a newline, and its one signature line is ``— <origin> <base64>``, by the log's key,
whose name is the origin. So what anybody needs to hold it against the operator is the log's public key, and whoever reads
the log can see whether entry ``seq`` has that leaf hash.

A checkpoint's text has three lines and a ticket's has one: neither passes for the other. Whether the entry is there, and
whether it is the attempt that the ticket came with, is for whoever has the log.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.core.merkle import HASH_BYTES
from ledger.core.note import (
    NoteSignature,
    Signer,
    Verifier,
    check_name,
    format_note,
    open_note,
    parse_signature,
    sign_text,
)
from ledger.core.strict import encode_base64, format_decimal, parse_decimal, parse_hex, shown
from ledger.errors import FormatError

TICKET_HEADER = "x-ledger-entry"
"""The header of a delivery that holds its ticket."""

TICKET_CHARACTERS_MAX = 2_048


@dataclass(frozen=True, slots=True)
class Ticket:
    """A promise that entry ``seq`` of the log ``origin`` has ``leaf_hash`` (32 bytes), and who signed it.

    From :func:`parse_ticket` nothing of it is known to be true; from :func:`check_ticket` the signature is the log's.
    """

    origin: str
    seq: int
    leaf_hash: bytes
    signature: NoteSignature

    def promise(self) -> str:
        """The signed text, with its newline."""
        return format_promise(self.origin, self.seq, self.leaf_hash)


def format_promise(origin: str, seq: int, leaf_hash: bytes) -> str:
    """The text that a ticket signs, ``<origin>/<seq>:<leaf hash>`` and a newline."""
    return f"{origin}/{format_decimal(seq)}:{leaf_hash.hex()}\n"


def format_ticket(origin: str, seq: int, leaf_hash: bytes, signer: Signer) -> str:
    """The ticket for entry ``seq`` (``leaf_hash``: 32 bytes) of the log ``origin``, signed by ``signer``, its key.

    Raises FormatError when the key is not named like the log, the origin cannot stand in a header, or the ticket would
    be longer than :data:`TICKET_CHARACTERS_MAX`.
    """
    if signer.name != origin:
        raise FormatError(f"the key {shown(signer.name)} is not that of the log {shown(origin)}")
    if len(leaf_hash) != HASH_BYTES:
        raise FormatError(f"a leaf hash has {HASH_BYTES} bytes, not {len(leaf_hash)}")
    _check_origin(origin)
    text = format_promise(origin, seq, leaf_hash)
    signature = sign_text(text, signer)
    ticket = f"{text[:-1]} {encode_base64(signature.key_id + signature.signature)}"
    if len(ticket) > TICKET_CHARACTERS_MAX:
        raise FormatError(f"a ticket has at most {TICKET_CHARACTERS_MAX} characters, this one {len(ticket)}")
    return ticket


def parse_ticket(text: str) -> Ticket:
    """The ticket that ``text`` writes, its signature not verified; FormatError for any other text."""
    if len(text) > TICKET_CHARACTERS_MAX:
        raise FormatError(f"a ticket has at most {TICKET_CHARACTERS_MAX} characters, this text {len(text)}")
    promise, space, blob = text.rpartition(" ")
    place, colon, digits = promise.rpartition(":")
    origin, slash, seq = place.rpartition("/")
    if not (space and colon and slash):
        raise FormatError(f"{shown(text)} is not a ticket: <origin>/<seq>:<leaf hash> <signature>")
    _check_origin(origin)
    return Ticket(
        origin, parse_decimal(seq), parse_hex(digits, HASH_BYTES), parse_signature(f"\u2014 {origin} {blob}")
    )


def check_ticket(text: str, verifiers: Iterable[Verifier]) -> Ticket:
    """The ticket ``text``, which one of the known keys ``verifiers`` signed.

    Raises FormatError when it is not a ticket, SignatureError when none of the keys signed it. What is proven is that
    the holder of the key promised the entry; not that the log holds it.
    """
    ticket = parse_ticket(text)
    open_note(format_note(ticket.promise(), [ticket.signature]), verifiers)
    return ticket


def _check_origin(origin: str) -> None:
    check_name(origin)
    if not (origin.isascii() and origin.isprintable()) or '"' in origin or "\\" in origin:
        raise FormatError(f'the origin {shown(origin)} is not printable ASCII without " and \\')
