"""``scripts/bench``: import, append, single callers, seal and verify, each by itself, sizes as arguments."""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.logs import BATCH, append_all, append_cast, bench_log, build_published, prepare, say
from benchmarks.measure import Measured, machine, measured, sha256_limit
from benchmarks.workload import Workload
from ledger.core.strict import parse_decimal

Row = dict[str, Any]


def bench_append(options: argparse.Namespace, scratch: Path) -> Row:
    """Append with judging, encoding and hashing, in durable batches of 1,000; drafts are made and checked beforehand."""
    workload = Workload(options.entries)
    with bench_log(scratch, workload.clock, options.database) as log:
        append_cast(log, workload)
        prepared = prepare(workload.batches(options.entries, BATCH))
        gc.collect()
        gc.freeze()
        with measured() as result:
            done = append_all(log, prepared)
        gc.unfreeze()
    return row(f"append, batches of 1,000, {options.database}", done, result)


def bench_callers(options: argparse.Namespace, scratch: Path) -> Row:
    """Single durable appends from 64 threads at once."""
    each = max(1, options.entries // options.callers)
    workload = Workload(each * options.callers)
    with bench_log(scratch, workload.clock, options.database) as log:
        append_cast(log, workload)
        drafts = [draft for batch in workload.batches(each * options.callers, BATCH) for draft in batch]
        waits: list[float] = []

        def call(number: int) -> None:
            for draft in drafts[number * each : (number + 1) * each]:
                started = time.perf_counter()
                log.sequencer.submit([draft]).result()
                waits.append(time.perf_counter() - started)

        threads = [threading.Thread(target=call, args=(number,)) for number in range(options.callers)]
        with measured() as result:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    waits.sort()
    result.facts["p99_ms"] = round(1000 * waits[len(waits) * 99 // 100], 1)
    return row(f"single durable appends, {options.callers} callers, {options.database}", len(waits), result)


def bench_import(options: argparse.Namespace, scratch: Path) -> Row:
    """``grantledger import`` and ``grantledger seal`` of a file of records, end to end, in this process."""
    from ledger.ingest.sources import open_source
    from ledger.settings import load_settings
    from ledger.wiring import create_ledger, open_ledger
    from tests.support.records import make_lines

    file = scratch / "records.jsonl"
    file.write_bytes(make_lines(1, options.entries))
    settings = load_settings({}, str(scratch / "import.db"))
    create_ledger(settings, "ledger.example/bench")
    with measured() as result, open_ledger(settings) as ledger:
        started = time.perf_counter()
        report = ledger.import_from(open_source(str(file), sys.stdin.buffer))
        imported = time.perf_counter() - started
        ledger.sealer.seal()
        entries = ledger.store.size()
    result.facts |= {
        "import_seconds": round(imported, 1),
        "seal_seconds": round(result.seconds - imported, 1),
        "rejected": report.rejected,
        "entries": entries,
    }
    return row("import and seal, records", options.entries, result)


def bench_seal(options: argparse.Namespace, scratch: Path) -> Row:
    """One seal over everything that was appended: index, tiles, signature."""
    workload = Workload(options.entries)
    with bench_log(scratch, workload.clock) as log:
        done = append_cast(log, workload)
        for batch in workload.batches(options.entries - done, BATCH):
            done += append_all(log, [batch])
        with measured() as result:
            log.sealer.seal()
    return row("seal, entries new to the index", done, result)


def bench_verify(options: argparse.Namespace, scratch: Path) -> Row:
    """Verify a published log from its tiles: chain, root, fields from bytes, backing; with --index every map root."""
    from ledger.audit.verify import Request, verify
    from ledger.engines.codec import MsgspecCodec
    from ledger.engines.duck import DuckEngine
    from ledger.store.tile_directory import TileDirectory
    from ledger.vault.ed25519 import verifier_from_vkey

    keep = None if options.keep is None else Path(options.keep)
    directory = scratch if keep is None else keep
    public = directory / "public"
    if not (public / "checkpoint").exists():
        directory.mkdir(parents=True, exist_ok=True)
        say(f"building a log of {options.entries:,} entries first (not measured) ...")
        build_published(directory, options.entries, options.seals, _say_now_and_then)
    source = TileDirectory.open(public)
    vkey = (public / "log.vkey").read_text().strip()
    phases: dict[str, float] = {}
    started = time.perf_counter()

    def follow(phase: str, _done: int, _total: int) -> None:
        phases[phase] = round(time.perf_counter() - started, 1)

    request = Request(source, verifier_from_vkey(vkey), vkey, with_index=options.index)
    with measured() as result:
        verified = verify(request, DuckEngine(options.processes), MsgspecCodec(), follow)
    report = verified.report
    bundles = (public / "tile/entries").rglob("*")
    entry_bytes = sum(path.stat().st_size for path in bundles if path.is_file()) // report.tree_size
    rate = report.tree_size / result.seconds
    limit = sha256_limit(entry_bytes)
    result.facts |= {
        "exit_status": report.exit_status,
        "findings": len(report.findings),
        "mean_entry_bytes": entry_bytes,
        "ended_at_seconds": phases,
        "sha256_limit_per_core": round(limit),
        "of_sha256_limit": round(rate / limit, 3),
    }
    what = "verify with index replay" if options.index else "verify without index replay"
    return row(what, report.tree_size, result)


def bench_authorizations(options: argparse.Namespace, scratch: Path) -> Row:
    """Single authorizations over HTTP from 64 connections: a served process, a real socket, the client beside it."""
    from benchmarks.authorizations import measure

    done, result = measure(scratch, options.entries, options.callers)
    return row(f"single authorizations over HTTP, {options.callers} clients", done, result)


def bench_records(options: argparse.Namespace, scratch: Path) -> Row:
    """Records over HTTP in batches of 1,000 from 4 connections, durable when answered."""
    from benchmarks.records import CLIENTS, measure

    done, result = measure(scratch, options.entries, CLIENTS)
    return row(f"records over HTTP, batches of 1,000, {CLIENTS} clients", done, result)


def bench_seal_keys(options: argparse.Namespace, scratch: Path) -> Row:
    """Seals that change 5,000 and 100,000 keys of as many as there are entries."""
    from benchmarks.index import measure_seals

    done, result = measure_seals(scratch, options.entries, options.database)
    return row(f"seals, changed keys among {options.entries:,}, {options.database}", done, result)


def bench_proofs(options: argparse.Namespace, scratch: Path) -> Row:
    """Proofs from the stored index: the map part for random keys, a page of 50 entries of a key that has them all."""
    from benchmarks.index import measure_proofs

    done, result = measure_proofs(scratch, options.entries, options.database)
    return row(f"map parts of proofs, {options.entries:,} keys, {options.database}", done, result)


def bench_publication(options: argparse.Namespace, scratch: Path) -> Row:
    """From an append to its published checkpoint, at 1,000 records/s over HTTP, by the service's own sealer."""
    from benchmarks.index import measure_publication

    done, result = measure_publication(scratch, options.entries)
    return row("records published by the service, 1,000/s", done, result)


def _say_now_and_then(done: int) -> None:
    if done // BATCH % 500 == 0:
        say(f"  {done:,}")


def bench_deliver(options: argparse.Namespace, scratch: Path) -> Row:
    """Deliveries through the whole service to receivers over TLS; ``--hanging`` adds some that stop answering."""
    from benchmarks import deliver

    return deliver.bench_deliver(options, scratch)


def row(name: str, count: int, result: Measured) -> Row:
    """One line of the table."""
    return {
        "what": name,
        "count": count,
        "seconds": round(result.seconds, 2),
        "per_second": round(count / result.seconds),
        "microseconds_each": round(1e6 * result.seconds / count, 2),
        "peak_mib": result.peak_mib,
        **result.facts,
    }


def bench_monitor(options: argparse.Namespace, scratch: Path) -> Row:
    """Follow a published log with a seal every 1,000 entries from its beginning: index and backing, then the state kept."""
    from benchmarks import monitor

    return monitor.bench_monitor(options, scratch)


def bench_drill(options: argparse.Namespace, scratch: Path) -> Row:
    """Misdeliveries on purpose, ``--entries`` of each kind: how soon they are noticed, median and worst."""
    from benchmarks import drill

    return drill.bench_drill(options, scratch)


def bench_export(options: argparse.Namespace, scratch: Path) -> Row:
    """Export a whole log with its proofs, approve and seal it, and check it offline with the standard library alone."""
    from benchmarks import export

    return export.bench_export(options, scratch)


def bench_incident(options: argparse.Namespace, scratch: Path) -> Row:
    """Verify a log, open the incident that a misrouting in it is, and freeze its findings; 50,000 people a million."""
    from benchmarks import incident

    return incident.bench_incident(options, scratch)


def bench_notices(options: argparse.Namespace, scratch: Path) -> Row:
    """Tell ``--entries`` people of an incident: queue an inbox notice and an e-mail each, and send all to a local server."""
    from benchmarks import notices

    done, result = notices.bench_notices(options, scratch)
    return row("notices queued and sent, half of them by e-mail", done, result)


BENCHES: dict[str, tuple[Callable[[argparse.Namespace, Path], Row], int]] = {
    "append": (bench_append, 200_000),
    "callers": (bench_callers, 20_000),
    "import": (bench_import, 1_000_000),
    "seal": (bench_seal, 300_000),
    "seal-keys": (bench_seal_keys, 1_000_000),
    "proofs": (bench_proofs, 1_000_000),
    "publication": (bench_publication, 30_000),
    "verify": (bench_verify, 1_000_000),
    "deliver": (bench_deliver, 0),
    "authorizations": (bench_authorizations, 64_000),
    "records": (bench_records, 200_000),
    "monitor": (bench_monitor, 1_000_000),
    "drill": (bench_drill, 10),
    "export": (bench_export, 1_000_000),
    "incident": (bench_incident, 1_000_000),
    "notices": (bench_notices, 20_000),
}


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("what", choices=[*BENCHES, "all"])
    parser.add_argument("--entries", type=parse_decimal, help="entries or records; each has its own default")
    parser.add_argument("--callers", type=parse_decimal, default=64, help="of `callers` and `authorizations`")
    parser.add_argument(
        "--database",
        choices=["sqlite", "postgresql"],
        default="sqlite",
        help="where `append`, `callers` and `deliver` append",
    )
    parser.add_argument("--seconds", type=parse_decimal, default=60, help="how long `deliver` delivers")
    parser.add_argument(
        "--hanging",
        type=parse_decimal,
        default=0,
        help="more receivers of `deliver`, which answer for half of the time and then no more",
    )
    parser.add_argument("--seals", type=parse_decimal, default=10, help="seals in the log of `verify`")
    parser.add_argument("--index", action="store_true", help="`verify` also replays the index")
    parser.add_argument(
        "--processes", type=parse_decimal, help="processes of `verify`; default one a processor"
    )
    parser.add_argument(
        "--keep", metavar="DIR", help="build the log of `verify` there, or use the one that is there"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    head = machine()
    rows = []
    for name in BENCHES if options.what == "all" else [options.what]:
        bench, default = BENCHES[name]
        chosen = argparse.Namespace(**{**vars(options), "entries": options.entries or default})
        say(f"{name}: {chosen.entries:,} ...")
        with tempfile.TemporaryDirectory(prefix="grantledger-bench-") as scratch:
            rows.append(bench(chosen, Path(scratch)))
    if options.json:
        sys.stdout.write(json.dumps({"machine": head, "rows": rows}) + "\n")
        return
    sys.stdout.write(", ".join(f"{name} {value}" for name, value in head.items()) + "\n")
    for measured_row in rows:
        sys.stdout.write("\n")
        for name, value in measured_row.items():
            shown = f"{value:,}" if isinstance(value, int) else str(value)
            sys.stdout.write(f"  {name:<24}{shown}\n")


if __name__ == "__main__":
    main()
