"""Bring a whole source into the ledger: streaming, idempotent, line by line or all or nothing (ledger format, 1.6).

Each batch is read, its people get tags (minted durably by the vault), an ``account.registered`` goes before a tag's
first use, and the drafts go to the sequencer, whose answer means durable. While it commits one batch, the next is
read. An import that stops anywhere, by an error or a killed process, is finished by running it again: what is there
already is found by its ``uid`` and changes nothing.

``strict`` first runs the whole source against a scratch copy of the ledger's state (:mod:`ledger.ingest.rehearsal`)
and appends nothing when a single record is rejected there. The second run then meets the same state, unless somebody
else appends meanwhile: what that makes impossible is rejected and told, and what is in stays in. If the process dies
in the second run, part of the records is in; running it again completes it.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from ledger.errors import RejectedError
from ledger.ingest.drafts import REGISTERED, Drafter
from ledger.ingest.records import Record, RecordReader
from ledger.ingest.sources import RawBatch, Reject, Source
from ledger.ports import Codec, Subject, Vault
from ledger.ports.commitments import Commitments
from ledger.sequencer.draft import Draft, Outcome, Rejection, checked

BATCH_RECORDS = 1_000
REJECTS_KEPT = 1_000
IMPORTER = "operator:import"

COLLECTION_THRESHOLD = 50_000

_BATCHES_UNDER_WAY_MAX = 2


class ImportVault(Vault, Protocol):
    """A vault that also tells erased ids from unknown ones."""

    def erased_among(self, account_ids: Sequence[str]) -> set[str]:
        """Those of the ids that are under a suppression mark."""
        ...


class Appender(Protocol):
    """What an import needs of a sequencer."""

    def append_many(self, drafts: Sequence[Draft]) -> list[Outcome]:
        """Append drafts in order; returns when all are durable, with the outcome of each."""
        ...


@dataclass(slots=True)
class ImportReport:
    """What became of a source.

    ``records`` counts the lines that hold something; each was ``created`` (a new entry), a ``duplicates`` (there
    before, nothing changed) or ``rejected``. ``rejects`` are the first rejected ones in order of lines within a batch.
    ``accounts_registered`` counts entries that the import added by itself. ``appended`` is false where a strict import
    found something to reject and left the ledger as it was: then only ``records`` and the rejects mean something.
    """

    records: int = 0
    created: int = 0
    duplicates: int = 0
    rejected: int = 0
    accounts_registered: int = 0
    rejects: list[Reject] = field(default_factory=list)
    appended: bool = True

    @property
    def accepted(self) -> int:
        """Records that the ledger holds now."""
        return self.created + self.duplicates


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is: ``phase`` is "checking" or "importing"; ``bytes_total`` is None where nobody knows."""

    phase: str
    records: int
    rejected: int
    bytes_done: int
    bytes_total: int | None


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    """Let Python look for cycles once in a batch or so: records make many objects and no cycles.

    With the usual threshold a fifth of the time of an import goes there. Concerns the whole process, for as long.
    """
    thresholds = gc.get_threshold()
    gc.set_threshold(max(COLLECTION_THRESHOLD, thresholds[0]), *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


def _ignore_progress(progress: Progress) -> None:
    """Tell nobody."""


def _ignore_reject(reject: Reject) -> None:
    """Tell nobody."""


class Importer:
    """Imports sources through ``appender``, for ``actor``.

    ``on_progress`` is called after each batch, ``on_reject`` once for each line that was rejected in the end (the
    report keeps only the first :data:`REJECTS_KEPT`).
    """

    def __init__(
        self,
        vault: ImportVault,
        commitments: Commitments,
        appender: Appender,
        codec: Codec,
        *,
        actor: str = IMPORTER,
        batch_records: int = BATCH_RECORDS,
        on_progress: Callable[[Progress], None] = _ignore_progress,
        on_reject: Callable[[Reject], None] = _ignore_reject,
    ) -> None:
        assert batch_records > 0, "a batch holds at least one record"
        self._vault = vault
        self._commitments = commitments
        self._appender = appender
        self._codec = codec
        self._actor = actor
        self._batch_records = batch_records
        self._on_progress = on_progress
        self._on_reject = on_reject

    def run(self, source: Source) -> ImportReport:
        """Import what of ``source`` can be; raises StoreError where reading or appending fails.

        Everything appended by then stays, and the next run of the same source goes on from there.
        """
        drafter = Drafter(self._commitments, actor=self._actor, live=False)
        one_pass = _Pass(self._vault, drafter, self._appender, self._codec)
        return self._run(source, one_pass, "importing")

    def run_strictly(self, source: Source, vault: ImportVault, rehearsal: Appender) -> ImportReport:
        """Import ``source`` whole or not at all; ``vault`` and ``rehearsal`` are scratch copies (see the module).

        Raises as :meth:`run`, and UsageError when ``source`` cannot be read twice.
        """
        drafter = Drafter(self._commitments, actor=self._actor, live=False)
        rehearsed = self._run(source, _Pass(vault, drafter, rehearsal, self._codec), "checking")
        if rehearsed.rejected:
            return ImportReport(
                records=rehearsed.records,
                rejected=rehearsed.rejected,
                rejects=rehearsed.rejects,
                appended=False,
            )
        return self.run(source)

    def _run(self, source: Source, one_pass: _Pass, phase: str) -> ImportReport:
        report = ImportReport()
        with _collecting_seldom():
            self._run_batches(source, one_pass, phase, report)
        return report

    def _run_batches(self, source: Source, one_pass: _Pass, phase: str, report: ImportReport) -> None:
        # One thread, so that batches are appended in the order in which they were read.
        with ThreadPoolExecutor(1, thread_name_prefix="import") as appending:
            under_way: deque[tuple[_Prepared, Future[list[Outcome]]]] = deque()
            for raw in source.batches(self._batch_records):
                while len(under_way) >= _BATCHES_UNDER_WAY_MAX:
                    self._settle(one_pass, *under_way.popleft(), report, source, phase)
                prepared = one_pass.prepare(raw)
                under_way.append((prepared, appending.submit(one_pass.append, prepared)))
            while under_way:
                self._settle(one_pass, *under_way.popleft(), report, source, phase)

    def _settle(
        self,
        one_pass: _Pass,
        prepared: _Prepared,
        answer: Future[list[Outcome]],
        report: ImportReport,
        source: Source,
        phase: str,
    ) -> None:
        rejects = one_pass.settle(prepared, answer.result(), report)
        for reject in rejects:
            if len(report.rejects) < REJECTS_KEPT:
                report.rejects.append(reject)
            self._on_reject(reject)
        self._on_progress(
            Progress(phase, report.records, report.rejected, prepared.bytes_done, source.bytes_total)
        )


@dataclass(slots=True)
class _Prepared:
    """A batch on its way: ``lines[n]`` is the line that ``drafts[n]`` comes from, 0 for one that the import adds."""

    drafts: list[Draft] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    bytes_done: int = 0


class _Pass:
    """One way through a source: remembers which tags it has seen registered."""

    def __init__(self, vault: ImportVault, drafter: Drafter, appender: Appender, codec: Codec) -> None:
        self._vault = vault
        self._drafter = drafter
        self._appender = appender
        self._codec = codec
        self._reader = RecordReader(at_required=True)
        self._registered: set[str] = set()

    def prepare(self, raw: RawBatch) -> _Prepared:
        """Read the records of a batch, look up or mint its people, and make its drafts."""
        prepared = _Prepared(rejects=list(raw.rejects), bytes_done=raw.bytes_done)
        records: list[tuple[int, Record]] = []
        people: dict[str, None] = {}
        for line, data in raw.records:
            try:
                record = self._reader.read(data)
            except RejectedError as error:
                prepared.rejects.append(Reject(line, error.reason))
                continue
            records.append((line, record))
            people.update(dict.fromkeys(record.people))
        subjects, erased = self._subjects_of(list(people))
        for line, record in records:
            if erased and not erased.isdisjoint(record.people):
                prepared.rejects.append(Reject(line, "the record names a person who was erased"))
                continue
            self._register(record, subjects, prepared)
            # Checked here and not by the sequencer, which works at the same time on the batch before.
            prepared.drafts.append(checked(self._drafter.draft(record, subjects), self._codec))
            prepared.lines.append(line)
        return prepared

    def _subjects_of(self, people: Sequence[str]) -> tuple[dict[str, Subject], set[str]]:
        try:
            return self._vault.subjects_of(people), set()
        except RejectedError:
            erased = self._vault.erased_among(people)
            return self._vault.subjects_of([person for person in people if person not in erased]), erased

    def _register(self, record: Record, subjects: dict[str, Subject], prepared: _Prepared) -> None:
        """Put the registration of everybody whom this pass has not met before the record, unless it is surely that itself."""
        for person in record.people:
            subject = subjects[person]
            if subject.tag not in self._registered:
                self._registered.add(subject.tag)
                # A stated uid may be taken, and then that record would register nobody.
                if record.kind != REGISTERED or "uid" in record.members:
                    prepared.drafts.append(self._drafter.registration(person, subject))
                    prepared.lines.append(0)

    def append(self, prepared: _Prepared) -> list[Outcome]:
        """Append the drafts of a batch; returns when they are durable."""
        return self._appender.append_many(prepared.drafts) if prepared.drafts else []

    def settle(self, prepared: _Prepared, outcomes: Sequence[Outcome], report: ImportReport) -> list[Reject]:
        """Count a batch into ``report``; returns what of it was rejected, by line."""
        rejects = list(prepared.rejects)
        for line, outcome in zip(prepared.lines, outcomes, strict=True):
            if isinstance(outcome, Rejection):
                if not line:
                    # Its uid holds a tag that nobody else knows: nothing can be in its way.
                    raise outcome.error()
                rejects.append(Reject(line, outcome.reason))
            elif not line:
                report.accounts_registered += outcome.created
            elif outcome.created:
                report.created += 1
            else:
                report.duplicates += 1
        report.rejected += len(rejects)
        report.records += sum(1 for line in prepared.lines if line) + len(prepared.rejects)
        return sorted(rejects, key=lambda reject: reject.line)
