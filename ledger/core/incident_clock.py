"""When an organisation was aware of an incident, and what it has to have done by when (incidents and exports, 5.1).

Pure, and from entries alone, so that the service that has to act and a stranger who verifies come to the same deadlines:
:class:`IncidentClocks` folds the entries of :data:`CLOCK_KINDS` in the order of the log.

**Awareness.** Every claimed moment is a candidate. Those that start the clock are the *defensible* ones:
``reasonable_certainty`` (somebody was reasonably certain that data went astray), ``handed_to_controller`` (a processor told
the controller) and ``dpo_told``. A ``first_report`` and a ``triage`` are where an investigation begins, which may be short,
and is not awareness yet. Nobody can put the clock off by claiming nothing: an assessment that counts a definite exposure is
reasonable certainty, too, when it was recorded. The earliest of all these starts the clock. A claim that is later than its
own entry counts from that entry.

**Periods** come from ``policy.set`` and nowhere else. The one counts that was in force when the clock started, in the sense
that it was recorded and in effect by then; where none was, the first that came after. So a period that is set when it has
become short changes nothing.

**People** are counted: everybody whom no earlier revision counted has to be told from that revision on. Somebody whom a
``subject.erased`` made unknown before is owed nothing, once ``notice.given_up`` says so with the reason ``erased``; said of
anybody else it is worth nothing.

**Done** is what an entry says was done, at its ``at``. A decision ``no_authority_notice.<jurisdiction>`` or
``no_people_notice.<jurisdiction>`` (with reasons, as every decision) ends that duty if it is taken in time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ledger.core.verdicts import Code

AUTHORITY_NOTICE = "authority_notice"
PEOPLE_NOTICE = "people_notice"
AUTHORITY_COPY = "authority_copy"
DEADLINE_POLICIES = (AUTHORITY_NOTICE, PEOPLE_NOTICE, AUTHORITY_COPY)

DEFENSIBLE = frozenset({"reasonable_certainty", "handed_to_controller", "dpo_told"})
"""The moments that start the clock."""

CLOCK_KINDS = frozenset(
    {
        "policy.set",
        "incident.opened",
        "incident.assessed",
        "incident.moment_claimed",
        "incident.decided",
        "incident.authority_notified",
        "notice.sent",
        "notice.read",
        "notice.given_up",
        "subject.erased",
    }
)
"""The kinds of which :meth:`IncidentClocks.add` makes anything."""

GONE = "erased"
"""The reason of a ``notice.given_up`` to somebody who was erased: nothing is owed then."""

_NO_AUTHORITY, _NO_PEOPLE = "no_authority_notice", "no_people_notice"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A moment that may have started the clock: claimed, or that of an assessment (``is_claimed`` false)."""

    moment: str
    at_ms: int
    seq: int
    is_defensible: bool
    is_claimed: bool


@dataclass(frozen=True, slots=True)
class Deadline:
    """What has to be done by ``due_at_ms``; ``policy`` says what, ``seq`` is the entry that started it.

    ``revision`` is the assessment whose people are to be told. ``done_at_ms`` is None while it is not done; ``waived_at_ms``
    is when it was decided that nothing is owed.
    """

    incident: str
    policy: str
    jurisdiction: str | None
    starts_at_ms: int
    due_at_ms: int
    seq: int
    done_at_ms: int | None = None
    waived_at_ms: int | None = None
    revision: int | None = None

    @property
    def code(self) -> Code:
        """What it is called when it was missed."""
        return "ACCOUNT_NOTICE_OVERDUE" if self.policy == PEOPLE_NOTICE else "AUTHORITY_NOTICE_OVERDUE"

    def is_overdue(self, as_of_ms: int) -> bool:
        """Whether it has passed by then, without being met or waived in time; met late stays overdue."""
        ended_ms = min((at for at in (self.done_at_ms, self.waived_at_ms) if at is not None), default=None)
        return self.due_at_ms < as_of_ms and (ended_ms is None or ended_ms > self.due_at_ms)


@dataclass(slots=True)
class _Policy:
    effective_ms: int
    period_ms: int


