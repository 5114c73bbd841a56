"""The index in the store: seals that change few or many of a million keys, proofs from it, and how soon it is published.

The log has 500,000 accounts with two deliveries each to one developer's endpoint. So there are a million keys (each
account, and each pair of account and developer), and one key, the developer's, with a million entries.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.authorizations import prepare as prepare_service
from benchmarks.logs import BATCH, ORIGIN, BenchLog, append_all, bench_log, say
from benchmarks.logs import prepare as prepare_drafts
from benchmarks.measure import Measured, measured
from benchmarks.records import record
from benchmarks.served import drive, serving
from benchmarks.workload import TickClock, tag
from ledger.core.index import key_leaf_hash
from ledger.core.map_proof import check_map_proof
from ledger.core.page_proof import check_page
from ledger.sequencer.draft import Draft
from ledger.store.index_proofs import SqlIndexProofs

PAGE = 50
CHANGED = (5_000, 5_000, 5_000, 100_000)
PROOFS = 500
SEAL_SECONDS = "0.3"
RATE = 1_000
REQUESTS_EACH_SECOND = 10


def _draft(kind: str, name: str, **members: Any) -> Draft:
    common: dict[str, Any] = {"at": TickClock().ms, "actor": "system:bench", "via": "file"}
    return Draft({**common, "kind": kind, "uid": f"{kind}/{name}", **members}, live=False)


def _opening(vkey: str) -> list[Draft]:
    return [
        _draft("ledger.opened", "0", origin=ORIGIN, vkey=vkey, rule_set="rules-1", map_fn=1),
        _draft("developer.registered", "dev-0", developer="dev-0"),
        _draft("app.registered", "app-0", app="app-0", developer="dev-0"),
        _draft(
            "endpoint.registered",
            "wh-0",
            endpoint="wh-0",
            app="app-0",
            developer="dev-0",
            environment="prod",
            url="https://hooks0.example/webhooks/twitter",
        ),
    ]


def _delivery(number: int, account: int, clock: TickClock) -> Draft:
    return _draft(
        "delivery.imported",
        f"d-{number}/1",
        delivery=f"d-{number}",
        attempt=1,
        event=f"e_{number:032x}",
        event_type="direct_message_events",
        private=True,
        channel="push",
        account=tag(account),
        subjects=[],
        endpoint="wh-0",
        started_at=clock.ms,
        ended_at=clock.ms + 80,
        status=200,
        disclosure="confirmed",
    )


class _Keys:
    """Deliveries in a log, of which each changes the keys of one account, and the developer's."""

    def __init__(self, log: BenchLog, clock: TickClock, keys: int) -> None:
        self.accounts = keys // 2
        self._log = log
        self._clock = clock
        self._number = 0
        append_all(log, [_opening(log.signer.vkey())])

    def append(self, accounts: Iterator[int], count: int) -> None:
        """Append ``count`` deliveries, of the next ``accounts``."""
        while count > 0:
            part = [
                _delivery(self._number + place, next(accounts), self._clock)
                for place in range(min(count, BATCH))
            ]
            self._number += len(part)
            count -= len(part)
            append_all(self._log, prepare_drafts([part]))


@contextmanager
def _million(scratch: Path, keys: int, database: str) -> Iterator[tuple[BenchLog, _Keys, float]]:
    """A sealed log with so many keys, how to make it grow, and how long its first seal took."""
    clock = TickClock()
    with bench_log(scratch, clock, database) as log:
        say(f"appending deliveries for {keys:,} keys first (not measured) ...")
        made = _Keys(log, clock, keys)
        made.append(iter([*range(made.accounts), *range(made.accounts)]), keys)
        started = time.perf_counter()
        log.sealer.seal()
        yield log, made, time.perf_counter() - started


