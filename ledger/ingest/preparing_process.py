"""A second process that prepares the batches of a long source, while the first one judges and commits.

Batches go to it as they were read and come back as drafts, in order (:mod:`ledger.ingest.preparing` says what is done
to them). Starting a process takes longer than a short import: it starts after :data:`RECORDS_BEFORE_HELP` records, and
this process goes on by itself until the other one is ready. The drafts are the same either way.

The process is spawned, because this one has threads, and opens the vault for itself: what it mints is durable before
its drafts come back. It holds nothing else that matters. Where it dies, or this process dies, what it had prepared was
never appended, and running the import again goes on from what is in the ledger.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

import msgspec
import structlog

from ledger.errors import LedgerError, StoreError
from ledger.ingest.preparing import ImportVault, Prepared, Preparer
from ledger.ingest.sources import RawBatch, Reject
from ledger.ports.commitments import Commitments
from ledger.sequencer.draft import Draft

RECORDS_BEFORE_HELP = 10_000
BATCHES_AHEAD = 3
"""How many batches the other process has to work on, or has done, before the first of them is asked for."""

COLLECTION_THRESHOLD = 50_000

_STOP_SECONDS = 5.0
_READY = b"ready"

OpenVault = Callable[[], ImportVault]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class OpenScratchVault:
    """Opens a vault in another process, and makes a scratch copy of it there; both to be pickled."""

    open_vault: OpenVault
    scratch_vault: Callable[[ImportVault], ImportVault]

    def __call__(self) -> ImportVault:
        """The scratch copy."""
        return self.scratch_vault(self.open_vault())


@dataclass(frozen=True, slots=True)
class PreparingJob:
    """What the other process needs, all of it to be pickled; ``open_vault`` opens the vault there, for that process."""

    open_vault: OpenVault
    commitments: Commitments
    actor: str

    def preparer(self) -> Preparer:
        """A preparer with a vault of its own."""
        return Preparer(self.open_vault(), self.commitments, self.actor)


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """Let Python look for cycles once in a batch or so: records make many objects and no cycles.

    With the usual threshold a fifth of the time of an import goes there. Concerns the whole process, for as long.
    """
    thresholds = gc.get_threshold()
    gc.set_threshold(max(COLLECTION_THRESHOLD, thresholds[0]), *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


def prepare_all(
    batches: Iterator[RawBatch],
    preparer: Preparer,
    job: PreparingJob | None,
    records_before_help: int = RECORDS_BEFORE_HELP,
) -> Generator[Prepared, None, None]:
    """Every one of ``batches``, prepared, in order; close the iterator where it is not used up.

    ``preparer`` prepares them in this process until they prove many, then ``job`` does in another one (where there is a
    job, and a second processor). Raises as :meth:`Preparer.prepare` and as ``batches`` does, that after everything
    before it was given; StoreError where the other process dies.
    """
    if job is None or len(os.sched_getaffinity(0)) < 2:
        for raw in batches:
            yield preparer.prepare(raw)
        return
    records = 0
    helper: _Helper | None = None
    failure: LedgerError | None = None
    try:
        while True:
            try:
                raw = next(batches)
            except StopIteration:
                break
            except LedgerError as error:
                failure = error
                break
            records += len(raw.records)
            if helper is None and records > records_before_help:
                helper = _Helper(job)
            if helper is not None and helper.is_ready():
                helper.send(raw)
                # What is done goes on at once: the source may be a pipe in which the next batch takes long to come.
                while helper.under_way > BATCHES_AHEAD or helper.has_answer():
                    yield helper.receive()
            else:
                yield preparer.prepare(raw)
        while helper is not None and helper.under_way:
            yield helper.receive()
    finally:
        if helper is not None:
            helper.stop()
    if failure is not None:
        raise failure


class _Helper:
    """The other process, from this one; ``under_way`` batches were sent and not received."""

    def __init__(self, job: PreparingJob) -> None:
        self.under_way = 0
        self._is_ready: bool | None = None
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        # A daemon: it never outlives this process where that one ends in the usual way; else the pipe's end stops it.
        self._process = context.Process(
            target=_serve, args=(theirs, job), name="import-preparing", daemon=True
        )
        try:
            self._process.start()
        except OSError as error:
            self._give_up(str(error))
        # Held here as well, it would never be found closed.
        theirs.close()

    def is_ready(self, wait_seconds: float = 0.0) -> bool:
        """Whether it has started; False for good where it could not: then this process goes on alone."""
        if self._is_ready is None and self._connection.poll(wait_seconds):
            try:
                self._is_ready = self._connection.recv_bytes() == _READY
            except (EOFError, OSError):
                self._give_up("it ended")
        return self._is_ready is True

    def has_answer(self) -> bool:
        """Whether :meth:`receive` would not have to wait."""
        return self._connection.poll()

    def send(self, raw: RawBatch) -> None:
        """Give it a batch; returns before that is prepared."""
        data = pickle.dumps((raw.records, raw.rejects, raw.bytes_done), pickle.HIGHEST_PROTOCOL)
        try:
            self._connection.send_bytes(data)
        except OSError:
            raise self._death() from None
        self.under_way += 1

    def receive(self) -> Prepared:
        """The first batch that was sent and not received; raises what preparing it raised."""
        try:
            data = self._connection.recv_bytes()
        except (EOFError, OSError):
            raise self._death() from None
        self.under_way -= 1
        return _unpack(data)

    def stop(self) -> None:
        """End it; batches under way are lost."""
        self._connection.close()
        if self._process.pid is None:
            return
        self._process.terminate()
        self._process.join(_STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()

    def _give_up(self, reason: str) -> None:
        self._is_ready = False
        log.warning("import.no_second_process", reason=reason)

    def _death(self) -> StoreError:
        self._process.join(_STOP_SECONDS)
        return StoreError(
            f"the process that prepares the records died (exit code {self._process.exitcode}; out of memory?)"
        )


class _Parcel(msgspec.Struct, array_like=True, gc=False):
    """A prepared batch on its way between the processes; ``excludes[n]`` is the place of a draft's set in ``sets``."""

    members: list[dict[str, Any]]
    excludes: list[int]
    sets: list[list[str]]
    lines: list[int]
    rejects: list[tuple[int, str]]
    bytes_done: int


