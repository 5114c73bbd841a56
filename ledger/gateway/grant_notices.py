"""Grants that the platform records itself: the account is told, and what rests on them ends with them (section 1.5).

An account is notified of every change to its grants, whoever made it. What it is told becomes durable with the entry
where the record names the account; where it leaves that to the ledger, right after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import msgspec

from ledger.gateway.revocation import names_of_app
from ledger.gateway.words import scopes_in_words, tell_revoked, time_in_words
from ledger.ports import Change, Clock
from ledger.ports.registry import Notice, Registry, Subscription
from ledger.sequencer.draft import Appended, Draft, Outcome

ISSUED = "grant.issued"

CHANGES_IN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "grant.amended": "has been changed",
        "grant.suspended": "is suspended",
        "grant.resumed": "is in force again",
        "grant.revoked": "has ended",
        "grant.invalidated": "is void, as if you had never given it",
    }
)
"""The kinds of changes to a grant -> what becomes of the permission."""

_ENDING = ("grant.revoked", "grant.invalidated")
_KINDS = frozenset({ISSUED, *CHANGES_IN_WORDS})


class GrantNotices:
    """Tells accounts of changes to their grants. Safe from any thread."""

    def __init__(self, *, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock

    def with_changes(self, draft: Draft) -> Draft:
        """``draft`` with what becomes durable together with it: notices, and the end of subscriptions that rest on it."""
        members: Mapping[str, Any] = draft.members
        if members["kind"] not in _KINDS:
            return draft
        now_ms = self._clock.now_ms()
        changes: list[Change] = []
        subscriptions: Sequence[Subscription] = ()
        if members["kind"] != ISSUED:
            subscriptions = self._registry.load_subscriptions_of_grant(members["grant"])
        for subscription in subscriptions:
            changes += self._changes_of(members, subscription, now_ms)
        if not subscriptions and "account" in members:
            changes.append(self._tell(members, members["account"], now_ms))
        return replace(draft, changes=tuple(changes)) if changes else draft

    def tell_rest(self, drafts: Sequence[Draft], outcomes: Sequence[Outcome]) -> None:
        """Tell those whom a record did not name: the entries do, by now.

        Dying before this leaves somebody untold of an entry that their history shows all the same.
        """
        changes = []
        for draft, outcome in zip(drafts, outcomes, strict=True):
            if draft.members["kind"] not in _KINDS or draft.changes:
                continue
            if isinstance(outcome, Appended) and outcome.created:
                entry: dict[str, Any] = msgspec.json.decode(outcome.data)
                changes.append(self._tell(entry, entry["account"], entry["recorded_at"]))
        if changes:
            self._registry.apply(changes)

    def _changes_of(
        self, members: Mapping[str, Any], subscription: Subscription, now_ms: int
    ) -> Sequence[Change]:
        kind, grant = members["kind"], subscription.grant
        if kind not in _ENDING:
            changes = [self._tell(members, subscription.account, now_ms)]
            if "scopes" in members:
                changes.append(self._registry.narrow_subscriptions(grant, members["scopes"]))
            return changes
        names = names_of_app(self._registry, subscription.app)
        text = tell_revoked(*names, subscription.scopes, members.get("channel", "the platform"), now_ms)
        return [
            self._registry.end_subscription(subscription.subscription, now_ms),
            self._registry.add_notice(Notice(subscription.account, now_ms, kind, text, grant)),
        ]

    def _tell(self, members: Mapping[str, Any], account: str, now_ms: int) -> Change:
        kind, grant = members["kind"], members["grant"]
        since = time_in_words(members.get("at", now_ms))
        if kind == ISSUED:
            app, developer = names_of_app(self._registry, members["app"])
            text = (
                f'Since {since} the app "{app}" of {developer} may receive '
                f"{'; '.join(scopes_in_words(members['scopes']))}. The platform has recorded that you allowed this."
            )
        else:
            text = f"Since {since} your permission {grant} {CHANGES_IN_WORDS[kind]}. The platform has recorded this."
        return self._registry.add_notice(Notice(account, now_ms, kind, text, grant))
