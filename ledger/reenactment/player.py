"""The event loop of a reenactment: one real request for each attempt, from event to event on a virtual clock.

It writes the input records that the platform would have exported (ledger format, section 1.6) in the order in
which they happen, and keeps for each attempt what was meant and what the transport saw. Latencies and
challenge tokens are drawn from the seed and from what they are for, so that they are the same in every fault
mode; real time is in nothing. A failed challenge is recorded and, where transient, repeated; it stops no
delivery here.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ledger.core.retry import is_delivered, next_attempt_at_ms
from ledger.core.webhook_auth import ChallengeFailed, check_challenge
from ledger.reenactment.clock import VirtualClock
from ledger.reenactment.dispatcher import Dispatcher, Sending, Sent
from ledger.reenactment.subscriptions import Gate, Intent
from ledger.reenactment.templates import fill_replay_status
from ledger.reenactment.traffic import Event, Replay, Restart, Traffic
from ledger.reenactment.truth import AttemptTruth, ChallengeResult
from ledger.reenactment.world import DAY_MS, Grant, Webhook, World, format_time

Record = dict[str, Any]
"""One input record: what one line of an import file holds."""

Progress = Callable[[int, int], None]
"""Told how many of how many planned steps are done."""

_REPLAY_PACE_MS = 2_000
_CHALLENGE_AGAIN_MS = 1_800_000
_FAILING_MAX_MS = 28 * 3_600_000


@dataclass(order=True, slots=True)
class _Step:
    at_ms: int
    rank: int
    number: int
    act: Callable[[], None] = field(compare=False)


class Player:
    """The loop on the virtual clock; at equal times what changes the world comes before what is sent."""

    def __init__(
        self,
        world: World,
        traffic: Traffic,
        dispatcher: Dispatcher,
        clock: VirtualClock,
        seed: int,
        gate: Gate,
    ) -> None:
        """Nothing happens before `play`."""
        self._world = world
        self._traffic = traffic
        self._dispatcher = dispatcher
        self._clock = clock
        self._seed = seed
        self._gate = gate
        self._steps: list[_Step] = []
        self._added = 0
        self._event_times = [event.at_ms for event in traffic.events]
        self.records: list[Record] = []
        self.attempts: list[AttemptTruth] = []
        self.challenges: list[ChallengeResult] = []
        self.dead_letters: list[str] = []

    def play(self, progress: Progress | None = None) -> None:
        """Run everything; ``records``, ``attempts`` (without truth) and the rest say what happened."""
        self._register()
        for grant in self._world.grants:
            self._add_grant(grant)
        for restart in self._traffic.restarts:
            self._at(restart.at_ms, 0, self._restarting(restart))
        for number, event in enumerate(self._traffic.events):
            self._at(event.at_ms, 1, self._routing(number, event))
        for number, replay in enumerate(self._traffic.replays):
            self._at(replay.at_ms, 1, self._replaying(number + 1, replay))
        done = 0
        while self._steps:
            step = heapq.heappop(self._steps)
            self._clock.at_ms = step.at_ms
            step.act()
            done += 1
            if progress is not None:
                progress(done, self._added)

    def _at(self, at_ms: int, rank: int, act: Callable[[], None]) -> None:
        heapq.heappush(self._steps, _Step(at_ms, rank, self._added, act))
        self._added += 1

    # The world's own records.

    def _register(self) -> None:
        opened_at_ms = self._world.opened_at_ms
        for developer in self._world.developers:
            self._add_record(opened_at_ms, {"kind": "developer.registered", "developer": developer.developer})
        for app in self._world.apps:
            self._add_record(
                opened_at_ms, {"kind": "app.registered", "app": app.app, "developer": app.developer}
            )
        for webhook in self._world.webhooks:
            self._add_record(
                opened_at_ms,
                {
                    "kind": "endpoint.registered",
                    "endpoint": webhook.endpoint,
                    "app": webhook.app,
                    "environment": webhook.environment,
                    "url": webhook.url,
                },
            )
            self._at(opened_at_ms, 1, self._challenging(webhook))
            days = self._traffic.challenge_days
            if days is not None:
                for at_ms in range(opened_at_ms + days * DAY_MS, self._traffic.closed_at_ms, days * DAY_MS):
                    self._at(at_ms, 1, self._challenging(webhook))

    def _add_grant(self, grant: Grant) -> None:
        issued: Record = {
            "kind": "grant.issued",
            "grant": grant.grant,
            "account": grant.account,
            "developer": self._world.app(grant.app).developer,
            "app": grant.app,
            "environment": grant.environment,
            "scopes": sorted(grant.scopes),
        }
        if grant.expires_at_ms is not None:
            issued["expires_at"] = grant.expires_at_ms
        self._add_record(grant.issued_at_ms, issued)
        for amendment in grant.amendments:
            amended: Record = {"kind": "grant.amended", "grant": grant.grant}
            if amendment.scopes is not None:
                amended["scopes"] = sorted(amendment.scopes)
            if amendment.expires_at_ms is not None:
                amended["expires_at"] = amendment.expires_at_ms
            self._add_record(amendment.at_ms, amended)
        if grant.revoked_at_ms is not None:
            revoked = {"kind": "grant.revoked", "grant": grant.grant, "channel": "dashboard"}
            self._add_record(grant.revoked_at_ms, revoked)

    def _add_record(self, at_ms: int, record: Record) -> None:
        self._at(at_ms, 0, lambda: self._emit({**record, "at": at_ms}))

    def _emit(self, record: Record) -> None:
        self._gate.note(record, self._clock.at_ms)
        self.records.append(
            {key: format_time(value) if _is_time(key) else value for key, value in record.items()}
        )

    # What is sent.

    def _restarting(self, restart: Restart) -> Callable[[], None]:
        return lambda: self._dispatcher.restart(restart.worker)

    def _challenging(self, webhook: Webhook, failing_since_ms: int | None = None) -> Callable[[], None]:
        return lambda: self._challenge(webhook, failing_since_ms)

    def _routing(self, number: int, event: Event) -> Callable[[], None]:
        return lambda: self._route(number, event)

    def _replaying(self, job: int, replay: Replay) -> Callable[[], None]:
        return lambda: self._replay(job, replay)

    def _attempting(self, intent: Intent) -> Callable[[], None]:
        return lambda: self._attempt(intent)

    def _route(self, number: int, event: Event) -> None:
        for index, webhook in enumerate(self._world.webhooks):
            if self._is_for(event, webhook):
                self._attempt(Intent(f"d-{number + 1:05d}-{index + 1:02d}", 1, event, webhook, None))

    def _replay(self, job: int, replay: Replay) -> None:
        webhook = self._world.webhook(replay.endpoint)
        index = self._world.webhooks.index(webhook)
        at_ms = self._clock.at_ms
        name = f"replay-{job}"
        until_ms = min(replay.until_ms, at_ms)
        requested: Record = {"kind": "replay.requested", "replay": name, "endpoint": webhook.endpoint}
        self._emit({**requested, "from_at": replay.from_ms, "to_at": until_ms, "at": at_ms})
        first, last = (bisect_left(self._event_times, end_ms) for end_ms in (replay.from_ms, until_ms))
        for number in range(first, last):
            event = self._traffic.events[number]
            if not self._is_for(event, webhook):
                continue
            delivery = f"d-{number + 1:05d}-{index + 1:02d}-r{job}"
            self._at(at_ms, 1, self._attempting(Intent(delivery, 1, event, webhook, name)))
            at_ms += _REPLAY_PACE_MS
        self._at(at_ms, 1, lambda: self._end_replay(job, webhook))

    def _end_replay(self, job: int, webhook: Webhook) -> None:
        body = json.dumps(fill_replay_status(webhook.endpoint, job), separators=(",", ":")).encode()
        self._dispatcher.notify(webhook, body)

    def _is_for(self, event: Event, webhook: Webhook) -> bool:
        return event.app in (None, webhook.app) and self._gate.routes(event, webhook, self._clock.at_ms)

    def _attempt(self, intent: Intent) -> None:
        started_at_ms = self._clock.at_ms
        if not self._gate.admits(intent, started_at_ms):
            return
        event, attempt = intent.event, intent.attempt
        is_first = attempt == 1 and intent.replay is None
        shard = event.shard if is_first else f"{intent.delivery}/{attempt}"
        sent = self._dispatcher.send(Sending(intent.delivery, attempt, intent.webhook, event.body, shard))
        ended_at_ms = started_at_ms + self._draw(10, 200, "latency", intent.delivery, attempt)
        self._emit(_delivery_record(intent, sent, started_at_ms, ended_at_ms))
        self.attempts.append(self._truth(intent, sent, ended_at_ms))
        self._at(ended_at_ms, 0, lambda: self._gate.settle(intent, sent, ended_at_ms))
        if not is_delivered(sent.answer.observed.status):
            again_at_ms = next_attempt_at_ms(attempt, ended_at_ms)
            if again_at_ms is None:
                self.dead_letters.append(intent.delivery)
            else:
                self._at(again_at_ms, 1, self._attempting(replace(intent, attempt=attempt + 1)))

    def _truth(self, intent: Intent, sent: Sent, ended_at_ms: int) -> AttemptTruth:
        event, webhook = intent.event, intent.webhook
        return AttemptTruth(
            delivery=intent.delivery,
            attempt=intent.attempt,
            event=event.event,
            event_type=event.event_type,
            account=event.account,
            subjects=event.subjects,
            is_private=event.is_private,
            is_replay=intent.replay is not None,
            worker=sent.worker,
            resolved_ip=sent.resolved_ip,
            intended_developer=self._world.developer_of(webhook),
            intended_app=webhook.app,
            intended_endpoint=webhook.endpoint,
            signing_app=sent.signing_app,
            started_at_ms=self._clock.at_ms,
            ended_at_ms=ended_at_ms,
            observed=sent.answer.observed,
            body_sha256=hashlib.sha256(event.body).hexdigest(),
        )

    def _challenge(self, webhook: Webhook, failing_since_ms: int | None) -> None:
        at_ms = self._clock.at_ms
        token = f"{self._draw(10**15, 10**16, 'crc', webhook.endpoint, at_ms)}"
        nonce = f"{self._draw(10**9, 10**10, 'nonce', webhook.endpoint, at_ms)}"
        answer, address = self._dispatcher.challenge(webhook, f"crc_token={token}&nonce={nonce}")
        seen = answer.observed
        secret = self._world.app(webhook.app).consumer_secret
        verdict = check_challenge(secret, token, seen.status, answer.body, timed_out=seen.is_timeout)
        latency_ms = self._draw(10, 200, "challenge", webhook.endpoint, at_ms)
        reason = verdict.reason if isinstance(verdict, ChallengeFailed) else None
        self.challenges.append(
            ChallengeResult(at_ms, webhook.endpoint, address, latency_ms, seen.status, reason)
        )
        record: Record = {"endpoint": webhook.endpoint, "addresses": [address], "latency_ms": latency_ms}
        if seen.spki_sha256 is not None:
            record["spki_sha256"] = seen.spki_sha256
        if reason is None:
            self._emit({"kind": "endpoint.verified", **record, "at": at_ms})
            return
        self._emit({"kind": "endpoint.failed", **record, "reason": reason, "at": at_ms})
        since_ms = at_ms if failing_since_ms is None else failing_since_ms
        again_ms = at_ms + _CHALLENGE_AGAIN_MS
        if (
            isinstance(verdict, ChallengeFailed)
            and verdict.is_transient
            and again_ms - since_ms <= _FAILING_MAX_MS
        ):
            self._at(again_ms, 1, self._challenging(webhook, since_ms))

    def _draw(self, low: int, high: int, *about: object) -> int:
        """A number in [low, high), by the seed and what it is for alone: equal in every fault mode."""
        text = "/".join(str(part) for part in (self._seed, *about))
        return low + int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) % (high - low)


def _is_time(key: str) -> bool:
    return key == "at" or key.endswith("_at")


def _delivery_record(intent: Intent, sent: Sent, started_at_ms: int, ended_at_ms: int) -> Record:
    seen = sent.answer.observed
    event, webhook = intent.event, intent.webhook
    record: Record = {
        "kind": "delivery.imported",
        "delivery": intent.delivery,
        "attempt": intent.attempt,
        "event": event.event,
        "event_type": event.event_type,
        "account": event.account,
        "subjects": list(event.subjects),
        "private": event.is_private,
        "endpoint": webhook.endpoint,
        "app": webhook.app,
        "environment": webhook.environment,
        "started_at": started_at_ms,
        "ended_at": ended_at_ms,
        "worker": sent.worker,
        "resolved_ip": sent.resolved_ip,
        "observed": observed_members(sent),
        "disclosure": seen.disclosure,
    }
    if seen.status is not None:
        record["status"] = seen.status
    return record


def observed_members(sent: Sent) -> Record:
    """The ``observed`` of a record or an entry: what the transport saw of the connection, and who signed."""
    seen = sent.answer.observed
    observed = {
        "host": seen.host,
        "port": seen.port,
        "path": seen.path,
        "sni": seen.sni,
        "peer_ip": seen.peer_ip,
        "spki_sha256": seen.spki_sha256,
        "signing_app": sent.signing_app,
    }
    return {name: value for name, value in observed.items() if value is not None}
