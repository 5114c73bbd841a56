"""Where an obligation can stand, and what moves it: a table, and its deadlines (incidents and exports, section 5.3).

::

    OPENED -> NOTIFIED -> ACKNOWLEDGED -> IN_PROGRESS -> ATTESTED -> VERIFIED | DISPUTED | OVERDUE -> ESCALATED -> CLOSED
    WAIVED (two people), HELD (a legal hold; goes back to where it was)

Pure: states, events and milliseconds in, states and codes out. A developer that is late may still do what it should, so the
way on is open from ``OVERDUE`` and ``ESCALATED``, too. *Attested is not verified*: what contradicts an attestation moves even
a closed obligation to ``DISPUTED``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ledger.core.obligation_clock import CODES, DeadlineName, OverdueCode
from ledger.ports.obligations import STATES, STEPS, Obligation, ObligationState, Step

Event = Literal[
    "notified",
    "acknowledged",
    "in_progress",
    "attested",
    "verified",
    "disputed",
    "overdue",
    "escalated",
    "closed",
    "waived",
    "held",
    "resumed",
]

ENDED: frozenset[ObligationState] = frozenset({"CLOSED", "WAIVED"})
OPEN: frozenset[ObligationState] = frozenset(STATES) - ENDED
RUNNING: frozenset[ObligationState] = OPEN - {"HELD"}
"""States in which something is expected of the developer or of us."""

_UNANSWERED: frozenset[ObligationState] = frozenset({"OPENED", "NOTIFIED", "OVERDUE", "ESCALATED"})
_UNATTESTED: frozenset[ObligationState] = _UNANSWERED | {"ACKNOWLEDGED", "IN_PROGRESS"}

_FROM: Mapping[Event, tuple[frozenset[ObligationState], ObligationState | None]] = MappingProxyType(
    {
        "notified": (frozenset({"OPENED"}), "NOTIFIED"),
        "acknowledged": (_UNANSWERED - {"OPENED"}, "ACKNOWLEDGED"),
        "in_progress": (_UNATTESTED - {"OPENED", "NOTIFIED"}, "IN_PROGRESS"),
        "attested": ((_UNATTESTED - {"OPENED"}) | {"ATTESTED", "DISPUTED"}, "ATTESTED"),
        "verified": (frozenset({"ATTESTED", "DISPUTED"}), "VERIFIED"),
        "disputed": (frozenset({"ATTESTED", "VERIFIED", "CLOSED", "ESCALATED"}), "DISPUTED"),
        "overdue": (_UNATTESTED, "OVERDUE"),
        "escalated": (frozenset({"OVERDUE", "DISPUTED", "ESCALATED"}), "ESCALATED"),
        "closed": (frozenset({"VERIFIED", "ESCALATED"}), "CLOSED"),
        "waived": (OPEN, "WAIVED"),
        "held": (RUNNING, "HELD"),
        "resumed": (frozenset({"HELD"}), None),
    }
)


@dataclass(frozen=True, slots=True)
class Refused:
    """``event`` moves nothing that stands where the obligation does; ``reason`` says so in a sentence."""

    reason: str


def next_state(obligation: Obligation, event: Event) -> ObligationState | Refused:
    """Where ``event`` moves ``obligation``, or why it does not."""
    sources, target = _FROM[event]
    if event == "disputed" and obligation.state == "HELD" and obligation.held_from in sources:
        # What is seen while a hold lasts is no less seen: it goes on held, and is disputed when it goes on.
        target = "HELD"
    elif obligation.state not in sources:
        wanted = ", ".join(state for state in STATES if state in sources)
        return Refused(f"the obligation is {obligation.state}; {event} follows {wanted}")
    if event == "disputed" and obligation.attestation is None:
        return Refused("nothing has been attested that could be contradicted")
    if target is not None:
        return target
    back = [state for state in STATES if state == obligation.held_from]
    return back[0] if back else "OPENED"


def next_step(obligation: Obligation) -> Step | None:
    """The next step of escalation, None when all were taken."""
    return next((step for step in STEPS if step not in obligation.steps), None)


@dataclass(frozen=True, slots=True)
class Deadline:
    """What is due ``by_ms``: ``name`` of the deadline."""

    name: DeadlineName
    by_ms: int

    @property
    def code(self) -> OverdueCode:
        """What missing it is called."""
        return CODES[self.name]


def deadlines_of(obligation: Obligation) -> tuple[Deadline, Deadline, Deadline]:
    """The three deadlines, later by the time that holds lasted."""
    held_ms = obligation.held_total_ms
    return (
        Deadline("acknowledge", obligation.acknowledge_by_ms + held_ms),
        Deadline("delete", obligation.delete_by_ms + held_ms),
        Deadline("attest", obligation.attest_by_ms + held_ms),
    )


def find_overdue(obligation: Obligation, now_ms: int) -> tuple[Deadline, ...]:
    """The deadlines that have passed unmet at ``now_ms`` and that nobody has noted yet; none while it is held or over.

    An acknowledgement is also any later answer; deleting is said by a report or an attestation, attesting by that alone.
    """
    if obligation.state not in _UNATTESTED:
        return ()
    met = {
        "acknowledge": obligation.acknowledged_at_ms is not None,
        "delete": obligation.reported_at_ms is not None,
        "attest": False,
    }
    return tuple(
        one
        for one in deadlines_of(obligation)
        if now_ms > one.by_ms and not met[one.name] and one.name not in obligation.overdue
    )
