"""Entries about what a developer has to delete, and what it says that it did (incidents and exports, section 5.3)."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.core.entries.base import Entry, register
from ledger.core.entries.members import Actor, Count, EscalationStep, Hash, Id, Millis


@register("obligation.opened")
@dataclass(frozen=True, slots=True, kw_only=True)
class ObligationOpened(Entry):
    """``developer`` has to delete what it received in ``deliveries`` deliveries of an incident, and to say so.

    The list holds every such delivery below ``tree_size``; ``list_root`` is the RFC 6962 tree over its lines. The three
    deadlines come from the policies in force when it was opened.
    """

    obligation: Id
    incident: Id
    developer: Id
    tree_size: Count
    deliveries: Count
    list_root: Hash
    acknowledge_by: Millis
    delete_by: Millis
    attest_by: Millis


@register("obligation.attested")
@dataclass(frozen=True, slots=True, kw_only=True)
class ObligationAttested(Entry):
    """The developer signed what became of it: ``attestation`` is the SHA-256 of the signed bytes, by ``key``."""

    obligation: Id
    incident: Id
    developer: Id
    list_root: Hash
    attestation: Hash
    key: Hash


@register("obligation.escalated")
@dataclass(frozen=True, slots=True, kw_only=True)
class ObligationEscalated(Entry):
    """The next step against a developer that is late or was contradicted."""

    obligation: Id
    incident: Id
    developer: Id
    step: EscalationStep


@register(
    "obligation.notified",
    "obligation.acknowledged",
    "obligation.in_progress",
    "obligation.verified",
    "obligation.disputed",
    "obligation.overdue",
    "obligation.closed",
    "obligation.waived",
    "obligation.held",
    "obligation.resumed",
)
@dataclass(frozen=True, slots=True, kw_only=True)
class ObligationChanged(Entry):
    """The obligation's state from here on.

    ``code`` says what is overdue or what contradicts, ``contradicted_by`` is the number of the entry that does;
    ``approved_by`` who waived it beside ``actor``, ``hold`` the legal hold that it waits for, ``text`` a commitment to words.
    """

    obligation: Id
    incident: Id
    developer: Id
    code: Id | None = None
    contradicted_by: Count | None = None
    approved_by: Actor | None = None
    hold: Id | None = None
    text: Hash | None = None
