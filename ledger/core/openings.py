"""Openings: what a commitment in an entry commits to, shown to whoever may know it (ledger format, section 1.2).

::

    {"seq": 3, "field": "identity", "salt": "<hex>", "value": "783214"}

The member ``field`` of the entry ``seq`` (``evidence.request``: inside of ``evidence``) is the lower-case hex of
HMAC-SHA-256 under the 32-byte ``salt`` over ``value`` in UTF-8. An opening tells nothing about any other commitment,
because each has a salt of its own. Who may see one is the business of whoever hands it out.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger.core.canonical import JsonValue, decode
from ledger.core.shapes import HASH
from ledger.core.strict import encode_utf8, shown
from ledger.errors import ProofError

OPENING = {"seq": int, "field": str, "salt": HASH, "value": str}
"""The members of one opening (:mod:`ledger.core.shapes`)."""


@dataclass(frozen=True, slots=True)
class Opening:
    """That the member ``field`` of the entry ``seq`` commits to ``value``, under the 32-byte ``salt``."""

    seq: int
    field: str
    salt: bytes
    value: str


def check_openings(openings: Sequence[Opening], entries: Mapping[int, bytes]) -> None:
    """Raise ProofError unless each of ``openings`` opens a commitment of its entry, all in order and none twice.

    ``entries`` are the entries' canonical bytes by seq.
    """
    previous = (-1, "")
    for opening in openings:
        members: object = decode(entries.get(opening.seq, b"{}"))
        for name in opening.field.split("."):
            members = members.get(name) if isinstance(members, dict) else None
        made = hmac.new(opening.salt, encode_utf8(opening.value), "sha256").hexdigest()
        if members != made or (opening.seq, opening.field) <= previous:
            raise ProofError(
                f"{shown(opening.field)} of entry {opening.seq} does not commit to that, or is out of order",
                "COMMITMENT_MISMATCH",
            )
        previous = (opening.seq, opening.field)


def format_openings(openings: Sequence[Opening]) -> list[JsonValue]:
    """The list of objects of the shape :data:`OPENING`."""
    return [
        {"seq": item.seq, "field": item.field, "salt": item.salt.hex(), "value": item.value}
        for item in openings
    ]
