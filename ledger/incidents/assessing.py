"""From a verification to frozen finding sets (incidents and exports, section 5.1; verdict rules, section 2.4).

A verification's exposures are sorted by cause, and those of one incident become lines, people and counts in one pass, in
the order of the report. Nothing is decided here: who is affected is what the judgements say, and, where a misrouting was
not observed, what the circumstances say. Lines go out in batches while they are made, so that memory does not grow with them
but with the people: some 500 bytes for each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from ledger.audit.entry_reader import EntryReader
from ledger.audit.findings import Finding
from ledger.audit.verify import Verified
from ledger.core import canonical
from ledger.core.canonical import JsonValue
from ledger.core.exposure import Circumstances
from ledger.core.frozen_findings import ExposedDelivery, encode_line
from ledger.core.merkle import Frontier, hash_leaf
from ledger.core.verdicts import RULE_SET, RULE_SET_HASH
from ledger.errors import UsageError
from ledger.incidents.causes import MISROUTING, Cause, cause_of
from ledger.incidents.circumstantial import Activity, PossiblyExposed
from ledger.ports import Codec, LogSource
from ledger.ports.incidents import AffectedPerson, Assessment, Incident

BATCH_LINES = 10_000
UNKNOWN = "unknown"
"""In a breakdown: nobody knows who or what."""

BREAKING = frozenset(
    {
        "CHAIN_BROKEN",
        "SEQ_GAP",
        "SEQ_DUPLICATE",
        "TRUNCATED",
        "ROOT_MISMATCH",
        "TILE_MISMATCH",
        "CHECKPOINT_SIGNATURE_INVALID",
        "CHECKPOINT_INCONSISTENT",
    }
)
"""Codes of a log whose entries are not those that were signed: nothing can be frozen of it."""


@dataclass(slots=True)
class Sorted:
    """The exposures of a verification by cause, each in the report's order."""

    verified: Verified
    by_cause: dict[Cause, list[Finding]] = field(default_factory=dict)


def sort_by_cause(verified: Verified) -> Sorted:
    """The exposures of ``verified`` by cause; raises UsageError where the log is not the one that was signed."""
    report = verified.report
    broken = sorted(BREAKING & report.codes().keys())
    if broken or report.root is None:
        told = ", ".join(broken) or "it has no root"
        raise UsageError(
            f"the ledger is broken ({told}), so nothing can be frozen of it: run `grantledger verify`"
        )
    found = Sorted(verified)
    for finding in report.findings:
        cause = cause_of(finding, verified.history)
        if cause is not None:
            found.by_cause.setdefault(cause, []).append(finding)
    return found


@dataclass(frozen=True, slots=True)
class Before:
    """What concluded incidents of the same cause froze last: the roots of their sets, and their lines' first entries."""

    roots: tuple[str, ...] = ()
    firsts: frozenset[int] = frozenset()


def make_query(incident: Incident, circumstances: Circumstances, before: Before) -> bytes:
    """The canonical query that selects what ``incident`` is about: what no set before it holds."""
    query: dict[str, JsonValue] = {"cause": incident.cause, "severity": "X"}
    if before.roots:
        query["not_in"] = list(before.roots)
    if incident.cause_of is not None:
        query["cause_of"] = incident.cause_of
    if incident.cause == MISROUTING:
        query["circumstances"] = str(circumstances)
    return canonical.encode(query)


@dataclass(slots=True)
class _Person:
    """What is known of one person so far; the four flags are granting and other, each definite or possible."""

    flags: int = 0
    deliveries: int = 0
    first_at_ms: int = 0
    last_at_ms: int = 0
    received_by: tuple[str, ...] = ()
    event_types: tuple[str, ...] = ()
    private: bool = False


_GRANTING_DEFINITE, _GRANTING_POSSIBLE, _OTHER_DEFINITE, _OTHER_POSSIBLE = 1, 2, 4, 8


