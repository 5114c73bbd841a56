"""Work that comes round again and again in a thread of its own, until it is told to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from api.metrics import Metrics
from ledger.errors import LedgerError, describe_fault

BACK_OFF_SECONDS_MAX = 30.0

log = structlog.get_logger()


class Loop:
    """Calls ``work`` every ``seconds`` until :meth:`stop`; a failure is counted, told, and followed by a longer wait."""

    def __init__(self, name: str, work: Callable[[], object], seconds: float, metrics: Metrics) -> None:
        self.name = name
        self._work = work
        self._seconds = seconds
        self._metrics = metrics
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"loop-{name}", daemon=True)
        self.failed_in_a_row = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Begin the next run now."""
        self._wake.set()

    def stop(self) -> None:
        """Let the run that is under way end, and start no other; does not wait."""
        self._stop.set()
        self._wake.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; whether it came in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            wait_s = self._seconds
            try:
                self._work()
            except LedgerError as error:
                wait_s = self._note_failure(str(error))
            except Exception as error:  # noqa: BLE001 - a loop that died silently would be noticed by nobody
                wait_s = self._note_failure(describe_fault(error))
            else:
                self.failed_in_a_row = 0
                self._metrics.loop_last.labels(self.name).set(time.time())
            self._wake.wait(wait_s)
            self._wake.clear()

    def _note_failure(self, reason: str) -> float:
        self.failed_in_a_row += 1
        self._metrics.loop_failures.labels(self.name).inc()
        log.error("loop.failed", loop=self.name, reason=reason, in_a_row=self.failed_in_a_row)
        return float(min(BACK_OFF_SECONDS_MAX, max(self._seconds, 0.2) * 2.0 ** min(self.failed_in_a_row, 8)))
