"""The whole reenactment: play the fault, keep the ledger, let three auditors look, and play it again behind the gate.

::

    DIR/records.jsonl       what the platform would have exported        -> ledger.db      the observed auditor
    DIR/unobserved.jsonl    the same without what was observed           -> unobserved.db  the two other auditors
    DIR/ground-truth.jsonl  whose key ended each connection; no auditor is shown it
    DIR/public/             ledger.db's log, published
    DIR/gated.db            the same traffic with the gate and the right dispatcher
    DIR/incident.db         what follows: the incident, notices, obligations (:mod:`ledger.reenactment.aftermath`)
    DIR/art33.json, art33.html, export/   the authority's draft, and the export as its recipient opened it
    DIR/service.db          asked for: the same through the real service (:mod:`ledger.reenactment.through_service`)
    DIR/findings.jsonl, report.json, report.html

Records go in as any user's would: imported, sealed, published, verified. Equal arguments give equal files and equal
reports but for ``runtime`` and what a service does by itself; only whether this machine has IPv6 makes a difference
(:mod:`ledger.reenactment.casting`).
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.audit.exposure import Period, assess
from ledger.audit.verify import Verified
from ledger.core.exposure import Circumstances
from ledger.core.timestamps import format_rfc3339
from ledger.engines.codec import MsgspecCodec
from ledger.errors import StoreError, UsageError
from ledger.reenactment import investigation
from ledger.reenactment.aftermath import Aftermath
from ledger.reenactment.auditors import (
    Score,
    named_by_circumstances,
    named_by_verdict,
    observed_exposures,
    score,
)
from ledger.reenactment.books import (
    StandingClock,
    Tell,
    digest_of,
    import_whole,
    new_ledger,
    publish_log,
    verified_log,
)
from ledger.reenactment.clock import VirtualClock
from ledger.reenactment.dispatcher import FAULTS, fault_named
from ledger.reenactment.gated import LedgerGate
from ledger.reenactment.places import Places, claim
from ledger.reenactment.run import TrafficRun, reenact_traffic, run_traffic
from ledger.reenactment.scale import SCALES
from ledger.reenactment.through_service import Tells, play_through_service
from ledger.reenactment.world import CLOSED_AT_MS, DAY_MS
from ledger.reporting.reenactment_report import render_reenactment
from ledger.settings import load_settings

IMPORTED_AT_MS = CLOSED_AT_MS + DAY_MS
"""When the platform's export is imported: a day after the end."""

Progress = Callable[[str, int, int], None]
"""Told what is being done, and how much of how much."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which reenactment: equal values give equal ones."""

    seed: int = 1
    scale: str = "default"
    fault: str = "ip+path"
    through_service: bool = False
    service_database: str | None = None

    def check(self) -> None:
        """Raise UsageError for a scale or a fault that there is not, and for a service's database that cannot be one."""
        if self.scale not in SCALES:
            raise UsageError(f"there is no scale {self.scale!r}: use one of {', '.join(SCALES)}")
        if self.fault not in FAULTS:
            raise UsageError(f"there is no fault {self.fault!r}: use one of {', '.join(FAULTS)}")
        if self.service_database is None:
            return
        if not self.through_service:
            raise UsageError("a database for the service is of use with --through-service only")
        if load_settings({}, self.service_database).database_file is not None:
            raise UsageError(
                "--service-db is the URL of an empty PostgreSQL database; left out, the service's ledger is a file in --out"
            )


@dataclass(frozen=True, slots=True)
class _Gated:
    section: dict[str, Any]
    https_requests: int


def reenact(asked: Asked, directory: Path, on_progress: Progress) -> dict[str, Any]:
    """Play, audit and write everything to ``directory``; returns the report, as ``report.json`` holds it.

    Raises UsageError for unknown arguments and for a directory that holds something else, StoreError when it cannot be
    written. A reenactment that lies there, whole or broken off, is replaced.
    """
    asked.check()
    began_s = time.monotonic()
    places = claim(directory, {"seed": asked.seed, "scale": asked.scale, "fault": asked.fault})
    run = reenact_traffic(asked.seed, asked.scale, asked.fault, _told(on_progress, "delivering"))
    _write_lines(places.file("records.jsonl"), run.records)
    _write_lines(places.file("unobserved.jsonl"), map(_without_observation, run.records))
    _write_lines(places.file("ground-truth.jsonl"), investigation.truth_rows(run.attempts))
    name = digest_of(places.file("records.jsonl"))
    unobserved = _audit_unobserved(places, run, name, on_progress)
    report = _investigate(places, run, name, unobserved, on_progress)
    gated = _play_gated(places, run, asked, name, on_progress)
    aftermath = Aftermath(places, run, name, IMPORTED_AT_MS, _told(on_progress, "making amends"))
    report = {
        "seed": asked.seed,
        "scale": asked.scale,
        "fault": asked.fault,
        "window": {"from": format_rfc3339(run.world.opened_at_ms), "to": format_rfc3339(CLOSED_AT_MS)},
        **report,
        "gate": gated.section,
        "aftermath": aftermath.play(),
        "service": None,
        "runtime": {
            "seconds": round(time.monotonic() - began_s, 2),
            "https_requests": run.https_requests + gated.https_requests,
        },
    }
    _write_report(places, report)
    if asked.through_service:
        # What was found without it is written by now: a service that does not run takes nothing of it away.
        report["service"] = _play_through_service(places, run, asked, name, on_progress)
        report["runtime"] = {
            "seconds": round(time.monotonic() - began_s, 2),
            "https_requests": report["runtime"]["https_requests"] + report["service"]["requests"],
        }
        _write_report(places, report)
    return report


