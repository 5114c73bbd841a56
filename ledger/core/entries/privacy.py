"""Entries about policies, legal holds and erasure (ledger format, sections 1.2 and 1.5)."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.core.entries.base import Entry, register
from ledger.core.entries.members import Actor, Count, ErasureBasis, Hash, Id, Millis, Tag


@register("policy.set")
@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySet(Entry):
    """From ``at`` on ``policy`` gives ``period_ms``, in ``jurisdiction`` where one is named; the latest holds."""

    policy: Id
    jurisdiction: Id | None = None
    period_ms: Count


@register("subject.erased")
@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectErased(Entry):
    """Who is behind ``account`` was destroyed, with the key of everything about it; approved by a second person.

    ``request`` is a commitment to the person's request (its salt is kept, the person is not); ``policy`` the retention
    rule. Entries of before these members existed have none of them.
    """

    account: Tag
    basis: ErasureBasis | None = None
    approved_by: Actor | None = None
    request: Hash | None = None
    policy: Id | None = None


@register("hold.placed")
@dataclass(frozen=True, slots=True, kw_only=True)
class HoldPlaced(Entry):
    """Nothing of ``account``, or of ``incident``, may be erased before the hold is lifted or ``until`` has passed."""

    hold: Id
    account: Tag | None = None
    incident: Id | None = None
    until: Millis | None = None
    text: Hash | None = None


@register("hold.lifted")
@dataclass(frozen=True, slots=True, kw_only=True)
class HoldLifted(Entry):
    """The hold ends; ``account`` and ``incident`` as where it was placed."""

    hold: Id
    account: Tag | None = None
    incident: Id | None = None
