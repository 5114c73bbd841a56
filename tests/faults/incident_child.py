"""A process that opens incidents from findings and kills itself at a step: ``DIRECTORY STEP NTH``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import structlog

from ledger.ports.incidents import AffectedPerson, ExposedDelivery
from ledger.store.entries import SqlEntryStore
from ledger.store.incidents import SqlIncidents
from ledger.wiring.ledger import open_ledger
from ledger.wiring.service import Service
from tests.faults.deliver_child import Killer
from tests.support.incident_world import BY, IncidentWorld


class SteppingIncidents(SqlIncidents):
    """The store of incidents, which tells of its own writes when they are durable."""

    killer: Killer

    def stage(self, incident: str, now_ms: int) -> int:
        made = super().stage(incident, now_ms)
        self.killer.reached("incidents.staging")
        return made

    def stage_deliveries(self, staging: int, exposed: Sequence[ExposedDelivery]) -> None:
        super().stage_deliveries(staging, exposed)
        self.killer.reached("incidents.lines_staged")

    def stage_people(self, staging: int, people: Iterable[AffectedPerson]) -> None:
        super().stage_people(staging, people)
        self.killer.reached("incidents.people_staged")


def main(directory: Path, step: str, nth: int) -> None:
    """Verify, and open an incident for each cause."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    world = IncidentWorld(directory)
    world.service.close()
    killer = Killer(step, nth)
    ledger = open_ledger(world.settings, clock=world.clock)
    ledger.store = SqlEntryStore(ledger.engine, killer.reached)
    ledger.reached = killer.reached
    with Service(ledger, world.service_settings) as service:
        book = SteppingIncidents(ledger.engine)
        book.killer = killer
        service.incidents.__dict__["book"] = book
        evidence = world.evidence()
        killer.arm()
        service.incidents.desk.open_from_findings(evidence, BY)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
