"""Records that a platform hands in while it runs: what happened, one by one, in order (ledger format, section 1.6).

The same records as in a file, and the same strictness; what differs is that they are live. An event on a dead grant is
rejected, and ``at`` may be left out: it is now, and then the call needs a key of its own (``request``), of which and of
the record's place the ``uid`` is made, so that the same call made again is the same entries.

A ``delivery.imported`` with a ticket is the end of an attempt that this log decided on: it becomes that attempt's
``delivery.settled``, because an entry of its own would leave the attempt without an end and count the delivery twice.
Without a ticket it is a delivery that nobody asked about, and stays one.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, cast

import msgspec
import structlog
from msgspec import Meta

from ledger.core.uids import DIGEST_DIGITS
from ledger.errors import ForkError, RejectedError
from ledger.gateway.collecting import collect_seldom
from ledger.gateway.grant_notices import GrantNotices
from ledger.gateway.inflight import RESTRICTIONS, InFlight, Key, keys_touched
from ledger.gateway.meeting import meet_all
from ledger.gateway.people import People
from ledger.gateway.ticketed import settle
from ledger.gateway.ticketing import Tickets, check_authorization, find_authorizations
from ledger.ingest.drafts import REGISTERED, Drafter
from ledger.ingest.records import Record, RecordReader
from ledger.ports import EntryStore, StoredEntry, Subject
from ledger.ports.commitments import Commitments
from ledger.sequencer.draft import Appended, Decision, Draft, Outcome, Rejection
from ledger.sequencer.sequencer import BATCH_ITEMS_MAX, Sequencer

RECORDS_MAX = 1_000
"""How many records one call takes."""

_REVOKING = -2
"""The place of a revocation that a record is beside what it says; -1 is a registration's."""

_match_restricting = re.compile(
    b'"kind":"(?:%s)"' % b"|".join(re.escape(kind.encode()) for kind in RESTRICTIONS)
).search

RejectedCode = Literal["malformed", "rejected", "conflict", "erased", "at_missing", "ticket"]

log = structlog.get_logger()


class Taken(msgspec.Struct, frozen=True, gc=False, tag_field="status", tag="appended"):
    """The record is in the log: as a new entry, durable."""

    seq: int
    leaf_hash: str


class There(msgspec.Struct, frozen=True, gc=False, tag_field="status", tag="exists"):
    """The record was in the log before, with the same content; nothing has changed."""

    seq: int
    leaf_hash: str


class NotTaken(msgspec.Struct, frozen=True, gc=False, tag_field="status", tag="rejected"):
    """The record is not in the log; its neighbours are."""

    code: RejectedCode
    reason: Annotated[str, Meta(description="why, without anybody's id")]


Result = Taken | There | NotTaken


@dataclass(slots=True)
class _Prepared:
    """Drafts on their way: ``places[n]`` is the record that ``drafts[n]`` is of, -1 for a registration.

    ``results`` has a result for each record that makes no draft, ``unmet`` the tags among those of ``subjects`` that no
    draft registers.
    """

    results: list[Result | None]
    drafts: list[Draft] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    subjects: Collection[Subject] = ()
    unmet: set[object] = field(default_factory=set)


