"""Entries about authorization: grants and the subscriptions made from them (ledger format, section 1.7)."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.core.entries.base import Entry, register
from ledger.core.entries.members import Hash, Id, Millis, Scopes, Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """How the account authorized: method, commitment to the signed request, hash of the consent text shown."""

    method: Id
    request: Hash | None = None
    consent_text: Hash | None = None


@register("grant.issued")
@dataclass(frozen=True, slots=True, kw_only=True)
class GrantIssued(Entry):
    """The account lets the developer's app receive the data of ``scopes`` from ``at`` until ``expires_at``."""

    grant: Id
    account: Tag
    developer: Id
    app: Id
    environment: Id
    scopes: Scopes
    expires_at: Millis | None = None
    evidence: Evidence | None = None


@register("grant.amended")
@dataclass(frozen=True, slots=True, kw_only=True)
class GrantAmended(Entry):
    """A new version of a grant; ``previous_developer`` stands when, and only when, it names a developer."""

    grant: Id
    account: Tag
    developer: Id
    previous_developer: Id | None = None
    scopes: Scopes | None = None
    expires_at: Millis | None = None


@register("grant.suspended", "grant.resumed", "grant.revoked", "grant.invalidated")
@dataclass(frozen=True, slots=True, kw_only=True)
class GrantChanged(Entry):
    """A grant pauses, goes on, ends, or is declared void from its start."""

    grant: Id
    account: Tag
    developer: Id
    channel: Id | None = None
    reason: Id | None = None


@register("subscription.created", "subscription.deleted")
@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionChanged(Entry):
    """An account's events are to be sent to an endpoint, or no longer; the grant decides, not the subscription."""

    subscription: Id
    account: Tag
    developer: Id
    app: Id
    environment: Id
    endpoint: Id
    grant: Id
