"""Entries about incidents and the notices of them (ledger format, 1.5; incidents and exports, 5.1, 5.2, 5.4).

Whatever people wrote stands here as a commitment with a salt of its own, which lies beside the ledger with the text
(section 1.2). What was published to everybody stands as its plain SHA-256: whoever has the text can compare.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.core.entries.base import Entry, register
from ledger.core.entries.members import (
    AuthorityNoticeType,
    AwarenessMoment,
    Count,
    Hash,
    Id,
    IncidentStatus,
    Millis,
    NoticeMedium,
    Ordinal,
    Tag,
)


@register("incident.opened")
@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentOpened(Entry):
    """One cause came to light. ``cause`` is its class, ``cause_of`` the grant, app, endpoint or developer that it is of."""

    incident: Id
    cause: Id
    cause_of: Id | None = None


@register("incident.assessed")
@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentAssessed(Entry):
    """A set of findings is frozen: what the verification of the first ``tree_size`` entries found of this cause.

    ``findings_root`` is the RFC 6962 tree over the findings' canonical bytes in the report's order; ``query`` the SHA-256
    of the canonical query that selects them. ``window_from`` and ``window_to`` are the first and last ``started_at``.
    Counts are of distinct people and of deliveries; ``copies`` counts attempts. ``active_accounts`` is what the share is of.
    ``people`` counts everybody once: an account may be in somebody else's delivery, too. ``people_new`` counts those of them
    whom no earlier revision of this incident did.
    """

    incident: Id
    revision: Ordinal
    tree_size: Count
    root: Hash
    rule_set: Id
    rule_set_sha256: Hash
    query: Hash
    findings: Count
    findings_root: Hash
    window_from: Millis
    window_to: Millis
    accounts_definite: Count
    accounts_possible: Count
    others_definite: Count
    others_possible: Count
    deliveries: Count
    copies: Count
    active_accounts: Count
    people: Count | None = None
    people_new: Count | None = None


@register("incident.status_set")
@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentStatusSet(Entry):
    """The incident's status, as W3C DPV names them, from ``at`` on."""

    incident: Id
    incident_status: IncidentStatus


@register("incident.moment_claimed")
@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentMomentClaimed(Entry):
    """A candidate for the moment of awareness: it was at ``at``, says ``evidence_given`` (a commitment)."""

    incident: Id
    moment: AwarenessMoment
    evidence_given: Hash


@register("incident.described")
@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentDescribed(Entry):
    """``field`` of the incident (title, root cause, risk, measures, ...) is now the text behind the commitment ``text``."""

    incident: Id
    field: Id
    text: Hash


@register("incident.decided")
@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentDecided(Entry):
    """A decision was taken by ``actor``; its words are behind the commitment ``text``."""

    incident: Id
    decision: Id
    text: Hash


@register("incident.update_published")
@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentUpdatePublished(Entry):
    """Update ``number`` was published; ``text_sha256`` is over its bytes, which everybody may have."""

    incident: Id
    number: Ordinal
    text_sha256: Hash


@register("incident.authority_notified")
@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentAuthorityNotified(Entry):
    """The authority of ``jurisdiction`` was told at ``at``, by a document behind the commitment ``document``.

    ``reasons_for_delay`` is the commitment to why it was late.
    """

    incident: Id
    jurisdiction: Id
    notification: AuthorityNoticeType
    document: Hash
    reasons_for_delay: Hash | None = None


@register("notice.queued", "notice.sent", "notice.failed", "notice.read", "notice.given_up")
@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeChanged(Entry):
    """What became of one notice to one person (``account``, a tag) of one incident in one medium.

    ``template`` is the SHA-256 of the template's bytes, ``attempt`` the number of the try to send it.
    """

    notice: Id
    incident: Id
    account: Tag
    medium: NoticeMedium
    template: Hash | None = None
    attempt: Ordinal | None = None
    reason: Id | None = None
