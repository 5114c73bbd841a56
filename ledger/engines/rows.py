"""Delivery attempts as rows of integers, for the sweep (verdict rules, section 2.1).

What recurs is known by its id (:mod:`ledger.engines.recurring`): a *route* is what was intended, an *arrival* what was
observed. Both are few, so that everything about them is decided once for each pair and only grant, time and account are
left for each row. An attempt and its settlement are joined when both lie in one chunk or in two that follow each other, which
they nearly always do; what is left over is told by key and joined over the whole log.

This module has the rows and makes those of entries that come one by one; :mod:`ledger.engines.row_columns` makes those of
whole columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ledger.engines.recurring import Notes
from ledger.engines.text_hash import TextHash, signed_one, tag_words

NO_SEQ = -1
Resolved = dict[tuple[str, str], tuple[int, int]]
"""``(endpoint, resolved_ip) -> (first, last)`` instant (ms) at which a delivery says so."""

ROW_TYPES: dict[str, type[np.signedinteger[Any]]] = {
    "attempt_seq": np.int64,
    "settled_seq": np.int64,
    "route": np.int32,
    "arrival": np.int32,
    "account_high": np.int64,
    "account_low": np.int64,
    "started_at": np.int64,
    "decided_at_size": np.int64,
    "attempt_key": np.int64,
    "copy_key": np.int64,
    "odd": np.int8,
}
"""One row an attempt. ``attempt_seq`` is the place of the attempted or imported entry, ``settled_seq`` that of the
settlement (``NO_SEQ`` where missing): where they stand, which in a broken log need not be the seq that they state.
``account_high`` and ``account_low`` are the 128 bits of the account's tag. ``started_at`` is in ms; ``decided_at_size`` is
``NO_SEQ`` for imported ones. ``attempt_key`` is a 64-bit hash of (delivery, attempt), ``copy_key`` one of the event's tag,
which is one account's: equal where what they stand for is equal. ``odd`` is 1 where the row must be judged by the scalar
rule whatever the sweep says."""

Columns = dict[str, Any]
"""Arrays of one length by the names of :data:`ROW_TYPES`."""


class LeftOver(NamedTuple):
    """An attempt without settlement, or a settlement without attempt, in its chunk and the next one.

    ``key`` is its attempt key, ``copy_key`` its event's (None for a settlement, which does not state it), ``position`` its
    place in the log.
    """

    key: int
    copy_key: int | None
    position: int


class RowHashes:
    """The keys of rows, under the secret of one verification."""

    def __init__(self, secret: bytes) -> None:
        self.deliveries = TextHash(secret, "delivery")
        self.events = TextHash(secret, "event")

    def attempt_key(self, entry: Any) -> int:
        """The key of the attempt that an entry is about."""
        hashed = self.deliveries.of_text(entry.delivery)
        return signed_one(self.deliveries.with_one_number(hashed, entry.attempt))

    def copy_key(self, entry: Any) -> int:
        """The key of the event that an attempted or imported entry delivers."""
        return signed_one(self.events.of_text(entry.event))

    def left_over(self, entry: Any, position: int) -> LeftOver:
        """What is told of an entry that is in no row."""
        copy_key = self.copy_key(entry) if entry.kind == "delivery.attempted" else None
        return LeftOver(self.attempt_key(entry), copy_key, position)


class RowMaker:
    """Makes rows of single entries, in order; one for each chunk."""

    def __init__(self, notes: Notes, hashes: RowHashes) -> None:
        self._notes = notes
        self._hashes = hashes
        self._pending: dict[int, tuple[Any, int]] = {}
        self._orphans: list[tuple[Any, int]] = []
        self._rows: list[tuple[int, ...]] = []
        self.resolved: Resolved = {}

    def add(self, entry: Any, position: int) -> None:
        """Add the delivery entry at ``position``; others make no row."""
        if entry.kind == "delivery.imported":
            self._add_imported(entry, position)
        elif entry.kind in ("delivery.attempted", "delivery.settled"):
            key = self._hashes.attempt_key(entry)
            before = self._pending.pop(key, None)
            if entry.kind == "delivery.attempted":
                self._pending[key] = (entry, position)
            elif before is not None and _is_pair(before[0], entry):
                self._add_pair(key, *before, entry, position)
                return
            else:
                self._orphans.append((entry, position))
            if before is not None:
                self._orphans.append(before)

    def _add_pair(self, key: int, attempted: Any, attempted_at: int, settled: Any, settled_at: int) -> None:
        to, came = self._notes.note(attempted), self._notes.note(settled)
        self._rows.append(
            (
                attempted_at,
                settled_at,
                to.route,
                came.arrival,
                *map(signed_one, tag_words(attempted.account)),
                settled.started_at,
                attempted.decided_at_size,
                key,
                self._hashes.copy_key(attempted),
                came.is_odd or _is_odd(attempted, settled),
            )
        )

    def _add_imported(self, entry: Any, position: int) -> None:
        noted = self._notes.note(entry)
        self._rows.append(
            (
                position,
                NO_SEQ,
                noted.route,
                noted.arrival,
                *map(signed_one, tag_words(entry.account)),
                entry.started_at,
                NO_SEQ,
                self._hashes.attempt_key(entry),
                self._hashes.copy_key(entry),
                noted.is_odd,
            )
        )
        if noted.resolved is not None:
            merge_resolved(self.resolved, {noted.resolved: (entry.started_at, entry.started_at)})

    def columns(self) -> Columns:
        """The rows made so far."""
        columns = zip(*self._rows, strict=True) if self._rows else ((),) * len(ROW_TYPES)
        named = zip(ROW_TYPES.items(), columns, strict=True)
        return {name: np.array(values, dtype) for (name, dtype), values in named}

    def left_over(self, before: int | None = None) -> list[tuple[Any, int]]:
        """Entries that are in no row, with their positions; attempts only from positions ``before``. They are forgotten."""
        late = {
            key: waiting
            for key, waiting in self._pending.items()
            if before is not None and waiting[1] >= before
        }
        left = [waiting for key, waiting in self._pending.items() if key not in late] + self._orphans
        self._pending, self._orphans = late, []
        return left


def joined(columns: Sequence[Columns]) -> Columns:
    """Rows one after the other."""
    return {name: np.concatenate([each[name] for each in columns]) for name in ROW_TYPES}


def merge_resolved(known: Resolved, more: Resolved) -> None:
    """Widen what is known by what more deliveries say."""
    for place, (first, last) in more.items():
        seen = known.get(place, (first, last))
        known[place] = (min(first, seen[0]), max(last, seen[1]))


def _is_pair(attempted: Any, settled: Any) -> bool:
    return bool(attempted.delivery == settled.delivery and attempted.attempt == settled.attempt)


def _is_odd(attempted: Any, settled: Any) -> bool:
    """Whether the scalar rule must judge this attempt, whatever its grants say."""
    recorded_at = attempted.recorded_at
    return not (
        attempted.decided_at_size == attempted.seq < settled.seq
        and recorded_at <= settled.started_at < attempted.send_before <= recorded_at + SEND_WITHIN_MS
        and settled.account == attempted.account
        and settled.subjects == attempted.subjects
        and settled.developer == attempted.developer
        and attempted.replay is None
    )


SEND_WITHIN_MS = 1_000
"""The longest that a permit may be used after its attempt was recorded (ledger format, section 1.5)."""
