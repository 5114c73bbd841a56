"""Events from the platform: who they are about, to whom they go, and safely kept before anybody is told so (3.6).

One call takes up to a thousand events, each answered by itself: kept with so many parcels, there already, or not taken,
with the reason. When it returns, what was accepted is durable: people as tags, registered in the log before any entry can
name them (ledger format, section 1.2), the body sealed under the account's own key. Bodies are delivered byte for byte as
they were handed in; an event handed in as an object is written as compact JSON with sorted keys.

An event becomes a parcel for each live subscription of its account. Whether the grant covers it is not looked at here:
that is the gate's to answer, and each "no" is an entry. For a day after an account has ended a subscription its events
are still asked about, so that the log shows the gate refusing them: somebody who revoked sees that it holds. They are
asked about for the subscription that ended, so that no later one, and none at another webhook, lets them go. An event that
nobody is or was subscribed to then is not kept at all.

``user_event.revoke`` revokes what was granted by its ``date_time`` and is kept then, for the webhooks of that app where the
account ever was subscribed: the grant is over, so the gate refuses it, and the refusal is the entry that shows it was not
sent. A deletion is as private as the post was, as far as the post is still kept.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from ledger.errors import RejectedError
from ledger.gateway.accesses import AppRevoked
from ledger.gateway.attempt_entries import body_context, delivery_id
from ledger.gateway.offered import (
    Accepted,
    NotAccepted,
    OfferedEvent,
    ReadEvent,
    is_private_deletion,
    post_event_id,
    read_event,
)
from ledger.gateway.people import People
from ledger.ports import Clock, Subject, Vault
from ledger.ports.commitments import Commitments
from ledger.ports.outbox import HeldEvent, Outbox, Parcel
from ledger.ports.registry import App, Registry, Subscription
from ledger.ports.sealing import Sealing
from ledger.sequencer.draft import expect
from ledger.sequencer.sequencer import Sequencer

BATCH_EVENTS_MAX = 1_000

REFUSALS_SHOWN_MS = 86_400_000
"""How long after its end a subscription's events are still asked about."""

_UNKNOWN = NotAccepted("unknown_account", "nobody of this platform has this account")
_ERASED = NotAccepted("erased", "a person in it was erased")


class Revoker(Protocol):
    """Who ends accounts' grants to apps."""

    def revoke_apps(self, revoked: Sequence[AppRevoked], *, channel: str) -> int:
        """End all of them; how many there were."""
        ...


