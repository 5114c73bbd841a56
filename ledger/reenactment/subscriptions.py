"""Who decides what may be sent, and the platform's own way: who is subscribed to whose events, right now.

The table is fed by the grant records as they happen and asked before every attempt, retries and replays included.
The fault of 2018 sat below this decision, which was right all along. It knows only the present; judging the past is
the rule's. The other gate of a reenactment, which writes a ledger, is :mod:`ledger.reenactment.gated`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ledger.core.scopes import EVENT_TYPE_BITS, mask_of
from ledger.reenactment.dispatcher import Sent
from ledger.reenactment.traffic import Event
from ledger.reenactment.world import Webhook


@dataclass(frozen=True, slots=True)
class Intent:
    """An attempt that is about to be made: ``event`` to ``webhook``; ``replay`` is the job that it belongs to."""

    delivery: str
    attempt: int
    event: Event
    webhook: Webhook
    replay: str | None


class Gate(Protocol):
    """Decides what may be sent; told of every record in the order in which it happens."""

    def note(self, record: Mapping[str, Any], at_ms: int) -> None:
        """Take notice of ``record``, its times in integer milliseconds, which happens at ``at_ms``."""

    def routes(self, event: Event, webhook: Webhook, at_ms: int) -> bool:
        """Whether ``webhook`` is to be tried at all with ``event`` at ``at_ms``."""

    def admits(self, intent: Intent, at_ms: int) -> bool:
        """Whether the attempt may be sent now, at ``at_ms``; asked once for each attempt, just before it is sent."""

    def settle(self, intent: Intent, sent: Sent, ended_at_ms: int) -> None:
        """Learn what became of an admitted attempt; called at ``ended_at_ms``."""


@dataclass(frozen=True, slots=True)
class _Subscription:
    app: str
    environment: str
    scope_mask: int
    expires_at_ms: int | None

    def covers(self, event_type: str, at_ms: int) -> bool:
        is_live = self.expires_at_ms is None or at_ms < self.expires_at_ms
        return is_live and bool(self.scope_mask & EVENT_TYPE_BITS.get(event_type, 0))


class SubscriptionTable:
    """A `Gate` that knows live grants only."""

    def __init__(self) -> None:
        """Begin with nobody subscribed to anything."""
        self._live: dict[str, dict[str, _Subscription]] = {}
        self._accounts: dict[str, str] = {}

    def note(self, record: Mapping[str, Any], at_ms: int) -> None:
        """Follow ``grant.issued``, ``grant.amended`` and ``grant.revoked``; other records change nothing."""
        kind = record["kind"]
        if kind == "grant.issued":
            self._accounts[record["grant"]] = record["account"]
            self._live.setdefault(record["account"], {})[record["grant"]] = _Subscription(
                record["app"], record["environment"], mask_of(record["scopes"]), record.get("expires_at")
            )
        elif kind == "grant.amended":
            grants = self._live[self._accounts[record["grant"]]]
            old = grants[record["grant"]]
            grants[record["grant"]] = replace(
                old,
                scope_mask=mask_of(record["scopes"]) if "scopes" in record else old.scope_mask,
                expires_at_ms=record.get("expires_at", old.expires_at_ms),
            )
        elif kind == "grant.revoked":
            del self._live[self._accounts[record["grant"]]][record["grant"]]

    def routes(self, event: Event, webhook: Webhook, at_ms: int) -> bool:
        """Whether a live grant of the account to the webhook's app and environment covers the event."""
        return any(
            (subscription.app, subscription.environment) == (webhook.app, webhook.environment)
            and subscription.covers(event.event_type, at_ms)
            for subscription in self._live.get(event.account, {}).values()
        )

    def admits(self, intent: Intent, at_ms: int) -> bool:
        """The same question, asked anew at every attempt."""
        return self.routes(intent.event, intent.webhook, at_ms)

    def settle(self, intent: Intent, sent: Sent, ended_at_ms: int) -> None:
        """Keep nothing: what was sent is in the records."""
