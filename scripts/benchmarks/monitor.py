"""Following a published log from its beginning, and going on from what was kept."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from benchmarks.logs import build_published, say
from benchmarks.measure import measured
from ledger.monitor.log_monitor import LogMonitor, Strictness, Target, read_vkey
from ledger.store.monitor_book import MonitorBook

SEALED_ENTRIES = 1_000


def bench_monitor(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """One look at all of a log, judged; then a new start from the snapshot. ``--processes 1`` replays in one process."""
    directory = scratch if options.keep is None else Path(options.keep)
    public = directory / "public"
    if not (public / "checkpoint").exists():
        directory.mkdir(parents=True, exist_ok=True)
        say(f"building a log of {options.entries:,} entries first (not measured) ...")
        build_published(directory, options.entries, options.entries // SEALED_ENTRIES, lambda done: None)
    target = Target("bench", read_vkey(public / "log.vkey"), str(public))
    strictness = Strictness(processes=options.processes or 2)
    state = scratch / "state"
    book = MonitorBook(state / "monitor.db")
    monitor = LogMonitor(target, strictness, book, state)
    with measured() as result:
        made = monitor.look(lambda done, total: None)
    started = time.perf_counter()
    monitor.close()
    kept_seconds = time.perf_counter() - started
    kept_bytes = sum(path.stat().st_size for path in state.rglob("*") if path.is_file())
    again = LogMonitor(target, strictness, book, state)
    started = time.perf_counter()
    resumed = again.look(lambda done, total: None)
    result.facts |= {
        "state": made.state,
        "exit_status": again.exit_status(),
        "attempts": sum(made.verdicts.values()),
        "kept_seconds": round(kept_seconds, 2),
        "kept_bytes_each": round(kept_bytes / made.size, 1),
        "resumed_seconds": round(time.perf_counter() - started, 2),
        "resumed_read": resumed.read,
        "memory_bytes_each": round(result.peak_mib * (1 << 20) / made.size),
    }
    again.close()
    book.close()
    return {
        "what": "monitor: follow with index and backing, a seal every 1,000 entries",
        "count": made.size,
        "seconds": round(result.seconds, 2),
        "per_second": round(made.size / result.seconds),
        "microseconds_each": round(1e6 * result.seconds / made.size, 2),
        "peak_mib": result.peak_mib,
        **result.facts,
    }
