"""Looking at logs again and again, each in a thread of its own, so that a server that hangs holds up nobody else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import structlog

from ledger.audit.looking import Progress
from ledger.errors import LedgerError, StoreError
from ledger.monitor.log_monitor import LogMonitor, Round
from ledger.monitor.metrics import MonitorMetrics
from ledger.monitor.telling import Teller

BACK_OFF_SECONDS_MAX = 300.0
"""Longest wait between two looks at a log that cannot be read or is broken."""

log = structlog.get_logger()

OnProgress = Callable[[str, int, int], None]
OnRound = Callable[[LogMonitor, Round], None]
OnFailed = Callable[[LogMonitor, str], None]


class _Stopped(Exception):  # noqa: N818 - nothing is wrong: somebody has said so
    """A look was told to stop between two stretches of entries."""


class Rounds:
    """Looks at several logs; every one of them is used by one thread at a time."""

    def __init__(
        self,
        monitors: Sequence[LogMonitor],
        teller: Teller,
        metrics: MonitorMetrics,
        *,
        on_progress: OnProgress,
        on_round: OnRound,
        on_failed: OnFailed = lambda _monitor, _reason: None,
    ) -> None:
        """Nothing is looked at yet."""
        self._on_failed = on_failed
        self.monitors = monitors
        self._teller = teller
        self._metrics = metrics
        self._on_progress = on_progress
        self._on_round = on_round
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self.locks = {monitor.target.vkey: threading.Lock() for monitor in monitors}

    def once(self) -> dict[str, str | None]:
        """Look at each log once, one after the other; by name why a look failed, or None."""
        return {monitor.target.name: self.look(monitor, wait_for_stale=False) for monitor in self.monitors}

    def look(self, monitor: LogMonitor, *, wait_for_stale: bool = True) -> str | None:
        """Look at one log and tell what is new; why that failed, or None."""
        name = monitor.target.name
        try:
            with self.locks[monitor.target.vkey]:
                made = monitor.look(self._progress_of(name), wait_for_stale=wait_for_stale)
                self.say(monitor, made)
        except _Stopped:
            return None
        except StoreError as error:
            self._metrics.note_failure(name)
            log.warning("monitor.unreadable", log=name, reason=str(error))
            self._on_failed(monitor, str(error))
            return str(error)
        return "broken" if made.state == "broken" and wait_for_stale else None

    def _progress_of(self, name: str) -> Progress:
        def on_progress(done: int, total: int) -> None:
            if self._stop.is_set():
                raise _Stopped
            self._on_progress(name, done, total)

        return on_progress

    def say(self, monitor: LogMonitor, made: Round) -> None:
        """Tell what a look came to."""
        self._metrics.note(monitor, made)
        self._teller.tell()
        if made.state == "broken" or made.told:
            log.warning(
                "monitor.found", log=monitor.target.name, state=made.state, size=made.size, lines=made.told
            )
        self._on_round(monitor, made)

    def run(self, interval_s: float) -> None:
        """Look every ``interval_s`` until :meth:`stop`; raises what a thread could not go on from."""
        threads = [
            threading.Thread(target=self._follow, args=(monitor, interval_s), name=f"monitor-{number}")
            for number, monitor in enumerate(self.monitors)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End the looks that are under way after the entries in hand, and begin no others."""
        self._stop.set()

    def _follow(self, monitor: LogMonitor, interval_s: float) -> None:
        failures = 0
        try:
            while not self._stop.is_set():
                started_s = time.monotonic()
                failed = self.look(monitor)
                failures = 0 if failed is None else failures + 1
                wait_s = interval_s * 2.0 ** min(failures, 8) if failures else interval_s
                spent_s = 0.0 if failures else time.monotonic() - started_s
                self._stop.wait(max(0.0, min(wait_s, max(BACK_OFF_SECONDS_MAX, interval_s)) - spent_s))
        except (LedgerError, Exception) as error:  # noqa: BLE001 - one thread's end is the end of all, and is told
            self._failure = error
            self._stop.set()
