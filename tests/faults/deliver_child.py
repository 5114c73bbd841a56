"""Processes that deliver, each forked off from this one, and kill themselves at a step: one request a line on stdin.

A request is a JSON object: ``environment`` (of the ledger and the service), ``step`` (empty: none) and ``nth`` (which time it
is reached), ``later_ms`` (how far the host's clock has gone on), ``events`` (offered before anything is delivered). The
answers are lines: ``pid N`` when a process has begun, ``exit N`` when it has ended, negative by a signal. A process ends by
itself when nothing waits any more and every attempt is settled.

Forked, because each is a process of its own that way, and the modules are loaded once for all of them.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from typing import Any

import structlog

from ledger.gateway.offered import Accepted, OfferedEvent
from ledger.gateway.rescue import find_open_attempts
from ledger.service_settings import load_service_settings
from ledger.settings import load_settings
from ledger.store.entries import SqlEntryStore
from ledger.wiring.ledger import open_ledger
from ledger.wiring.service import Service

ROUND_SECONDS = 0.05
LIFE_SECONDS_MAX = 60.0


class LaterClock:
    """The host's clock, later."""

    def __init__(self, later_ms: int) -> None:
        self._later_ms = later_ms

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self._later_ms


class Killer:
    """Kills this process when ``step`` is reached for the ``nth`` time since :meth:`arm`."""

    def __init__(self, step: str, nth: int) -> None:
        self._step = step
        self._left = nth
        self._is_armed = False
        self._lock = threading.Lock()

    def arm(self) -> None:
        self._is_armed = True

    def reached(self, step: str) -> None:
        if not self._is_armed or step != self._step:
            return
        with self._lock:
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)


def live(asked: dict[str, Any]) -> None:
    """One process, from its start to its end."""
    killer = Killer(asked["step"], asked["nth"])
    ledger = open_ledger(load_settings(asked["environment"]), clock=LaterClock(asked["later_ms"]))
    ledger.store = SqlEntryStore(ledger.engine, killer.reached)
    ledger.reached = killer.reached
    with Service(ledger, load_service_settings(asked["environment"])) as service:
        dispatcher = service.dispatcher
        if asked["events"]:
            for answer in service.intake.accept([OfferedEvent(event, None) for event in asked["events"]]):
                assert isinstance(answer, Accepted), answer
            killer.arm()
            killer.reached("event.accepted")
        stop = threading.Event()
        dispatching = threading.Thread(target=dispatcher.run, args=(stop,))
        dispatching.start()
        ends_s = time.monotonic() + LIFE_SECONDS_MAX
        while not is_at_rest(service) and time.monotonic() < ends_s:
            service.rescuer.run_once()
            service.ledger.sequencer.catch_up()
            time.sleep(ROUND_SECONDS)
        stop.set()
        service.something_new.set()
        dispatching.join()
        assert is_at_rest(service), "something still waits"


def is_at_rest(service: Service) -> bool:
    """Whether nothing is left to do."""
    return (
        service.outbox.count_waiting(service.clock.now_ms())[0] == 0
        and not service.dispatcher.count_busy()
        and not find_open_attempts(service.ledger.store)
    )


def main() -> None:
    """Serve requests until there are no more."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            code = 1
            try:
                live(json.loads(line))
                code = 0
            finally:
                sys.stderr.flush()
                os._exit(code)
        sys.stdout.write(f"pid {pid}\n")
        sys.stdout.flush()
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"exit {os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
