"""One parcel, from the lease to the settlement (ledger format, section 1.5; delivery protocol, section 3.5).

::

    begin   open the body, commit to it, ask the gate: the decision is durable before anything leaves; sign
    send    enter the flight, send under the permit
    settle  one entry for each attempt, and the parcels move with it

Rules kept here:

- Nothing is sent but under a permit that this very call was given. An attempt that turns out to be decided already (the
  process before died, or the answer got lost) is never sent: it is settled as ``possible``, and the next one follows.
- What is known about how an attempt ended is not lost with a failed append: it is tried again with the same ``uid``, and
  after that kept and tried whenever there is something else to do. Where the rescuer was faster, this evidence wins.
- A refusal is noted for the developer once its entry is durable. If that fails the parcel still waits, the gate gives the
  same answer again, and the note is made then.
- Everything about a destination is found by the webhook's id.

If we crash: before the decision is durable, the parcel's lease runs out and it is claimed again as it was; after that,
the attempt is in the log, and whoever claims the parcel finds it there.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from ledger.errors import LedgerError
from ledger.gateway.attempt_entries import (
    AttemptedEntry,
    Settlement,
    attempt_uid,
    body_context,
    draft_attempt,
    note_on,
    settle_sent,
)
from ledger.gateway.inflight import Flight, InFlight
from ledger.gateway.rescue import Watch, read_attempted, settle_open_attempt
from ledger.gateway.signing import Sender, Signing, WebhookUnknownError
from ledger.ports import Change, Clock, Permit, Refused, Subject
from ledger.ports.commitments import Commitments
from ledger.ports.outbox import AttemptNote, Leased, Outbox, ParcelState
from ledger.ports.registry import Registry
from ledger.ports.sealing import Sealing
from ledger.ports.sending import ObservedDelivery, WebhookTransport
from ledger.ports.vault import Keyring
from ledger.sequencer.draft import Appended, AttemptDraft, Decision, Rejection
from ledger.sequencer.sequencer import Sequencer

SETTLE_WAITS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
"""Waits between the tries to append a settlement; then it is kept for later."""

ASK_WAITS_S = (0.1, 0.5)
"""Waits between the tries to ask the gate."""

PAID_AT_ONCE = 100
OWED_MAX = 10_000
"""Settlements that are kept for later at most; the oldest are given up, and left to the rescuer."""

ERASED = "the account was erased"
ALTERED = "the body as it is kept does not open: it was altered"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A parcel that may be asked about."""

    leased: Leased
    body: bytes
    sender: Sender
    draft: AttemptDraft


@dataclass(frozen=True, slots=True)
class Begun:
    """A parcel with leave to send it, and signed. Belongs to one thread: the permit is for one attempt."""

    prepared: Prepared
    permit: Permit
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sent:
    """An attempt that has ended as ``seen``, and the settlement that is to be appended."""

    begun: Begun
    seen: ObservedDelivery
    settlement: Settlement


def _no_step(step: str) -> None:
    """Pass by: outside tests nothing happens between two steps."""


