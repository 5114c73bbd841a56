"""Replays: a developer's order to send the events of some past time once more (delivery protocol, sections 3.2 and 3.5).

Up to five days back, one job for a webhook at a time, oldest first. What is sent again is what was on its way to this
webhook before, for subscriptions that live now; events from before a subscription, or of one that ended, are left out,
and about each of the others the gate is asked anew when its turn comes. Each copy is a delivery of its own, marked with
the job, so the same order carried out twice after a crash sends nothing twice.

A job goes through these steps, each of which finds what was done before::

    asked for     dates judged, the webhook challenged, the job kept (one for a webhook)
    recorded      replay.requested is in the log, before any parcel is made
    put in        page by page, as far as the parcels before have gone
    told          once no parcel waits any more: replay_job_status to the webhook, on the schedule of retries
    ended         done, or failed where a parcel was not delivered for the developer's reasons

The gate's refusals do not make a job fail: what may not be sent is not missing. A job whose webhook is deleted or becomes
invalid fails; its parcels wait as all others do.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Literal, Protocol

import structlog

from ledger.core.canonical import JsonValue
from ledger.core.retry import RETRY_WAITS_MS, is_delivered, next_attempt_at_ms
from ledger.errors import LedgerError, RejectedError
from ledger.gateway.attempt_entries import delivery_id
from ledger.gateway.drafts import live_draft, new_number
from ledger.gateway.messages import Messages, replay_status
from ledger.gateway.refusal import GatewayRefusal
from ledger.ports import Clock, Randomness
from ledger.ports.outbox import Outbox, Parcel, Replay
from ledger.ports.registry import App, Challenge, ChallengeTrigger, Registry, Webhook
from ledger.sequencer.draft import Rejection
from ledger.sequencer.sequencer import Sequencer

BACK_MS = 5 * 24 * 60 * 60 * 1_000
"""How far back a replay may begin."""

MINUTE_MS = 60_000
PAGE_PARCELS = 500
WAITING_MAX = 2_000
"""With so many parcels of a job waiting, no more are put in."""

_match_date = re.compile(r"[0-9]{12}", re.ASCII).fullmatch

log = structlog.get_logger()

ReplayCode = Literal["214", "355", "356", "357", "358", "360", "368"]
"""The numbers of section 3.2; 214: the webhook did not pass its challenge."""


class ReplayRefused(GatewayRefusal):
    """No job was made; ``code`` is one of :data:`ReplayCode`."""

    def __init__(self, code: ReplayCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class ResendRefused(GatewayRefusal):
    """The delivery is not sent again: ``unknown`` to this app, ``under_way``, or ``gone`` (its event is not kept)."""

    def __init__(self, code: Literal["unknown", "under_way", "gone"], reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Asks(Protocol):
    """Who challenges webhooks."""

    def ask(self, app: App, webhook_id: str, url: str, trigger: ChallengeTrigger) -> Challenge:
        """Challenge the webhook now and keep what came of it."""
        ...


def _wake_nobody() -> None:
    """Nobody waits."""


def parse_dates(from_date: str | None, to_date: str | None) -> tuple[int, int]:
    """``[from, to)`` in milliseconds of two dates in 12 digits (``YYYYMMDDHHmm``, UTC).

    Raises ReplayRefused 357 where one is missing, 358 where one is malformed.
    """
    return _parse_date("from_date", from_date), _parse_date("to_date", to_date)


def _parse_date(name: str, text: str | None) -> int:
    if not text:
        raise ReplayRefused("357", f"{name}: queryParam is required")
    if _match_date(text):
        try:
            return int(datetime.strptime(f"{text}+0000", "%Y%m%d%H%M%z").timestamp()) * 1_000
        except ValueError:
            pass  # Twelve digits that are no date.
    raise ReplayRefused("358", f"Unable to parse parameter {name}")


def check_dates(from_ms: int, to_ms: int, now_ms: int) -> None:
    """Raise ReplayRefused unless ``[from_ms, to_ms)`` is a time within the last five days before ``now_ms``."""
    if from_ms < 0 or to_ms < 0:
        raise ReplayRefused("360", "from_date and to_date must not be negative")
    if from_ms >= to_ms:
        raise ReplayRefused("356", "from_date must be before to_date")
    if from_ms >= now_ms or to_ms > now_ms:
        raise ReplayRefused("368", "from_date and to_date must be in the past")
    # Dates are told by the minute, so the minute that began five days ago still counts.
    if from_ms < (now_ms - BACK_MS) // MINUTE_MS * MINUTE_MS:
        raise ReplayRefused("356", "from_date must be within the last 5 days")


class Replays:
    """Takes orders and carries them out. Safe from any thread; :meth:`run_once` by one at a time."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        registry: Registry,
        outbox: Outbox,
        challenges: Asks,
        messages: Messages,
        clock: Clock,
        randomness: Randomness,
        on_parcels: Callable[[], None] = _wake_nobody,
    ) -> None:
        """``on_parcels`` is called when there is something to deliver."""
        self._sequencer = sequencer
        self._registry = registry
        self._outbox = outbox
        self._challenges = challenges
        self._messages = messages
        self._clock = clock
        self._randomness = randomness
        self._on_parcels = on_parcels
        self._running = threading.Lock()
        self._recorded: set[str] = set()
        self._told: dict[str, tuple[int, int]] = {}

    def request(self, app: App, webhook: Webhook, from_ms: int, to_ms: int) -> Replay:
        """Order events received in ``[from_ms, to_ms)`` for ``webhook``, one of ``app``'s; the job, on its way.

        Raises ReplayRefused, and StoreError where nobody knows whether there is a job now: asking again tells (355).
        """
        check_dates(from_ms, to_ms, self._clock.now_ms())
        self._refuse_second(webhook)
        challenge = self._challenges.ask(app, webhook.webhook, webhook.url, "replay")
        if not challenge.is_passed:
            raise ReplayRefused("214", challenge.reason or "Webhook URL does not meet the requirements.")
        job = Replay(
            new_number(self._clock, self._randomness),
            webhook.webhook,
            app.app,
            from_ms,
            to_ms,
            self._clock.now_ms(),
        )
        if not self._outbox.start_replay(job):
            self._refuse_second(webhook)
            raise RejectedError("the number of the job is taken: ask again")
        # Dying here leaves a job that nobody was told of; whoever runs it records it first.
        self._record(job)
        return job

    def resend(self, app: App, delivery: str) -> Parcel:
        """Send a delivery of ``app``'s that has ended once more, as its next attempt; raises ResendRefused."""
        found = self._outbox.load_parcel(delivery)
        if found is None or found[0].app != app.app:
            raise ResendRefused("unknown", "this app has no such delivery")
        if found[1] == "waiting":
            raise ResendRefused("under_way", "the delivery has not ended: it will be tried again by itself")
        parcel = self._outbox.again(delivery, self._clock.now_ms())
        if parcel is None:
            raise ResendRefused("gone", "the event is not kept any more")
        self._on_parcels()
        return parcel

    def run_once(self) -> int:
        """Carry every running job on by one step; how many run on. Raises nothing but what is no LedgerError.

        What fails is logged and tried again by the next call.
        """
        with self._running:
            jobs = self._outbox.load_replays()
            running = 0
            for job in jobs:
                try:
                    running += self._advance(job)
                except LedgerError as error:
                    log.warning("replay.step_failed", job=job.job, error=str(error))
                    running += 1
            known = {job.job for job in jobs}
            self._recorded &= known
            self._told = {job: tries for job, tries in self._told.items() if job in known}
        return running

    def _refuse_second(self, webhook: Webhook) -> None:
        if self._outbox.load_replays(webhook=webhook.webhook):
            raise ReplayRefused(
                "355", "a replay job for this webhook is in progress: wait until it has ended"
            )

    def _record(self, job: Replay) -> None:
        """Have ``replay.requested`` in the log: the same entry however often this is called.

        Raises RejectedError where the ledger refuses the order; the job has failed then.
        """
        if job.job in self._recorded:
            return
        app = self._registry.load_app(job.app)
        actor = "system:gateway" if app is None else f"developer:{app.developer}"
        stated: dict[str, JsonValue] = {
            "replay": job.job,
            "endpoint": job.webhook,
            "from_at": job.from_ms,
            "to_at": job.to_ms,
        }
        outcome = self._sequencer.append(live_draft("replay.requested", actor, stated))
        if isinstance(outcome, Rejection):
            self._end(job, is_complete=False)
            raise outcome.error()
        self._recorded.add(job.job)

    def _advance(self, job: Replay) -> bool:
        """One step of ``job``; whether it runs on."""
        webhook = self._registry.load_webhook(job.webhook)
        if webhook is None or webhook.deleted_at_ms is not None or not webhook.is_valid:
            return self._end(job, is_complete=False)
        self._record(job)
        states = self._outbox.count_parcels(job.job)
        waiting = states.get("waiting", 0)
        if waiting >= WAITING_MAX:
            return True
        if self._put_page(job) or waiting:
            return True
        is_complete = not states.get("dead", 0) and not states.get("expired", 0)
        return self._tell(job, webhook, is_complete) or self._end(job, is_complete=is_complete)

    def _put_page(self, job: Replay) -> bool:
        """Put the next parcels in; whether there were any."""
        sent = self._outbox.load_sent(
            job.webhook, job.from_ms, job.to_ms, _parse_place(job.through), PAGE_PARCELS
        )
        if not sent:
            return False
        now_ms = self._clock.now_ms()
        copies = [
            replace(
                parcel,
                delivery=delivery_id(parcel.event, parcel.webhook, job.job),
                attempt=1,
                # One after the other, so that the oldest goes first.
                due_at_ms=now_ms + place,
                created_at_ms=now_ms,
                replay=job.job,
            )
            for place, parcel in enumerate(sent)
        ]
        self._outbox.put((), copies)
        # Dying here makes the next run put the same parcels in: they are there already.
        through = _format_place(sent[-1].created_at_ms, sent[-1].delivery)
        self._outbox.save_replay(replace(job, through=through, sent=job.sent + len(sent)))
        self._on_parcels()
        return True

    def _tell(self, job: Replay, webhook: Webhook, is_complete: bool) -> bool:
        """Send the status message unless its time has not come; whether it will be tried again."""
        tries, due_at_ms = self._told.get(job.job, (0, 0))
        now_ms = self._clock.now_ms()
        if now_ms < due_at_ms:
            return True
        answer = self._messages.send(webhook, replay_status(job.job, job.webhook, is_complete=is_complete))
        if is_delivered(answer.observed.status):
            return False
        next_at_ms = next_attempt_at_ms(tries + 1, now_ms, RETRY_WAITS_MS)
        if next_at_ms is None:
            log.warning("replay.status_not_delivered", job=job.job)
            return False
        self._told[job.job] = (tries + 1, next_at_ms)
        return True

    def _end(self, job: Replay, *, is_complete: bool) -> bool:
        state: Literal["done", "failed"] = "done" if is_complete else "failed"
        self._outbox.save_replay(replace(job, state=state, ended_at_ms=self._clock.now_ms()))
        return False


def _format_place(at_ms: int, delivery: str) -> str:
    return f"{at_ms}/{delivery}"


def _parse_place(text: str) -> tuple[int, str]:
    """Behind what was put in last; before everything where that is nothing."""
    at_ms, _, delivery = text.partition("/")
    return (int(at_ms), delivery) if text else (0, "")