class FindingSet:
    """Lines of one incident as they are made, counted: a root, people, a breakdown."""

    def __init__(self) -> None:
        self._frontier = Frontier()
        self._people: dict[str, _Person] = {}
        self._deliveries: set[str] = set()
        self.copies = 0
        self.window_from_ms = self.window_to_ms = 0
        self.breakdown: dict[str, dict[str, dict[str, int]]] = {
            "developers": {},
            "event_types": {},
            "codes": {},
        }

    @property
    def size(self) -> int:
        """How many lines there are."""
        return self._frontier.size

    @property
    def root(self) -> str:
        """The root over the lines, hex."""
        return self._frontier.root().hex()

    def add(self, exposed: ExposedDelivery) -> None:
        """Count the next line."""
        at_ms = exposed.started_at_ms
        self.window_from_ms = at_ms if self.size == 0 else min(self.window_from_ms, at_ms)
        self.window_to_ms = max(self.window_to_ms, at_ms)
        self._frontier.append(hash_leaf(encode_line(exposed)))
        if exposed.delivery is not None:
            self._deliveries.add(exposed.delivery)
            self.copies += 1
        receivers = exposed.candidates or ((exposed.received_by,) if exposed.received_by else ())
        for name, keys in (
            ("developers", receivers or (UNKNOWN,)),
            ("event_types", (exposed.event_type or UNKNOWN,)),
            ("codes", (exposed.code,)),
        ):
            for key in keys:
                row = self.breakdown[name].setdefault(key, {"definite": 0, "possible": 0})
                row[exposed.evidence] += 1
        is_definite = exposed.evidence == "definite"
        if exposed.account is not None:
            flag = _GRANTING_DEFINITE if is_definite else _GRANTING_POSSIBLE
            self._count(exposed.account, flag, exposed, receivers)
        for tag in exposed.subjects:
            if tag != exposed.account:
                self._count(tag, _OTHER_DEFINITE if is_definite else _OTHER_POSSIBLE, exposed, receivers)

    def _count(self, tag: str, flag: int, exposed: ExposedDelivery, receivers: tuple[str, ...]) -> None:
        at_ms = exposed.started_at_ms
        person = self._people.get(tag)
        if person is None:
            person = self._people[tag] = _Person(first_at_ms=at_ms)
        person.flags |= flag
        person.deliveries += 1
        person.first_at_ms = min(person.first_at_ms, at_ms)
        person.last_at_ms = max(person.last_at_ms, at_ms)
        person.private |= bool(exposed.private)
        person.received_by = _with(person.received_by, receivers)
        if exposed.event_type is not None:
            person.event_types = _with(person.event_types, (exposed.event_type,))

    def people(self) -> Iterator[AffectedPerson]:
        """Everybody affected, by tag."""
        for tag in sorted(self._people):
            one = self._people[tag]
            yield AffectedPerson(
                account=tag,
                is_definite=bool(one.flags & (_GRANTING_DEFINITE | _OTHER_DEFINITE)),
                is_granting=bool(one.flags & (_GRANTING_DEFINITE | _GRANTING_POSSIBLE)),
                is_other=bool(one.flags & (_OTHER_DEFINITE | _OTHER_POSSIBLE)),
                deliveries=one.deliveries,
                first_at_ms=one.first_at_ms,
                last_at_ms=one.last_at_ms,
                received_by=tuple(sorted(one.received_by)),
                event_types=tuple(sorted(one.event_types)),
                private=one.private,
            )

    def count_beside(self, known: Collection[str]) -> int:
        """How many people there are that are not ``known``, by tag."""
        return sum(tag not in known for tag in self._people)

    def freeze(
        self, incident: Incident, query: str, verified: Verified, active_accounts: int, now_ms: int
    ) -> Assessment:
        """The assessment that this is, as ``incident``'s next revision."""
        flags = [person.flags for person in self._people.values()]
        root = verified.report.root
        assert root is not None, "a log without a root was refused"
        return Assessment(
            incident=incident.incident,
            revision=incident.revision + 1,
            tree_size=verified.report.tree_size,
            root=root,
            rule_set=RULE_SET,
            rule_set_sha256=RULE_SET_HASH,
            query=query,
            findings=self.size,
            findings_root=self.root,
            window_from_ms=self.window_from_ms,
            window_to_ms=self.window_to_ms,
            accounts_definite=sum(bool(one & _GRANTING_DEFINITE) for one in flags),
            accounts_possible=sum(_is_only(one, _GRANTING_POSSIBLE, _GRANTING_DEFINITE) for one in flags),
            others_definite=sum(bool(one & _OTHER_DEFINITE) for one in flags),
            others_possible=sum(_is_only(one, _OTHER_POSSIBLE, _OTHER_DEFINITE) for one in flags),
            people=len(flags),
            deliveries=len(self._deliveries),
            copies=self.copies,
            active_accounts=active_accounts,
            breakdown=self.breakdown,
            assessed_at_ms=now_ms,
        )


def _is_only(flags: int, flag: int, not_with: int) -> bool:
    return bool(flags & flag) and not flags & not_with


