"""Incidents: opened from what a verification found, and assessed again as more is found (section 5.1).

::

    verification -> exposures by cause -> an incident for each cause that has none open -> its findings frozen
    later        -> the same findings: nothing; others: another revision, and the old one stays

A frozen set is staged before the entry that freezes it: see :mod:`ledger.ports.incidents`. What died before the entry left
lines that nobody sees; the same call made again stages anew. What died after it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ledger.audit.verify import Verified
from ledger.core.canonical import JsonValue
from ledger.core.exposure import Circumstances
from ledger.errors import UsageError
from ledger.gateway.drafts import digest_of
from ledger.incidents.assessing import Assessor, Before, FindingSet, first_entry, sha256_of, sort_by_cause
from ledger.incidents.causes import CAUSES, FLEET, Cause
from ledger.incidents.clock_book import ClockBook
from ledger.incidents.recording import Recorder, Written
from ledger.incidents.words import check_id
from ledger.ports import Clock, Codec, LogSource, Randomness
from ledger.ports.incidents import Assessment, Event, Incident, Incidents
from ledger.sequencer.draft import Draft
from ledger.sequencer.sequencer import Sequencer

ID_DIGITS = 16
LINES_AT_ONCE = 10_000


def _show_nothing(phase: str, done: int, total: int) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An incident that a verification's findings are of; ``revision`` is new where ``is_assessed``."""

    incident: Incident
    is_new: bool
    is_assessed: bool


@dataclass(frozen=True, slots=True)
class Proposed:
    """A cause of ``findings`` exposures; ``incident`` is the one that is open, None where one would be opened."""

    cause: Cause
    findings: int
    incident: Incident | None


DEFAULT_CIRCUMSTANCES = Circumstances()


@dataclass(frozen=True, slots=True)
class Evidence:
    """A verification, and the log that it was of; ``circumstances`` bound what is possible where nobody observed."""

    verified: Verified
    source: LogSource
    circumstances: Circumstances = DEFAULT_CIRCUMSTANCES


