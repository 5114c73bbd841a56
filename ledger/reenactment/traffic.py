"""What happens on the platform, planned from a seed: events, outages, replays and worker restarts.

Most events are scattered over the sixteen months, one or two an account, so that two developers are almost
never active on the same worker within minutes. *Bursts* make them so: both halves of a pair of endpoints
(`Cast.groups`) get events within a few minutes, for the pair's two busy accounts. Boundary bursts put the
second developer's events exactly 359, 360 and 361 seconds after the first one's, on one worker. Outages make
retries, dead letters and replays.

Planned here is what happens; which of it is sent, when a grant has ended meanwhile, is asked at every
attempt.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ledger.core import payloads
from ledger.core.scopes import EVENT_TYPE_BITS, mask_of
from ledger.reenactment.casting import MOVED_APART_AT_MS, MOVED_TOGETHER_AT_MS, Cast
from ledger.reenactment.receivers import Behaviour
from ledger.reenactment.scale import Scale
from ledger.reenactment.templates import TEMPLATES, fill, load_template, platform_id
from ledger.reenactment.world import CLOSED_AT_MS, DAY_MS, OPENED_AT_MS, Grant, Person

_BURST_TEMPLATES = (
    "direct_message_events",
    "direct_message_events",
    "direct_message_indicate_typing_events",
    "direct_message_mark_read_events",
    "tweet_create_events_mention",
)
_BACKGROUND_TEMPLATES = tuple(
    name for name in TEMPLATES if name not in ("user_event_revoke", "replay_job_status")
)
_REVOCATION_NOTICE_MS = 2_000


@dataclass(frozen=True, slots=True)
class Event:
    """One event of one account, with its payload as the bytes that every subscribed app gets.

    ``subjects`` are the other people in it. ``app`` limits it to one app. Deliveries of equal ``shard`` are
    served by the same worker.
    """

    at_ms: int
    event: str
    event_type: str
    account: str
    subjects: tuple[str, ...]
    is_private: bool
    body: bytes
    shard: str
    app: str | None = None


@dataclass(frozen=True, slots=True)
class Outage:
    """From ``from_ms`` until before ``until_ms`` the developer's servers behave this way."""

    developer: str
    from_ms: int
    until_ms: int
    behaviour: Behaviour


@dataclass(frozen=True, slots=True)
class Replay:
    """At ``at_ms`` the events of ``endpoint`` from ``from_ms`` until before ``until_ms`` are sent again."""

    at_ms: int
    endpoint: str
    from_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Restart:
    """At ``at_ms`` the worker of this number (from 0) starts anew, with nothing cached and no connection."""

    at_ms: int
    worker: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """A whole plan; webhooks are challenged at registration and, if given, every ``challenge_days`` days."""

    events: tuple[Event, ...]
    outages: tuple[Outage, ...] = ()
    replays: tuple[Replay, ...] = ()
    restarts: tuple[Restart, ...] = ()
    challenge_days: int | None = None
    closed_at_ms: int = CLOSED_AT_MS


def make_event(
    payload: dict[str, Any],
    at_ms: int,
    shard: str | None = None,
    app: str | None = None,
    posts: dict[str, bool] | None = None,
) -> Event:
    """The event in ``payload`` at ``at_ms``; ``posts`` says which known posts were private."""
    account = payloads.account_id(payload)
    if account is None:
        raise AssertionError("every event of the reenactment is of an account")
    event = payloads.event_id(payload)
    return Event(
        at_ms=at_ms,
        event=event,
        event_type=payloads.event_type(payload),
        account=account,
        subjects=tuple(sorted(payloads.people(payload) - {account})),
        is_private=payloads.is_private(payload, posts),
        body=json.dumps(payload, separators=(",", ":")).encode(),
        shard=shard or f"{event}/{account}",
        app=app,
    )


def plan_traffic(cast: Cast, seed: int, scale: Scale, workers: int = 4) -> Traffic:
    """The traffic of ``seed`` at ``scale`` among ``cast``; equal arguments give equal traffic."""
    plan = _Plan(cast, random.Random(f"traffic/{seed}/{scale.name}"), scale, workers)
    for group in cast.groups:
        plan.add_bursts(group)
    for grant in cast.world.grants:
        plan.add_background(grant)
    plan.add_outages()
    plan.add_restarts()
    return Traffic(
        events=tuple(sorted(plan.events, key=lambda event: (event.at_ms, event.event))),
        outages=tuple(plan.outages),
        replays=tuple(plan.replays),
        restarts=tuple(plan.restarts),
        challenge_days=scale.challenge_days,
    )


