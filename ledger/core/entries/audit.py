"""Entries about looking: who looked at a history, and what was found (ledger format, sections 1.5 and 1.7)."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.core.entries.base import Entry, register
from ledger.core.entries.deliveries import ReceivedBy
from ledger.core.entries.members import Count, Id, Ordinal, Severity, Tag, Tags


@register("access.viewed")
@dataclass(frozen=True, slots=True, kw_only=True)
class AccessViewed(Entry):
    """Somebody read the history of an account or of a developer; ``actor`` is who, ``purpose`` what for, as stated.

    Without either it was the lists of whom an incident affects, by tag, and ``purpose`` is that incident.
    """

    account: Tag | None = None
    developer: Id | None = None
    purpose: Id | None = None


@register("finding.recorded")
@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRecorded(Entry):
    """A verification of the first ``tree_size`` entries found ``code``; the parties are the re-derived ones.

    It is a note of who was told when, and no evidence: a verifier finds the same again, or says that it does not.
    ``incident`` and ``obligation`` stand where the finding is of one of those (a deadline passed).
    """

    code: Id
    severity: Severity
    tree_size: Count
    delivery: Id | None = None
    attempt: Ordinal | None = None
    account: Tag | None = None
    subjects: Tags | None = None
    developer: Id | None = None
    received_by: ReceivedBy | None = None
    incident: Id | None = None
    obligation: Id | None = None