class Intake:
    """Takes events in. Safe from any thread; ``wake`` is set whenever there is something to deliver."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        registry: Registry,
        outbox: Outbox,
        people: People,
        vault: Vault,
        commitments: Commitments,
        sealing: Sealing,
        accesses: Revoker,
        clock: Clock,
        wake: threading.Event | None = None,
    ) -> None:
        self._sequencer = sequencer
        self._registry = registry
        self._outbox = outbox
        self._people = people
        self._vault = vault
        self._commitments = commitments
        self._sealing = sealing
        self._accesses = accesses
        self._clock = clock
        self._wake = wake

    def accept(self, offered: Sequence[OfferedEvent]) -> list[Accepted | NotAccepted]:
        """Keep what can be kept of ``offered``, at most :data:`BATCH_EVENTS_MAX`; the result of each, in their order.

        Durable when this returns. Raises StoreError where nobody knows what was kept: offering all of it again is safe,
        because what is there already is recognised.
        """
        assert len(offered) <= BATCH_EVENTS_MAX, f"at most {BATCH_EVENTS_MAX} events at once"
        batch = _Batch([read_event(one) for one in offered])
        self._find_accounts(batch)
        self._find_targets(batch)
        self._meet_people(batch)
        self._put(batch)
        return batch.results()

    def _find_accounts(self, batch: _Batch) -> None:
        accounts = self._vault.find({event.account_id for event in batch.events.values()})
        for place, event in list(batch.events.items()):
            subject = accounts.get(event.account_id)
            if subject is None:
                batch.answer(place, _UNKNOWN)
            else:
                batch.accounts[place] = subject

    def _find_targets(self, batch: _Batch) -> None:
        """Who each event goes to; events that revoke do so here, after everybody's subscriptions were looked up."""
        tags = {subject.tag for subject in batch.accounts.values()}
        if not tags:
            return
        live = self._registry.fetch_subscriptions(tags)
        since_ms = self._clock.now_ms() - REFUSALS_SHOWN_MS
        ended = self._registry.fetch_ended_subscriptions(tags, since_ms)
        named = {one.app for known in (live, ended) for subscribed in known.values() for one in subscribed}
        apps = self._registry.fetch_apps(named) if named else {}
        self._revoke(batch)
        for place, event in list(batch.events.items()):
            account = batch.accounts[place]
            subscribed = live.get(account.tag, ())
            if event.revoked_app is None:
                asked = [*subscribed, *_gone(ended.get(account.tag, ()), subscribed)]
                targets = [_target(one, apps[one.app]) for one in asked if one.app in apps]
            else:
                targets = self._told_of_revocation(event.revoked_app, account)
            batch.targets[place] = targets
            if not targets:
                batch.answer(place, Accepted(event.event_id, 0))

    def _revoke(self, batch: _Batch) -> None:
        """Revoke what events say was revoked, all of it before anything is waited for.

        Repeated after a crash, or because the platform tells of it twice, it finds nothing to revoke: what was granted since
        is not what was revoked.
        """
        revoked = [
            AppRevoked(batch.accounts[place], event.revoked_app, event.revoked_at_ms)
            for place, event in batch.events.items()
            if event.revoked_app is not None
        ]
        if revoked:
            self._accesses.revoke_apps(revoked, channel="platform")

    def _told_of_revocation(self, app: str, account: Subject) -> list[_Target]:
        """Where the news of a revocation would go: wherever the account ever was subscribed with ``app``."""
        owner = self._registry.load_app(app)
        if owner is None:
            return []
        last = [
            self._registry.load_last_subscription(one.webhook, account.tag)
            for one in self._registry.load_webhooks(app)
        ]
        return [_target(one, owner) for one in last if one is not None]

    def _meet_people(self, batch: _Batch) -> None:
        """Give everybody who is named a tag, and have the tags registered before an entry can name them."""
        named = {person for event in batch.events.values() for person in event.people}
        try:
            self._meet(named, batch)
        except RejectedError:
            # Somebody was erased. One by one it is seen whom that concerns; the others go in.
            for place, event in list(batch.events.items()):
                try:
                    self._meet(event.people, batch)
                except RejectedError:
                    batch.answer(place, _ERASED)

    def _meet(self, named: Iterable[str], batch: _Batch) -> None:
        subjects, registrations = self._people.meet(named)
        if registrations:
            for outcome in self._sequencer.append_many(registrations):
                expect(outcome)
            self._people.note(subjects.values())
        batch.people.update(subjects)

    def _put(self, batch: _Batch) -> None:
        now_ms = self._clock.now_ms()
        held: dict[str, HeldEvent] = {}
        parcels: list[Parcel] = []
        places: dict[int, str] = {}
        repeats: dict[int, bool] = {}
        for place, event in batch.events.items():
            made = self._hold(event, batch.accounts[place], batch.people, now_ms)
            places[place] = made.event
            first = held.setdefault(made.event, made)
            if first is made:
                parcels += [_parcel(made, target, now_ms) for target in batch.targets[place]]
            else:
                repeats[place] = _is_same(first, made)
        if not held:
            return
        self._judge_deletions(batch, places, held)
        known = self._outbox.put(list(held.values()), parcels)
        for place, tag in places.items():
            is_conflict = known.get(tag) == "conflict" or not repeats.get(place, True)
            batch.keep(place, is_conflict=is_conflict, is_duplicate=tag in known or place in repeats)
        if self._wake is not None:
            self._wake.set()

    def _hold(
        self, event: ReadEvent, account: Subject, people: Mapping[str, Subject], now_ms: int
    ) -> HeldEvent:
        tag = self._commitments.event_tag(account, event.event_id)
        context = body_context(tag)
        others = sorted({people[person].tag for person in event.people if person != event.account_id})
        return HeldEvent(
            event=tag,
            account=account.tag,
            subjects=tuple(others),
            event_type=event.event_type,
            is_private=event.is_private,
            received_at_ms=now_ms,
            body_sealed=self._sealing.seal_for(account, context, event.body),
            body_bytes=len(event.body),
            content=self._sealing.digest_for(account, context, event.body),
        )

    def _judge_deletions(self, batch: _Batch, places: Mapping[int, str], held: dict[str, HeldEvent]) -> None:
        """Say of deletions of posts that are still kept, and were public, that they are public."""
        asked: dict[int, dict[str, str]] = {}
        for place, event in batch.events.items():
            if event.deleted_posts:
                account = batch.accounts[place]
                asked[place] = {
                    post: self._commitments.event_tag(account, post_event_id(post))
                    for post in event.deleted_posts
                }
        if not asked:
            return
        known = self._outbox.load_privacy(
            {(batch.accounts[place].tag, tag) for place, tags in asked.items() for tag in tags.values()}
        )
        known = {tag: one.is_private for tag, one in held.items()} | dict(known)
        for place, tags in asked.items():
            posts = {post: known[tag] for post, tag in tags.items() if tag in known}
            event = batch.events[place]
            made = held[places[place]]
            held[made.event] = replace(made, is_private=is_private_deletion(event, posts))