class _Plan:
    def __init__(self, cast: Cast, rng: random.Random, scale: Scale, workers: int) -> None:
        self._cast = cast
        self._world = cast.world
        self._rng = rng
        self._scale = scale
        self._workers = workers
        self._accounts = {account.person: account for account in cast.world.accounts}
        self._protected = [person for person in cast.world.people if person.is_protected]
        self._posts: dict[str, list[str]] = {}
        self._privacy: dict[str, bool] = {}
        self._number = 0
        self._background: list[tuple[int, Grant]] = []
        self.events: list[Event] = []
        self.outages: list[Outage] = []
        self.replays: list[Replay] = []
        self.restarts: list[Restart] = []

    def add_bursts(self, group: str) -> None:
        """Both halves of ``group`` within minutes, several times; colliding pairs also at the exact boundaries."""
        endpoints = self._cast.groups[group]
        is_colliding = group.startswith("same")
        count = self._scale.burst_events if is_colliding else self._scale.burst_events // 2
        for burst in range(self._scale.bursts):
            at_ms = self._burst_time(group)
            order = list(endpoints)
            self._rng.shuffle(order)
            moment_ms = at_ms
            for index in range(count):
                self._busy_event(order[index % 2 if index < 2 else self._rng.randrange(2)], moment_ms)
                moment_ms += self._rng.randrange(500, 360_000 // count)
            if is_colliding and burst == 0:
                self._replay_in_burst(order, at_ms, moment_ms)
                self.restarts.append(Restart(at_ms + 150_000, self._rng.randrange(self._workers)))
            elif is_colliding and burst % 2 == 1:
                developer = self._world.developer_of(self._world.webhook(order[1]))
                from_ms = at_ms + 20_000
                self.outages.append(Outage(developer, from_ms, from_ms + 60_000, "unavailable"))
        if is_colliding:
            self._boundary_burst(group, endpoints)

    def _boundary_burst(self, group: str, endpoints: Sequence[str]) -> None:
        at_ms = self._burst_time(group)
        for endpoint, after_ms in ((0, 0), (1, 359_000), (1, 360_000), (1, 361_000)):
            self._busy_event(endpoints[endpoint], at_ms + after_ms, shard=f"boundary/{group}")

    def _replay_in_burst(self, order: Sequence[str], from_ms: int, until_ms: int) -> None:
        again_ms = from_ms + 7_200_000
        for index in range(4):
            self._busy_event(order[0], again_ms + index * 3_000)
        self.replays.append(Replay(again_ms + 1_500, order[1], from_ms, until_ms))

    def _burst_time(self, group: str) -> int:
        first_ms = MOVED_TOGETHER_AT_MS if group == "same-1" else OPENED_AT_MS + 3 * DAY_MS
        last_ms = MOVED_APART_AT_MS if group == "same-2" else CLOSED_AT_MS
        return self._rng.randrange(first_ms, last_ms - DAY_MS)

    def _busy_event(self, endpoint: str, at_ms: int, shard: str | None = None) -> None:
        account = self._accounts[self._cast.busy[endpoint]]
        template = self._rng.choice(_BURST_TEMPLATES)
        self._add(template, account, self._rng.choice(self._world.people[:60]), at_ms, shard)

    def add_background(self, grant: Grant) -> None:
        """A few events of the account while ``grant`` is live and covers them, and word of its revocation."""
        account = self._accounts[grant.account]
        end_ms = min(
            at_ms for at_ms in (grant.expires_at_ms, grant.revoked_at_ms, CLOSED_AT_MS) if at_ms is not None
        )
        whole = int(self._scale.events_per_account)
        count = max(1, whole + (self._rng.random() < self._scale.events_per_account - whole))
        for _ in range(count):
            at_ms = self._rng.randrange(grant.issued_at_ms + 60_000, end_ms - 60_000)
            covered = [name for name in _BACKGROUND_TEMPLATES if _is_covered(name, grant, at_ms)]
            if not covered:
                continue
            template = self._rng.choice(covered)
            people = self._protected if template.endswith("_protected") else self._world.people
            self._add(template, account, self._rng.choice(people), at_ms)
            self._background.append((at_ms, grant))
        if grant.revoked_at_ms is not None and _is_covered("user_event_revoke", grant, grant.revoked_at_ms):
            # The notice leaves while the grant still lives: after its end nothing of the account may.
            notice_ms = grant.revoked_at_ms - _REVOCATION_NOTICE_MS
            self._add("user_event_revoke", account, account, notice_ms, app=grant.app)

    def add_outages(self) -> None:
        """Developers that fail just when something is for them; long failures end in a replay."""
        for at_ms, grant in self._rng.sample(
            self._background, min(self._scale.outages, len(self._background))
        ):
            hook = self._world.webhook_of(grant.app, grant.environment)
            long_ms = self._rng.choice((2_000, 25_000, 200_000, 400_000))
            behaviour: Behaviour = self._rng.choice(("unavailable", "drop", "refuse"))
            developer = self._world.developer_of(hook)
            self.outages.append(Outage(developer, at_ms - 1_000, at_ms + long_ms, behaviour))
            if long_ms == 400_000:
                self.replays.append(
                    Replay(at_ms + long_ms + 1_800_000, hook.endpoint, at_ms - 1_000, at_ms + long_ms)
                )

    def add_restarts(self) -> None:
        """Workers that start anew at any time."""
        for _ in range(self._scale.restarts):
            at_ms = self._rng.randrange(OPENED_AT_MS, CLOSED_AT_MS)
            self.restarts.append(Restart(at_ms, self._rng.randrange(self._workers)))

    def _add(
        self,
        template: str,
        account: Person,
        other: Person,
        at_ms: int,
        shard: str | None = None,
        app: str = "",
    ) -> None:
        self._number += 1
        own_posts = self._posts.setdefault(account.person, [])
        deleted = own_posts.pop() if template == "tweet_delete_events" and own_posts else None
        named = {"app": app} if app else {}
        payload = fill(template, account, other, at_ms, self._number, deleted_post=deleted, **named)
        event = make_event(payload, at_ms, shard, app or None, self._privacy)
        if event.event_type == "tweet_create_events":
            post = platform_id(at_ms, self._number)
            own_posts.append(post)
            self._privacy[post] = event.is_private
        self.events.append(event)


def _is_covered(template: str, grant: Grant, at_ms: int) -> bool:
    scopes = grant.scopes
    for amendment in grant.amendments:
        if amendment.at_ms <= at_ms and amendment.scopes is not None:
            scopes = amendment.scopes
    return bool(mask_of(scopes) & EVENT_TYPE_BITS[payloads.event_type(load_template(template))])
