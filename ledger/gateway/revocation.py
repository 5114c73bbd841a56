"""Ending subscriptions, and with each its grant: restrictions are never refused for want of anything else.

Making a subscription is granting, so ending one is revoking: ``grant.revoked`` and ``subscription.deleted``, with the
registry's row and a notice to the account (delivery protocol, section 3.1). A grant that came in as a record is no
subscription, and is revoked alone. Unlike what permits, these are not all or nothing: each revocation stands by itself,
before everything else of the call, and whatever is wrong with another draft takes nothing back. A call is split into
transactions; between two of them, and if the process dies there, some subscriptions have ended as a whole and the others
not at all, and the same call made again ends the rest.

The log decides. A row whose grant the log does not know, or has revoked already, is ended all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from ledger.core.canonical import JsonValue
from ledger.core.granted import Granted
from ledger.gateway.drafts import GATEWAY, live_draft
from ledger.gateway.words import tell_revoked
from ledger.ports import Change, Clock
from ledger.ports.registry import Notice, Registry, Subscription
from ledger.sequencer.draft import Appended, Decision, Draft, Rejection
from ledger.sequencer.sequencer import BATCH_ITEMS_MAX, Sequencer

ENDED_AT_ONCE = 400
"""How many subscriptions end in one transaction: two entries each, and room in a batch of the sequencer."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ended:
    """How many ``grants`` are revoked, by this call or before it, and the refusals of those that the ledger never knew."""

    grants: int
    refused: tuple[Rejection, ...]


