"""The dispatcher: takes parcels out of the outbox and has them delivered by a bounded pool of threads (section 3.5).

One thread claims what is due, as much as there are free slots, and asks the gate about all of it in one batch; a pool of
threads sends each parcel that may leave, and one more settles whatever has ended meanwhile, in one batch again. What one
webhook may hold adapts to how it answers (:mod:`ledger.gateway.backpressure`). Claiming waits until there is something to
do: an event that came in sets ``wake``, so does a slot that became free, and whatever is due later is found by looking
again a few times a second.

Stopping is clean: nothing is claimed any more, what was begun is finished and settled, and nothing is left leased. A
process that dies instead leaves leases that run out.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from ledger.core.note import Signer
from ledger.core.retry import is_delivered
from ledger.errors import LedgerError, describe_fault
from ledger.gateway.backpressure import Pace, is_usual, next_pace, plan_claim
from ledger.gateway.delivering import Begun, Delivering, Sent
from ledger.gateway.inflight import InFlight
from ledger.gateway.messages import Messages, MessageTransport
from ledger.gateway.signing import Signing
from ledger.gateway.workers import Workers
from ledger.ports import Clock, Randomness
from ledger.ports.commitments import Commitments
from ledger.ports.outbox import AttemptNote, Leased, Outbox
from ledger.ports.registry import App, Registry, Webhook
from ledger.ports.sealing import Sealing
from ledger.ports.sending import ObservedDelivery, WebhookTransport
from ledger.ports.signing_keys import SigningKeys
from ledger.ports.vault import Keyring
from ledger.sequencer.sequencer import Sequencer

SETTLED_AT_ONCE = 100
"""How many settlements go in one batch at most."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DispatchLimits:
    """Bounds of one process.

    ``threads`` deliveries are under way at once, ``per_webhook`` of them to one webhook. A lease lasts ``lease_ms``,
    longer than an attempt may take and than the time after which an unsettled one may be settled by others.
    ``claim_gap_s`` is the least time between two claims, ``idle_s`` how long to wait when nothing is due.
    """

    threads: int = 32
    per_webhook: int = 8
    lease_ms: int = 75_000
    claim_gap_s: float = 0.01
    idle_s: float = 0.25
    trouble_s: float = 1.0


DEFAULT_LIMITS = DispatchLimits()


def _tell_nobody(note: AttemptNote) -> None:
    """Nobody counts."""


def _no_step(step: str) -> None:
    """Pass by: outside tests nothing happens between two steps."""


