"""Processes that erase, each forked off from this one, and kill themselves at a step: one request a line on stdin.

A request is a JSON object: ``environment`` (of the ledger and the service), ``erasure`` (to be approved; empty: only what a
start does), ``step`` (empty: none) and ``nth`` (which time it is reached). The answer is a line ``exit N``, negative by a
signal. Forked, because each is a process of its own that way, and the modules are loaded once for all of them.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import structlog

from ledger.service_settings import load_service_settings
from ledger.settings import load_settings
from ledger.store.entries import SqlEntryStore
from ledger.wiring.ledger import open_ledger
from ledger.wiring.service import Service
from tests.faults.deliver_child import Killer

APPROVER = "operator:grace"


def live(asked: dict[str, Any]) -> None:
    """One process, from its start to its end."""
    killer = Killer(asked["step"], asked["nth"])
    ledger = open_ledger(load_settings(asked["environment"]))
    ledger.store = SqlEntryStore(ledger.engine, killer.reached)
    ledger.reached = killer.reached
    with Service(ledger, load_service_settings(asked["environment"])) as service:
        service.privacy.prepare()
        killer.arm()
        if asked["erasure"]:
            service.privacy.erasures.approve(asked["erasure"], approved_by=APPROVER)
        else:
            service.privacy.destroyer.run_once()


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
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"exit {os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
