"""The one writer of a log: many callers, one thread, one transaction for whatever is waiting (section 1.1).

Callers hand over drafts and wait; the judging thread takes what has queued up, judges it in order
(:mod:`ledger.sequencer.batch`) and hands it to the committing thread, which makes it durable in one transaction and
only then answers. So an answer means *durable*. While one batch is on its way to the disk the next one is judged, on
the state that holds once the first is durable: at most one is ahead, and if the first fails, the second is judged anew.

A commit can fail without anybody knowing whether it happened; the writer then looks at the log
(:mod:`ledger.sequencer.committing`). If the batch is there it is durable and answered as such; if not, everything that
judging has moved is forgotten and read anew.
Where even that look fails, callers get a StoreError that says so, and the next batch begins with a recovery. A caller
may always repeat a call: the ``uid`` makes it the same entry.

Other processes may append to the same log. Before a batch is judged with none in flight, what they appended is taken in;
one that was judged and overtaken all the same is judged anew while the turn to write is held, and for some time after
that every batch is, so that nobody is overtaken twice.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import chain
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import structlog

from ledger.core.entries import Entry
from ledger.core.history import History
from ledger.errors import LedgerError, StoreError, describe_fault
from ledger.ports import Announce, Announced, Clock, Codec, EntryStore, NewEntry, Stopwatch, StoredEntry
from ledger.sequencer.announcing import Announcements
from ledger.sequencer.batch import Batch, uids_of
from ledger.sequencer.calls import Call, Flight, Items, Judged
from ledger.sequencer.committing import OvertakenError, make_durable
from ledger.sequencer.draft import AttemptDraft, Decision, Draft, Outcome, Rejection
from ledger.sequencer.instants import Instants
from ledger.sequencer.recover import catch_up, load_bearing, recover
from ledger.sequencer.state import Head, State

BATCH_ITEMS_MAX = 1_000

SWITCH_INTERVAL_SECONDS = 0.000_5
"""How long a thread that computes may keep the interpreter to itself while the sequencer's threads wait for it.

