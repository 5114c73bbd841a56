"""What recurs in delivery entries, interned: checked once, then known by a small number (ledger format, section 1.7).

Of the members of a delivery most say again what thousands of others said: the parties, the endpoint, the event type, the
worker, where it went. For each kind those are read as one tuple. A tuple that was seen before needs no check of its
members' patterns and is already the *route* (what was intended) or the *arrival* (what was observed) of a row.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from ledger.core.entries import Observed, ReceivedBy
from ledger.engines.patterns import SingleMatch, member_checks
from ledger.engines.structs import struct_of

ROUTE_OF_ATTEMPT = (
    "via",
    "developer",
    "app",
    "environment",
    "endpoint",
    "event_type",
    "scope",
    "channel",
    "actor",
    "worker",
)
ROUTE_OF_IMPORT = (
    "via",
    "developer",
    "app",
    "environment",
    "endpoint",
    "event_type",
    "channel",
    "actor",
    "worker",
)
ARRIVAL_OF_SETTLED = ("observed", "received_by", "developer", "via", "by", "actor", "worker")
ARRIVAL_OF_IMPORT = ("observed", "received_by")

WORKER_BITS = 24
"""Ids of one process lie below ``1 << WORKER_BITS``; the process's number stands above, so that no two collide."""
_KIND_BITS = 22

Fresh = tuple[int, str, tuple[Any, ...]]
"""``(id, kind, values)`` in the order of the names above."""


class Recurring:
    """The distinct tuples of some members of one kind, with ids of their own."""

    def __init__(self, kind: str, names: tuple[str, ...], base: int) -> None:
        self._kind = kind
        self._get: Callable[[Any], tuple[Any, ...]] = attrgetter(*names)
        self._matches = SingleMatch(
            [check for check in member_checks(kind) if (check.outer or check.name) in names]
        )
        self._base = base
        self._ids: dict[tuple[Any, ...], int] = {}
        self._fresh: list[Fresh] = []

    def id_of(self, entry: Any) -> int:
        """The id of what ``entry`` repeats, or ``NO_ID`` when one of these members does not match its pattern."""
        value = self._get(entry)
        known = self._ids.get(value)
        return self._enter(entry, value) if known is None else known

    def _enter(self, entry: Any, value: tuple[Any, ...]) -> int:
        if not self._matches(entry):
            return NO_ID
        assert len(self._ids) < 1 << _KIND_BITS, "too many distinct routes for one process"
        known = self._ids[value] = self._base + len(self._ids)
        self._fresh.append((known, self._kind, tuple(map(_portable, value))))
        return known

    def take_fresh(self) -> list[Fresh]:
        """Those that are new since the last call."""
        fresh, self._fresh = self._fresh, []
        return fresh


def _portable(value: Any) -> Any:
    """A member as it can go to another process: structs made at run time cannot."""
    for fast, plain in ((_ObservedStruct, Observed), (_ReceivedByStruct, ReceivedBy)):
        if isinstance(value, fast):
            return plain(**{name: getattr(value, name) for name in fast.__struct_fields__})
    return value


_ObservedStruct, _ReceivedByStruct = struct_of(Observed), struct_of(ReceivedBy)

NO_ID = -1
NO_RECURRING = -2
"""Stands for entries that are no deliveries."""


class DeliveryRecurring:
    """What recurs in the delivery kinds that make rows."""

    def __init__(self, worker: int) -> None:
        base = worker << WORKER_BITS
        self.attempted = Recurring("delivery.attempted", ROUTE_OF_ATTEMPT, base)
        self.imported = Recurring("delivery.imported", ROUTE_OF_IMPORT, base | 1 << _KIND_BITS)
        self.settled = Recurring("delivery.settled", ARRIVAL_OF_SETTLED, base | 2 << _KIND_BITS)
        self.arrived = Recurring("delivery.imported", ARRIVAL_OF_IMPORT, base | 3 << _KIND_BITS)

    def ids_of(self, entries: list[Any]) -> list[int] | None:
        """For each entry its route (settlements: arrival), ``NO_RECURRING`` for others; None if one fails a pattern."""
        of_attempted, of_settled = self.attempted.id_of, self.settled.id_of
        of_imported, of_arrived = self.imported.id_of, self.arrived.id_of
        ids = []
        for entry in entries:
            kind = entry.kind
            if kind == "delivery.attempted":
                ids.append(of_attempted(entry))
            elif kind == "delivery.settled":
                ids.append(of_settled(entry))
            elif kind == "delivery.imported":
                ids.append(of_imported(entry) if of_arrived(entry) != NO_ID else NO_ID)
            else:
                ids.append(NO_RECURRING)
        return None if NO_ID in ids else ids

    def take_fresh(self) -> list[Fresh]:
        """``(id, kind, values)`` of all that are new since the last call; routes and arrivals."""
        made = (self.attempted, self.imported, self.settled, self.arrived)
        return [fresh for recurring in made for fresh in recurring.take_fresh()]


CHECKED_HERE = {
    "delivery.attempted": frozenset(ROUTE_OF_ATTEMPT),
    "delivery.imported": frozenset(ROUTE_OF_IMPORT + ARRIVAL_OF_IMPORT),
    "delivery.settled": frozenset(ARRIVAL_OF_SETTLED),
}
"""Members whose patterns :class:`DeliveryRecurring` checks, by kind."""
