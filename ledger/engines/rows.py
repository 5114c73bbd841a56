"""Delivery attempts as rows of small integers, for the sweep (verdict rules, section 2.1).

What recurs is known by its id (:mod:`ledger.engines.recurring`): a *route* is what was intended, an *arrival* what was
observed. Both are few, so that everything about them is decided once for each pair and only grant, time and account are
left for each row. An attempt and its settlement are joined here when both lie in one chunk, which they nearly always do;
what is left over is told by key and joined over the whole log.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ledger.engines.recurring import DeliveryRecurring

NO_SEQ = -1
Resolved = dict[tuple[str, str], tuple[int, int]]
"""``(endpoint, resolved_ip) -> (first, last)`` instant (ms) at which a delivery says so."""


class LeftOver(NamedTuple):
    """An attempt without settlement, or a settlement without attempt, in its chunk.

    ``key`` is its attempt key, ``copy_key`` its event's (None for a settlement, which does not state it), ``position`` its
    place in the log.
    """

    key: int
    copy_key: int | None
    position: int


@dataclass(slots=True)
class RowTable:
    """One row an attempt: parallel columns.

    ``attempt_seq`` is the place of the attempted or imported entry, ``settled_seq`` that of the settlement
    (``NO_SEQ`` where missing): where they stand, which in a broken log need not be the seq that they state.
    ``started_at`` in ms; ``decided_at_size`` is ``NO_SEQ`` for imported ones. ``attempt_key`` is a 64-bit hash of
    (delivery, attempt), ``copy_key`` one of the event's tag, which is one account's: equal where what they stand
    for is equal. ``odd`` is 1 where the row must be judged by the scalar rule whatever the sweep says.
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
        self._pending: dict[int, tuple[Any, int, int]] = {}
        self._orphans: list[tuple[Any, int]] = []
        self._resolved: Resolved = {}

    def add(self, first: int, entries: Sequence[Any], recurring: Sequence[int]) -> None:
        """Add the deliveries among the entries from position ``first`` on, with their recurring ids (negative: none)."""
        pending = self._pending
        pairs: list[tuple[int, Any, int, int, Any, int, int]] = []
        imported: list[tuple[Any, int, int]] = []
        for position, (entry, number) in enumerate(zip(entries, recurring, strict=True), first):
            if number < 0:
                continue
            kind = entry.kind
            if kind == "delivery.imported":
                imported.append((entry, number, position))
                continue
            key = hash((entry.delivery, entry.attempt))
            before = pending.pop(key, None)
            if kind == "delivery.attempted":
                pending[key] = (entry, number, position)
            elif (
                before is not None
                and before[0].delivery == entry.delivery
                and before[0].attempt == entry.attempt
            ):
                pairs.append((key, *before, entry, number, position))
                continue
            else:
                self._orphans.append((entry, position))
            if before is not None:
                self._orphans.append((before[0], before[2]))
        if pairs:
            self._add_pairs(pairs)
        if imported:
            self._add_imported(imported)

    def _add_pairs(self, pairs: Sequence[tuple[int, Any, int, int, Any, int, int]]) -> None:
        table = self.table
        keys, attempts, routes, attempted_at, settlements, arrivals, settled_at = zip(*pairs, strict=True)
        table.attempt_seq.extend(attempted_at)
        table.settled_seq.extend(settled_at)
        table.route.extend(routes)
        table.arrival.extend(arrivals)
        table.account += [entry.account for entry in attempts]
        table.started_at.extend([entry.started_at for entry in settlements])
        table.decided_at_size.extend([entry.decided_at_size for entry in attempts])
        table.attempt_key.extend(keys)
        table.copy_key.extend([hash(entry.event) for entry in attempts])
        table.odd.extend(map(_is_odd, attempts, settlements))

    def _add_imported(self, imported: Sequence[tuple[Any, int, int]]) -> None:
        table = self.table
        entries, routes, positions = zip(*imported, strict=True)
        table.attempt_seq.extend(positions)
        table.settled_seq.extend([NO_SEQ] * len(entries))
        table.route.extend(routes)
        table.arrival.extend(map(self._recurring.arrived.id_of, entries))
        table.account += [entry.account for entry in entries]
        table.started_at.extend([entry.started_at for entry in entries])
        table.decided_at_size.extend([NO_SEQ] * len(entries))
        table.attempt_key.extend([hash((entry.delivery, entry.attempt)) for entry in entries])
        table.copy_key.extend([hash(entry.event) for entry in entries])
        # Only what came from a file is free of the gate's hygiene (verdict rules, section 2.5).
        table.odd.extend(
            [
                entry.via != "file" or (entry.disclosure == "none" and entry.status is not None)
                for entry in entries
            ]
        )
        for entry in entries:
            if entry.resolved_ip is not None:
                place = (entry.endpoint, entry.resolved_ip)
                first, last = self._resolved.get(place, (entry.started_at, entry.started_at))
                self._resolved[place] = (min(first, entry.started_at), max(last, entry.started_at))

    def take(self) -> tuple[RowTable, list[LeftOver], Resolved]:
        """The chunk's table, what is left over, and where endpoints resolved to; then begins a new chunk."""
        left = [(entry, position) for entry, _, position in self._pending.values()] + self._orphans
        table, resolved = self.table, self._resolved
        self._begin()
        return table, [_left_over(entry, position) for entry, position in left], resolved


def _left_over(entry: Any, position: int) -> LeftOver:
    copy_key = hash(entry.event) if entry.kind == "delivery.attempted" else None
    return LeftOver(hash((entry.delivery, entry.attempt)), copy_key, position)


def _is_odd(attempted: Any, settled: Any) -> bool:
    """Whether the scalar rule must judge this attempt, whatever its grants say."""
    recorded_at = attempted.recorded_at
    return not (
        attempted.decided_at_size == attempted.seq < settled.seq
        and recorded_at <= settled.started_at < attempted.send_before <= recorded_at + 1_000
        and settled.account == attempted.account
        and settled.subjects == attempted.subjects
        and settled.developer == attempted.developer
        and settled.by == "transport"
        and (settled.status is None or settled.disclosure != "none")
        and attempted.replay is None
    )