def _play_through_service(
    places: Places, run: TrafficRun, asked: Asked, name: str, on_progress: Progress
) -> dict[str, Any]:
    """The same traffic once more, through a real service in a process of its own."""
    tells = Tells(
        preparing=_told(on_progress, "preparing a service"),
        playing=_told(on_progress, "playing through the service"),
        verifying=_told(on_progress, "verifying the service's ledger"),
    )
    return play_through_service(run, places, name, asked.service_database, tells)


def _write_report(places: Places, report: Mapping[str, Any]) -> None:
    _write(places.file("report.json"), json.dumps(report, indent=2) + "\n")
    _write(places.file("report.html"), render_reenactment(report))


def _audit_unobserved(places: Places, run: TrafficRun, name: str, on_progress: Progress) -> dict[str, Score]:
    """The two auditors that see no destination, on one ledger."""
    settings = places.settings("unobserved")
    with new_ledger(settings, f"{name}-unobserved", StandingClock(IMPORTED_AT_MS)) as ledger:
        tell = _told(on_progress, "importing without observation")
        import_whole(ledger, places.file("unobserved.jsonl"), tell)
    with verified_log(settings, _told(on_progress, "verifying without observation")) as (verified, source):
        intended = named_by_verdict(verified.judgements)
        circumstances = named_by_circumstances(verified, source)
    return {
        "intended": score("intended", intended, run.attempts),
        "circumstances": score("circumstances", circumstances, run.attempts),
    }


def _investigate(
    places: Places, run: TrafficRun, name: str, unobserved: Mapping[str, Score], on_progress: Progress
) -> dict[str, Any]:
    """Everything that the ledger with observation tells, beside the truth."""
    settings = places.settings("ledger")
    with new_ledger(settings, name, StandingClock(IMPORTED_AT_MS)) as ledger:
        import_whole(ledger, places.file("records.jsonl"), _told(on_progress, "importing"))
        note = publish_log(ledger, places.file("public"))
    with verified_log(settings, _told(on_progress, "verifying")) as (verified, source):
        assessment = assess(verified, source, MsgspecCodec(), Circumstances(), Period())
    _write_lines(places.file("findings.jsonl"), verified.report.finding_rows())
    exposures = observed_exposures(verified)
    observed = score("observed", named_by_verdict(exposures), run.attempts)
    scores = (observed, unobserved["intended"], unobserved["circumstances"])
    return {
        "world": investigation.describe_world(run),
        "traffic": investigation.describe_traffic(run),
        "truth": investigation.describe_truth(run),
        "auditors": [each.to_json() for each in scores],
        "exposure": investigation.describe_exposure(run, assessment, unobserved["circumstances"].flagged),
        "developers": investigation.describe_receivers(run),
        "first": investigation.describe_first(run, exposures),
        "collisions": investigation.describe_collisions(run, verified.report.findings),
        "timeline": investigation.describe_months(run),
        "codes": verified.report.codes(),
        "ledger": _describe_ledger(places, verified, note),
    }


def _describe_ledger(places: Places, verified: Verified, note: bytes) -> dict[str, Any]:
    database = places.directory / "ledger.db"
    return {
        "directory": str(places.directory),
        "database": str(database),
        "tree_size": verified.report.tree_size,
        "root": verified.report.root,
        "checkpoint": note.decode(),
        "verify_command": f"grantledger verify --db {shlex.quote(str(database))}",
        "exit_status": verified.report.exit_status,
    }


def _play_gated(places: Places, run: TrafficRun, asked: Asked, name: str, on_progress: Progress) -> _Gated:
    """The same traffic once more: each attempt asked for at the gate, and sent by the right dispatcher."""
    settings = places.settings("gated")
    clock = VirtualClock(run.world.opened_at_ms)
    with new_ledger(settings, f"{name}-gated", clock) as ledger:
        gate = LedgerGate(run.world, ledger)
        tell = _told(on_progress, "delivering with the gate")
        right = fault_named("none")
        again = run_traffic(
            run.world, run.traffic, right, seed=asked.seed, progress=tell, gate=gate, clock=clock
        )
        ledger.sealer.seal()
    with verified_log(settings, _told(on_progress, "verifying with the gate")) as (verified, _source):
        found = verified.report
    section = {
        "attempted": gate.requested,
        "refused": gate.refusals.total(),
        "settled": gate.settled,
        "misdelivered": len(again.misdelivered),
        "findings": sum(finding.severity in ("X", "I") for finding in found.findings),
        "refusals_by_code": dict(sorted(gate.refusals.items())),
        "codes": found.codes(),
        "tree_size": found.tree_size,
        "root": found.root,
        "exit_status": found.exit_status,
    }
    return _Gated(section, again.https_requests)


def _without_observation(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "observed"}


def _told(on_progress: Progress, doing: str) -> Tell:
    return lambda done, total: on_progress(doing, done, total)


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    _write(path, "".join(f"{json.dumps(row, separators=(',', ':'))}\n" for row in rows))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error