def _with(known: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    """``known`` and what of ``more`` is new; the same object where nothing is, as nearly always."""
    for one in more:
        if one not in known:
            known = (*known, one)
    return known


def expose(
    findings: Sequence[Finding],
    possible: Sequence[PossiblyExposed],
    before: Before,
    reader: EntryReader,
) -> Iterator[ExposedDelivery]:
    """The lines of an incident: what was found of its cause, then what is possible by circumstances, each in order."""
    position = 0
    for finding in findings:
        if first_entry(finding) in before.firsts:
            continue
        yield _of_finding(position, finding, reader)
        position += 1
    for one in possible:
        if one.delivery.seqs[0] not in before.firsts:
            yield replace(one.exposed(), position=position)
            position += 1


def first_entry(finding: Finding) -> int:
    """The first entry that tells of what was exposed; a judgement rests on earlier ones, too."""
    judged = finding.judgement
    return finding.entries[0] if judged is None else judged.delivery.seqs[0]


def _of_finding(position: int, finding: Finding, reader: EntryReader) -> ExposedDelivery:
    judged = finding.judgement
    if judged is None:
        return _of_alarm(position, finding, reader)
    delivery, actual = judged.delivery, judged.actual
    assert judged.exposure is not None, "only exposures have a cause"
    return ExposedDelivery(
        position=position,
        delivery=delivery.delivery,
        attempt=delivery.attempt,
        code=finding.code,
        verdict=judged.verdict,
        evidence=judged.exposure,
        account=delivery.account,
        subjects=tuple(sorted(set(delivery.subjects))),
        developer=judged.expected.developer,
        received_by=None if actual is None else actual.developer,
        candidates=(),
        app=None if actual is None else actual.app,
        endpoint=None if actual is None else actual.endpoint,
        event_type=delivery.event_type,
        private=delivery.private,
        started_at_ms=delivery.started_at_ms,
        seqs=delivery.seqs,
    )


def _of_alarm(position: int, finding: Finding, reader: EntryReader) -> ExposedDelivery:
    """A line of what a second source says: its own entry is all that there is."""
    entry: Any = reader.entry(finding.entries[0])
    details = finding.details or {}
    assert entry is not None, "what was found was read"
    return ExposedDelivery(
        position=position,
        delivery=details.get("delivery"),
        attempt=getattr(entry, "attempt", None),
        code=finding.code,
        verdict=None,
        evidence="definite",
        account=details.get("account") or entry.account,
        subjects=tuple(sorted(getattr(entry, "subjects", None) or ())),
        developer=entry.developer if finding.code == "CANARY_LEAKED" else None,
        received_by=details.get("developer"),
        candidates=(),
        app=None,
        endpoint=None,
        event_type=None,
        private=None,
        started_at_ms=getattr(entry, "received_at", entry.at),
        seqs=finding.entries,
    )


class Assessor:
    """Makes the finding sets of one verification; the log's deliveries are gone through once for all of them."""

    def __init__(
        self,
        found: Sorted,
        source: LogSource,
        codec: Codec,
        circumstances: Circumstances,
        before: Callable[[Incident], Before],
        on_progress: Callable[[str, int, int], None],
    ) -> None:
        self.found = found
        self._before = before
        self._source = source
        self._codec = codec
        self._circumstances = circumstances
        self._on_progress = on_progress
        self._reader = EntryReader(source, codec)
        self._activity: Activity | None = None
        self._possible: Sequence[PossiblyExposed] | None = None

    def lines_of(self, incident: Incident) -> Iterator[ExposedDelivery]:
        """The lines of ``incident``, in order."""
        cause = Cause(incident.cause, incident.cause_of or "")
        possible: Sequence[PossiblyExposed] = ()
        findings = self.found.by_cause.get(cause, [])
        if incident.cause == MISROUTING:
            possible = self._match()
        return expose(findings, possible, self._before(incident), self._reader)

    def query_of(self, incident: Incident) -> str:
        """The canonical query of ``incident``, as text."""
        return make_query(incident, self._circumstances, self._before(incident)).decode()

    def assess(
        self,
        incident: Incident,
        now_ms: int,
        take: Callable[[Sequence[ExposedDelivery]], None],
    ) -> tuple[Assessment, FindingSet]:
        """Assess ``incident``; ``take`` gets the lines in batches."""
        made = FindingSet()
        lines = self.lines_of(incident)
        total = len(self.found.by_cause.get(Cause(incident.cause, incident.cause_of or ""), []))
        while batch := list(islice(lines, BATCH_LINES)):
            for line in batch:
                made.add(line)
            take(batch)
            self._on_progress("freezing findings", made.size, max(total, made.size))
        active = self._activity_of().count_active(made.window_from_ms, made.window_to_ms) if made.size else 0
        return made.freeze(incident, self.query_of(incident), self.found.verified, active, now_ms), made

    def _match(self) -> Sequence[PossiblyExposed]:
        if self._possible is None:
            judged = {first_entry(one) for rows in self.found.by_cause.values() for one in rows}
            history = self.found.verified.history
            self._possible = self._activity_of().match(history, self._circumstances, judged)
        return self._possible

    def _activity_of(self) -> Activity:
        if self._activity is None:
            size = self.found.verified.report.tree_size
            self._activity = Activity.read(self._source, size, self._codec, self._on_progress)
        return self._activity


def sha256_of(query: str) -> str:
    """The hash of a query, as the entry states it."""
    return hashlib.sha256(query.encode()).hexdigest()
