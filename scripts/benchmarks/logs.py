"""A ledger to measure on, built by the product's own parts in a directory of its own."""

from __future__ import annotations

import gc
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from benchmarks.workload import Workload
from ledger.engines.codec import MsgspecCodec
from ledger.ports import Clock
from ledger.sequencer.calls import Items
from ledger.sequencer.draft import Decision, Rejection, checked
from ledger.sequencer.seal import Sealer
from ledger.sequencer.sequencer import Sequencer
from ledger.store.engine import open_engine
from ledger.store.entries import SqlEntryStore
from ledger.store.migrate import upgrade
from ledger.store.record import FileCheckpointRecord
from ledger.transparency.publish import publish
from ledger.vault.ed25519 import Ed25519Signer, from_seed
from ledger.wiring.index import open_index

ORIGIN = "ledger.example/bench"
BATCH = 1_000
AHEAD = 3
"""Batches handed to the sequencer before the first of them has to be durable: one is judged while one commits."""


@dataclass(slots=True)
class BenchLog:
    """One ledger with its sequencer and sealer."""

    directory: Path
    engine: Engine
    store: SqlEntryStore
    sequencer: Sequencer
    sealer: Sealer
    signer: Ed25519Signer


@contextmanager
def bench_log(directory: Path, clock: Clock, database: str = "sqlite") -> Iterator[BenchLog]:
    """A new ledger, closed at the end: on SQLite in ``directory``, or on a PostgreSQL server that is started for it."""
    with new_database(directory, database) as url:
        upgrade(url)
        with _open_log(directory, clock, url) as log:
            yield log


@contextmanager
def new_database(directory: Path, database: str) -> Iterator[str]:
    """The URL of an empty database."""
    if database == "sqlite":
        yield f"sqlite:///{directory}/ledger.db"
        return
    from tests.support.postgresql import start_server

    server = start_server()
    with server.database(with_tables=False) as name:
        yield server.url(name)


@contextmanager
def _open_log(directory: Path, clock: Clock, url: str) -> Iterator[BenchLog]:
    engine = open_engine(url)
    store = SqlEntryStore(engine)
    signer = from_seed(ORIGIN, bytes(range(32)))
    sequencer = Sequencer(store, MsgspecCodec(), clock)
    sealer = Sealer(
        store,
        sequencer,
        FileCheckpointRecord(directory / "signed"),
        origin=ORIGIN,
        signers=[signer],
        verifiers=[signer.verifier()],
        index=open_index(engine),
    )
    try:
        yield BenchLog(directory, engine, store, sequencer, sealer, signer)
    finally:
        sequencer.close()
        store.close()


def append_all(log: BenchLog, batches: Iterable[Items]) -> int:
    """Append prepared batches in order, some ahead; returns how many entries are durable. All must go in."""
    done = 0
    waiting: deque[Future[list[Decision]]] = deque()
    for batch in batches:
        waiting.append(log.sequencer.submit(batch))
        if len(waiting) >= AHEAD:
            done += _take(waiting.popleft())
    while waiting:
        done += _take(waiting.popleft())
    return done


def _take(future: Future[list[Decision]]) -> int:
    outcomes = future.result()
    rejected = [outcome for outcome in outcomes if isinstance(outcome, Rejection)]
    assert not rejected, f"the workload is sound: {rejected[0]}"
    return len(outcomes)


def prepare(batches: Iterable[Items]) -> list[Items]:
    """The batches with their drafts checked, as importing does before it hands them over."""
    codec = MsgspecCodec()
    return [[checked(draft, codec) for draft in batch] for batch in batches]


def append_cast(log: BenchLog, workload: Workload) -> int:
    """Append the workload's opening and parties."""
    cast = list(workload.cast(ORIGIN, log.signer.vkey()))
    return append_all(log, [cast[at : at + BATCH] for at in range(0, len(cast), BATCH)])


def build_published(
    directory: Path, entries: int, seals: int, on_progress: Callable[[int], None]
) -> tuple[Path, int]:
    """A published log of about ``entries`` entries with ``seals`` seals; the directory, and the entries' mean size."""
    workload = Workload(entries)
    with bench_log(directory, workload.clock) as log:
        done = append_cast(log, workload)
        gc.freeze()
        for number in range(1, seals + 1):
            target = entries * number // seals
            # One by one: the clock has to stand where the batch was made when it is judged.
            for batch in workload.batches(target - done, BATCH):
                done += append_all(log, [batch])
                on_progress(done)
            log.sealer.seal()
            publish(log.store, directory / "public", log.signer.vkey())
    for path in directory.glob("ledger.db*"):
        path.unlink()
    size = sum(
        path.stat().st_size for path in (directory / "public/tile/entries").rglob("*") if path.is_file()
    )
    return directory / "public", size // max(done, 1)


def say(text: str) -> None:
    """A line for whoever waits."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