class Dispatcher:
    """Delivers what the outbox holds; one for a process. ``owner`` names it and no process before it."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        registry: Registry,
        outbox: Outbox,
        transport: WebhookTransport,
        messenger: MessageTransport,
        inflight: InFlight,
        vault: Keyring,
        commitments: Commitments,
        sealing: Sealing,
        signing_keys: SigningKeys,
        signer: Signer,
        origin: str,
        clock: Clock,
        randomness: Randomness,
        owner: str,
        limits: DispatchLimits = DEFAULT_LIMITS,
        on_outcome: Callable[[AttemptNote], None] = _tell_nobody,
        wake: threading.Event | None = None,
        pause: Callable[[float], None] = time.sleep,
        reached: Callable[[str], None] = _no_step,
    ) -> None:
        """``signer`` is the log's key, for tickets of the log ``origin``; ``on_outcome`` must not raise or wait.

        ``reached`` is called at each named step, so that tests can stop the process there.
        """
        self._outbox = outbox
        self._clock = clock
        self._owner = owner
        self._limits = limits
        self._reached = reached
        self._wake = wake if wake is not None else threading.Event()
        self.signing = Signing(
            registry=registry,
            sealing=sealing,
            signing_keys=signing_keys,
            signer=signer,
            origin=origin,
            clock=clock,
            randomness=randomness,
        )
        self.messages = Messages(transport=messenger, signing=self.signing, clock=clock)
        self._delivering = Delivering(
            sequencer=sequencer,
            registry=registry,
            outbox=outbox,
            transport=transport,
            inflight=inflight,
            vault=vault,
            commitments=commitments,
            sealing=sealing,
            signing=self.signing,
            clock=clock,
            owner=owner,
            on_outcome=on_outcome,
            pause=pause,
            reached=reached,
        )
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        self._paces: dict[str, Pace] = {}

    def step(self, leased: Leased) -> AttemptNote | None:
        """Decide, send and settle one parcel, in the calling thread; what became of the attempt.

        None where the parcel was left as it is (somebody else may be at work on it, or it has gone on), and where its
        settlement could not be appended yet. Raises StoreError where nothing is known: nothing was sent then.
        """
        begun = self._delivering.begin([leased])[0]
        if not isinstance(begun, Begun):
            return begun
        sent = self._delivering.send(begun)
        return sent.settlement.note if self._delivering.settle([sent]) else None

    def claim(self) -> Sequence[Leased]:
        """Lease what is due and may be begun now; raises StoreError."""
        limits = self._limits
        with self._lock:
            plan = plan_claim(self._held, self._paces, limits.threads, limits.per_webhook)
        if plan.count_max == 0:
            return ()
        return self._outbox.claim(
            self._owner,
            self._clock.now_ms(),
            limits.lease_ms,
            plan.count_max,
            limits.per_webhook,
            plan.busy,
        )

    def is_in_hand(self, delivery: str) -> bool:
        """Whether this process is at work on ``delivery``."""
        return self._delivering.is_in_hand(delivery)

    def count_busy(self) -> int:
        """How many deliveries are under way."""
        with self._lock:
            return self._held.total()

    def send_test(self, app: App, webhook: Webhook) -> AttemptNote:
        """Send ``webhook``, one of ``app``'s, an event that says only that it is a test; what came of it.

        Not an account's data: no entry, no attempt of a delivery, nothing that is kept.
        """
        seen = self.messages.send_test(webhook).observed
        return AttemptNote(
            f"test-{seen.started_at_ms}",
            1,
            webhook.webhook,
            app.app,
            "test_event",
            seen.started_at_ms,
            "delivered" if is_delivered(seen.status) else "failed",
            seen.status,
            seen.ended_at_ms - seen.started_at_ms,
            seen.error,
            None,
        )

    def run(self, stop: threading.Event) -> None:
        """Deliver until ``stop`` is set (and ``wake``, to be heard at once); what was begun is finished first."""
        settlers = Workers[Sent]("settle", 1, self._settle, SETTLED_AT_ONCE)
        senders = Workers[Begun]("send", self._limits.threads, lambda begun: self._send(begun[0], settlers))
        with settlers, senders:
            while not stop.is_set():
                self._wake.clear()
                try:
                    waits_s = self._run_once(senders)
                except Exception as error:  # noqa: BLE001 - one odd parcel must not end all deliveries
                    log.error("dispatch.failed", error=describe_fault(error))
                    waits_s = self._limits.trouble_s
                if waits_s:
                    self._wake.wait(waits_s)
                # One look at the outbox for whatever has come in or become free meanwhile, and not one for each.
                stop.wait(self._limits.claim_gap_s)
        left = self._delivering.pay()
        if left:
            log.error("dispatch.settlements_left_to_the_rescuer", count=left)

    def _run_once(self, senders: Workers[Begun]) -> float:
        """Claim and begin once; for how long there will be nothing to do unless somebody wakes."""
        limits = self._limits
        try:
            leased = self.claim()
        except LedgerError as error:
            log.warning("dispatch.claim_failed", error=str(error))
            return limits.trouble_s
        if not leased:
            return limits.idle_s
        self._reached("dispatch.claimed")
        try:
            results = self._delivering.begin(leased)
        except LedgerError as error:
            log.warning("dispatch.begin_failed", error=str(error), parcels=len(leased))
            self._release(leased)
            return limits.trouble_s
        begun = [one for one in results if isinstance(one, Begun)]
        with self._lock:
            self._held.update(one.prepared.leased.parcel.webhook for one in begun)
        for one in begun:
            senders.put(one)
        return 0.0

    def _release(self, leased: Sequence[Leased]) -> None:
        try:
            self._outbox.release([one.parcel.delivery for one in leased], self._owner)
        except LedgerError as error:
            log.warning("dispatch.release_failed", error=str(error))

    def _send(self, begun: Begun, settlers: Workers[Sent]) -> None:
        """Send in a thread of its own; whatever happens, the slot becomes free."""
        seen: ObservedDelivery | None = None
        try:
            sent = self._delivering.send(begun)
            seen = sent.seen
            settlers.put(sent)
        finally:
            self._free(begun.prepared.leased.parcel.webhook, seen)
            self._wake.set()

    def _settle(self, sent: Sequence[Sent]) -> None:
        self._delivering.settle(sent)

    def _free(self, webhook: str, seen: ObservedDelivery | None) -> None:
        most = self._limits.per_webhook
        with self._lock:
            self._held[webhook] -= 1
            if not self._held[webhook]:
                del self._held[webhook]
            if seen is None:
                return
            took_ms = seen.ended_at_ms - seen.started_at_ms
            pace = self._paces.pop(webhook, Pace(most))
            pace = next_pace(pace, is_timeout=seen.is_timeout, took_ms=took_ms, bound_max=most)
            if not is_usual(pace, most):
                # At the end: those whose last delivery is longest ago come first.
                self._paces[webhook] = pace
