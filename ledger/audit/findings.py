"""What a verification found, in one shape for deliveries and for the ledger itself (verdict rules, section 2.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ledger.core.faults import Fault
from ledger.core.incident_clock import PEOPLE_NOTICE, Deadline
from ledger.core.judgement import Judgement, Party
from ledger.core.ledger_findings import Collision, LedgerFinding
from ledger.core.obligation_clock import Missed
from ledger.core.timestamps import format_rfc3339
from ledger.core.verdicts import Code, Severity, severity_of


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding; ``judgement`` is there for deliveries only, ``subjects`` never leaves the process.

    ``entries`` are the seqs it rests on, ascending; ``text`` says in words what was seen where there is no verdict.
    """

    code: Code
    codes: tuple[Code, ...]
    severity: Severity
    entries: tuple[int, ...]
    text: str | None = None
    judgement: Judgement | None = None
    details: dict[str, Any] | None = None

    @property
    def order(self) -> tuple[Any, ...]:
        """Findings are listed by the entry that they begin at; the rest makes the order total."""
        delivery = self.judgement.delivery if self.judgement else None
        return (
            self.entries[0] if self.entries else -1,
            self.code,
            (delivery.delivery, delivery.attempt) if delivery else ("", 0),
            self.text or "",
        )

    def to_json(self) -> dict[str, Any]:
        """The finding as ``verify --json`` lists it."""
        shared: dict[str, Any] = {
            "code": self.code,
            "codes": list(self.codes),
            "severity": self.severity,
            "entries": list(self.entries),
        }
        if self.judgement is None:
            return shared | ({"text": self.text} if self.text else {}) | (self.details or {})
        judged = self.judgement
        delivery = judged.delivery
        return shared | {
            "delivery": delivery.delivery,
            "attempt": delivery.attempt,
            "verdict": judged.verdict,
            "evidence": judged.evidence,
            "disclosure": delivery.disclosure,
            "exposure": judged.exposure,
            "account": delivery.account,
            "event_type": delivery.event_type,
            "started_at": delivery.started_at_ms,
            "expected": _party(judged.expected),
            "actual": _party(judged.actual),
            "nearest": [
                {key: value for key, value in _miss(miss).items() if value is not None}
                for miss in judged.misses
            ],
            "tree_size": judged.tree_size,
        }


def keep_finding(found: Finding) -> list[Any]:
    """A finding that is about no attempt, for JSON."""
    assert found.judgement is None, "what is found about attempts is judged again"
    return [found.code, found.codes, found.severity, found.entries, found.text, found.details]


def kept_finding(row: Sequence[Any]) -> Finding:
    """The finding that :func:`keep_finding` was asked of."""
    code, codes, severity, entries, text, details = row
    return Finding(code, tuple(codes), severity, tuple(entries), text, details=details)


def _party(party: Party | None) -> dict[str, str] | None:
    if party is None:
        return None
    return {name: value for name, value in asdict(party).items() if value is not None}


def _miss(miss: Any) -> dict[str, Any]:
    return {
        "grant": miss.grant,
        "code": miss.code,
        "began_at": miss.began_at_ms,
        "failed_at": miss.failed_at_ms,
        "failed_seq": miss.failed_seq,
    }


def of_judgement(judged: Judgement) -> Finding | None:
    """The finding of one judged attempt, or None where there is nothing to tell."""
    if judged.code is None or judged.severity is None:
        return None
    return Finding(judged.code, judged.codes, judged.severity, judged.entries, judgement=judged)


def of_fault(fault: Fault) -> Finding:
    """The finding of something wrong with the log itself."""
    severity = fault.severity or severity_of(fault.code)
    return Finding(fault.code, (fault.code,), severity, (fault.position,), fault.text)


def of_entry(found: LedgerFinding) -> Finding:
    """The finding of an event that should not have been recorded, or was recorded late."""
    return Finding(found.code, (found.code,), found.severity, (found.seq,), found.text)


def of_missed(missed: Deadline | Missed) -> Finding:
    """The finding of a deadline of an incident, or of a developer that has to delete, that passed before it was met."""
    if isinstance(missed, Missed):
        return _of_late_developer(missed)
    whom = "the people affected" if missed.policy == PEOPLE_NOTICE else "the authority"
    where = f" of {missed.jurisdiction}" if missed.jurisdiction else ""
    text = f"{missed.incident}: {whom}{where} had to be told by {format_rfc3339(missed.due_at_ms)} ({missed.policy})"
    details: dict[str, Any] = {
        "incident": missed.incident,
        "policy": missed.policy,
        "due_at": missed.due_at_ms,
    }
    if missed.jurisdiction is not None:
        details["jurisdiction"] = missed.jurisdiction
    return Finding(
        missed.code, (missed.code,), severity_of(missed.code), (missed.seq,), text, details=details
    )


_OWED = {
    "acknowledge": "acknowledge the request to delete",
    "delete": "delete",
    "attest": "attest what became of it",
}


def _of_late_developer(missed: Missed) -> Finding:
    text = f"{missed.obligation}: {missed.developer} had to {_OWED[missed.name]} by {format_rfc3339(missed.due_ms)}"
    details: dict[str, Any] = {
        "incident": missed.incident,
        "obligation": missed.obligation,
        "developer": missed.developer,
        "deadline": missed.name,
        "due_at": missed.due_ms,
    }
    return Finding(
        missed.code, (missed.code,), severity_of(missed.code), (missed.seq,), text, details=details
    )


def of_collision(collision: Collision) -> Finding:
    """The finding of two developers' endpoints at one address, port and path."""
    text = (
        f"{collision.endpoints[0]} of {collision.developers[0]} and {collision.endpoints[1]} of "
        f"{collision.developers[1]} share {collision.address}, port {collision.port} and path {collision.path}"
    )
    details = {
        "endpoints": list(collision.endpoints),
        "developers": list(collision.developers),
        "address": collision.address,
        "port": collision.port,
        "path": collision.path,
        "since": collision.since_ms,
    }
    code: Code = "ENDPOINT_COLLISION"
    return Finding(code, (code,), severity_of(code), (), text, details=details)
