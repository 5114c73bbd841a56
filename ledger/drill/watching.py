"""Watching a running service find out: what its metrics say, again and again; and a verification of the same log.

The figures of the live audit count findings by code and name no delivery. So a detection is that a code stands more often
than before; whether it was about this drill, the verification at the end says.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from ledger.audit.report import Report
from ledger.errors import StoreError
from ledger.settings import Settings
from ledger.verifying import Asked, run_verification

LOOK_S = 0.02
"""Between two looks at the metrics."""

FOLLOWING_S = 20.0
"""How long a live audit may take to read what is there."""

SCALAR_ENTRIES_MAX = 20_000
"""Up to this size one process is quicker than starting several."""

_TIMEOUT_S = 10.0


class LiveAuditWatch:
    """The metrics of the service at ``base_url``; close it."""

    def __init__(self, base_url: str) -> None:
        self._client = httpx.Client(base_url=base_url, timeout=_TIMEOUT_S, trust_env=False)
        self._before: Counter[str] = Counter()

    def close(self) -> None:
        """Close its connection."""
        self._client.close()

    def begin(self, size: int, wait_s: float = FOLLOWING_S) -> bool:
        """Wait until the live audit has judged ``size`` entries, and take what stands as known; False where it does not.

        Raises StoreError where the service gives no metrics.
        """
        deadline_s = time.monotonic() + wait_s
        while True:
            found = self._look()
            self._before = _findings(found)
            if found.get(("grantledger_followed_last_seconds", ""), 0) > 0:
                if found[("grantledger_followed_size", "")] >= size:
                    return True
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(LOOK_S)

    def look(self, codes: Collection[str]) -> frozenset[str]:
        """Which of ``codes`` stand more often than at the beginning."""
        now = _findings(self._look())
        return frozenset(code for code in codes if now[code] > self._before[code])

    def _look(self) -> Mapping[tuple[str, str], float]:
        try:
            answer = self._client.get("/metrics")
        except httpx.HTTPError as error:
            raise StoreError(f"the service gives no metrics: {type(error).__name__}") from error
        if answer.status_code != httpx.codes.OK:
            raise StoreError(f"the service gives no metrics: status {answer.status_code}")
        found: Counter[tuple[str, str]] = Counter()
        for family in text_string_to_metric_families(answer.text):
            for sample in family.samples:
                if sample.name in _WANTED:
                    found[sample.name, sample.labels.get("code", "")] += sample.value  # type: ignore[assignment]
        return found


_FINDINGS = "grantledger_findings"
_WANTED = frozenset({_FINDINGS, "grantledger_followed_size", "grantledger_followed_last_seconds"})


def _findings(found: Mapping[tuple[str, str], float]) -> Counter[str]:
    return Counter({code: int(value) for (name, code), value in found.items() if name == _FINDINGS})


def verify_now(settings: Settings, size: int) -> Report:
    """What the shipped verifier says of the log at ``settings``, which has some ``size`` entries, in this process."""
    engine = "scalar" if size <= SCALAR_ENTRIES_MAX else "duckdb"
    asked = Asked(engine=engine, remember=False)
    return run_verification(settings, asked, lambda *_: None).report


def find_about(report: Report, code: str, delivery: str, account: str) -> dict[str, Any] | None:
    """The finding of ``code`` about this delivery, or about this account where it names no delivery."""
    for finding in report.findings:
        shown = finding.to_json()
        is_its = shown["delivery"] == delivery if "delivery" in shown else shown.get("account") == account
        if shown["code"] == code and is_its:
            return shown
    return None
