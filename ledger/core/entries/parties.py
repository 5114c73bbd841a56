"""Entries about who takes part: accounts, developers, apps, endpoints, processors (ledger format, section 1.7)."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.core.entries.base import Entry, register
from ledger.core.entries.members import Addresses, Count, Hash, Id, Millis, Tag


@register("account.registered")
@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRegistered(Entry):
    """Binds a tag to an id by a salted commitment, before the tag's first use anywhere (section 1.2)."""

    account: Tag
    identity: Hash


@register("account.suspended", "account.reactivated", "account.deleted")
@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChanged(Entry):
    """The standing of an account changes; deletion is final."""

    account: Tag


@register("developer.registered", "developer.suspended", "developer.reinstated")
@dataclass(frozen=True, slots=True, kw_only=True)
class DeveloperChanged(Entry):
    """A developer exists, or its standing changes."""

    developer: Id


@register("app.registered", "app.transferred")
@dataclass(frozen=True, slots=True, kw_only=True)
class AppOwned(Entry):
    """From ``at`` on the app belongs to ``developer``; its endpoints go with it."""

    app: Id
    developer: Id
    previous_developer: Id | None = None


@register("app.suspended", "app.reinstated")
@dataclass(frozen=True, slots=True, kw_only=True)
class AppStanding(Entry):
    """The standing of an app changes."""

    app: Id
    developer: Id


@register("endpoint.registered")
@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRegistered(Entry):
    """From ``at`` on the destination ``url`` belongs to ``app`` in ``environment``."""

    endpoint: Id
    app: Id
    developer: Id
    environment: Id
    url: str


@register("endpoint.transferred")
@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointTransferred(Entry):
    """From ``at`` on the endpoint belongs to another app; its environment stays unless one is named."""

    endpoint: Id
    app: Id
    developer: Id
    previous_developer: Id | None = None
    environment: Id | None = None


@register("endpoint.verified", "endpoint.failed", "endpoint.retired")
@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointChecked(Entry):
    """A challenge passed (with what the name resolved to and whose key answered), failed, or the endpoint ended."""

    endpoint: Id
    app: Id
    developer: Id
    addresses: Addresses | None = None
    spki_sha256: Hash | None = None
    latency_ms: Count | None = None
    reason: Id | None = None


@register("processor.declared")
@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorDeclared(Entry):
    """While live, what ``processor`` receives is judged as received by ``developer``."""

    developer: Id
    processor: Id
    until: Millis | None = None
