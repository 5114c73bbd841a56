"""Ending subscriptions, and with each its grant: restrictions are never refused for want of anything else.

Making a subscription is granting, so ending one is revoking: ``grant.revoked`` and ``subscription.deleted``, with the
registry's row and a notice to the account (delivery protocol, section 3.1). Unlike what permits, these are not all or
nothing: each revocation stands by itself, before everything else of the call, and whatever is wrong with another draft
takes nothing back. A call is split into transactions; between two of them, and if the process dies there, some
subscriptions have ended as a whole and the others not at all, and the same call made again ends the rest.

The log decides. A row whose grant the log does not know, or has revoked already, is ended all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from ledger.gateway.drafts import live_draft
from ledger.gateway.words import tell_revoked
from ledger.ports import Change, Clock
from ledger.ports.registry import Notice, Registry, Subscription
from ledger.sequencer.draft import Appended, Decision, Draft, Rejection
from ledger.sequencer.sequencer import Sequencer

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
        self, subscriptions: Sequence[Subscription], *, actor: str, channel: str, last: Sequence[Draft] = ()
    ) -> Ended:
        """Revoke the grants of ``subscriptions`` and end them; durable when this returns.

        ``actor`` is who does it (``role:id``), ``channel`` where (an id). ``last`` are drafts to append behind them, in the
        last transaction. A subscription that has ended already stays ended as it was. What the ledger refuses of
        subscriptions is only what it never knew, and their rows are ended too. Raises StoreError or ForkError where
        nothing is known: then the same call made again finds out.
        """
        grants = 0
        refused: list[Rejection] = []
        rest = list(subscriptions)
        while rest or last:
            some, rest = rest[:ENDED_AT_ONCE], rest[ENDED_AT_ONCE:]
            following, last = ((), last) if rest else (last, ())
            outcomes = self._end_some(some, actor, channel, following)
            for place, outcome in enumerate(outcomes):
                if not isinstance(outcome, Rejection):
                    grants += place < len(some)
                    continue
                log.warning("revocation.refused_by_ledger", reason=outcome.reason, code=outcome.code)
                if place < len(some):
                    refused.append(outcome)
        return Ended(grants, tuple(refused))

    def _end_some(
        self, subscriptions: Sequence[Subscription], actor: str, channel: str, last: Sequence[Draft]
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
            revoked = {"grant": one.grant, "account": one.account, "channel": channel}
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


def names_of_app(registry: Registry, app: str) -> tuple[str, str]:
    """The names of ``app`` and of its developer for a person; the id in place of a name that is not there."""
    found = registry.load_app(app)
    if found is None:
        return app, "an unknown developer"
    developer = registry.load_developer(found.developer)
    return found.name, found.developer if developer is None else developer.name
