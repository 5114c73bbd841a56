"""How soon a misdelivery on purpose is noticed: drills of a kind one after the other, each on a service of its own."""

from __future__ import annotations

import argparse
import os
import statistics
from pathlib import Path
from typing import Any

from benchmarks.logs import say
from benchmarks.measure import measured
from ledger.drill.drill import Asked, run_drill
from ledger.drill.kinds import KINDS


def bench_drill(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """``--entries`` drills of each kind; median and worst seconds, from the first byte on, of whoever should notice."""
    times: dict[str, list[float | None]] = {}
    with measured() as result:
        for kind in KINDS:
            for number in range(options.entries):
                say(f"  {kind} {number + 1}")
                directory = scratch / f"{kind}-{number}"
                directory.mkdir()
                report = run_drill(Asked(kind), directory, os.environ, lambda _: None)
                for row in report["detectors"]:
                    if row["is_expected"]:
                        times.setdefault(f"{kind}, {row['detector']}", []).append(row["seconds"])
    count = options.entries * len(KINDS)
    return {
        "what": f"drills, {options.entries} of each kind: seconds from the first byte until it was noticed",
        "count": count,
        "seconds": round(result.seconds, 2),
        "peak_mib": result.peak_mib,
        "noticed": {name: _summary(seconds) for name, seconds in times.items()},
    }


def _summary(seconds: list[float | None]) -> dict[str, Any]:
    known = [one for one in seconds if one is not None]
    return {
        "median": round(statistics.median(known), 3) if known else None,
        "worst": round(max(known), 3) if known else None,
        "not_noticed": len(seconds) - len(known),
    }