class Reports:
    """Appends records as they are handed in. Safe from any thread; they are prepared one call after the other."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        store: EntryStore,
        people: People,
        commitments: Commitments,
        tickets: Tickets,
        notices: GrantNotices,
        inflight: InFlight,
    ) -> None:
        self._sequencer = sequencer
        self._store = store
        self._people = people
        self._commitments = commitments
        self._tickets = tickets
        self._notices = notices
        self._inflight = inflight
        self._reader = RecordReader(at_required=False)
        self._preparing = threading.Lock()
        collect_seldom()

    def append(self, records: Sequence[bytes], actor: str, request: str | None = None) -> list[Result]:
        """Append ``records``, each one JSON object, that ``actor`` (``role:id``) hands in; a result for each, in order.

        ``request`` is what the caller calls this call by, unique among its own, or None. At most :data:`RECORDS_MAX`;
        durable when this returns, and no attempt that a restriction among them touches starts any more. Raises StoreError
        or ForkError where nothing is known: then a beginning of the records may be in the log, and the same call made again
        completes it.
        """
        assert len(records) <= RECORDS_MAX, f"at most {RECORDS_MAX} records come in one call"
        with self._preparing:
            prepared = self._prepare(records, actor, request)
        outcomes = self._append(prepared.drafts)
        results = prepared.results
        unregistered = prepared.unmet
        for draft, place, outcome in zip(prepared.drafts, prepared.places, outcomes, strict=True):
            if place >= 0:
                results[place] = _result_of(outcome)
                if isinstance(outcome, Rejection) and draft.members["kind"] == REGISTERED:
                    unregistered.add(draft.members["account"])
            elif place == _REVOKING:
                if isinstance(outcome, Rejection):
                    log.warning("reports.not_revoked", reason=outcome.reason, code=outcome.code)
            elif isinstance(outcome, Rejection):
                # Its uid holds a tag that nobody else knows: nothing can be in its way.
                raise outcome.error()
        self._people.note(subject for subject in prepared.subjects if subject.tag not in unregistered)
        # Also for what was there already: the answer of the first call may have been lost.
        self._inflight.wait_for_all(_restricted(outcomes))
        return [_present(result) for result in results]

    def _prepare(self, raws: Sequence[bytes], actor: str, request: str | None) -> _Prepared:
        prepared = _Prepared([None] * len(raws))
        records = self._read(raws, actor, request, prepared.results)
        subjects, registrations, erased = meet_all(
            self._people, (person for _, record in records for person in record.people)
        )
        unmet: dict[object, Draft] = {one.members["account"]: one for one in registrations}
        authorizations = self._find_authorizations([record for _, record in records])
        drafter = Drafter(self._commitments, actor=actor, live=True)
        for place, record in records:
            if erased and not erased.isdisjoint(record.people):
                prepared.results[place] = NotTaken("erased", "the record names a person who was erased")
                continue
            try:
                if "ticket" in record.members:
                    draft = self._settled(record, subjects, authorizations, actor)
                else:
                    draft = drafter.draft(record, subjects)
            except RejectedError as error:
                prepared.results[place] = NotTaken("ticket", error.reason)
                continue
            if unmet:
                _register(record, subjects, unmet, prepared)
            prepared.drafts.append(draft)
            prepared.places.append(place)
        self._add_notices(prepared)
        prepared.subjects, prepared.unmet = subjects.values(), set(unmet)
        return prepared

    def _add_notices(self, prepared: _Prepared) -> None:
        """Give the drafts what becomes durable with them, and revocations their places in front of what they are of."""
        with_notices = self._notices.prepare(prepared.drafts)
        places = prepared.places
        prepared.places = [
            place if one is made[-1] else _REVOKING
            for place, made in zip(places, with_notices, strict=True)
            for one in made
        ]
        prepared.drafts = [one for made in with_notices for one in made]

    def _read(
        self, raws: Sequence[bytes], actor: str, request: str | None, results: list[Result | None]
    ) -> list[tuple[int, Record]]:
        """The records that say something, with their places; ``results`` gets why the others do not."""
        read = self._reader.read
        records: list[tuple[int, Record]] = []
        for place, raw in enumerate(raws):
            try:
                record = read(raw)
            except RejectedError as error:
                results[place] = NotTaken("malformed", error.reason)
                continue
            if "at" not in record.members:
                if request is None:
                    results[place] = NotTaken(
                        "at_missing", "the record has no at: state it, or name the call by an Idempotency-Key"
                    )
                    continue
                record.members.setdefault("uid", _uid_of(actor, request, place))
            records.append((place, record))
        return records

    def _find_authorizations(self, records: Sequence[Record]) -> dict[tuple[str, int], StoredEntry]:
        ticketed = [_attempt_of(record) for record in records if "ticket" in record.members]
        return dict(find_authorizations(self._store, ticketed))

    def _settled(
        self,
        record: Record,
        subjects: dict[str, Subject],
        authorizations: dict[tuple[str, int], StoredEntry],
        actor: str,
    ) -> Draft:
        """The end of the attempt that the record's ticket was given for; raises RejectedError where it is not its."""
        text = record.members["ticket"]
        assert isinstance(text, str), "a record's ticket is text"
        ticket = self._tickets.check(text)
        try:
            row = check_authorization(self._store, ticket, authorizations.get(_attempt_of(record)))
        except ForkError as error:
            # The operator's to investigate; the ticket is in the caller's hands, and named here.
            log.error("reports.broken_promise", seq=ticket.seq, leaf_hash=ticket.leaf_hash.hex())
            raise RejectedError(str(error)) from error
        return settle(record, subjects, row, self._commitments, actor)

    def _append(self, drafts: Sequence[Draft]) -> list[Outcome]:
        """Append ``drafts`` in order; one transaction after the other, so that nothing comes after one that failed."""
        outcomes: list[Decision] = []
        for start in range(0, len(drafts), BATCH_ITEMS_MAX):
            outcomes += self._sequencer.submit(drafts[start : start + BATCH_ITEMS_MAX]).result()
        return cast("list[Outcome]", outcomes)


def _register(
    record: Record, subjects: Mapping[str, Subject], unmet: dict[object, Draft], prepared: _Prepared
) -> None:
    """Put the registration of everybody not met before in front of the record, unless it is surely that itself."""
    for person in record.people:
        registration = unmet.pop(subjects[person].tag, None)
        # A stated uid may be taken, and then that record would register nobody.
        if registration is not None and (record.kind != REGISTERED or "uid" in record.members):
            prepared.drafts.append(registration)
            prepared.places.append(-1)


def _restricted(outcomes: Sequence[Outcome]) -> set[Key]:
    """The parties that entries of ``outcomes`` restrict, by what the entries say: a record may leave them out."""
    # A kind stands in an entry as it is (canonical JSON escapes nothing), and most entries restrict nobody.
    restricting = [
        msgspec.json.decode(outcome.data)
        for outcome in outcomes
        if isinstance(outcome, Appended) and _match_restricting(outcome.data)
    ]
    return set(keys_touched(restricting))


def _uid_of(actor: str, request: str, place: int) -> str:
    """What the record at ``place`` of a call is known by, where it has no time of its own to be known by."""
    digest = hashlib.sha256(f"{actor}\n{request}".encode()).hexdigest()
    return f"request/{digest[:DIGEST_DIGITS]}/{place}"


def _attempt_of(record: Record) -> tuple[str, int]:
    delivery, attempt = record.members["delivery"], record.members["attempt"]
    assert isinstance(delivery, str), "the reader has checked it"
    assert isinstance(attempt, int), "the reader has checked it"
    return delivery, attempt


def _result_of(outcome: Outcome) -> Result:
    if isinstance(outcome, Appended):
        made = Taken if outcome.created else There
        return made(outcome.seq, outcome.leaf_hash.hex())
    assert outcome.code != "withdrawn", "each record stands by itself"
    return NotTaken(outcome.code, outcome.reason)


def _present(result: Result | None) -> Result:
    assert result is not None, "each record has made a draft, or its result"
    return result
