"""``reenact --through-service``: the same traffic through the real service, and what the receivers say of it (section 3.7).

::

    DIR/service.db           the service's own ledger, its keys beside it, sealed and verified in the end
    DIR/service-truth.jsonl  request by request, whose key ended the connection, and for whom the body was meant
    DIR/service.log          what the service said
    DIR/service-ca.pem       the authority of the receivers' certificates

The service is a process of its own, spoken to over HTTP alone and with the settings that any development setup has. It runs
on the wall clock: of the virtual one the order of things is kept, and nothing of its dates. Its keys, tags and times are its
own, so its log is another one each time; what arrives where is not.

Left out are what belongs to other dispatchers or to the virtual clock: restarts of single workers, scheduled challenges and
replays. A port in a webhook's URL, which no webhook of the service has, becomes the port that the host really leads to.
"""

from __future__ import annotations

import json
import shlex
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger.audit.report import Report
from ledger.engines.codec import MsgspecCodec
from ledger.errors import StoreError
from ledger.ports import LogSource
from ledger.reenactment.books import Tell
from ledger.reenactment.places import Places
from ledger.reenactment.receivers import Received, Receivers
from ledger.reenactment.run import TrafficRun
from ledger.reenactment.service_arrivals import Arrivals
from ledger.reenactment.service_parties import make_parties
from ledger.reenactment.service_player import ServicePlayer
from ledger.reenactment.service_process import ServiceProcess, ended_by_sigterm
from ledger.reenactment.service_schedule import plan_steps
from ledger.reenactment.service_weather import Weather
from ledger.service_settings import load_service_settings
from ledger.settings import Settings, load_settings
from ledger.store.database_log import DatabaseLog
from ledger.verifying import Asked, run_verification
from ledger.wiring import SYSTEM_CLOCK, open_ledger

_BLOCK_ENTRIES = 4_096
_NO_AUDIT = {"GRANTLEDGER_AUDIT_SECONDS": "0"}
"""The service does not verify its log meanwhile: the shipped verifier does so in the end."""


@dataclass(slots=True)
class _Kept:
    """What the ledger says became of the attempts."""

    attempted: int = 0
    answered: int = 0
    failed: int = 0
    refusals: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Tells:
    """Told how far the three parts of it are."""

    preparing: Tell
    playing: Tell
    verifying: Tell


def play_through_service(
    run: TrafficRun, places: Places, name: str, database: str | None, tells: Tells
) -> dict[str, Any]:
    """Play the world and the traffic of ``run`` through a service on a fresh ledger called after ``name``; what came of it.

    ``database`` is the URL of an empty database of a server, None for ``DIR/service.db``. Raises UsageError where it is not
    empty, StoreError where the service does not run or answers otherwise than it should.
    """
    began_s = time.monotonic()
    environment = places.service_environment(database) | _NO_AUDIT
    settings = load_settings(environment)
    parties = make_parties(
        settings, load_service_settings(environment), run.world, f"{name}-service", tells.preparing
    )
    arrivals, weather = Arrivals(parties.world), Weather()

    def note(received: Received) -> None:
        weather.note(received)
        arrivals.note(received)

    receivers = Receivers(parties.world, SYSTEM_CLOCK.now_ms, weather.behaviour, note)
    _write(places.file("service-ca.pem"), receivers.ca_pem)
    process = ServiceProcess(environment, places.file("service.log"))
    player = ServicePlayer(parties, process, receivers, arrivals, weather)
    with ended_by_sigterm(), receivers, process:
        player.play(plan_steps(parties.world, run.traffic), tells.playing)
    rows = (json.dumps(row, separators=(",", ":")) for row in arrivals.truth_rows())
    _write(places.file("service-truth.jsonl"), "".join(f"{row}\n" for row in rows))
    found, kept = _verify(settings, tells.verifying)
    shown = str(places.directory / "service.db") if database is None else settings.database
    return _describe(player, arrivals, found, kept) | {
        "database": shown,
        "log": str(places.file("service.log")),
        "verify_command": f"grantledger verify --db {shlex.quote(shown)}",
        "seconds": round(time.monotonic() - began_s, 2),
    }


def _verify(settings: Settings, tell: Tell) -> tuple[Report, _Kept]:
    """Seal what the service left, let the shipped verifier look at it, and count its attempts; none may be unsettled."""
    with open_ledger(settings) as ledger:
        ledger.sealer.seal()
    source = DatabaseLog(settings.database_url)
    try:
        asked = Asked(unsettled_max=0)
        verified = run_verification(
            settings, asked, lambda _phase, done, total: tell(done, total), source=source
        )
        return verified.report, _count(source, verified.report.tree_size)
    finally:
        source.close()


def _count(source: LogSource, size: int) -> _Kept:
    codec = MsgspecCodec()
    kept = _Kept()
    for first in range(0, size, _BLOCK_ENTRIES):
        for data in source.read_block(first, min(_BLOCK_ENTRIES, size - first)).entries:
            # Canonical bytes hold no such text but where a delivery is told; the decoder decides.
            if b'"kind":"delivery.' not in data:
                continue
            entry: Any = codec.decode(data)
            if entry.kind == "delivery.attempted":
                kept.attempted += 1
            elif entry.kind == "delivery.refused":
                kept.refusals[entry.reason] += 1
            elif entry.kind == "delivery.settled":
                is_answered = entry.status == 200
                kept.answered += is_answered
                kept.failed += not is_answered
    return kept


def _describe(player: ServicePlayer, arrivals: Arrivals, found: Report, kept: _Kept) -> dict[str, Any]:
    tally = arrivals.tally()
    refused = kept.refusals.total()
    otherwise = abs(refused - player.refusals_expected) + player.routed_otherwise
    is_right = not (
        tally.misdelivered or tally.lost or otherwise or found.exit_status or player.is_broken_off
    )
    return {
        "events": player.events,
        "subscriptions": player.subscriptions,
        "unsubscriptions": player.unsubscriptions,
        "outages": player.outages,
        "starts": player.starts,
        "broken_off": player.is_broken_off,
        "expected": tally.expected,
        "arrived": tally.arrived,
        "lost": tally.lost,
        "misdelivered": tally.misdelivered,
        "requests": tally.requests,
        "duplicates": tally.duplicates,
        "attempted": kept.attempted,
        "answered": kept.answered,
        "failed": kept.failed,
        "refused": refused,
        "refusals_by_code": dict(sorted(kept.refusals.items())),
        "decided_otherwise": otherwise,
        "findings": sum(finding.severity in ("X", "I") for finding in found.findings),
        "codes": found.codes(),
        "tree_size": found.tree_size,
        "root": found.root,
        "exit_status": found.exit_status,
        "is_right": is_right,
    }


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error
