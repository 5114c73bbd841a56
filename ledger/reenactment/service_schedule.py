"""The traffic of a reenactment as steps in the order in which they happen, and what has to come of them.

A service runs on the wall clock, so of sixteen virtual months only the order is left: subscriptions, their changes and
ends, moves of host names, outages, events. What the virtual clock would end by itself, an expiry, is a step, too.

The :class:`Book` knows what is subscribed after each step, and says of an event to which webhooks it has to arrive and how
often the gate has to refuse it. Whether a grant covers an event is asked of the platform's own table of subscriptions, as
in the rest of the reenactment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ledger.reenactment.subscriptions import SubscriptionTable
from ledger.reenactment.traffic import Event, Outage, Traffic
from ledger.reenactment.world import Grant, World

_REVOCATION = "user_event"
"""The event by which the platform says that an account took an app's access away."""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """The account subscribes: ``version`` of :func:`versions_of` its ``grant``, from 0."""

    grant: Grant
    version: int


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """The subscription made with ``version`` of ``grant`` ends; ``by`` whom."""

    grant: Grant
    version: int
    by: Literal["account", "developer"]


@dataclass(frozen=True, slots=True)
class NamesMove:
    """From ``at_ms`` of the virtual clock on, host names lead elsewhere."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class OutageBegins:
    """A developer's servers begin to fail."""

    outage: Outage


@dataclass(frozen=True, slots=True)
class OutageEnds:
    """They are well again."""

    outage: Outage


@dataclass(frozen=True, slots=True)
class HandIn:
    """The platform hands in an event."""

    event: Event

    @property
    def revokes(self) -> bool:
        """Whether the event itself takes access away."""
        return self.event.event_type == _REVOCATION


Step = Subscribe | Unsubscribe | NamesMove | OutageBegins | OutageEnds | HandIn


def versions_of(grant: Grant) -> tuple[tuple[str, ...], ...]:
    """The scopes of ``grant``: those it was issued with, then those of each change of scopes."""
    return (grant.scopes, *(change.scopes for change in grant.amendments if change.scopes is not None))


def plan_steps(world: World, traffic: Traffic) -> tuple[Step, ...]:
    """Everything that happens before the world closes; at equal times what changes the world comes before what is sent."""
    timed: list[tuple[int, int, Step]] = []
    for grant in world.grants:
        timed += [(at_ms, 0, step) for at_ms, step in _steps_of(grant, traffic.closed_at_ms)]
    moves = {change.at_ms for change in world.dns if change.at_ms > world.opened_at_ms}
    timed += [(at_ms, 0, NamesMove(at_ms)) for at_ms in sorted(moves)]
    for outage in traffic.outages:
        timed += [(outage.from_ms, 0, OutageBegins(outage)), (outage.until_ms, 0, OutageEnds(outage))]
    timed += [(event.at_ms, 1, HandIn(event)) for event in traffic.events]
    # Sorting is stable: what happens at one instant keeps the order of the plan.
    return tuple(step for _, _, step in sorted(timed, key=lambda one: one[:2]))


def _steps_of(grant: Grant, closed_at_ms: int) -> Iterator[tuple[int, Step]]:
    expiries = [grant.expires_at_ms, *(change.expires_at_ms for change in grant.amendments)]
    expires_at_ms = next((at_ms for at_ms in reversed(expiries) if at_ms is not None), None)
    ends_at_ms = min(
        at_ms for at_ms in (grant.revoked_at_ms, expires_at_ms, closed_at_ms) if at_ms is not None
    )
    yield grant.issued_at_ms, Subscribe(grant, 0)
    version = 0
    for change in grant.amendments:
        if change.scopes is not None and change.at_ms < ends_at_ms:
            # The public API knows no change of scopes: the account ends the subscription and makes another one.
            yield change.at_ms, Unsubscribe(grant, version, "account")
            version += 1
            yield change.at_ms, Subscribe(grant, version)
    if ends_at_ms < closed_at_ms:
        by: Literal["account", "developer"] = "account" if ends_at_ms == grant.revoked_at_ms else "developer"
        yield ends_at_ms, Unsubscribe(grant, version, by)


@dataclass(frozen=True, slots=True)
class Routed:
    """What has to come of an event: it arrives at the webhooks ``arrives``, and is refused ``refused`` times."""

    arrives: frozenset[str]
    refused: int

    @property
    def parcels(self) -> int:
        """To how many webhooks it is tried to be sent."""
        return len(self.arrives) + self.refused


class Book:
    """Who is subscribed, and who was; follows the steps in their order. Not safe from several threads."""

    def __init__(self, world: World) -> None:
        """Begin with nobody subscribed."""
        self._world = world
        self._table = SubscriptionTable()
        self._live: dict[str, Grant] = {}
        self._ever: set[tuple[str, str]] = set()

    def is_live(self, grant: Grant) -> bool:
        """Whether the subscription of ``grant`` stands."""
        return grant.grant in self._live

    def subscribe(self, grant: Grant, version: int) -> None:
        """Enter the subscription of ``grant``, which has none, with that version of its scopes."""
        assert grant.grant not in self._live, "each grant is one subscription at a time"
        self._live[grant.grant] = grant
        self._ever.add((grant.account, self._world.webhook_of(grant.app, grant.environment).endpoint))
        issued = {
            "kind": "grant.issued",
            "grant": grant.grant,
            "account": grant.account,
            "app": grant.app,
            "environment": grant.environment,
            "scopes": versions_of(grant)[version],
        }
        self._table.note(issued, 0)

    def unsubscribe(self, grant: Grant) -> None:
        """End the subscription of ``grant``."""
        del self._live[grant.grant]
        self._table.note({"kind": "grant.revoked", "grant": grant.grant}, 0)

    def route(self, event: Event) -> Routed:
        """What has to come of ``event`` now; one that takes access away has done so when this returns."""
        if event.event_type == _REVOCATION:
            return self._revoke(event)
        arrives, refused = set(), 0
        for webhook in self._world.webhooks:
            if self._table.routes(event, webhook, 0):
                arrives.add(webhook.endpoint)
            elif (event.account, webhook.endpoint) in self._ever:
                # What does not cover it, or has ended, is asked about all the same: the refusal is the entry that shows it.
                refused += 1
        return Routed(frozenset(arrives), refused)

    def _revoke(self, event: Event) -> Routed:
        assert event.app is not None, "it says whose access it is"
        for grant in [*self._live.values()]:
            if (grant.account, grant.app) == (event.account, event.app):
                self.unsubscribe(grant)
        told = [webhook.endpoint for webhook in self._world.webhooks if webhook.app == event.app]
        return Routed(frozenset(), sum((event.account, endpoint) in self._ever for endpoint in told))
