"""The parts of the service that keep incidents, put together (incidents and exports, section 5.1).

A verification is made elsewhere (:mod:`ledger.verifying`), by whoever asks: it shares nothing with what is wired here.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from ledger.engines.codec import MsgspecCodec
from ledger.incidents.clock_book import ClockBook, DeadlineWatch
from ledger.incidents.document import Document, IncidentDocuments
from ledger.incidents.export_files import IncidentFiles
from ledger.incidents.incidents import IncidentDesk
from ledger.incidents.policies import Policies
from ledger.store.incidents import SqlIncidents

if TYPE_CHECKING:
    from ledger.ports.notices import Notices
    from ledger.ports.obligations import Obligations
    from ledger.wiring.service import Service


class IncidentParts:
    """Everything about incidents on one service, built when it is first asked for."""

    def __init__(self, service: Service) -> None:
        self._service = service

    @cached_property
    def book(self) -> SqlIncidents:
        """What is kept of incidents beside the log."""
        return SqlIncidents(self._service.ledger.engine)

    @cached_property
    def clocks(self) -> ClockBook:
        """Awareness and deadlines, from the entries."""
        return ClockBook(self._service.ledger.store, self.book, MsgspecCodec())

    @cached_property
    def desk(self) -> IncidentDesk:
        """What opens, assesses and records."""
        service = self._service
        return IncidentDesk(
            sequencer=service.ledger.sequencer,
            incidents=self.book,
            clocks=self.clocks,
            codec=MsgspecCodec(),
            clock=service.clock,
            randomness=service.randomness,
        )

    @cached_property
    def policies(self) -> Policies:
        """Periods that were set."""
        return Policies(self._service.ledger.sequencer, self.book, self._service.clock)

    @cached_property
    def watch(self) -> DeadlineWatch:
        """What records missed deadlines."""
        return DeadlineWatch(self.clocks, self._service.ledger.sequencer, self._service.clock)

    def document(self, incident: str) -> Document:
        """The document of an incident, as of now; raises UsageError where there is none."""
        found = self.desk.load(incident)
        return self._documents.make(found, self._service.clock.now_ms())

    @cached_property
    def export_files(self) -> IncidentFiles:
        """What exports of incidents hold beside entries."""
        return IncidentFiles(
            self.book,
            self._others()[1],
            self.document,
            self._service.duties.attestations.open,
            self._service.clock,
        )

    @cached_property
    def _documents(self) -> IncidentDocuments:
        notices, obligations = self._others()
        return IncidentDocuments(self.book, self.clocks, notices, obligations)

    def _others(self) -> tuple[Notices, Obligations]:
        from ledger.store.notices import SqlNotices
        from ledger.store.obligations import SqlObligations

        return SqlNotices(self._service.ledger.engine), SqlObligations(self._service.ledger.engine)