class Delivering:
    """The state machine of parcels; every method may be called from any thread.

    ``owner`` names this process in leases and entries, and no process before it. ``pause`` waits for some seconds.
    ``reached`` is called at each named step, so that tests can stop the process there.
    """

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        registry: Registry,
        outbox: Outbox,
        transport: WebhookTransport,
        inflight: InFlight,
        vault: Keyring,
        commitments: Commitments,
        sealing: Sealing,
        signing: Signing,
        clock: Clock,
        owner: str,
        on_outcome: Callable[[AttemptNote], None],
        pause: Callable[[float], None] = time.sleep,
        reached: Callable[[str], None] = _no_step,
    ) -> None:
        self._sequencer = sequencer
        self._registry = registry
        self._outbox = outbox
        self._transport = transport
        self._inflight = inflight
        self._vault = vault
        self._commitments = commitments
        self._sealing = sealing
        self._signing = signing
        self._clock = clock
        self._owner = owner
        self._on_outcome = on_outcome
        self._pause = pause
        self._reached = reached
        self._lock = threading.Lock()
        self._in_hand: set[str] = set()
        self._owed: deque[Settlement] = deque(maxlen=OWED_MAX)
        self._watch = Watch()

    def is_in_hand(self, delivery: str) -> bool:
        """Whether this process has leave to send ``delivery``, or is sending it, or settling it."""
        with self._lock:
            return delivery in self._in_hand

    def begin(self, leased: Sequence[Leased]) -> list[Begun | AttemptNote | None]:
        """Ask the gate about all of ``leased`` in one batch; what is to be sent, or what became of it, in their order.

        None for a parcel that is left as it is: somebody else may still be at work on it, or it has gone on. Raises
        StoreError where nothing is known; nothing was sent then. Each :class:`Begun` has to be given to
        :meth:`send`.
        """
        self.pay()
        results: list[Begun | AttemptNote | None] = [None] * len(leased)
        prepared: dict[int, Prepared] = {}
        ended: dict[int, tuple[ParcelState, AttemptNote]] = {}
        subjects = self._vault.subjects_behind({one.parcel.account for one in leased})
        for place, one in enumerate(leased):
            # A lease that ran out while this process was still at work on the parcel brings it here a second time.
            if not self.is_in_hand(one.parcel.delivery):
                made = self._prepare(one, subjects.get(one.parcel.account))
                if isinstance(made, Prepared):
                    prepared[place] = made
                elif made is not None:
                    ended[place] = ("dead", self._note_end(one, made))
        self._reached("delivering.prepared")
        decisions = self._ask([ready.draft for ready in prepared.values()]) if prepared else []
        self._reached("delivering.decided")
        try:
            for (place, ready), decision in zip(prepared.items(), decisions, strict=True):
                self._take(place, ready, decision, results, ended)
            self._end(leased, ended, results)
            self._reached("delivering.ended")
        except BaseException:
            # Nobody will send these now: whoever finds the attempts open settles them.
            self._let_go(one for one in results if isinstance(one, Begun))
            raise
        return results

    def send(self, begun: Begun) -> Sent:
        """Send what :meth:`begin` gave, once; the result has to be given to :meth:`settle`."""
        prepared, permit = begun.prepared, begun.permit
        assert permit.delivery == prepared.leased.parcel.delivery, "a permit is for its own delivery"
        try:
            with self._inflight.enter(permit) as flight:
                self._reached("delivering.entered")
                may_start = partial(self._start, flight)
                seen = self._transport.post(permit, begun.headers, prepared.body, may_start).observed
                self._reached("delivering.answered")
        except BaseException:
            # Nobody settles it now: whoever finds the attempt open does.
            self._let_go([begun])
            raise
        settlement = settle_sent(
            prepared.leased,
            permit,
            seen,
            signing_app=prepared.sender.app,
            worker=self._owner,
            waits_ms=prepared.sender.retry_waits_ms,
            is_restricted=flight.is_called_off,
            outbox=self._outbox,
        )
        return Sent(begun, seen, settlement)

    def _start(self, flight: Flight) -> int | None:
        started_at_ms = flight.may_start()
        if started_at_ms is not None:
            # Dying here leaves an attempt that counts as possible, although not a byte has left.
            self._reached("delivering.started")
        return started_at_ms

    def settle(self, sent: Sequence[Sent]) -> bool:
        """Append the settlements of ``sent`` in one batch, again and again; False where they are kept for later."""
        settlements = [one.settlement for one in sent]
        try:
            for wait_s in (*SETTLE_WAITS_S, None):
                try:
                    self._append(settlements)
                except LedgerError as error:
                    log.warning("delivering.not_settled", error=str(error), attempts=len(sent))
                    if wait_s is not None:
                        self._pause(wait_s)
                else:
                    self._reached("delivering.settled")
                    return True
            self._owed.extend(settlements)
            return False
        finally:
            self._let_go([one.begun for one in sent])

    def pay(self) -> int:
        """Append the settlements that are still owed, as far as it goes; how many are left."""
        while self._owed:
            with self._lock:
                owed = [self._owed.popleft() for _ in range(min(PAID_AT_ONCE, len(self._owed)))]
            try:
                self._append(owed)
            except LedgerError:
                self._owed.extendleft(reversed(owed))
                break
        return len(self._owed)

    def _prepare(self, leased: Leased, account: Subject | None) -> Prepared | str | None:
        """The parcel made ready; in words why it can never be sent; None where that is not known now."""
        parcel, held = leased.parcel, leased.held
        if account is None:
            return ERASED
        try:
            sender = self._signing.sender_of(parcel.webhook)
        except WebhookUnknownError as error:
            return error.reason
        except LedgerError as error:
            # The others of this batch have other keys. This one is claimed again when its lease has run out.
            log.error("delivering.no_key", webhook=parcel.webhook, error=str(error))
            return None
        try:
            body = self._sealing.open_for(account, body_context(held.event), held.body_sealed)
        except LedgerError as error:
            log.error("delivering.body_altered", delivery=parcel.delivery, error=str(error))
            return ALTERED
        uid = attempt_uid(parcel.delivery, parcel.attempt)
        payload = self._commitments.commit(account, uid, "payload", body)
        return Prepared(leased, body, sender, draft_attempt(leased, payload, self._owner))

    def _ask(self, drafts: Sequence[AttemptDraft]) -> list[Decision]:
        """Ask the gate; where an answer gets lost, ask again: what was decided then is not permitted a second time."""
        for wait_s in ASK_WAITS_S:
            try:
                return self._sequencer.submit(drafts).result()
            except LedgerError as error:
                log.warning("delivering.gate_unreachable", error=str(error), attempts=len(drafts))
                self._pause(wait_s)
        return self._sequencer.submit(drafts).result()

    def _take(
        self,
        place: int,
        prepared: Prepared,
        decision: Decision,
        results: list[Begun | AttemptNote | None],
        ended: dict[int, tuple[ParcelState, AttemptNote]],
    ) -> None:
        """Do with the parcel at ``place`` what the gate has decided."""
        leased = prepared.leased
        if isinstance(decision, Permit):
            # Here and not where it is sent: signing is computing, and two dozen threads would only get in each other's way.
            headers = self._signing.sign_delivery(prepared.sender, decision, prepared.body)
            with self._lock:
                self._in_hand.add(leased.parcel.delivery)
            results[place] = Begun(prepared, decision, headers)
        elif isinstance(decision, Refused):
            note = note_on(leased, "refused", self._clock.now_ms(), seq=decision.seq, reason=decision.code)
            ended[place] = ("refused", note)
        elif isinstance(decision, Appended):
            try:
                results[place] = self._find_out(prepared, read_attempted(decision.data))
            except LedgerError as error:
                # The others of this batch may have their permits by now, and only a second to use them.
                log.warning("delivering.not_found_out", error=str(error), seq=decision.seq)
        else:
            log.error("delivering.rejected", code=decision.code, reason=decision.reason)
            ended[place] = (
                "dead",
                self._note_end(leased, f"the ledger rejected the attempt: {decision.code}"),
            )

    def _find_out(self, prepared: Prepared, attempted: AttemptedEntry) -> AttemptNote | None:
        """What becomes of an attempt that was decided before, by whomever."""
        parcel = prepared.leased.parcel
        now = self._outbox.load_parcel(parcel.delivery)
        if now is None or now[1] != "waiting" or now[0].attempt != parcel.attempt:
            # The parcel has gone on with the settlement: whoever had the lease before was slow and not dead.
            return None
        if any(owed.note.delivery == parcel.delivery for owed in list(self._owed)):
            # What is known of it here is better than a guess, and is appended before the next batch begins.
            return None
        # Where the permit was meant for this process, its answer got lost and nobody holds it. Whoever else got it may
        # still be sending.
        with self._lock:
            is_old = self._watch.is_old(attempted, self._clock.now_ms())
        if attempted.worker != self._owner and not is_old:
            return None
        note = settle_open_attempt(self._sequencer, self._outbox, attempted, prepared.sender.retry_waits_ms)
        with self._lock:
            self._watch.forget(attempted)
        if note is not None:
            self._on_outcome(note)
        return note

    def _note_end(self, leased: Leased, reason: str) -> AttemptNote:
        return note_on(leased, "failed", self._clock.now_ms(), reason=reason)

    def _end(
        self,
        leased: Sequence[Leased],
        ended: dict[int, tuple[ParcelState, AttemptNote]],
        results: list[Begun | AttemptNote | None],
    ) -> None:
        """End the parcels that nothing more is to be done about, with their notes, in one transaction."""
        if not ended:
            return
        changes: list[Change] = []
        for place, (state, note) in ended.items():
            parcel = leased[place].parcel
            changes += [
                self._outbox.end(parcel.delivery, parcel.attempt, state),
                self._outbox.note(note),
            ]
        try:
            self._registry.apply(changes)
        except LedgerError as error:
            # The parcels wait as they did, and the gate will say the same; the permits of this batch do not wait.
            log.warning("delivering.ends_not_kept", error=str(error), parcels=len(ended))
            return
        for place, (_, note) in ended.items():
            results[place] = note
        self._tell(note for _, note in ended.values())

    def _append(self, settlements: Sequence[Settlement]) -> None:
        outcomes = self._sequencer.submit([one.draft for one in settlements]).result()
        for settlement, outcome in zip(settlements, outcomes, strict=True):
            if isinstance(outcome, Rejection):
                # Nothing that trying again would mend: the rescuer will say what is left to say.
                log.error("delivering.settlement_rejected", code=outcome.code, reason=outcome.reason)
            else:
                self._tell([settlement.note])

    def _let_go(self, begun: Iterable[Begun]) -> None:
        with self._lock:
            self._in_hand.difference_update(one.prepared.leased.parcel.delivery for one in begun)

    def _tell(self, notes: Iterable[AttemptNote]) -> None:
        for note in notes:
            self._on_outcome(note)