class _Target:
    """Where one event goes, and the subscription that it goes there for, be it one that has ended."""

    __slots__ = ("app", "developer", "environment", "subscription", "webhook")

    def __init__(self, subscription: str, webhook: str, app: str, developer: str, environment: str) -> None:
        self.subscription = subscription
        self.webhook = webhook
        self.app = app
        self.developer = developer
        self.environment = environment


class _Batch:
    """The events of one call by their places, those that are answered already left out."""

    def __init__(self, read: Sequence[ReadEvent | NotAccepted]) -> None:
        self._answers: list[Accepted | NotAccepted | None] = [
            one if isinstance(one, NotAccepted) else None for one in read
        ]
        self.events = {place: one for place, one in enumerate(read) if isinstance(one, ReadEvent)}
        self.accounts: dict[int, Subject] = {}
        self.targets: dict[int, list[_Target]] = {}
        self.people: dict[str, Subject] = {}

    def answer(self, place: int, answer: Accepted | NotAccepted) -> None:
        """Answer the event at ``place``, which needs nothing more."""
        self._answers[place] = answer
        del self.events[place]

    def keep(self, place: int, *, is_conflict: bool, is_duplicate: bool) -> None:
        """Answer the event at ``place``, which was put into the outbox, or found there."""
        event = self.events[place]
        if is_conflict:
            reason = "an event with this id is there already, and says something else"
            self._answers[place] = NotAccepted("conflict", reason)
        else:
            self._answers[place] = Accepted(event.event_id, len(self.targets[place]), is_duplicate)

    def results(self) -> list[Accepted | NotAccepted]:
        """The answers, of which none is missing."""
        answers = [answer for answer in self._answers if answer is not None]
        assert len(answers) == len(self._answers), "every event is answered"
        return answers


def _gone(ended: Sequence[Subscription], live: Sequence[Subscription]) -> Iterator[Subscription]:
    """The last of ``ended``, which come newest first, at each webhook where the account is subscribed no more."""
    seen = {one.webhook for one in live}
    for one in ended:
        if one.webhook not in seen:
            seen.add(one.webhook)
            yield one


def _target(subscription: Subscription, app: App) -> _Target:
    """Where events go, or went, under ``subscription``, and whose that is by now."""
    return _Target(
        subscription.subscription,
        subscription.webhook,
        app.app,
        app.developer,
        subscription.environment,
    )


def _parcel(held: HeldEvent, target: _Target, now_ms: int) -> Parcel:
    return Parcel(
        delivery=delivery_id(held.event, target.webhook),
        event=held.event,
        account=held.account,
        subscription=target.subscription,
        webhook=target.webhook,
        app=target.app,
        developer=target.developer,
        environment=target.environment,
        attempt=1,
        due_at_ms=now_ms,
        created_at_ms=now_ms,
    )


def _is_same(first: HeldEvent, second: HeldEvent) -> bool:
    return (first.content, first.event_type, first.subjects) == (
        second.content,
        second.event_type,
        second.subjects,
    )