Committing gives the interpreter up at every step of the database and asks for it back a dozen times a batch. At
Python's own 5 ms it would get it back only when the next batch is judged, and the two would take turns.
"""

CONTENDED_SECONDS = 60.0
"""How long every batch holds the turn to write after another writer was seen to be at work at the same time."""

_Told = TypeVar("_Told")

WITHDRAWN = Rejection("another record of the same call was rejected", "withdrawn")

log = structlog.get_logger()


def _no_step(step: str) -> None:
    """Pass by: outside tests nothing happens between two steps."""


def _tell_nobody(entries: Sequence[Entry]) -> None:
    """Nobody asked to be told."""


class Sequencer:
    """Appends to the log in ``store``; start one for a log in each process that appends.

    ``batch_items_max`` bounds a transaction (an all-or-nothing call may exceed it). ``on_durable`` is told of entries that
    bear state, own ones before their callers are answered, and those of other processes when they are noticed; it must
    neither raise nor wait, and comes from any of the sequencer's threads. ``announce`` is told of what may be about to
    restrict, before it is recorded. ``stopwatch`` is what permits end by beside the clock. ``reached`` is called at each
    named step, so that tests can stop the process or raise there. Use as a context manager, or call :meth:`close`.
    """

    def __init__(
        self,
        store: EntryStore,
        codec: Codec,
        clock: Clock,
        *,
        batch_items_max: int = BATCH_ITEMS_MAX,
        on_durable: Callable[[Sequence[Entry]], None] = _tell_nobody,
        announce: Announce | None = None,
        stopwatch: Stopwatch = time.monotonic,
        reached: Callable[[str], None] = _no_step,
    ) -> None:
        """Recover the state from ``store`` and start the writer; raises ForkError or StoreError as ``recover`` does."""
        assert batch_items_max > 0, "a batch holds at least one item"
        self._store = store
        self._codec = codec
        self._clock = clock
        self._batch_items_max = batch_items_max
        self._on_durable = on_durable
        self._announcements = Announcements(announce)
        self._stopwatch = stopwatch
        self._reached = reached
        self._state: State | None = recover(store, codec)
        self._size = self._told_size = self._state.head.size
        self._queue: SimpleQueue[Call | None] = SimpleQueue()
        self._submitting = threading.Lock()
        self._closed = False
        self._flight: Flight | None = None
        self._overtaken: Sequence[Call] = ()
        self._contended_until_s = 0.0
        # The setting is the process's, and shorter turns serve its other threads as well.
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_INTERVAL_SECONDS))
        self._committer = ThreadPoolExecutor(1, "sequencer-commit")
        self._judge = threading.Thread(target=self._run, name="sequencer-judge", daemon=True)
        self._judge.start()

    def __enter__(self) -> Self:
        """Return the sequencer; the end of the block closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    @property
    def size(self) -> int:
        """How many entries are durable, as far as this sequencer knows."""
        return self._size

    def append(self, draft: Draft) -> Outcome:
        """Append one draft; returns when it is durable. Raises StoreError or ForkError where nothing is known."""
        return cast(Outcome, self._submit([draft], False).result()[0])

    def append_many(self, drafts: Sequence[Draft], *, all_or_nothing: bool = False) -> list[Outcome]:
        """Append drafts in order; returns when all are durable, with the outcome of each, in their order.

        They go in batches, and one that is rejected does not hold up the others; with ``all_or_nothing`` they go in one
        transaction, and a single rejection leaves out all of them. Raises as :meth:`append`; batches before the one
        that failed are then durable.
        """
        step = max(1, len(drafts)) if all_or_nothing else self._batch_items_max
        calls = [self._submit(drafts[i : i + step], all_or_nothing) for i in range(0, len(drafts), step)]
        return cast(list[Outcome], [outcome for call in calls for outcome in call.result()])

    def request(self, draft: AttemptDraft) -> Decision:
        """Decide whether an attempt may be sent; returns when the decision is durable. Raises as :meth:`append`."""
        return self._submit([draft], False).result()[0]

    def submit(self, items: Items) -> Future[list[Decision]]:
        """Like the other calls but without waiting: all of ``items`` go in one batch. At most the bound of a batch."""
        assert len(items) <= self._batch_items_max, f"a batch holds at most {self._batch_items_max} items"
        return self._submit(items, False)

    def catch_up(self) -> int:
        """Take in what other processes have appended; the size of the log then. Raises as :meth:`append`."""
        self._submit([], False).result()
        return self._size

    def look(self, question: Callable[[History, int], _Told]) -> _Told:
        """What ``question`` makes of the history and of now (ms, as entries have it); changes neither and is quick.

        Asked between two batches, of what is durable by then, whoever appended it. Raises as :meth:`append`.
        """
        call = Call((), Future(), True, question)
        self._hand_over(call)
        return cast(_Told, call.future.result())

    def close(self) -> None:
        """Finish what was handed over, then stop the writer; later calls raise StoreError. May be called twice."""
        with self._submitting:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._judge.join()
        self._committer.shutdown()

    def _submit(self, items: Items, whole: bool) -> Future[list[Decision]]:
        call = Call(items, Future(), whole)
        self._hand_over(call)
        return call.future

    def _hand_over(self, call: Call) -> None:
        with self._submitting:
            if self._closed:
                raise StoreError("the sequencer is closed: nothing was appended")
            self._queue.put(call)

    def _run(self) -> None:
        held: Call | None = None
        while True:
            first = held if held is not None else self._queue.get()
            if first is None:
                self._land()
                return
            if first.question is not None:
                held = None
                self._tell_of(first.question, first.future)
                continue
            calls, held = [first], None
            count = len(first.items)
            # Whatever has queued up meanwhile shares the transaction; nobody waits for a batch to fill.
            while not first.whole and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    self._answer(calls)
                    self._land()
                    return
                if following.whole or count + len(following.items) > self._batch_items_max:
                    held = following
                    break
                calls.append(following)
                count += len(following.items)
            self._answer(calls)

    def _tell_of(self, question: Callable[[History, int], Any], future: Future[Any]) -> None:
        """Answer ``question`` from what is durable."""
        try:
            self._land()
            state = self._current_state()
            future.set_result(question(state.history, self._read_clock(state.head)))
        except BaseException as error:  # noqa: BLE001 - whatever it is, callers must not wait for ever
            future.set_exception(error)

    def _answer(self, calls: Sequence[Call]) -> None:
        """Judge ``calls`` as one batch and send it to the disk; whatever goes wrong, each caller is told."""
        calls = [call for call in calls if call.future.set_running_or_notify_cancel()]
        judged = None
        while judged is None:
            if time.monotonic() < self._contended_until_s:
                self._land()
                self._answer_in_turn(calls)
                return
            try:
                judged = self._judge_calls(calls)
            except BaseException as error:  # noqa: BLE001 - whatever it is, callers must not wait for ever
                _fail(calls, error)
                return
            # Judging went ahead of the batch before. Where that one did not become durable, neither did anything that
            # these outcomes rest on.
            if not self._land():
                judged = None
        if judged.batch.rows:
            landed = self._committer.submit(self._commit, judged)
            self._flight = Flight(judged.batch, landed)
        else:
            self._tell(judged)

    def _answer_in_turn(self, calls: Sequence[Call]) -> None:
        """Judge and append ``calls`` while nobody else can append."""
        try:
            with self._store.turn() as turn:
                judged = self._judge_calls(calls)
                if judged.batch.rows:
                    make_durable(self._store, judged.batch, turn.append)
        except BaseException as error:  # noqa: BLE001 - whatever it is, callers must not wait for ever
            self._state = None
            _fail(calls, error)
            return
        if not judged.batch.rows:
            self._tell(judged)
        elif not self._acknowledge(judged):
            self._state = None

    def _judge_calls(self, calls: Sequence[Call]) -> Judged:
        """Judge the items of ``calls`` on the state after the batch in flight, and move the state on."""
        state = self._current_state()
        items = [item for call in calls for item in call.items]
        named = [uids_of(item) for item in items]
        uids = list(chain.from_iterable(named))
        taken: dict[str, StoredEntry | NewEntry] = dict(self._store.fetch_by_uids(uids)) if uids else {}
        if self._flight is not None:
            taken |= self._flight.batch.find(uids)
        announced = self._announcements.make(items)
        # Behind the announcement: whatever starts from now on is not touched by what is judged here.
        batch = self._new_batch(state, taken, announced)
        # Any way out but the last lines leaves the state unusable: judging has moved it.
        self._state = None
        outcomes = batch.judge_all(items, named)
        if calls and calls[0].whole and any(isinstance(outcome, Rejection) for outcome in outcomes):
            outcomes = [_withdrawn(outcome, state.head.size) for outcome in outcomes]
            self._state = None if batch.bearing else state
            return Judged(calls, self._new_batch(state, {}, announced), outcomes, announced)
        if batch.rows:
            self._reached("append.judged")
            state.head = batch.head
        self._state = state
        return Judged(calls, batch, outcomes, announced)

    def _new_batch(
        self, state: State, taken: dict[str, StoredEntry | NewEntry], announced: Announced | None
    ) -> Batch:
        began_at_s, now_ms = self._stopwatch(), self._read_clock(state.head)
        latest_start_ms = -1 if announced is None else announced.latest_start_ms
        instants = Instants(state.head, max(now_ms, latest_start_ms), latest_start_ms)
        return Batch(state, self._codec, taken, instants, began_at_s)

    def _current_state(self) -> State:
        """The state after the batch in flight, else after all that anybody has appended by now."""
        if self._state is None or (self._flight is not None and self._flight.landed.done()):
            # Either the last batch left the state in doubt, or it is there and others may have appended since.
            self._land()
        state = self._state
        if state is None:
            state = self._state = recover(self._store, self._codec)
            if self._told_size < state.head.size:
                self._on_durable(load_bearing(self._store, self._codec, self._told_size, state.head.size))
            self._size = self._told_size = state.head.size
            # Nothing is on its way now: whatever of these is in the log was told just now, and the others are not there.
            self._announcements.close_all()
        elif self._flight is None and self._store.size() != state.head.size:
            if time.monotonic() < self._contended_until_s:
                self._contended_until_s = time.monotonic() + CONTENDED_SECONDS
            self._state = None  # folding may stop half-way
            self._on_durable(catch_up(self._store, self._codec, state))
            self._state = state
            self._size = self._told_size = state.head.size
        return state

    def _land(self) -> bool:
        """Wait for the batch in flight; False, and the state is given up, when it is not durable or nobody knows."""
        if self._flight is None:
            return True
        landed = self._flight.landed.result()
        self._flight = None
        if not landed:
            self._state = None
            overtaken, self._overtaken = self._overtaken, ()
            if overtaken:
                # They were handed over before whatever is judged now.
                self._contended_until_s = time.monotonic() + CONTENDED_SECONDS
                self._answer_in_turn(overtaken)
        return landed

    def _commit(self, judged: Judged) -> bool:
        """Make a batch durable and answer its callers; runs in the committing thread. Whether all went well."""
        batch = judged.batch
        try:
            make_durable(self._store, batch, partial(self._store.append, batch.rows[0].seq))
        except OvertakenError:
            self._overtaken = judged.calls
            # The judging thread may be waiting for something to do; it lands this batch before anything else.
            self._queue.put(Call((), Future(), False))
            return False
        except BaseException as error:  # noqa: BLE001 - whatever it is, callers must not wait for ever
            _fail(judged.calls, error)
            return False
        return self._acknowledge(judged)

    def _acknowledge(self, judged: Judged) -> bool:
        """Tell everybody that a batch is durable; whether all went well."""
        try:
            self._size = judged.batch.rows[-1].seq + 1
            # Durable, but nobody knows: a caller that repeats its call finds the entry by its uid.
            self._reached("append.durable")
            if judged.batch.bearing:
                self._on_durable(judged.batch.bearing)
            self._told_size = self._size
            self._announcements.close(judged.announced)
            self._reached("append.acknowledging")
        except BaseException as error:  # noqa: BLE001 - whatever it is, callers must not wait for ever
            _fail(judged.calls, error)
            return False
        self._tell(judged)
        return True

    def _tell(self, judged: Judged) -> None:
        if not judged.batch.rows:
            self._announcements.close(judged.announced)
        start = 0
        for call in judged.calls:
            end = start + len(call.items)
            call.future.set_result(list(judged.outcomes[start:end]))
            start = end

    def _read_clock(self, head: Head) -> int:
        now_ms = self._clock.now_ms()
        if now_ms < head.recorded_at_ms:
            log.warning("sequencer.clock_went_back", now_ms=now_ms, recorded_at_ms=head.recorded_at_ms)
        return max(now_ms, head.recorded_at_ms)


def _fail(calls: Sequence[Call], error: BaseException) -> None:
    if not isinstance(error, LedgerError):
        log.error("sequencer.failed", error=describe_fault(error), calls=len(calls))
    for call in calls:
        call.future.set_exception(error)


def _withdrawn(outcome: Decision, size: int) -> Decision:
    """The outcome of an item whose call was taken back as a whole; entries below ``size`` stand."""
    return outcome if isinstance(outcome, Rejection) or outcome.seq < size else WITHDRAWN
