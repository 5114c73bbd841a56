"""The log judged as it grows, all the time (verdict rules, section 2.3).

``grantledger monitor`` over the live database, as a process of its own: what judges shares nothing with what writes, and its
memory is its own. It says what it finds line by line; here that becomes metrics and the operator's log. The verification of
the whole log (:mod:`api.auditing`) goes on beside it, seldom, and at once where the log itself is broken.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog

from api.metrics import Metrics
from ledger.errors import StoreError, UsageError
from ledger.monitor.state_lock import StateLock
from ledger.settings import Settings

LOW_PRIORITY = 5
"""Niceness: deliveries come first, and yet a misdelivery is found within seconds."""
PLACES = 8
"""Processes of one machine that may follow one state directory's logs."""

log = structlog.get_logger()


class LiveAudit:
    """Follows the log of ``settings``; ``on_broken`` is called when something is wrong with the log itself."""

    def __init__(
        self, settings: Settings, seconds: float, metrics: Metrics, on_broken: Callable[[], None]
    ) -> None:
        """Nothing is started yet."""
        self._settings = settings
        self._seconds = seconds
        self._metrics = metrics
        self._on_broken = on_broken
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._is_closed = False
        self._known: set[tuple[str, str]] = set()

    def follow(self) -> None:
        """Take the next line; starts the process where none runs. StoreError when it has ended."""
        process = self._started()
        if process is None:
            return
        assert process.stdout is not None, "it was started with a pipe"
        line = process.stdout.readline()
        if line.endswith(b"\n"):
            self._take(json.loads(line))
            return
        status = process.wait()
        with self._lock:
            self._process = None
            if self._is_closed:
                return
        raise StoreError(f"what follows the log ended with status {status}")

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._is_closed = True
            if self._process is not None:
                self._process.terminate()

    def _started(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._is_closed or self._process is not None:
                return None if self._is_closed else self._process
            place = self._free_place()
            command = [sys.executable, "-m", "ledger.cli", "monitor", "--no-index", "--rounds", "--quiet"]
            command += ["--interval", str(self._seconds), "--state", str(place)]
            # The address may hold a password: it goes by the environment, as the verifier's does.
            environment = {**os.environ, "GRANTLEDGER_DB": self._settings.database_url}
            self._process = subprocess.Popen(  # noqa: S603 - every word of the command is ours
                command, env=environment, stdout=subprocess.PIPE
            )
            os.setpriority(os.PRIO_PROCESS, self._process.pid, LOW_PRIORITY)
            return self._process

    def _free_place(self) -> Any:
        """A directory for what is kept, that no other process uses."""
        for number in range(PLACES):
            place = self._settings.state_directory / "live-audit" / str(number)
            try:
                StateLock(place).close()
            except UsageError:
                continue
            return place
        raise StoreError(f"{PLACES} processes follow logs here already")

    def _take(self, line: dict[str, Any]) -> None:
        if line["line"] == "unreadable":
            return
        if line["line"] != "round":
            self._tell(line["line"], line["finding"])
            return
        followed = self._metrics.followed
        counts = {(code, severity): count for code, severity, count in line["findings"]}
        for code, severity in self._known - counts.keys():
            followed.findings.labels(code, severity).set(0)
        for (code, severity), count in counts.items():
            followed.findings.labels(code, severity).set(count)
        self._known.update(counts)
        followed.size.set(line["tree_size"])
        followed.last.set(time.time())

    def _tell(self, what: str, finding: dict[str, Any]) -> None:
        """Say what was found: never whose data it was."""
        severity = finding["severity"]
        tell = log.error if what == "finding" and severity in ("X", "I") else log.info
        tell(f"audit.{what}", code=finding["code"], severity=severity, entries=finding["entries"])
        if what == "finding" and severity == "I":
            self._on_broken()
