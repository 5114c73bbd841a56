"""The one writer of a log: many callers, one thread, one transaction for whatever is waiting (section 1.1).

Callers hand over drafts and wait; the judging thread takes what has queued up, judges it in order
(:mod:`ledger.sequencer.batch`) and hands it to the committing thread, which makes it durable in one transaction and
only then answers. So an answer means *durable*. While one batch is on its way to the disk the next one is judged, on
the state that holds once the first is durable: at most one is ahead, and if the first fails, the second is judged anew.

A commit can fail in two ways, and nobody can tell them apart by the exception: it did not happen, or it happened and
was reported as failed. The writer therefore looks at the log again. If the batch is there, down to the leaf hash of its
last entry, it is durable and answered as such; if not, everything that judging has moved is forgotten and read anew.
Where even that look fails, callers get a StoreError that says so, and the next batch begins with a recovery. A caller
may always repeat a call: the ``uid`` makes it the same entry.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from queue import SimpleQueue
from types import TracebackType
from typing import Self, cast

import structlog

from ledger.errors import ForkError, LedgerError, StoreError
from ledger.ports import Clock, Codec, EntryStore, NewEntry, StoredEntry
from ledger.sequencer.batch import Batch, uids_of
from ledger.sequencer.draft import AttemptDraft, Decision, Draft, Outcome, Rejection
from ledger.sequencer.recover import recover
from ledger.sequencer.state import Head, State

BATCH_ITEMS_MAX = 1_000

SWITCH_INTERVAL_SECONDS = 0.000_5
"""How long a thread that computes may keep the interpreter to itself while the sequencer's threads wait for it.