def measure_seals(scratch: Path, keys: int, database: str) -> tuple[int, Measured]:
    """Seals after deliveries that change 5,000, three times, and 100,000 of ``keys``; the seconds of each."""
    random = Random(1)
    with _million(scratch, keys, database) as (log, made, first), measured() as result:
        took: list[tuple[int, float, float]] = []
        for changed in CHANGED:
            accounts = random.sample(range(made.accounts), min(changed // 2, made.accounts))
            made.append(iter(accounts), len(accounts))
            started, computed = time.perf_counter(), time.process_time()
            log.sealer.seal()
            ended, computed = time.perf_counter(), time.process_time() - computed
            took.append((2 * len(accounts) + 1, ended - started, computed))
    result.seconds = sum(seconds for _, seconds, _ in took)
    result.facts |= {
        "first_seal_seconds": round(first, 1),
        "seals": ", ".join(
            f"{changed:,} changed in {seconds:.2f} s ({computed:.2f} s of processor time)"
            for changed, seconds, computed in took
        ),
    }
    return sum(changed for changed, _, _ in took), result


def measure_proofs(scratch: Path, keys: int, database: str) -> tuple[int, Measured]:
    """Map proofs of random keys, each from a snapshot of its own, and pages of 50 of a key with as many entries."""
    random = Random(1)
    with _million(scratch, keys, database) as (log, made, _):
        proofs = SqlIndexProofs(log.engine)
        asked = [f"acct:{tag(random.randrange(2 * made.accounts))}" for _ in range(PROOFS)]
        made_ms, checked_ms, sizes, pages_ms = [], [], [], []
        with measured() as result:
            for key in asked:
                started = time.perf_counter()
                with proofs.snapshot() as snapshot:
                    proof, row, root = snapshot.prove_map(key), snapshot.load_row(key), snapshot.map_root
                ended = time.perf_counter()
                check_map_proof(key, proof, row, root)
                made_ms.append(1e3 * (ended - started))
                checked_ms.append(1e3 * (time.perf_counter() - ended))
                sizes.append(32 * len(proof.siblings) + (64 if proof.leaf else 0))
        entries_of_key = 0
        for _ in range(50):
            started = time.perf_counter()
            with proofs.snapshot() as snapshot:
                whole = snapshot.load_row("dev:dev-0")
                assert whole is not None, "every delivery is this developer's"
                page = snapshot.load_page("dev:dev-0", random.randrange(whole.count - PAGE), PAGE)
            entries_of_key = whole.count
            pages_ms.append(1e3 * (time.perf_counter() - started))
            leaves = [key_leaf_hash(*pair) for pair in zip(page.seqs, page.leaf_hashes, strict=True)]
            check_page(leaves, page.first, whole.count, page.proof, whole.key_root)
        proofs.close()
    result.facts |= {
        "map_part_made_ms": _spread(made_ms),
        "map_part_checked_ms": _spread(checked_ms),
        "map_part_bytes_mean": round(statistics.mean(sizes)),
        "page_of_50_ms": _spread(pages_ms),
        "entries_of_that_key": entries_of_key,
    }
    return PROOFS, result


def _spread(values: list[float]) -> str:
    ordered = sorted(values)
    return f"median {statistics.median(ordered):.2f}, p99 {ordered[len(ordered) * 99 // 100]:.2f}"


def measure_publication(scratch: Path, records: int) -> tuple[int, Measured]:
    """From the answer that an entry is durable to its checkpoint being published: a served process, 1,000 records/s."""
    os.environ["GRANTLEDGER_SEAL_SECONDS"] = SEAL_SECONDS
    each = RATE // REQUESTS_EACH_SECOND
    published: list[tuple[float, int]] = []
    done = threading.Event()

    def watch() -> None:
        connection = sqlite3.connect(scratch / "ledger.db")
        while not done.wait(0.004):
            row = connection.execute("SELECT tree_size FROM published_checkpoint").fetchone()
            if row is not None and (not published or published[-1][1] != row[0]):
                published.append((time.perf_counter(), row[0]))
        connection.close()

    with serving(scratch, prepare_service, ["api", "seal"]) as served:
        watcher = threading.Thread(target=watch)
        watcher.start()
        durable: list[tuple[float, int]] = []
        connection = sqlite3.connect(scratch / "ledger.db")
        with measured() as result:
            started = time.perf_counter()
            for turn in range(records // each):
                time.sleep(max(0.0, started + turn / REQUESTS_EACH_SECOND - time.perf_counter()))
                body = b"[" + b",".join(record(turn * each + place) for place in range(each)) + b"]"
                answers = drive(served.port, [[served.request("/v1/records", body)]])
                assert set(answers.statuses) == {b"200"}, answers.statuses
                answered = time.perf_counter()
                durable.append((answered, connection.execute("SELECT size FROM ledger_head").fetchone()[0]))
        time.sleep(3)
        done.set()
        watcher.join()
        connection.close()
    waits = [next(at for at, size in published if size >= needed) - since for since, needed in durable]
    result.facts |= {"to_publication_ms": _spread([1e3 * max(0.0, wait) for wait in waits])}
    result.facts |= {"to_publication_max_ms": round(1e3 * max(waits)), "checkpoints": len(published)}
    return len(durable) * each, result
