"""Events in the order in which they take effect, and step functions made from them (verdict rules, section 2.1).

An event is what a fold needs of an entry and nothing more: there are millions. Events of one thing are kept
in append order; a fold sorts them by ``at``, then by class (registrations and ``grant.issued``, permissive,
restrictive), then by descending seq, so that at equal times the restrictive one, and within one class the
lowest seq, is applied last and holds from that instant on.

*Known then* is the same fold over the entries with ``seq < as_of_size``; ``None`` means everything.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from ledger.core.strict import INTEGER_MAX

OPEN_END_MS = INTEGER_MAX
"""The end of an interval that nothing ends; the largest time of the ledger, so that engines need no special case."""

REGISTERING = 0
PERMISSIVE = 1
RESTRICTIVE = 2

_RANKS = {
    "registered": REGISTERING,
    "issued": REGISTERING,
    "suspended": RESTRICTIVE,
    "deleted": RESTRICTIVE,
    "retired": RESTRICTIVE,
    "revoked": RESTRICTIVE,
    "invalidated": RESTRICTIVE,
}

ValueType = TypeVar("ValueType")


class Event(NamedTuple):
    """One entry as folds see it; ``verb`` is its kind without the family, ``value`` what that verb says."""

    at: int
    rank: int
    seq: int
    verb: str
    via: str
    recorded_at: int
    value: Any

    @property
    def is_live(self) -> bool:
        """Whether it came in as it happened, and not as history from a file."""
        return self.via != "file"


def rank_of(kind: str) -> int:
    """The class of an entry's kind at equal times: 0 registering, 1 permissive, 2 restrictive."""
    return _RANKS.get(kind.partition(".")[2], PERMISSIVE)


def fold_key(event: Event) -> tuple[int, int, int]:
    """The place of ``event`` in a fold."""
    return event.at, event.rank, -event.seq


def in_fold_order(events: Sequence[Event], as_of_size: int | None = None) -> Sequence[Event]:
    """``events`` with ``seq < as_of_size`` in the order in which they are applied."""
    if as_of_size is not None:
        events = [event for event in events if event.seq < as_of_size]
    if len(events) <= 1:
        return events
    return sorted(events, key=fold_key)


class Steps(Generic[ValueType]):
    """A value that holds from each of ``times_ms`` (ascending) until the next; before the first there is none."""

    __slots__ = ("times_ms", "values")

    def __init__(self, changes: Sequence[tuple[int, ValueType]]) -> None:
        times_ms: list[int] = []
        values: list[ValueType] = []
        for at_ms, value in changes:
            assert not times_ms or times_ms[-1] <= at_ms, "changes come in the order of a fold"
            if times_ms and times_ms[-1] == at_ms:
                values[-1] = value  # what applies last holds from that instant on
            else:
                times_ms.append(at_ms)
                values.append(value)
        self.times_ms = tuple(times_ms)
        self.values = tuple(values)

    def at(self, at_ms: int) -> ValueType | None:
        """The value at ``at_ms``; None before the first change."""
        place = bisect_right(self.times_ms, at_ms)
        return self.values[place - 1] if place else None

    def spans(self) -> list[tuple[int, int, ValueType]]:
        """``(from_ms, to_ms, value)`` of every step, half-open; the last one ends at :data:`OPEN_END_MS`."""
        ends = (*self.times_ms[1:], OPEN_END_MS)[: len(self.times_ms)]
        return [
            (start, end, value)
            for start, end, value in zip(self.times_ms, ends, self.values, strict=True)
            if start < end
        ]


class Line(Generic[ValueType]):
    """The events of one thing in append order, with the fold over all of them kept until the next one is added."""

    __slots__ = ("_made", "events")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._made: ValueType | None = None

    def add(self, event: Event) -> None:
        """Append ``event``, whose seq is higher than all before."""
        self.events.append(event)
        self._made = None

    def folded(
        self, fold: Callable[[Sequence[Event]], ValueType], as_of_size: int | None = None
    ) -> ValueType:
        """``fold`` over the events with ``seq < as_of_size`` in fold order; one line is always asked for one fold."""
        events = self.events
        if as_of_size is not None and events and events[-1].seq >= as_of_size:
            return fold(in_fold_order(events, as_of_size))
        if self._made is None:
            self._made = fold(in_fold_order(events))
        return self._made
