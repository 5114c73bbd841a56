"""What a developer that has to delete must have done by when (incidents and exports, section 5.3).

Pure, and from entries alone, so that whoever verifies finds a developer late whether or not the service that should have
noted it ran: :class:`ObligationClocks` folds the entries of :data:`OBLIGATION_KINDS` in the order of the log.

====================  =======================  ==============================================================
deadline              its code                 is met by
====================  =======================  ==============================================================
``acknowledge``       DELETION_ACK_OVERDUE     any answer: acknowledged, in progress, attested
``delete``            DELETION_OVERDUE         a report that it is deleted, or an attestation
``attest``            DELETION_OVERDUE         an attestation
====================  =======================  ==============================================================

An answer counts when it was recorded. What was answered late stays overdue; what was waived or closed before a deadline
owes nothing by it. A hold puts off the deadlines that have not passed, by as long as it lasts: from ``obligation.held`` until
``obligation.resumed``, but no longer than the legal hold that it names stands in the log, and not at all where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from ledger.core.holds import Holds
from ledger.core.strict import INTEGER_MAX

OBLIGATION_KINDS = frozenset(
    {
        "obligation.opened",
        "obligation.acknowledged",
        "obligation.in_progress",
        "obligation.attested",
        "obligation.closed",
        "obligation.waived",
        "obligation.held",
        "obligation.resumed",
    }
)
"""The kinds of which :meth:`ObligationClocks.add` makes anything."""

REPORTED = "reported_deleted"
"""The code of an ``obligation.in_progress`` that says that everything is deleted."""

DeadlineName = Literal["acknowledge", "delete", "attest"]
OverdueCode = Literal["DELETION_ACK_OVERDUE", "DELETION_OVERDUE"]

CODES: dict[DeadlineName, OverdueCode] = {
    "acknowledge": "DELETION_ACK_OVERDUE",
    "delete": "DELETION_OVERDUE",
    "attest": "DELETION_OVERDUE",
}


class Missed(NamedTuple):
    """The deadline ``name`` of an obligation passed at ``due_ms`` unmet; ``seq`` is the entry that opened it."""

    obligation: str
    incident: str
    developer: str
    name: DeadlineName
    due_ms: int
    seq: int

    @property
    def code(self) -> OverdueCode:
        """What it is called."""
        return CODES[self.name]


@dataclass(slots=True)
class _Held:
    hold: str | None
    seq: int
    from_ms: int
    to_ms: int | None = None


@dataclass(slots=True)
class _Owed:
    opened: Any
    met_ms: dict[DeadlineName, int] = field(default_factory=dict)
    ended_ms: int | None = None
    held: list[_Held] = field(default_factory=list)


class ObligationClocks:
    """The deadlines of all obligations of a log, as far as its entries were added."""

    def __init__(self) -> None:
        self._owed: dict[str, _Owed] = {}

    def add(self, entry: Any) -> None:
        """Take the next entry of the log, of whatever kind."""
        if entry.kind not in OBLIGATION_KINDS:
            return
        if entry.kind == "obligation.opened":
            self._owed.setdefault(entry.obligation, _Owed(entry))
            return
        owed = self._owed.get(entry.obligation)
        if owed is not None:
            _add_to(owed, entry)

    def overdue(self, as_of_ms: int, holds: Holds) -> list[Missed]:
        """Every deadline that had passed unmet by then, by obligation; ``holds`` are the log's."""
        return [
            missed for name in sorted(self._owed) for missed in _missed(self._owed[name], as_of_ms, holds)
        ]


def _add_to(owed: _Owed, entry: Any) -> None:
    at_ms = entry.recorded_at
    match entry.kind:
        case "obligation.acknowledged":
            _meet(owed, at_ms, "acknowledge")
        case "obligation.in_progress":
            _meet(owed, at_ms, "acknowledge")
            if entry.code == REPORTED:
                _meet(owed, at_ms, "delete")
        case "obligation.attested":
            _meet(owed, at_ms, "acknowledge", "delete", "attest")
        case "obligation.held":
            owed.held.append(_Held(entry.hold, entry.seq, at_ms))
        case "obligation.resumed":
            if owed.held and owed.held[-1].to_ms is None:
                owed.held[-1].to_ms = at_ms
        case _:
            owed.ended_ms = at_ms if owed.ended_ms is None else owed.ended_ms


def _meet(owed: _Owed, at_ms: int, *names: DeadlineName) -> None:
    for name in names:
        owed.met_ms.setdefault(name, at_ms)


def _missed(owed: _Owed, as_of_ms: int, holds: Holds) -> Iterator[Missed]:
    opened = owed.opened
    stated: dict[DeadlineName, int] = {
        "acknowledge": opened.acknowledge_by,
        "delete": opened.delete_by,
        "attest": opened.attest_by,
    }
    for name, by_ms in stated.items():
        due_ms = _put_off(by_ms, owed.held, holds)
        ended = [at for at in (owed.met_ms.get(name), owed.ended_ms) if at is not None]
        if due_ms < as_of_ms and min(ended, default=INTEGER_MAX) > due_ms:
            yield Missed(opened.obligation, opened.incident, opened.developer, name, due_ms, opened.seq)


def _put_off(by_ms: int, held: list[_Held], holds: Holds) -> int:
    """``by_ms``, later by each hold that began before it had passed; never, where one still lasts."""
    for one in held:
        if one.from_ms > by_ms or one.hold is None or not holds.is_placed(one.hold, one.seq):
            continue
        end_ms = holds.end_of(one.hold)
        ends = [at for at in (one.to_ms, end_ms) if at is not None]
        if not ends:
            return INTEGER_MAX
        by_ms += max(0, min(ends) - one.from_ms)
    return by_ms