@dataclass(slots=True)
class _Assessed:
    revision: int
    seq: int
    recorded_at_ms: int
    new: int
    """How many people it counts whom no revision before it did."""


@dataclass(slots=True)
class _Clock:
    seq: int
    candidates: list[Candidate] = field(default_factory=list)
    assessed: list[_Assessed] = field(default_factory=list)
    told: dict[str, int] = field(default_factory=dict)
    authorities: dict[str, int] = field(default_factory=dict)
    waived: dict[str, int] = field(default_factory=dict)


class IncidentClocks:
    """The clocks of all incidents of a log, as far as its entries were added."""

    def __init__(self) -> None:
        self._policies: dict[tuple[str, str | None], list[_Policy]] = {}
        self._clocks: dict[str, _Clock] = {}
        self._erased: set[str] = set()

    def add(self, entry: Any) -> None:
        """Take the next entry of the log, of whatever kind."""
        kind = entry.kind
        if kind not in CLOCK_KINDS:
            return
        if kind == "policy.set":
            key = (entry.policy, entry.jurisdiction)
            made = _Policy(max(entry.at, entry.recorded_at), entry.period_ms)
            self._policies.setdefault(key, []).append(made)
            return
        if kind == "subject.erased":
            self._erased.add(entry.account)
            return
        if kind == "incident.opened":
            self._clocks.setdefault(entry.incident, _Clock(entry.seq))
            return
        clock = self._clocks.get(entry.incident)
        if clock is not None:
            self._add_to(clock, entry)

    def _add_to(self, clock: _Clock, entry: Any) -> None:
        match entry.kind:
            case "incident.moment_claimed":
                at_ms = min(entry.at, entry.recorded_at)
                is_defensible = entry.moment in DEFENSIBLE
                clock.candidates.append(Candidate(entry.moment, at_ms, entry.seq, is_defensible, True))
            case "incident.assessed":
                self._add_assessment(clock, entry)
            case "incident.authority_notified":
                _keep_earliest(clock.authorities, entry.jurisdiction, entry.at)
            case "incident.decided":
                _keep_earliest(clock.waived, entry.decision, entry.recorded_at)
            case "notice.given_up":
                if entry.reason == GONE and entry.account in self._erased:
                    _keep_earliest(clock.told, entry.account, entry.at)
            case _:
                _keep_earliest(clock.told, entry.account, entry.at)

    def _add_assessment(self, clock: _Clock, entry: Any) -> None:
        people = entry.people
        if people is None:
            # An account may be another person's delivery's subject as well, so that this is the least that there are.
            accounts = entry.accounts_definite + entry.accounts_possible
            people = max(accounts, entry.others_definite + entry.others_possible)
        new = entry.people_new
        if new is None:
            # Nobody said who is new: as many at least as there are more than before.
            new = max(0, people - sum(one.new for one in clock.assessed))
        clock.assessed.append(_Assessed(entry.revision, entry.seq, entry.recorded_at, new))
        if entry.accounts_definite or entry.others_definite:
            made = Candidate("reasonable_certainty", entry.recorded_at, entry.seq, True, False)
            clock.candidates.append(made)

    def candidates(self, incident: str) -> list[Candidate]:
        """Every moment that may have started the clock of ``incident``, by time; defensible or not."""
        clock = self._clocks.get(incident)
        found = [] if clock is None else clock.candidates
        return sorted(found, key=lambda one: (one.at_ms, one.seq))

    def awareness(self, incident: str) -> Candidate | None:
        """The earliest defensible moment, or None where there is none yet."""
        return next((one for one in self.candidates(incident) if one.is_defensible), None)

    def deadlines(self, incident: str) -> list[Deadline]:
        """Everything that has to be done about ``incident``, by when it is due."""
        clock, aware = self._clocks.get(incident), self.awareness(incident)
        if clock is None or aware is None:
            return []
        found = [
            *self._authority_notices(incident, clock, aware),
            *self._people_notices(incident, clock, aware),
            *self._copies(incident, clock),
        ]
        return sorted(
            found, key=lambda one: (one.due_at_ms, one.policy, one.jurisdiction or "", one.revision or 0)
        )

    def overdue(self, as_of_ms: int) -> list[Deadline]:
        """Every deadline that was missed by then, of all incidents, in the order of the incidents' ids."""
        return [
            one
            for incident in sorted(self._clocks)
            for one in self.deadlines(incident)
            if one.is_overdue(as_of_ms)
        ]

    def _period(self, policy: str, jurisdiction: str | None, from_ms: int) -> int:
        """The period in force at ``from_ms``, or the first that came after."""
        rows = self._policies[(policy, jurisdiction)]
        in_force = [row for row in rows if row.effective_ms <= from_ms]
        return in_force[-1].period_ms if in_force else rows[0].period_ms

    def _jurisdictions(self, policy: str) -> Iterator[str | None]:
        yield from sorted(
            (jurisdiction for named, jurisdiction in self._policies if named == policy),
            key=lambda one: one or "",
        )

    def _authority_notices(self, incident: str, clock: _Clock, aware: Candidate) -> Iterator[Deadline]:
        for jurisdiction in self._jurisdictions(AUTHORITY_NOTICE):
            period_ms = self._period(AUTHORITY_NOTICE, jurisdiction, aware.at_ms)
            yield Deadline(
                incident,
                AUTHORITY_NOTICE,
                jurisdiction,
                aware.at_ms,
                aware.at_ms + period_ms,
                aware.seq,
                done_at_ms=_told_in(clock, jurisdiction),
                waived_at_ms=clock.waived.get(_in(_NO_AUTHORITY, jurisdiction)),
            )

    def _people_notices(self, incident: str, clock: _Clock, aware: Candidate) -> Iterator[Deadline]:
        """One for the people of each revision that found more: nobody could tell them before it."""
        told = sorted(clock.told.values())
        for jurisdiction in self._jurisdictions(PEOPLE_NOTICE):
            people = 0
            for assessed in clock.assessed:
                if not assessed.new:
                    continue
                is_first, people = people == 0, people + assessed.new
                starts_ms = aware.at_ms if is_first else max(aware.at_ms, assessed.recorded_at_ms)
                yield Deadline(
                    incident,
                    PEOPLE_NOTICE,
                    jurisdiction,
                    starts_ms,
                    starts_ms + self._period(PEOPLE_NOTICE, jurisdiction, starts_ms),
                    aware.seq if is_first else assessed.seq,
                    done_at_ms=told[people - 1] if len(told) >= people else None,
                    waived_at_ms=clock.waived.get(_in(_NO_PEOPLE, jurisdiction)),
                    revision=assessed.revision,
                )

    def _copies(self, incident: str, clock: _Clock) -> Iterator[Deadline]:
        """What the authority gets once people were told: due from the moment the last of them was."""
        people = sum(one.new for one in clock.assessed)
        told = sorted(clock.told.values())
        if not people or len(told) < people:
            return
        starts_ms = told[people - 1]
        for jurisdiction in self._jurisdictions(AUTHORITY_COPY):
            period_ms = self._period(AUTHORITY_COPY, jurisdiction, starts_ms)
            yield Deadline(
                incident,
                AUTHORITY_COPY,
                jurisdiction,
                starts_ms,
                starts_ms + period_ms,
                clock.seq,
                done_at_ms=_told_in(clock, jurisdiction),
                waived_at_ms=clock.waived.get(_in(_NO_AUTHORITY, jurisdiction)),
            )


def _told_in(clock: _Clock, jurisdiction: str | None) -> int | None:
    """When the authority was told; any, where the policy holds everywhere."""
    if jurisdiction is None:
        return min(clock.authorities.values(), default=None)
    return clock.authorities.get(jurisdiction)


def _in(decision: str, jurisdiction: str | None) -> str:
    """The id of a decision for one jurisdiction, or for a policy that holds everywhere."""
    return decision if jurisdiction is None else f"{decision}.{jurisdiction}"


def _keep_earliest(instants: dict[str, int], key: str, at_ms: int) -> None:
    instants[key] = min(instants.get(key, at_ms), at_ms)
