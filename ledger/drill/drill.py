"""A drill from its beginning to its end: the stage, everybody on it, the measurement, and putting everything away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ledger.drill.confirming import Confirming
from ledger.drill.kinds import WHAT_THE_LOG_IS_TOLD, Kind
from ledger.drill.measuring import Detection, Measured, Measuring
from ledger.drill.parties import Cast, make_cast
from ledger.drill.receiving import DrillReceiver
from ledger.drill.stages import CA_FILE, Here, Stage, own_stage, stage_here
from ledger.receiver.app import Arrival
from ledger.reenactment.pki import Authority
from ledger.reenactment.service_process import ended_by_sigterm
from ledger.wiring import SYSTEM_RANDOMNESS
from ledger.wiring.service import open_service

MEANT_HOST, WRONG_HOST = "drill-a.example", "drill-b.example"
WITHIN_S = 2.0
TIMEOUT_S = 20.0
_SEED_BYTES = 32

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What kind of drill, how quickly it is to be noticed, and how long everybody is waited for."""

    kind: Kind = "observed"
    within_s: float = WITHIN_S
    timeout_s: float = TIMEOUT_S


class _Ear:
    """Passes on what arrives to whoever listens by then; challenges come before anybody does."""

    def __init__(self) -> None:
        self.listener: Callable[[Arrival], None] = _ignore

    def __call__(self, arrival: Arrival) -> None:
        self.listener(arrival)


def _ignore(_arrival: Arrival) -> None:
    """Nobody listens."""


def run_drill(
    asked: Asked, directory: Path, environ: Mapping[str, str], tell: Tell, here: Here | None = None
) -> dict[str, Any]:
    """One drill; its report. What it writes lies in ``directory``, which is empty; processes that it starts end with it.

    Without ``here`` it takes place on a ledger of its own, there. Raises LedgerError where the drill cannot take place.
    """
    with ended_by_sigterm(), ExitStack() as stack:
        ear = _Ear()
        authority = Authority(SYSTEM_RANDOMNESS.token(_SEED_BYTES).hex())
        (directory / CA_FILE).write_text(authority.certificate_pem, "ascii")
        meant = stack.enter_context(DrillReceiver(authority, MEANT_HOST, directory, _ignore))
        wrong = stack.enter_context(DrillReceiver(authority, WRONG_HOST, directory, ear))
        overrides = f"{meant.override},{wrong.override}"
        tell("starting a service" if here is None else "asking the service")
        stage = stack.enter_context(
            own_stage(directory, environ, overrides)
            if here is None
            else stage_here(here, directory, environ, overrides)
        )
        service = stack.enter_context(open_service(stage.settings, stage.service_settings, is_alone=False))
        # A ledger of its own goes away, or is kept as it was.
        cast = make_cast(service, meant, wrong, ExitStack() if stage.is_own else stack)
        confirming = Confirming(
            stage.base_url,
            service.ledger.vkey,
            cast,
            service.clock,
            with_sighting=asked.kind == "unrecorded",
        )
        stack.callback(confirming.close)
        ear.listener = confirming.arrived
        tell("sending a delivery astray")
        measured = Measuring(service, stage, cast, asked.kind, asked.timeout_s).run(
            confirming, authority.certificate_pem
        )
        return _report(asked, stage, service.ledger.origin, cast, measured)


def _report(asked: Asked, stage: Stage, origin: str, cast: Cast, measured: Measured) -> dict[str, Any]:
    astray = measured.astray
    rows = [_row(one, asked.within_s) for one in measured.detections]
    sent_at = datetime.fromtimestamp(astray.first_byte_at_ms / 1_000, UTC)
    return {
        "drill": astray.delivery,
        "kind": asked.kind,
        "log": origin,
        "is_own_ledger": stage.is_own,
        "log_was_told": WHAT_THE_LOG_IS_TOLD[asked.kind],
        "account": cast.account.tag,
        "meant_for": cast.meant.developer,
        "went_to": cast.wrong.developer,
        "observed": {
            "host": astray.seen.host,
            "sni": astray.seen.sni,
            "peer_ip": astray.seen.peer_ip,
            "spki_sha256": astray.seen.spki_sha256,
            "status": astray.seen.status,
        },
        "first_byte_at": sent_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "entries": list(astray.seqs),
        "within_seconds": asked.within_s,
        "detectors": rows,
        "is_detected": all(row["is_in_time"] for row in rows if row["is_expected"]),
        "verify": {
            "tree_size": measured.report.tree_size,
            "exit_status": measured.report.exit_status,
            "codes": measured.report.codes(),
        },
    }


def _row(detection: Detection, within_s: float) -> dict[str, Any]:
    """A detector's line; the verification at the end has to find it, whenever it ends."""
    seconds = detection.seconds
    is_timely = seconds is not None and (detection.detector == "verify" or seconds <= within_s)
    return {
        "detector": detection.detector,
        "is_expected": detection.code is not None,
        "is_detected": seconds is not None,
        "is_in_time": is_timely,
        "seconds": None if seconds is None else round(seconds, 3),
        "code": detection.code,
        "finding": detection.finding,
        "note": detection.note,
    }
