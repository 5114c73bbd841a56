"""The measurement itself: one delivery goes astray, and everybody's time from its first byte until they notice."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.audit.report import Report
from ledger.drill.astray import Astray, send_astray
from ledger.drill.confirming import Confirming
from ledger.drill.kinds import DETECTORS, EXPECTED, Detector, Kind
from ledger.drill.parties import Cast
from ledger.drill.stages import Stage
from ledger.drill.watching import LOOK_S, LiveAuditWatch, find_about, verify_now
from ledger.errors import LedgerError
from ledger.wiring.service import Service

NOT_FOLLOWED = (
    "the service's live audit is off or behind: see GRANTLEDGER_FOLLOW_SECONDS and `serve --role audit`"
)


@dataclass(frozen=True, slots=True)
class Detection:
    """What one detector said. ``code`` is what it was to say, None where it cannot catch this kind (``note`` says why).

    ``seconds`` is from the first byte on, None where it did not notice; ``finding`` is the evidence, as ``verify`` lists it.
    """

    detector: Detector
    code: str | None
    seconds: float | None
    finding: Mapping[str, Any] | None
    note: str


@dataclass(frozen=True, slots=True)
class Noticed:
    """When a code was first seen, and by whom in words."""

    seconds: float
    note: str


@dataclass(frozen=True, slots=True)
class Measured:
    """One drill: what went astray, what every detector said, and the whole verification at the end."""

    astray: Astray
    detections: tuple[Detection, ...]
    report: Report


class Measuring:
    """One drill of ``kind`` on ``stage`` with ``cast``; everybody is given ``timeout_s`` at most."""

    def __init__(self, service: Service, stage: Stage, cast: Cast, kind: Kind, timeout_s: float) -> None:
        self._service = service
        self._stage = stage
        self._cast = cast
        self._kind = kind
        self._timeout_s = timeout_s

    def run(self, confirming: Confirming, ca_pem: str) -> Measured:
        """Have it go astray, wait, and verify; raises LedgerError where the drill itself fails."""
        service, cast = self._service, self._cast
        watch = LiveAuditWatch(self._stage.metrics_url)
        try:
            is_followed = self._stage.is_followed and watch.begin(service.ledger.store.size())
            link = f"{self._stage.base_url}/c/{cast.opened.marker}"
            astray = send_astray(service, cast, self._kind, ca_pem, link)
            seen, faults = self._wait(astray, confirming, watch if is_followed else None)
        finally:
            watch.close()
        report = verify_now(self._stage.settings, service.ledger.store.size())
        verified_s = time.monotonic() - astray.first_byte_s
        seen["verify"] = Noticed(verified_s, "when all of the log was verified")
        if not is_followed:
            faults |= dict.fromkeys(("live audit", "receipts", "canary"), NOT_FOLLOWED)
        detections = tuple(
            self._conclude(one, seen.get(one), faults.get(one), astray, report) for one in DETECTORS
        )
        return Measured(astray, detections, report)

    def _wait(
        self, astray: Astray, confirming: Confirming, watch: LiveAuditWatch | None
    ) -> tuple[dict[Detector, Noticed], dict[Detector, str]]:
        """Who noticed when, until everybody has who should or the time is over; and what went wrong."""
        seen: dict[Detector, Noticed] = {}
        faults: dict[Detector, str] = {}
        deadline_s = astray.first_byte_s + self._timeout_s
        rules = EXPECTED[self._kind]
        live: dict[Detector, str] = {
            name: rule.code for name, rule in rules.items() if rule.code is not None and name != "verify"
        }
        while time.monotonic() < deadline_s:
            if watch is not None:
                self._look(watch, live, astray, seen)
            if confirming.is_done and (watch is None or live.keys() <= seen.keys()):
                break
            time.sleep(LOOK_S)
        try:
            confirming.result()
        except LedgerError as error:
            faults["receipts"] = faults["canary"] = str(error)
        return seen, faults

    def _look(
        self,
        watch: LiveAuditWatch,
        live: Mapping[Detector, str],
        astray: Astray,
        seen: dict[Detector, Noticed],
    ) -> None:
        """Note which detectors the live audit speaks for by now."""
        stands = watch.look(live.values())
        now_s = time.monotonic() - astray.first_byte_s
        for name, code in live.items():
            if code in stands:
                seen.setdefault(name, Noticed(now_s, "by the live audit"))

    def _conclude(
        self, name: Detector, noticed: Noticed | None, fault: str | None, astray: Astray, report: Report
    ) -> Detection:
        code, why = EXPECTED[self._kind][name]
        if code is None:
            return Detection(name, None, None, None, why)
        finding = find_about(report, code, astray.delivery, self._cast.account.tag)
        if noticed is None or finding is None:
            return Detection(name, code, None, None, fault or "nobody noticed in time")
        return Detection(name, code, noticed.seconds, finding, noticed.note)
