"""The audit loop: the shipped verifier over the live log, again and again (verdict rules, section 2.3).

It runs as a process of its own: what verifies shares nothing with what writes, and its memory is its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from api.metrics import Metrics
from ledger.errors import StoreError

AUDIT_SECONDS_MAX = 3_600.0
LOW_PRIORITY = 10
"""Niceness: a verification may take as long as it needs, and takes nothing from deliveries."""

log = structlog.get_logger()

Run = Callable[[Mapping[str, str]], "subprocess.CompletedProcess[bytes]"]


def run_verifier(environment: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    """Run ``grantledger verify --json`` in ``environment``, at a low priority; raises StoreError when it never ends."""
    command = [sys.executable, "-m", "ledger.cli", "verify", "--json", "--quiet"]
    with subprocess.Popen(  # noqa: S603 - every word of the command is ours
        command, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        os.setpriority(os.PRIO_PROCESS, process.pid, LOW_PRIORITY)
        try:
            out, told = process.communicate(timeout=AUDIT_SECONDS_MAX)
        except subprocess.TimeoutExpired as error:
            process.kill()
            raise StoreError(f"the verifier did not end within {AUDIT_SECONDS_MAX:.0f} s") from error
    return subprocess.CompletedProcess(command, process.returncode, out, told)


class Auditor:
    """Verifies the log at ``database_url`` and says what it found to ``metrics`` and to the operator's log."""

    def __init__(self, database_url: str, metrics: Metrics, run: Run = run_verifier) -> None:
        self._environment = {**os.environ, "GRANTLEDGER_DB": database_url}
        self._metrics = metrics
        self._run = run

    def audit(self) -> int:
        """One verification; its exit status. Raises StoreError when the verifier could not do its work."""
        done = self._run(self._environment)
        if done.returncode not in (0, 1, 2):
            raise StoreError(f"the verifier ended with status {done.returncode}: {_last_line(done.stderr)}")
        report: dict[str, Any] = json.loads(done.stdout)
        found = Counter(finding["severity"] for finding in report["findings"])
        for severity in ("X", "I", "P", "A"):
            self._metrics.findings.labels(severity).set(found[severity])
        self._metrics.audited_size.set(report["tree_size"])
        self._metrics.audit_status.set(done.returncode)
        tell = log.info if done.returncode == 0 else log.error
        # Nothing opens an incident by itself: it is somebody's statement. Whoever reads this is told how.
        hint = {"next": "grantledger incident open"} if found["X"] else {}
        tell(
            "audit.done", status=done.returncode, tree_size=report["tree_size"], findings=dict(found), **hint
        )
        return done.returncode


def _last_line(data: bytes) -> str:
    return (data.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"])[-1]