class IncidentDesk(Recorder):
    """Opens and assesses incidents, and records what is said of them. Safe from any thread."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        incidents: Incidents,
        clocks: ClockBook,
        codec: Codec,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        super().__init__(sequencer=sequencer, incidents=incidents, clock=clock, randomness=randomness)
        self._codec = codec
        self.clocks = clocks

    def open_from_findings(
        self,
        evidence: Evidence,
        actor: str,
        on_progress: Callable[[str, int, int], None] = _show_nothing,
    ) -> list[Opened]:
        """An incident, assessed, for each cause of an exposure in ``evidence``; those that are open are assessed again.

        Raises UsageError where the log is broken, StoreError where nothing is known: the same call again goes on.
        """
        assessor = self._assessor(evidence, on_progress)
        found = []
        for cause, findings in sorted(assessor.found.by_cause.items()):
            incident, is_new = self._of_cause(cause, actor, map(first_entry, findings))
            if incident is not None:
                is_assessed = self._assess(incident, assessor, actor)
                found.append(Opened(self.load(incident.incident), is_new, is_assessed))
        return found

    def propose(self, evidence: Evidence) -> list[Proposed]:
        """What :meth:`open_from_findings` would open or assess anew, by cause; records nothing. Raises as that does."""
        found = []
        for cause, findings in sorted(sort_by_cause(evidence.verified).by_cause.items()):
            known = self._incidents.load_of_cause(cause.name, cause.of or None)
            if known and known[-1].status != "concluded":
                found.append(Proposed(cause, len(findings), known[-1]))
            elif not self._frozen_by(known).firsts.issuperset(map(first_entry, findings)):
                found.append(Proposed(cause, len(findings), None))
        return found

    def open(self, cause: str, cause_of: str | None, actor: str, status: str = "suspected") -> Written:
        """Open an incident by hand, from what somebody reported; ``number`` says which of this cause it is.

        Where one of the same cause is open nothing is made. Raises UsageError for a cause that nobody knows.
        """
        if cause not in CAUSES:
            raise UsageError(f"there is no cause {cause!r}; there are: {', '.join(sorted(CAUSES))}")
        if cause_of is not None:
            check_id("cause's object", cause_of)
            if cause in FLEET:
                raise UsageError(f"{cause} is a cause of the whole fleet: leave out what it is of")
        if status not in ("suspected", "detected"):
            raise UsageError(f"an incident begins suspected or detected, not {status!r}")
        incident, is_new = self._of_cause(Cause(cause, cause_of or ""), actor, None, status)
        assert incident is not None, "opened by hand, it needs no findings"
        return Written(len(self._incidents.load_of_cause(cause, cause_of)), is_new)

    def open_of(self, cause: str, cause_of: str | None) -> Incident | None:
        """The incident of this cause that is not concluded."""
        known = self._incidents.load_of_cause(cause, cause_of)
        return known[-1] if known and known[-1].status != "concluded" else None

    def assess(
        self,
        incident: str,
        evidence: Evidence,
        actor: str,
        on_progress: Callable[[str, int, int], None] = _show_nothing,
    ) -> bool:
        """Freeze what ``evidence`` tells of the incident as its next revision; False where that is what the last one says."""
        return self._assess(self.load(incident), self._assessor(evidence, on_progress), actor)

    def note_authority_told(
        self,
        incident: str,
        jurisdiction: str,
        notification: str,
        document: str,
        actor: str,
        *,
        at_ms: int | None = None,
        reasons: str | None = None,
    ) -> Written:
        """Record that an authority was told; demands ``reasons`` where the first notification is late."""
        return self.note_told(
            incident,
            jurisdiction,
            notification,
            document,
            actor,
            at_ms=at_ms,
            reasons=reasons or self._incidents.text(incident, "reasons_for_delay"),
            is_late=lambda at_ms: self.clocks.is_late(incident, jurisdiction, at_ms),
        )

    def _assessor(self, evidence: Evidence, on_progress: Callable[[str, int, int], None]) -> Assessor:
        found = sort_by_cause(evidence.verified)
        return Assessor(
            found, evidence.source, self._codec, evidence.circumstances, self._before, on_progress
        )

    # --- Opening.

    def _of_cause(
        self, cause: Cause, actor: str, entries: Iterable[int] | None, status: str = "detected"
    ) -> tuple[Incident | None, bool]:
        """The open incident of ``cause``, and whether it is new; None where all of ``entries`` are a concluded one's."""
        firsts = None if entries is None else list(entries)

        def attempt() -> tuple[Incident | None, bool]:
            known = self._incidents.load_of_cause(cause.name, cause.of or None)
            if known and known[-1].status != "concluded":
                return known[-1], False
            frozen = self._frozen_by(known)
            if firsts is not None and frozen.firsts.issuperset(firsts):
                return None, False
            made = self._new(cause, len(known) + 1, self._end_of(known), status)
            return made, self._append(self._opening(made, actor))

        return self._again(attempt)

    def _end_of(self, concluded: Sequence[Incident]) -> int:
        """How far the last assessment of the incidents before went; 0 where there is none."""
        if not concluded:
            return 0
        last = self._incidents.assessment(concluded[-1].incident)
        return concluded[-1].from_entry if last is None else last.tree_size

    def _before(self, incident: Incident) -> Before:
        """What the incidents of the same cause before this one froze last; they are concluded."""
        known = self._incidents.load_of_cause(incident.cause, incident.cause_of)
        names = [one.incident for one in known]
        return self._frozen_by(known[: names.index(incident.incident)])

    def _frozen_by(self, concluded: Sequence[Incident]) -> Before:
        roots: list[str] = []
        firsts: set[int] = set()
        for one in concluded:
            last = self._incidents.assessment(one.incident)
            if last is None:
                continue
            roots.append(last.findings_root)
            after = -1
            while lines := self._incidents.deliveries(
                one.incident, last.revision, after=after, limit=LINES_AT_ONCE
            ):
                firsts.update(line.seqs[0] for line in lines)
                after = lines[-1].position
        return Before(tuple(roots), frozenset(firsts))

    def _new(self, cause: Cause, number: int, from_entry: int, status: str) -> Incident:
        now_ms = self._clock.now_ms()
        name = f"i-{digest_of(cause.name, cause.of, number)[:ID_DIGITS]}"
        return Incident(name, cause.name, cause.of or None, from_entry, status, 0, now_ms, now_ms)

    def _opening(self, made: Incident, actor: str) -> Sequence[Draft]:
        name = made.incident
        uid = f"incident.opened/{name}"
        kept = Event(name, "opened", uid, made.cause, actor, made.opened_at_ms, made.opened_at_ms)
        stated: dict[str, JsonValue] = {"cause": made.cause}
        if made.cause_of is not None:
            stated["cause_of"] = made.cause_of
        opened = self._draft("incident.opened", kept, stated, [self._incidents.put_incident(made)])
        return [opened, self._status_draft(name, made.status, 1, actor)]

    # --- Assessing.

    def _assess(self, incident: Incident, assessor: Assessor, actor: str) -> bool:
        _check_open(incident)
        if not self._is_other(incident, assessor):
            return False
        staging = self._incidents.stage(incident.incident, self._clock.now_ms())
        assessment, made = assessor.assess(
            incident, self._clock.now_ms(), lambda lines: self._incidents.stage_deliveries(staging, lines)
        )
        self._incidents.stage_people(staging, made.people())
        new = made.count_beside(self._people_before(incident))
        is_frozen = False
        try:
            is_frozen = self._again(lambda: self._freeze(incident, assessment, new, staging, actor))
        except UsageError:
            self._incidents.discard(staging)
            raise
        if not is_frozen:
            # Somebody else assessed at the same time: that revision is theirs.
            self._incidents.discard(staging)
        return is_frozen

    def _people_before(self, incident: Incident) -> set[str]:
        """The tags of everybody whom a revision up to now counts."""
        known: set[str] = set()
        for revision in range(1, incident.revision + 1):
            after = ""
            while rows := self._incidents.people(
                incident.incident, revision, after=after, limit=LINES_AT_ONCE
            ):
                known.update(row.account for row in rows)
                after = rows[-1].account
        return known

    def _is_other(self, incident: Incident, assessor: Assessor) -> bool:
        """Whether there is something to freeze: the first findings, or others than those of the last revision."""
        last = self._incidents.assessment(incident.incident)
        if last is None:
            return any(True for _ in assessor.lines_of(incident))
        again = FindingSet()
        for line in assessor.lines_of(incident):
            again.add(line)
        same = (last.findings_root, last.findings, last.query)
        return (again.root, again.size, assessor.query_of(incident)) != same

    def _freeze(self, incident: Incident, made: Assessment, new: int, staging: int, actor: str) -> bool:
        """Append the entry that freezes a staged set; False where another one has its revision.

        ``new`` counts the people whom no revision before does. Raises UsageError where it was concluded meanwhile.
        """
        name, now_ms = incident.incident, made.assessed_at_ms
        found = self.load(name)
        # A verification takes minutes, and what was told when the incident was concluded stays true of it.
        _check_open(found)
        if found.revision != incident.revision:
            return False
        uid = f"incident.assessed/{name}/{made.revision}"
        kept = Event(name, "assessed", uid, str(made.revision), actor, now_ms, now_ms)
        changes = [
            self._incidents.put_assessment(made, staging),
            self._incidents.put_revision(name, made.revision, now_ms),
        ]
        stated = members_of(made) | {"people_new": new}
        drafts = [self._draft("incident.assessed", kept, stated, changes)]
        if found.status in ("suspected", "detected"):
            number = len(self._events(name, "status")) + 1
            drafts.append(self._status_draft(name, "assessed", number, actor))
        return self._append(drafts)


def _check_open(incident: Incident) -> None:
    if incident.status == "concluded":
        raise UsageError("the incident is concluded: what recurs is an incident of its own")


def members_of(made: Assessment) -> dict[str, JsonValue]:
    """The members of ``incident.assessed`` that an assessment states."""
    return {
        "revision": made.revision,
        "tree_size": made.tree_size,
        "root": made.root,
        "rule_set": made.rule_set,
        "rule_set_sha256": made.rule_set_sha256,
        "query": sha256_of(made.query),
        "findings": made.findings,
        "findings_root": made.findings_root,
        "window_from": made.window_from_ms,
        "window_to": made.window_to_ms,
        "accounts_definite": made.accounts_definite,
        "accounts_possible": made.accounts_possible,
        "others_definite": made.others_definite,
        "others_possible": made.others_possible,
        "people": made.people,
        "deliveries": made.deliveries,
        "copies": made.copies,
        "active_accounts": made.active_accounts,
    }