_PREPARED, _FAILED = b"p", b"f"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Parcel).decode


def _pack(prepared: Prepared) -> bytes:
    places: dict[frozenset[str], int] = {}
    return _PREPARED + _encode(
        _Parcel(
            [dict(draft.members) for draft in prepared.drafts],
            [places.setdefault(draft.compare_exclude, len(places)) for draft in prepared.drafts],
            [sorted(names) for names in places],
            prepared.lines,
            [(reject.line, reject.reason) for reject in prepared.rejects],
            prepared.bytes_done,
        )
    )


def _unpack(data: bytes) -> Prepared:
    if data[:1] == _FAILED:
        raise pickle.loads(data[1:])  # noqa: S301 - our own process wrote it
    parcel = _decode(memoryview(data)[1:])
    sets = [frozenset(names) for names in parcel.sets]
    return Prepared(
        [
            Draft(members, live=False, compare_exclude=sets[place], is_checked=True)
            for members, place in zip(parcel.members, parcel.excludes, strict=True)
        ],
        parcel.lines,
        [Reject(line, reason) for line, reason in parcel.rejects],
        parcel.bytes_done,
    )


def _serve(connection: Connection, job: PreparingJob) -> None:
    """Prepare what arrives, in order, until the other end is closed: the body of the second process."""
    # An interrupt from the keyboard is for the first process, which stops this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    preparer = job.preparer()
    arrived: SimpleQueue[bytes | None] = SimpleQueue()
    # Another thread takes them in, so that whoever sends never waits for somebody who waits for it.
    threading.Thread(target=_take_in, args=(connection, arrived), daemon=True).start()
    with collecting_seldom():
        try:
            connection.send_bytes(_READY)
            while (data := arrived.get()) is not None:
                records, rejects, bytes_done = pickle.loads(data)  # noqa: S301 - our own process wrote it
                try:
                    answer = _pack(preparer.prepare(RawBatch(records, rejects, bytes_done)))
                except LedgerError as error:
                    answer = _FAILED + pickle.dumps(error)
                connection.send_bytes(answer)
        except OSError:
            return  # nobody listens any more


def _take_in(connection: Connection, arrived: SimpleQueue[bytes | None]) -> None:
    try:
        while True:
            arrived.put(connection.recv_bytes())
    except (EOFError, OSError):
        arrived.put(None)
