"""One line of a frozen finding set, and the root over all of them (incidents and exports, section 5.1).

An assessment freezes what a verification found of one cause: one line for each exposure, in the report's order. A line is
the canonical JSON of :func:`encode_line`, and the root the RFC 6962 tree over the lines, so that anybody who verifies the
same entries by the same rules makes the same lines and the same root, and can be shown that one line is in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ledger.core import canonical
from ledger.core.canonical import JsonValue

Evidence = Literal["definite", "possible"]


@dataclass(frozen=True, slots=True)
class ExposedDelivery:
    """One exposure of an incident; ``position`` is its place in the frozen set, from 0.

    ``delivery`` and ``attempt`` are None where somebody has data that no delivery tells of (a receipt or a canary);
    ``account`` is None where nobody knows whose. ``account`` and ``subjects`` (without doubles, sorted) are tags.
    ``developer`` is whom it was meant for, ``received_by`` who has it, None where nobody is known; ``candidates`` are the
    developers that may have it, where circumstances are all that is known. ``seqs`` are the telling entries, ascending.
    ``verdict`` and ``event_type`` are None where there is no delivery. Times are in milliseconds UTC.
    """

    position: int
    delivery: str | None
    attempt: int | None
    code: str
    verdict: str | None
    evidence: Evidence
    account: str | None
    subjects: tuple[str, ...]
    developer: str | None
    received_by: str | None
    candidates: tuple[str, ...]
    app: str | None
    endpoint: str | None
    event_type: str | None
    private: bool | None
    started_at_ms: int
    seqs: tuple[int, ...]


def encode_line(exposed: ExposedDelivery) -> bytes:
    """The canonical bytes of one line, without a line feed; what is not known is left out."""
    members: dict[str, JsonValue | None] = {
        "account": exposed.account,
        "app": exposed.app,
        "attempt": exposed.attempt,
        "candidates": list(exposed.candidates) or None,
        "code": exposed.code,
        "delivery": exposed.delivery,
        "developer": exposed.developer,
        "endpoint": exposed.endpoint,
        "entries": list(exposed.seqs),
        "event_type": exposed.event_type,
        "evidence": exposed.evidence,
        "private": exposed.private,
        "received_by": exposed.received_by,
        "started_at": exposed.started_at_ms,
        "subjects": list(exposed.subjects),
        "verdict": exposed.verdict,
    }
    return canonical.encode({name: value for name, value in members.items() if value is not None})
