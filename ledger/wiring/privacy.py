"""Erasure, legal holds and retention, put together (ledger format, section 1.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.engines.codec import MsgspecCodec
from ledger.exports.forgetting import ExportCopies
from ledger.exports.places import Places
from ledger.ports import LogSource
from ledger.ports.incidents import Incidents
from ledger.privacy.destroying import Destroyer
from ledger.privacy.erasures import Erasures
from ledger.privacy.holds import LegalHolds
from ledger.privacy.rebuilding import Rebuilding
from ledger.privacy.restoring import check_not_behind, restore
from ledger.privacy.retention import Retention
from ledger.store.incidents import SqlIncidents
from ledger.store.notices import SqlNotices
from ledger.store.privacy import SqlPrivacy
from ledger.vault.suppressions import SUFFIX, SuppressionFile
from ledger.wiring.exports import exports_directory

if TYPE_CHECKING:
    from ledger.wiring.service import Service

PEOPLE_AT_ONCE = 1_000
RETENTION_EVERY_MS = 3_600_000


class Privacy:
    """The parts of one process's ``service`` that erase, hold and keep within periods; built when they are asked for."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._retention_due_ms = 0

    @cached_property
    def book(self) -> SqlPrivacy:
        """Erasures, holds, and what takes a person out of the tables."""
        return SqlPrivacy(self._service.ledger.engine)

    @cached_property
    def destroyer(self) -> Destroyer:
        """What makes true what the log says is destroyed."""
        service = self._service
        return Destroyer(
            sequencer=service.ledger.sequencer,
            store=service.ledger.store,
            book=self.book,
            eraser=self.book,
            copies=ExportCopies(Places(exports_directory(service.ledger.settings))),
            vault=service.vault,
            suppressions=SuppressionFile(_beside(service.ledger.settings.checkpoint_file)),
            inflight=service.inflight,
            clock=service.clock,
            reached=service.ledger.reached,
        )

    @cached_property
    def erasures(self) -> Erasures:
        """What takes requests and carries them out."""
        service = self._service
        return Erasures(
            sequencer=service.ledger.sequencer,
            registry=service.registry,
            book=self.book,
            destroyer=self.destroyer,
            incidents=self._incidents,
            policies=service.incidents.policies,
            sealing=service.sealing,
            clock=service.clock,
            randomness=service.randomness,
            reached=service.ledger.reached,
        )

    @cached_property
    def holds(self) -> LegalHolds:
        """What places and lifts holds."""
        service = self._service
        return LegalHolds(
            sequencer=service.ledger.sequencer,
            book=self.book,
            incidents=self._incidents,
            sealing=service.sealing,
            clock=service.clock,
            randomness=service.randomness,
        )

    @cached_property
    def retention(self) -> Retention:
        """What applies the retention policies."""
        service = self._service
        return Retention(
            store=service.ledger.store,
            outbox=service.outbox,
            book=self.book,
            eraser=self.book,
            erasures=self.erasures,
            holds=self.holds,
            keyring=service.vault,
            policies=service.incidents.policies,
            clock=service.clock,
        )

    def prepare(self) -> int:
        """Make sure, before anything is served, that nobody is known whom the log says is erased; how many were.

        Raises BehindRecordError where the database was put back from a backup and lacks what was signed.
        """
        ledger = self._service.ledger
        check_not_behind(ledger.store, ledger.record, ledger.origin, [ledger.verifier])
        return self.destroyer.replay()

    def run_once(self) -> None:
        """Whatever is due: destructions that were begun, holds to be spelled out, periods that have passed."""
        try:
            self.destroyer.run_once()
        finally:
            # A disk that is too full to rewrite a file on must not leave anybody without the hold that protects them.
            self.holds.extend()
        now_ms = self._service.clock.now_ms()
        if now_ms >= self._retention_due_ms:
            self.retention.run()
            self._retention_due_ms = now_ms + RETENTION_EVERY_MS

    @property
    def rebuilding(self) -> Rebuilding:
        """What makes rows from entries, after a restore."""
        ledger = self._service.ledger
        return Rebuilding(
            store=ledger.store,
            codec=MsgspecCodec(),
            holds=self.holds,
            notices=SqlNotices(ledger.engine),
            incidents=SqlIncidents(ledger.engine),
            apply=self._service.registry.apply,
        )

    @cached_property
    def _incidents(self) -> _Incidents:
        return _Incidents(SqlIncidents(self._service.ledger.engine))


@dataclass(frozen=True, slots=True)
class RestoredLedger:
    """The database had ``size_before`` entries and has ``size_after``; ``people`` in it were erased again.

    ``left`` says what of that is left to do, empty for nothing.
    """

    size_before: int
    size_after: int
    people: int
    left: str


def restore_from(
    service: Service, source: LogSource, on_progress: Callable[[int, int], None]
) -> RestoredLedger:
    """Bring the database of ``service`` up to the published log ``source``, and erase again who was erased.

    Raises as :func:`ledger.privacy.restoring.restore`. Run again after a crash, it goes on.
    """
    ledger = service.ledger
    with ledger.record.lock():
        done = restore(
            ledger.store,
            source,
            ledger.record,
            ledger.codec,
            origin=ledger.origin,
            verifiers=[ledger.verifier],
            on_progress=on_progress,
        )
    service.privacy.rebuilding.run()
    people = service.privacy.prepare()
    ledger.sealer.seal()
    return RestoredLedger(done.size_before, done.size_after, people, service.privacy.destroyer.clean())


def _beside(record: Path) -> Path:
    return record.with_name(record.name + SUFFIX)


class _Incidents:
    """Implements :class:`ledger.ports.privacy.AccountIncidents` by what is kept of incidents."""

    def __init__(self, incidents: Incidents) -> None:
        self._incidents = incidents

    def of_account(self, account: str) -> Sequence[str]:
        return [incident for incident, _ in self._incidents.incidents_of(account)]

    def is_known(self, incident: str) -> bool:
        return self._incidents.load(incident) is not None

    def people_of(self, incident: str) -> Iterable[str]:
        found = self._incidents.load(incident)
        return () if found is None or not found.revision else self._people(incident, found.revision)

    def _people(self, incident: str, revision: int) -> Iterator[str]:
        after = ""
        while page := self._incidents.people(incident, revision, after=after, limit=PEOPLE_AT_ONCE):
            yield from (person.account for person in page)
            after = page[-1].account