Committing gives the interpreter up at every step of the database and asks for it back a dozen times a batch. At
Python's own 5 ms it would get it back only when the next batch is judged, and the two would take turns.
"""

Items = Sequence[Draft | AttemptDraft]

WITHDRAWN = Rejection("another record of the same call was rejected", "withdrawn")

log = structlog.get_logger()


def _no_step(step: str) -> None:
    """Pass by: outside tests nothing happens between two steps."""


@dataclass(frozen=True, slots=True)
class _Call:
    """Items of one caller, answered together and never split; ``whole`` means all of them or none."""

    items: Items
    future: Future[list[Decision]]
    whole: bool


@dataclass(frozen=True, slots=True)
class _Judged:
    """A batch on its way to the disk, with the outcomes that its callers get once it is durable."""

    calls: Sequence[_Call]
    batch: Batch
    outcomes: Sequence[Decision]


@dataclass(frozen=True, slots=True)
class _Flight:
    """A batch that is being committed; ``landed`` tells whether it is durable, when that is known."""

    batch: Batch
    landed: Future[bool]


class Sequencer:
    """Appends to the log in ``store``; start one for a log, in one process.

    ``batch_items_max`` bounds a transaction (an all-or-nothing call may exceed it). ``reached`` is called at each named
    step, so that tests can stop the process or raise there. Use as a context manager, or call :meth:`close`.
    """

    def __init__(
        self,
        store: EntryStore,
        codec: Codec,
        clock: Clock,
        *,
        batch_items_max: int = BATCH_ITEMS_MAX,
        reached: Callable[[str], None] = _no_step,
    ) -> None:
        """Recover the state from ``store`` and start the writer; raises ForkError or StoreError as ``recover`` does."""
        assert batch_items_max > 0, "a batch holds at least one item"
        self._store = store
        self._codec = codec
        self._clock = clock
        self._batch_items_max = batch_items_max
        self._reached = reached
        self._state: State | None = recover(store, codec)
        self._size = self._state.head.size
        self._queue: SimpleQueue[_Call | None] = SimpleQueue()
        self._submitting = threading.Lock()
        self._closed = False
        self._flight: _Flight | None = None
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

    def close(self) -> None:
        """Finish what was handed over, then stop the writer; later calls raise StoreError. May be called twice."""
        with self._submitting:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._judge.join()
        self._committer.shutdown()

    def _submit(self, items: Items, whole: bool) -> Future[list[Decision]]:
        call = _Call(items, Future(), whole)
        with self._submitting:
            if self._closed:
                raise StoreError("the sequencer is closed: nothing was appended")
            self._queue.put(call)
        return call.future

    def _run(self) -> None:
        held: _Call | None = None
        while True:
            first = held if held is not None else self._queue.get()
            if first is None:
                self._land()
                return
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

    def _answer(self, calls: Sequence[_Call]) -> None:
        """Judge ``calls`` as one batch and send it to the disk; whatever goes wrong, each caller is told."""
        calls = [call for call in calls if call.future.set_running_or_notify_cancel()]
        judged = None
        while judged is None:
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
            self._flight = _Flight(judged.batch, landed)
        else:
            self._tell(judged)

    def _judge_calls(self, calls: Sequence[_Call]) -> _Judged:
        """Judge the items of ``calls`` on the state after the batch in flight, and move the state on."""
        state = self._state
        if state is None:
            # The last batch left the state in doubt; nothing is judged on it before it is read anew.
            self._land()
            state = self._state = recover(self._store, self._codec)
            self._size = state.head.size
        items = [item for call in calls for item in call.items]
        named = [uids_of(item) for item in items]
        uids = list(chain.from_iterable(named))
        taken: dict[str, StoredEntry | NewEntry] = dict(self._store.fetch_by_uids(uids)) if uids else {}
        if self._flight is not None:
            taken |= self._flight.batch.find(uids)
        batch = Batch(state, self._codec, taken, self._read_clock(state.head))
        # Any way out but the last lines leaves the state unusable: judging has moved it.
        self._state = None
        outcomes = batch.judge_all(items, named)
        if calls and calls[0].whole and any(isinstance(outcome, Rejection) for outcome in outcomes):
            outcomes = [_withdrawn(outcome, state.head.size) for outcome in outcomes]
            self._state = None if batch.moved_history else state
            return _Judged(calls, Batch(state, self._codec, {}, batch.now_ms), outcomes)
        if batch.rows:
            self._reached("append.judged")
            state.head = Head(batch.rows[-1].seq + 1, batch.rows[-1].leaf_hash, batch.now_ms)
        self._state = state
        return _Judged(calls, batch, outcomes)

    def _land(self) -> bool:
        """Wait for the batch in flight; False, and the state is given up, when it is not durable or nobody knows."""
        if self._flight is None:
            return True
        landed = self._flight.landed.result()
        self._flight = None
        if not landed:
            self._state = None
        return landed

    def _commit(self, judged: _Judged) -> bool:
        """Make a batch durable and answer its callers; runs in the committing thread. Whether all went well."""
        try:
            self._append(judged.batch)
            self._size = judged.batch.rows[-1].seq + 1
            # Durable, but nobody knows: a caller that repeats its call finds the entry by its uid.
            self._reached("append.durable")
            self._reached("append.acknowledging")
        except BaseException as error:  # noqa: BLE001 - whatever it is, callers must not wait for ever
            _fail(judged.calls, error)
            return False
        self._tell(judged)
        return True

    def _append(self, batch: Batch) -> None:
        """Make the rows of ``batch`` durable; raises when they are not, or when nobody can say."""
        start, last = batch.rows[0].seq, batch.rows[-1]
        try:
            self._store.append(start, batch.rows)
        except Exception as failure:
            try:
                durable_size = self._store.size()
                durable = (
                    durable_size > last.seq
                    and self._store.leaf_hashes(last.seq, last.seq + 1) == last.leaf_hash
                )
            except LedgerError as blind:
                raise StoreError(
                    f"{failure}; and the log cannot be read to see whether it was appended ({blind}): repeat the call"
                ) from failure
            if durable:
                # Each leaf commits to every entry before it: the last one there means that all are there.
                log.warning("sequencer.append_reported_as_failed", error=str(failure), seq=start)
                return
            if durable_size != start:
                raise ForkError(
                    f"the log has {durable_size} entries where this sequencer left it at {start}: "
                    "another writer appends to it; stop one of them"
                ) from failure
            raise

    def _tell(self, judged: _Judged) -> None:
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


def _fail(calls: Sequence[_Call], error: BaseException) -> None:
    if not isinstance(error, LedgerError):
        log.error("sequencer.failed", error=repr(error), calls=len(calls))
    for call in calls:
        call.future.set_exception(error)


def _withdrawn(outcome: Decision, size: int) -> Decision:
    """The outcome of an item whose call was taken back as a whole; entries below ``size`` stand."""
    return outcome if isinstance(outcome, Rejection) or outcome.seq < size else WITHDRAWN
