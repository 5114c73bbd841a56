"""What recurs in entries, interned: known by a small number once it was seen (ledger format, section 1.7).

Of the members of a delivery most say again what thousands of others said: the parties, the endpoint, the event type, the
worker, where it went. Those are read as one tuple, the *route* (what was intended) or the *arrival* (what was observed) of
a row. What a matcher of layouts has to know of recurring values is a :class:`Noted`, made once for all entries that have
them.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple

from ledger.core.entries import Observed, ReceivedBy
from ledger.engines.structs import struct_of
from ledger.errors import StoreError

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

NO_ID = -1
"""Stands for a route or arrival that an entry has not."""

Fresh = tuple[int, str, tuple[Any, ...]]
"""``(id, kind, values)`` in the order of the names above."""


class Recurring:
    """The distinct tuples of some members of one kind, with ids of their own."""

    def __init__(self, kind: str, names: tuple[str, ...], base: int) -> None:
        self._kind = kind
        self._get: Callable[[Any], tuple[Any, ...]] = attrgetter(*names)
        self._base = base
        self._ids: dict[tuple[Any, ...], int] = {}
        self._fresh: list[Fresh] = []

    def id_of(self, entry: Any) -> int:
        """The id of what ``entry``, which is sound, repeats.

        Raises StoreError where so many distinct ones were seen that the ids of this process are used up.
        """
        value = self._get(entry)
        known = self._ids.get(value)
        if known is None:
            if len(self._ids) >> _KIND_BITS:
                raise StoreError(
                    f"more than {1 << _KIND_BITS:,} routes of {self._kind} differ; verify with --engine scalar"
                )
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

_DEVELOPER_NAMES = ("developer", "previous_developer", "processor")


class Noted(NamedTuple):
    """What is known of all entries that have the same recurring values.

    ``developers`` are those whose index keys the entries have, each once (ledger format, section 1.7), ``developer`` is
    the number of the stated one. ``is_odd`` tells that the scalar rule must judge such deliveries, ``resolved`` is the
    ``(endpoint, address)`` that an imported one names.
    """

    developers: tuple[str, ...]
    developer: int
    route: int
    arrival: int
    is_odd: bool
    resolved: tuple[str, str] | None


class Notes:
    """Makes what is noted; one per process."""

    def __init__(self, worker: int) -> None:
        base = worker << WORKER_BITS
        self._attempted = Recurring("delivery.attempted", ROUTE_OF_ATTEMPT, base)
        self._imported = Recurring("delivery.imported", ROUTE_OF_IMPORT, base | 1 << _KIND_BITS)
        self._settled = Recurring("delivery.settled", ARRIVAL_OF_SETTLED, base | 2 << _KIND_BITS)
        self._arrived = Recurring("delivery.imported", ARRIVAL_OF_IMPORT, base | 3 << _KIND_BITS)
        self._developers: dict[str | None, int] = {}

    def note(self, entry: Any) -> Noted:
        """What is noted of ``entry``, which is sound."""
        route = arrival = NO_ID
        is_odd, resolved = False, None
        if entry.kind == "delivery.attempted":
            route = self._attempted.id_of(entry)
        elif entry.kind == "delivery.settled":
            arrival = self._settled.id_of(entry)
            is_odd = entry.by != "transport" or is_contradictory(entry)
        elif entry.kind == "delivery.imported":
            route, arrival = self._imported.id_of(entry), self._arrived.id_of(entry)
            # Only what came from a file is free of the gate's hygiene (verdict rules, section 2.5).
            is_odd = entry.via != "file" or is_contradictory(entry)
            if entry.resolved_ip is not None:
                resolved = (entry.endpoint, entry.resolved_ip)
        developer = getattr(entry, "developer", None)
        number = self._developers.setdefault(developer, len(self._developers))
        return Noted(developers_of(entry), number, route, arrival, is_odd, resolved)

    def take_fresh(self) -> list[Fresh]:
        """``(id, kind, values)`` of all that are new since the last call; routes and arrivals."""
        made = (self._attempted, self._imported, self._settled, self._arrived)
        return [fresh for recurring in made for fresh in recurring.take_fresh()]


def is_contradictory(entry: Any) -> bool:
    """Whether a status came back, and yet nothing is said to be disclosed (verdict rules, section 2.1)."""
    return entry.disclosure == "none" and entry.status is not None


def developers_of(entry: Any) -> tuple[str, ...]:
    """The developers among a typed entry's index keys, sorted: as ``ledger.core.index.index_keys`` has them."""
    named = {getattr(entry, name, None) for name in _DEVELOPER_NAMES}
    owner = getattr(entry, "received_by", None)
    if owner is not None:
        named.add(owner.developer)
    return tuple(sorted(name for name in named if name is not None))
