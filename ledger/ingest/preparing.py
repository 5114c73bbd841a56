"""Batches of records become batches of drafts (ledger format, sections 1.2 and 1.6): all that needs no history.

The records of a batch are read, its people get tags (minted durably by the vault before anything names them), an
``account.registered`` goes before the first use of a tag, and each record becomes a draft. The same records in the
same batches give the same drafts in the same order, in whatever process. What the history says about them is the
sequencer's to judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ledger.errors import LedgerError, RejectedError
from ledger.ingest.drafts import REGISTERED, Drafter
from ledger.ingest.records import Record, RecordReader
from ledger.ingest.sources import RawBatch, Reject
from ledger.ports import Subject, Vault
from ledger.ports.commitments import Commitments
from ledger.sequencer.draft import Draft


class ImportVault(Vault, Protocol):
    """A vault that also tells erased ids from unknown ones."""

    def erased_among(self, account_ids: Sequence[str]) -> set[str]:
        """Those of the ids that are under a suppression mark."""
        ...


@dataclass(slots=True)
class Prepared:
    """A batch on its way: ``lines[n]`` is the line that ``drafts[n]`` comes from, 0 for one that the import adds.

    ``rejects`` are the lines that make no draft; ``bytes_done`` is how much of the source was read by then.
    """

    drafts: list[Draft] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    bytes_done: int = 0

    def take(self, count: int) -> Prepared:
        """Remove the first ``count`` drafts, with the rejects of the lines up to the last of theirs, and return them."""
        last = max(self.lines[:count])
        taken = Prepared(
            self.drafts[:count],
            self.lines[:count],
            [reject for reject in self.rejects if reject.line <= last],
            self.bytes_done,
        )
        del self.drafts[:count], self.lines[:count]
        self.rejects = [reject for reject in self.rejects if reject.line > last]
        return taken

    def extend(self, following: Prepared) -> None:
        """Put the batch after this one behind it."""
        self.drafts += following.drafts
        self.lines += following.lines
        self.rejects += following.rejects
        self.bytes_done = following.bytes_done


def in_groups(batches: Iterable[Prepared], drafts_max: int) -> Iterator[Prepared]:
    """``batches`` with at most ``drafts_max`` drafts in each: what is too many for one goes before the next one's.

    The registrations that the import adds make a batch longer than what was read; cut in two it would be a long
    transaction and a short one, which takes as long.
    """
    rest: Prepared | None = None
    try:
        for batch in batches:
            if rest is not None:
                rest.extend(batch)
                batch, rest = rest, None
            if len(batch.drafts) <= drafts_max:
                yield batch
                continue
            while len(batch.drafts) > drafts_max:
                yield batch.take(drafts_max)
            rest = batch
    except LedgerError:
        # The source or the vault failed; what was prepared before goes in all the same.
        if rest is not None:
            yield rest
        raise
    if rest is not None:
        yield rest


class Preparer:
    """Prepares the batches of one way through a source: remembers which tags it has put a registration before.

    Not for use by several threads at once.
    """

    def __init__(self, vault: ImportVault, commitments: Commitments, actor: str) -> None:
        self._vault = vault
        self._drafter = Drafter(commitments, actor=actor, live=False)
        self._reader = RecordReader(at_required=True)
        self._registered: set[str] = set()

    def prepare(self, raw: RawBatch) -> Prepared:
        """The drafts and the rejects of a batch; everybody whom a draft names is durably in the vault.

        Raises StoreError or SettingsError where the vault does.
        """
        prepared = Prepared(rejects=list(raw.rejects), bytes_done=raw.bytes_done)
        read, draft = self._reader.read, self._drafter.draft
        records: list[tuple[int, Record]] = []
        people: list[str] = []
        for line, data in raw.records:
            try:
                record = read(data)
            except RejectedError as error:
                prepared.rejects.append(Reject(line, error.reason))
                continue
            records.append((line, record))
            people += record.people
        subjects, erased = self._subjects_of(list(dict.fromkeys(people)))
        unmet = {person for person, subject in subjects.items() if subject.tag not in self._registered}
        for line, record in records:
            if erased and not erased.isdisjoint(record.people):
                prepared.rejects.append(Reject(line, "the record names a person who was erased"))
                continue
            if unmet and not unmet.isdisjoint(record.people):
                self._register(record, subjects, prepared)
                unmet.difference_update(record.people)
            prepared.drafts.append(draft(record, subjects))
            prepared.lines.append(line)
        return prepared

    def _subjects_of(self, people: Sequence[str]) -> tuple[dict[str, Subject], set[str]]:
        try:
            return self._vault.subjects_of(people), set()
        except RejectedError:
            erased = self._vault.erased_among(people)
            return self._vault.subjects_of([person for person in people if person not in erased]), erased

    def _register(self, record: Record, subjects: dict[str, Subject], prepared: Prepared) -> None:
        """Put the registration of everybody not met before in front of the record, unless it is surely that itself."""
        for person in record.people:
            subject = subjects[person]
            if subject.tag not in self._registered:
                self._registered.add(subject.tag)
                # A stated uid may be taken, and then that record would register nobody.
                if record.kind != REGISTERED or "uid" in record.members:
                    prepared.drafts.append(self._drafter.registration(person, subject))
                    prepared.lines.append(0)
