"""A process that sends the notices that are due, and kills itself at a step: ``STEP NTH LATER_MS`` (an empty step: none)."""

from __future__ import annotations

import os
import signal
import sys
import time

from ledger.service_settings import load_service_settings
from ledger.settings import load_settings
from ledger.store.entries import SqlEntryStore
from ledger.wiring.ledger import open_ledger
from ledger.wiring.service import Service


class LaterClock:
    """The host's clock, later."""

    def __init__(self, later_ms: int) -> None:
        self._later_ms = later_ms

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self._later_ms


class Killer:
    """Kills this process when ``step`` is reached for the ``nth`` time."""

    def __init__(self, step: str, nth: int) -> None:
        self._step = step
        self._left = nth

    def reached(self, step: str) -> None:
        if step == self._step:
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    step, nth, later_ms = sys.argv[1:]
    killer = Killer(step, int(nth))
    ledger = open_ledger(load_settings(os.environ), clock=LaterClock(int(later_ms)))
    ledger.reached = killer.reached
    ledger.store = SqlEntryStore(ledger.engine, killer.reached)
    with Service(ledger, load_service_settings(os.environ), is_alone=False) as service:
        sys.stdout.write(f"{service.duties.sender.run_once()}\n")


if __name__ == "__main__":
    main()
