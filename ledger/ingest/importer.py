"""Bring a whole source into the ledger: streaming, idempotent, line by line or all or nothing (ledger format, 1.6).

Each batch is read and prepared (:mod:`ledger.ingest.preparing`; of a long source in a second process,
:mod:`ledger.ingest.preparing_process`), and its drafts go to the sequencer, whose answer means durable. While it
commits one batch, the next ones are prepared. An import that stops anywhere, by an error or a killed process, is
finished by running it again: what is there already is found by its ``uid`` and changes nothing.

``strict`` first runs the whole source against a scratch copy of the ledger's state (:mod:`ledger.ingest.rehearsal`)
and appends nothing when a single record is rejected there. The second run then meets the same state, unless somebody
else appends meanwhile: what that makes impossible is rejected and told, and what is in stays in. If the process dies
in the second run, part of the records is in; running it again completes it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

from ledger.errors import StoreError
from ledger.ingest.preparing import ImportVault, Prepared, Preparer, in_groups
from ledger.ingest.preparing_process import (
    RECORDS_BEFORE_HELP,
    OpenScratchVault,
    OpenVault,
    PreparingJob,
    collecting_seldom,
    prepare_all,
)
from ledger.ingest.sources import Reject, Source
from ledger.ports.commitments import Commitments
from ledger.sequencer.draft import Draft, Outcome, Rejection
from ledger.sequencer.sequencer import BATCH_ITEMS_MAX

BATCH_RECORDS = 1_000
REJECTS_KEPT = 1_000
IMPORTER = "operator:import"

_BATCHES_UNDER_WAY_MAX = 2


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


def _ignore_progress(progress: Progress) -> None:
    """Tell nobody."""


def _ignore_reject(reject: Reject) -> None:
    """Tell nobody."""


class Importer:
    """Imports sources through ``appender``, for ``actor``.

    ``open_vault``, which must survive pickling, opens ``vault`` anew in another process; without it everything is
    prepared in this one, and with it what comes after the first ``records_before_help`` records is not.
    ``on_progress`` is called after each batch, ``on_reject`` once for each line that was rejected in the end (the
    report keeps only the first :data:`REJECTS_KEPT`).
    """

    def __init__(
        self,
        vault: ImportVault,
        commitments: Commitments,
        appender: Appender,
        *,
        open_vault: OpenVault | None = None,
        actor: str = IMPORTER,
        batch_records: int = BATCH_RECORDS,
        records_before_help: int = RECORDS_BEFORE_HELP,
        on_progress: Callable[[Progress], None] = _ignore_progress,
        on_reject: Callable[[Reject], None] = _ignore_reject,
    ) -> None:
        assert batch_records > 0, "a batch holds at least one record"
        self._vault = vault
        self._commitments = commitments
        self._appender = appender
        self._open_vault = open_vault
        self._actor = actor
        self._batch_records = batch_records
        self._records_before_help = records_before_help
        self._on_progress = on_progress
        self._on_reject = on_reject

    def run(self, source: Source) -> ImportReport:
        """Import what of ``source`` can be; raises StoreError where reading or appending fails.

        Everything appended by then stays, and the next run of the same source goes on from there.
        """
        return self._run(source, _Pass(self._vault, self._open_vault, self._appender), "importing")

    def run_strictly(
        self, source: Source, scratch_vault: Callable[[ImportVault], ImportVault], rehearsal: Appender
    ) -> ImportReport:
        """Import ``source`` whole or not at all; ``rehearsal`` appends to a scratch copy (see the module).

        ``scratch_vault``, which must survive pickling, makes a scratch copy of a vault, in every process one that gives
        the same tags. Raises as :meth:`run`, and UsageError when ``source`` cannot be read twice.
        """
        open_vault = None if self._open_vault is None else OpenScratchVault(self._open_vault, scratch_vault)
        rehearsed = self._run(source, _Pass(scratch_vault(self._vault), open_vault, rehearsal), "checking")
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
        with collecting_seldom():
            self._run_batches(source, one_pass, phase, report)
        return report

    def _run_batches(self, source: Source, one_pass: _Pass, phase: str, report: ImportReport) -> None:
        preparer = Preparer(one_pass.vault, self._commitments, self._actor)
        job = None
        if one_pass.open_vault is not None:
            job = PreparingJob(one_pass.open_vault, self._commitments, self._actor)
        batches = source.batches(self._batch_records)
        # One thread, so that batches are appended in the order in which they were read.
        with (
            ThreadPoolExecutor(1, thread_name_prefix="import") as appending,
            closing(prepare_all(batches, preparer, job, self._records_before_help)) as prepared_batches,
        ):
            under_way: deque[tuple[Prepared, Future[list[Outcome]]]] = deque()
            # No more than one transaction takes, so that none comes after one that failed.
            for prepared in in_groups(prepared_batches, BATCH_ITEMS_MAX):
                while len(under_way) >= _BATCHES_UNDER_WAY_MAX:
                    self._settle(one_pass, *under_way.popleft(), report, source, phase)
                under_way.append((prepared, appending.submit(one_pass.append, prepared)))
            while under_way:
                self._settle(one_pass, *under_way.popleft(), report, source, phase)

    def _settle(
        self,
        one_pass: _Pass,
        prepared: Prepared,
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


class _Pass:
    """One way through a source, with ``vault`` to ``appender``: what is appended, and how it is counted."""

    def __init__(self, vault: ImportVault, open_vault: OpenVault | None, appender: Appender) -> None:
        self.vault = vault
        self.open_vault = open_vault
        self._appender = appender
        self._failed = False

    def append(self, prepared: Prepared) -> list[Outcome]:
        """Append the drafts of a batch; returns when they are durable. Once this has raised, it always does."""
        if self._failed:
            raise StoreError("nothing more is appended after a failure")
        # Set until all is well: whatever comes after a failure may rest on what it left out, a registration or a grant.
        self._failed = True
        outcomes = self._appender.append_many(prepared.drafts) if prepared.drafts else []
        self._failed = False
        return outcomes

    def settle(self, prepared: Prepared, outcomes: Sequence[Outcome], report: ImportReport) -> list[Reject]:
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
