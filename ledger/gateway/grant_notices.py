"""Grants that the platform records itself: the account is told, and what rests on them ends with them (section 1.5).

An account is notified of every change to its grants, whoever made it. What it is told becomes durable with the entry, so
that no lost answer leaves it untold; where a record does not name the account, the log is asked whose grant it is. A
record of the end of a subscription of this service revokes, as a subscription is the grant (delivery protocol, section
3.1): the revocation is appended in front of it.

A row ends when the record takes effect, which may be later than it is handed in: until then its events are delivered. Its
scopes are the last that a record stated, whenever they take effect; they are for lists, and the log decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

from ledger.core.canonical import JsonValue
from ledger.core.granted import find_granted
from ledger.core.history import History
from ledger.gateway.drafts import digest_of, live_draft
from ledger.gateway.revocation import names_of_app
from ledger.gateway.words import BY_PLATFORM, scopes_in_words, tell_revoked, time_in_words
from ledger.ports import Change, Clock
from ledger.ports.registry import Notice, Registry, Subscription
from ledger.sequencer.draft import Draft
from ledger.sequencer.sequencer import Sequencer

ISSUED = "grant.issued"
SUBSCRIPTION_CREATED = "subscription.created"
SUBSCRIPTION_ENDED = "subscription.deleted"

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


@dataclass(frozen=True, slots=True)
class _Known:
    """What the log knows of what records name: grant -> account, subscription -> grant."""

    accounts: Mapping[str, str]
    grants: Mapping[str, str]


class GrantNotices:
    """Tells accounts of changes to their grants. Safe from any thread."""

    def __init__(self, *, sequencer: Sequencer, registry: Registry, clock: Clock) -> None:
        self._sequencer = sequencer
        self._registry = registry
        self._clock = clock

    def prepare(self, drafts: Sequence[Draft]) -> list[tuple[Draft, ...]]:
        """Each of ``drafts``, in order, with what becomes durable together with it: notices, and the end of rows.

        The record's own draft is the last of its tuple. What comes before it is the revocation that the end of a
        subscription is. Raises StoreError or ForkError where the log cannot be asked.
        """
        known = self._look(drafts)
        return [self._prepare(draft, known) for draft in drafts]

    def _look(self, drafts: Sequence[Draft]) -> _Known:
        """What only the log, or an earlier one of ``drafts``, knows of grants and subscriptions that ``drafts`` name."""
        unsaid: set[str] = set()
        ended: set[str] = set()
        issued: dict[str, str] = {}
        created: dict[str, str] = {}
        for draft in drafts:
            members: Mapping[str, Any] = draft.members
            if members["kind"] == ISSUED:
                issued.setdefault(members["grant"], members["account"])
            elif members["kind"] in _KINDS and "account" not in members:
                unsaid.add(members["grant"])
            elif members["kind"] == SUBSCRIPTION_CREATED and "grant" in members:
                created.setdefault(members["subscription"], members["grant"])
            elif members["kind"] == SUBSCRIPTION_ENDED:
                ended.add(members["subscription"])
        if not unsaid and not ended:
            return _Known({}, {})

        def ask(history: History, now_ms: int) -> _Known:
            granted = [find_granted(history, grant, now_ms) for grant in unsaid]
            accounts = {one.grant: one.account for one in granted if one is not None}
            made = history.subscriptions
            grants = {name: made[name].grant for name in ended if name in made}
            return _Known(issued | accounts, created | grants)

        return self._sequencer.look(ask)

    def _prepare(self, draft: Draft, known: _Known) -> tuple[Draft, ...]:
        members: Mapping[str, Any] = draft.members
        now_ms = self._clock.now_ms()
        if members["kind"] == SUBSCRIPTION_ENDED:
            return self._with_revocation(draft, known, now_ms)
        if members["kind"] not in _KINDS:
            return (draft,)
        changes: list[Change] = []
        subscriptions: Sequence[Subscription] = ()
        if members["kind"] != ISSUED:
            subscriptions = self._registry.load_subscriptions_of_grant(members["grant"])
        for subscription in subscriptions:
            changes += self._changes_of(members, subscription, now_ms)
        if not subscriptions:
            account = members.get("account") or known.accounts.get(members["grant"])
            if account is None:
                # The log has no such grant and says so, unless it is issued in this very moment: then nobody would be told.
                return (replace(draft, overtaken=partial(_is_issued, members["grant"])),)
            changes.append(self._tell(members, account, now_ms))
        return (replace(draft, changes=tuple(changes)),)

    def _with_revocation(self, draft: Draft, known: _Known, now_ms: int) -> tuple[Draft, ...]:
        """The end of a subscription; of one of this service's own with the revocation that it is, in front of it."""
        members: Mapping[str, Any] = draft.members
        subscription = members["subscription"]
        grant = known.grants.get(subscription)
        rows = [] if grant is None else self._registry.load_subscriptions_of_grant(grant)
        row = next((one for one in rows if one.subscription == subscription), None)
        if row is None:
            return (draft,)
        stated: dict[str, JsonValue] = {"grant": row.grant, "account": row.account, "channel": BY_PLATFORM}
        if "at" in members:
            stated["at"] = members["at"]
        revocation = live_draft(
            "grant.revoked",
            members["actor"],
            stated,
            uid=f"grant.revoked/{row.grant}/{digest_of(SUBSCRIPTION_ENDED, subscription)}",
            changes=self._changes_of({**stated, "kind": "grant.revoked"}, row, now_ms),
        )
        return revocation, replace(draft, changes=(self._end(row, members, now_ms),))

    def _end(self, subscription: Subscription, members: Mapping[str, Any], now_ms: int) -> Change:
        # Until then its events are asked about, and the grant still backs them; what came before now ends now.
        ended_at_ms = max(now_ms, members.get("at", now_ms))
        return self._registry.end_subscription(subscription.subscription, ended_at_ms)

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
            self._end(subscription, members, now_ms),
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


def _is_issued(grant: str, history: History, now_ms: int) -> str | None:
    """Why a change of ``grant``, which the log did not know a moment ago, has to be handed in again."""
    return "the grant was issued at the same time" if find_granted(history, grant, now_ms) else None
