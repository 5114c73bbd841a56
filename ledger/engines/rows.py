"""Delivery attempts as rows of small integers, for the sweep (verdict rules, section 2.1).

What recurs is known by its id (:mod:`ledger.engines.recurring`): a *route* is what was intended, an *arrival* what was
observed. Both are few, so that everything about them is decided once for each pair and only grant, time and account are
left for each row. An attempt and its settlement are joined here when both lie in one chunk, which they nearly always do;
what is left over is told by key and joined over the whole log.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ledger.engines.recurring import DeliveryRecurring

NO_SEQ = -1
Resolved = dict[tuple[str, str], tuple[int, int]]
"""``(endpoint, resolved_ip) -> (first, last)`` instant (ms) at which a delivery says so."""


class LeftOver(NamedTuple):
    """An attempt without settlement, or a settlement without attempt, in its chunk; ``key`` is its attempt key."""

    delivery: str
    attempt: int
    key: int
    seq: int


@dataclass(slots=True)
class RowTable:
    """One row an attempt: parallel columns.

    ``attempt_seq`` is the seq of the attempted or imported entry, ``settled_seq`` that of the settlement (``NO_SEQ``
    where missing). ``started_at`` in ms; ``decided_at_size`` is ``NO_SEQ`` for imported ones. ``attempt_key``
    is a 64-bit hash of (delivery, attempt), ``copy_key`` the first 60 bits of the event's tag, which is one account's:
    equal where what they stand for is equal. ``odd`` is 1 where the row must be judged by the scalar rule whatever the sweep says.
    """

    attempt_seq: array[int] = field(default_factory=lambda: array("q"))
    settled_seq: array[int] = field(default_factory=lambda: array("q"))
    route: array[int] = field(default_factory=lambda: array("i"))
    arrival: array[int] = field(default_factory=lambda: array("i"))
    account: list[str] = field(default_factory=list)
    started_at: array[int] = field(default_factory=lambda: array("q"))
    decided_at_size: array[int] = field(default_factory=lambda: array("q"))
    attempt_key: array[int] = field(default_factory=lambda: array("q"))
    copy_key: array[int] = field(default_factory=lambda: array("q"))
    odd: array[int] = field(default_factory=lambda: array("b"))


class RowMaker:
    """Turns the delivery entries of one chunk into a :class:`RowTable`; one per process, tables are taken per chunk."""

    def __init__(self, recurring: DeliveryRecurring) -> None:
        self._recurring = recurring
        self._begin()

    def _begin(self) -> None:
        self.table = RowTable()
        self._pending: dict[tuple[str, int], tuple[Any, int]] = {}
        self._orphans: list[Any] = []
        self._resolved: Resolved = {}

    def add(self, entry: Any, recurring: int) -> None:
        """Add one ``delivery.attempted``, ``.settled`` or ``.imported`` entry, in order, with its recurring id."""
        kind = entry.kind
        if kind == "delivery.settled":
            attempted = self._pending.pop((entry.delivery, entry.attempt), None)
            if attempted is None:
                self._orphans.append(entry)
            else:
                self._add_settled(*attempted, entry, recurring)
        elif kind == "delivery.attempted":
            earlier = self._pending.pop((entry.delivery, entry.attempt), None)
            if earlier is not None:
                self._orphans.append(earlier[0])
            self._pending[(entry.delivery, entry.attempt)] = (entry, recurring)
        elif kind == "delivery.imported":
            self._add_imported(entry, recurring)

    def _add_settled(self, attempted: Any, route: int, settled: Any, arrival: int) -> None:
        table = self.table
        seq, account, started_at = attempted.seq, attempted.account, settled.started_at
        table.attempt_seq.append(seq)
        table.settled_seq.append(settled.seq)
        table.route.append(route)
        table.arrival.append(arrival)
        table.account.append(account)
        table.started_at.append(started_at)
        table.decided_at_size.append(attempted.decided_at_size)
        table.attempt_key.append(hash((attempted.delivery, attempted.attempt)))
        table.copy_key.append(int(attempted.event[2:17], 16))
        table.odd.append(
            attempted.decided_at_size != seq
            or settled.by != "transport"
            or attempted.replay is not None
            or not attempted.recorded_at
            <= started_at
            < attempted.send_before
            <= attempted.recorded_at + 1_000
            or settled.account != account
            or settled.developer != attempted.developer
            or settled.subjects != attempted.subjects
        )

    def _add_imported(self, entry: Any, route: int) -> None:
        table = self.table
        table.attempt_seq.append(entry.seq)
        table.settled_seq.append(NO_SEQ)
        table.route.append(route)
        table.arrival.append(self._recurring.arrived.id_of(entry))
        table.account.append(entry.account)
        table.started_at.append(entry.started_at)
        table.decided_at_size.append(NO_SEQ)
        table.attempt_key.append(hash((entry.delivery, entry.attempt)))
        table.copy_key.append(int(entry.event[2:17], 16))
        # Only what came from a file is free of the gate's hygiene (verdict rules, section 2.5).
        table.odd.append(entry.via != "file")
        if entry.resolved_ip is not None:
            place = (entry.endpoint, entry.resolved_ip)
            first, last = self._resolved.get(place, (entry.started_at, entry.started_at))
            self._resolved[place] = (min(first, entry.started_at), max(last, entry.started_at))

    def take(self) -> tuple[RowTable, list[LeftOver], Resolved]:
        """The chunk's table, what is left over, and where endpoints resolved to; then begins a new chunk."""
        left = [entry for entry, _ in self._pending.values()] + self._orphans
        table, resolved = self.table, self._resolved
        self._begin()
        keys = [
            LeftOver(entry.delivery, entry.attempt, hash((entry.delivery, entry.attempt)), entry.seq)
            for entry in left
        ]
        return table, keys, resolved
