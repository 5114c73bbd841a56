"""From a verification to a frozen incident: a log of a million deliveries, some of which went to the wrong developer.

The deliveries are one account's after the other's; each is about the account and one other person. As many go astray as make
every person of the first ``people`` affected once and a third of them twice. Building the log is not measured; verifying it,
opening the incident and freezing its findings is.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.logs import ORIGIN, say
from benchmarks.measure import MEBIBYTE, measured
from ledger.incidents.incidents import Evidence
from ledger.ingest.sources import open_source
from ledger.service_settings import load_service_settings
from ledger.settings import Settings, load_settings
from ledger.verifying import Asked, run_verification
from ledger.verifying import open_source as open_log
from ledger.wiring import create_ledger, open_ledger
from ledger.wiring.service import open_service

PEOPLE = 50_000
"""How many people the deliveries that went astray affect, of a million deliveries."""

START_MS = 1_496_325_600_000
MAY = "2017-05-01T00:00:00Z"


def bench_incident(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Verify ``--entries`` deliveries, open the incident that a misrouting of some of them is, and freeze its findings."""
    people = max(2, PEOPLE * options.entries // 1_000_000)
    directory = scratch if options.keep is None else Path(options.keep)
    directory.mkdir(parents=True, exist_ok=True)
    settings = load_settings(
        {"GRANTLEDGER_STATE_DIR": str(directory / "state")}, str(directory / "ledger.db")
    )
    if not (directory / "built").exists():
        say(f"importing {options.entries:,} deliveries first (not measured) ...")
        _build(settings, directory, options.entries, people)
        (directory / "built").touch()
    phases: dict[str, float] = {}
    with open_service(settings, load_service_settings(os.environ)) as service:
        with measured() as result:
            started = time.perf_counter()

            def follow(phase: str, _done: int, _total: int) -> None:
                phases[phase] = round(time.perf_counter() - started, 1)

            asked = Asked(with_index=False, remember=False, processes=options.processes)
            source = open_log(settings, asked)
            verified = run_verification(settings, asked, follow, source=source)
            phases["verified"] = round(time.perf_counter() - started, 1)
            opened = service.incidents.desk.open_from_findings(
                Evidence(verified, source), "operator:bench", follow
            )
        made = service.incidents.book.assessment(opened[-1].incident.incident)
    assert made is not None, "something went astray"
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // MEBIBYTE
    return {
        "what": f"verify {options.entries:,} deliveries, open and freeze an incident",
        "count": options.entries,
        "seconds": round(result.seconds, 2),
        "peak_mib": result.peak_mib,
        "own_peak_resident_mib": own,
        "incidents": len(opened),
        "people": made.people,
        "findings": made.findings,
        "active_accounts": made.active_accounts,
        "ended_at_seconds": phases,
    }


def _build(settings: Settings, directory: Path, deliveries: int, people: int) -> None:
    create_ledger(settings, ORIGIN)
    file = directory / "records.jsonl"
    with file.open("w", encoding="ascii") as out:
        out.writelines(json.dumps(one, separators=(",", ":")) + "\n" for one in _records(deliveries, people))
    with open_ledger(settings) as ledger:
        report = ledger.import_from(open_source(str(file), sys.stdin.buffer))
        assert report.rejected == 0, report
        ledger.sealer.seal()
    file.unlink()


def _records(deliveries: int, people: int) -> Iterator[dict[str, Any]]:
    accounts = max(1, deliveries // 10)
    affected = people // 2
    for name in "ab":
        yield {"kind": "developer.registered", "developer": f"dev-{name}", "at": MAY}
        yield {"kind": "app.registered", "app": f"app-{name}", "developer": f"dev-{name}", "at": MAY}
        yield {
            "kind": "endpoint.registered",
            "endpoint": f"wh-{name}",
            "app": f"app-{name}",
            "environment": "prod",
            "url": f"https://{name}.example/webhooks/twitter",
            "at": MAY,
        }
    for number in range(accounts):
        yield {
            "kind": "grant.issued",
            "grant": f"g-{number}",
            "account": str(1_000_000 + number),
            "developer": "dev-a",
            "app": "app-a",
            "environment": "prod",
            "scopes": ["direct_messages"],
            "at": MAY,
        }
    for number in range(deliveries):
        turn, place = divmod(number, accounts)
        is_astray = place < affected and (turn == 0 or (turn == 1 and place % 3 == 0))
        host = "b.example" if is_astray else "a.example"
        yield {
            "kind": "delivery.imported",
            "delivery": f"d-{number}",
            "event": f"e-{number}",
            "event_type": "direct_message_events",
            "account": str(1_000_000 + place),
            "subjects": [str(5_000_000 + place)],
            "private": True,
            "endpoint": "wh-a",
            "attempt": 1,
            "started_at": START_MS + number * 40,
            "worker": f"w{number % 16}",
            "resolved_ip": "203.0.113.7",
            "observed": {"host": host, "sni": host, "port": 443, "path": "/webhooks/twitter"},
            "status": 200,
        }