class Endings:
    """Ends subscriptions with their grants. Safe from any thread."""

    def __init__(self, *, sequencer: Sequencer, registry: Registry, clock: Clock) -> None:
        self._sequencer = sequencer
        self._registry = registry
        self._clock = clock

    def end(
        self,
        subscriptions: Sequence[Subscription],
        *,
        actor: str,
        channel: str,
        last: Sequence[Draft] = (),
        at_ms: int | None = None,
    ) -> Ended:
        """Revoke the grants of ``subscriptions`` and end them; durable when this returns.

        ``actor`` is who does it (``role:id``), ``channel`` where (an id). ``last`` are drafts to append behind them, in the
        last transaction. ``at_ms`` is when it took effect, where that is known to be before now, and no grant is said to
        have ended before it was made. A subscription that has ended already stays ended as it was. What the ledger refuses of
        subscriptions is only what it never knew, and their rows are ended too. Raises StoreError or ForkError where
        nothing is known: then the same call made again finds out.
        """
        grants = 0
        refused: list[Rejection] = []
        rest = list(subscriptions)
        while rest or last:
            some, rest = rest[:ENDED_AT_ONCE], rest[ENDED_AT_ONCE:]
            following, last = ((), last) if rest else (last, ())
            outcomes = self._end_some(some, actor, channel, following, at_ms)
            for place, outcome in enumerate(outcomes):
                if not isinstance(outcome, Rejection):
                    grants += place < len(some)
                    continue
                log.warning("revocation.refused_by_ledger", reason=outcome.reason, code=outcome.code)
                if place < len(some):
                    refused.append(outcome)
        return Ended(grants, tuple(refused))

    def end_dead(self, subscriptions: Sequence[Subscription]) -> None:
        """End ``subscriptions`` whose grants are dead: expired, or revoked without them; durable when this returns.

        Nothing is revoked, and nobody is told: whoever ended the grants has. Raises as :meth:`end`.
        """
        now_ms = self._clock.now_ms()
        for start in range(0, len(subscriptions), ENDED_AT_ONCE):
            some = subscriptions[start : start + ENDED_AT_ONCE]
            drafts = [
                live_draft(
                    "subscription.deleted",
                    GATEWAY,
                    {"subscription": one.subscription},
                    via="system",
                    changes=[self._registry.end_subscription(one.subscription, now_ms)],
                )
                for one in some
            ]
            self._end_rows(some, self._sequencer.submit(drafts).result(), now_ms)

    def revoke(
        self, grants: Sequence[Granted], *, actor: str, channel: str, at_ms: int | None = None
    ) -> Ended:
        """Revoke ``grants``, which no subscription here is; durable when this returns. Otherwise as :meth:`end`."""
        count = 0
        refused: list[Rejection] = []
        for start in range(0, len(grants), BATCH_ITEMS_MAX):
            drafts = [
                self._revocation(one, actor, channel, at_ms)
                for one in grants[start : start + BATCH_ITEMS_MAX]
            ]
            for outcome in self._sequencer.submit(drafts).result():
                if isinstance(outcome, Rejection):
                    log.warning("revocation.refused_by_ledger", reason=outcome.reason, code=outcome.code)
                    refused.append(outcome)
                else:
                    count += 1
        return Ended(count, tuple(refused))

    def _revocation(self, granted: Granted, actor: str, channel: str, at_ms: int | None) -> Draft:
        now_ms = self._clock.now_ms()
        names = names_of_app(self._registry, granted.app, granted.developer)
        text = tell_revoked(*names, granted.scopes, channel, now_ms)
        notice = Notice(granted.account, now_ms, "grant.revoked", text, granted.grant)
        revoked: dict[str, JsonValue] = {
            "grant": granted.grant,
            "account": granted.account,
            "channel": channel,
            **_taking_effect(at_ms, granted.began_at_ms, now_ms),
        }
        return live_draft("grant.revoked", actor, revoked, changes=[self._registry.add_notice(notice)])

    def _end_some(
        self,
        subscriptions: Sequence[Subscription],
        actor: str,
        channel: str,
        last: Sequence[Draft],
        at_ms: int | None,
    ) -> Sequence[Decision]:
        now_ms = self._clock.now_ms()
        names = {app: names_of_app(self._registry, app) for app in {one.app for one in subscriptions}}
        revocations: list[Draft] = []
        deletions: list[Draft] = []
        for one in subscriptions:
            text = tell_revoked(*names[one.app], one.scopes, channel, now_ms)
            changes = (
                self._registry.end_subscription(one.subscription, now_ms),
                self._registry.add_notice(Notice(one.account, now_ms, "grant.revoked", text, one.grant)),
            )
            revoked: dict[str, JsonValue] = {
                "grant": one.grant,
                "account": one.account,
                "channel": channel,
                **_taking_effect(at_ms, one.created_at_ms, now_ms),
            }
            revocations.append(live_draft("grant.revoked", actor, revoked, changes=changes))
            deletions.append(live_draft("subscription.deleted", actor, {"subscription": one.subscription}))
        # Items of one call share a transaction, in this order: whoever sees a row ended finds the revocation in the log.
        outcomes = self._sequencer.submit([*revocations, *deletions, *last]).result()
        self._end_rows(subscriptions, outcomes, now_ms)
        return outcomes

    def _end_rows(
        self, subscriptions: Sequence[Subscription], outcomes: Sequence[Decision], now_ms: int
    ) -> None:
        """End the rows of those whose revocation this call did not create, and that may still be live for that reason.

        Dying before this leaves a row whose grant is dead: nothing is sent for it, and the next call ends it.
        """
        rows: list[Change] = []
        for one, outcome in zip(subscriptions, outcomes[: len(subscriptions)], strict=True):
            if not (isinstance(outcome, Appended) and outcome.created):
                rows.append(self._registry.end_subscription(one.subscription, now_ms))
        if rows:
            self._registry.apply(rows)


def _taking_effect(at_ms: int | None, began_at_ms: int, now_ms: int) -> dict[str, JsonValue]:
    """The member ``at`` of a revocation at ``at_ms``, where that is before now; else it is when it is recorded."""
    effect_ms = now_ms if at_ms is None else max(at_ms, began_at_ms)
    return {"at": effect_ms} if effect_ms < now_ms else {}


def names_of_app(registry: Registry, app: str, developer: str | None = None) -> tuple[str, str]:
    """The names of ``app`` and of its developer for a person; the id in place of a name that is not there.

    ``developer`` is whose it is where the registry does not know the app.
    """
    found = registry.load_app(app)
    owner = developer if found is None else found.developer
    named = None if owner is None else registry.load_developer(owner)
    shown = "an unknown developer" if owner is None else owner
    return app if found is None else found.name, shown if named is None else named.name
