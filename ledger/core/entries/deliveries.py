"""Entries about data that left, or was kept from leaving (ledger format, sections 1.5 and 1.7)."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.core.entries.base import Entry, register
from ledger.core.entries.members import (
    Channel,
    Count,
    Disclosure,
    EventTag,
    Hash,
    HttpStatus,
    Id,
    Millis,
    Ordinal,
    Port,
    SettledBy,
    Tag,
    Tags,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Where a delivery really went, read from the connection: the destination that verdicts are about."""

    host: str | None = None
    port: Port | None = None
    path: str | None = None
    sni: str | None = None
    peer_ip: str | None = None
    spki_sha256: Hash | None = None
    signing_app: Id | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedBy:
    """The owner of the destination as resolved when the entry was appended: a claim that the verifier re-derives."""

    developer: Id
    app: Id
    environment: Id
    endpoint: Id


@register("delivery.attempted")
@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryAttempted(Entry):
    """Appended before a byte leaves; only its permit can be handed to the transport."""

    delivery: Id
    attempt: Ordinal
    event: EventTag
    event_type: Id
    scope: Id | None = None
    private: bool
    channel: Channel
    account: Tag
    subjects: Tags
    developer: Id
    app: Id
    environment: Id
    endpoint: Id
    subscription: Id | None = None
    grant: Id
    grant_version: Ordinal
    decided_at_size: Count
    send_before: Millis
    payload: Hash
    body_bytes: Count
    replay: Id | None = None
    worker: Id | None = None


@register("delivery.settled")
@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettled(Entry):
    """What really happened to an attempt, as its transport saw it, or as the rescuer had to assume."""

    delivery: Id
    attempt: Ordinal
    by: SettledBy
    account: Tag
    subjects: Tags
    developer: Id
    received_by: ReceivedBy | None = None
    started_at: Millis
    ended_at: Millis | None = None
    observed: Observed | None = None
    status: HttpStatus | None = None
    disclosure: Disclosure
    worker: Id | None = None


@register("delivery.imported")
@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryImported(Entry):
    """A delivery that another system made: attempt and settlement in one."""

    delivery: Id
    attempt: Ordinal
    event: EventTag
    event_type: Id
    private: bool
    channel: Channel
    account: Tag
    subjects: Tags
    developer: Id | None = None
    app: Id | None = None
    environment: Id | None = None
    endpoint: Id
    ticket: str | None = None
    started_at: Millis
    ended_at: Millis | None = None
    received_by: ReceivedBy | None = None
    observed: Observed | None = None
    status: HttpStatus | None = None
    disclosure: Disclosure
    worker: Id | None = None
    resolved_ip: str | None = None


@register("delivery.refused")
@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRefused(Entry):
    """The gate kept data from leaving; ``reason`` is the code of the first failing test."""

    delivery: Id
    attempt: Ordinal
    event: EventTag
    event_type: Id
    account: Tag
    subjects: Tags
    developer: Id
    app: Id
    environment: Id
    endpoint: Id
    reason: Id


@register("replay.requested")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRequested(Entry):
    """A developer asked for its events between two instants ``[from_at, to_at)`` once more."""

    replay: Id
    developer: Id
    app: Id
    environment: Id
    endpoint: Id
    from_at: Millis
    to_at: Millis
