"""The book of attempts with what second sources ask of it; implements ``ledger.ports.growth.AttemptBook``.

The key of an attempt is the hash of its delivery's name, with the number of the attempt put over it bit by bit
(:mod:`ledger.engines.rows`). So the keys of all attempts of a delivery with small numbers lie side by side, and are found as
a range; nothing more is kept for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ledger.engines.attempt_book import NEVER_MS, PLAIN, STRETCH_ROWS, WATCHED, Book, Numbers
from ledger.engines.quick_clean import Recurring
from ledger.engines.recurring import NO_ID
from ledger.engines.rows import Columns, RowHashes
from ledger.engines.sorted_runs import ABSENT
from ledger.engines.text_hash import signed_one
from ledger.ports.growth import SOUGHT_ATTEMPTS, Dependency, IsReceipted


class ReceiptedBook(Book):
    """Implements ``ledger.ports.growth.AttemptBook``."""

    def __init__(self, hashes: RowHashes, recurring: Recurring) -> None:
        """Start without any attempt."""
        super().__init__(hashes, recurring)
        self._names: dict[int, set[str]] = {}
        self._bases: Numbers | None = None
        self._told: set[int] = set()

    def add(self, rows: Columns, left_over: Sequence[tuple[Any, int]]) -> None:
        """Take the rows of a stretch, and its entries that are in none, with their positions."""
        super().add(rows, left_over)
        if self._names:
            self._see(rows["attempt_key"])
            self._see(np.array([self._hashes.attempt_key(entry) for entry, _ in left_over], np.int64))

    def _see(self, keys: Numbers) -> None:
        if self._bases is None:
            self._bases = np.array(sorted(self._names), np.int64)
        bases = keys & -SOUGHT_ATTEMPTS
        self._told.update(bases[np.isin(bases, self._bases)].tolist())

    # By name.

    def _key(self, delivery: str, attempt: int) -> int:
        hashed = self._hashes.deliveries.of_text(delivery)
        return signed_one(self._hashes.deliveries.with_one_number(hashed, attempt))

    def row_of(self, delivery: str, attempt: int) -> int | None:
        """The attempt of this name, or None."""
        found = int(self._attempts.find(np.array([self._key(delivery, attempt)]))[0])
        return None if found == ABSENT else found

    def rows_of(self, delivery: str) -> list[int]:
        """All attempts of a delivery with numbers below ``SOUGHT_ATTEMPTS``; generously, for names are hashed."""
        low = self._base(delivery)
        return sorted(self._attempts.between(low, low + SOUGHT_ATTEMPTS - 1))

    def _base(self, delivery: str) -> int:
        """The lowest key that an attempt of a delivery can have."""
        return self._key(delivery, 0) & -SOUGHT_ATTEMPTS

    def watch_delivery(self, delivery: str) -> None:
        """Note from now on when something new is told of a delivery."""
        self._names.setdefault(self._base(delivery), set()).add(delivery)
        self._bases = None

    def take_told(self) -> set[str]:
        """The watched deliveries of which something may have been told since the last call."""
        told, self._told = self._told, set()
        return {delivery for base in told for delivery in self._names[base]}

    # One by one.

    def is_watched(self, row: int) -> bool:
        """Whether an attempt is watched."""
        return bool(self._columns["state"][row] == WATCHED)

    def doubt(self, rows: Iterable[int]) -> None:
        """These attempts are doubtful again, and are never called surely clean any more."""
        for row in rows:
            self._columns["route"][row] = NO_ID
            self.mark([row])

    # By time.

    def doubt_unasked(
        self,
        until_ms: int,
        first_of: Callable[[frozenset[Dependency]], int | None],
        is_receipted: IsReceipted,
    ) -> bool:
        """Doubt the plain attempts that started at or before an instant, once each since they were doubtful; whether any.

        Only those that stand behind ``first_of`` what they rest on (None: behind nothing), and that are not receipted.
        """
        stretches = np.flatnonzero(self._unasked_from <= until_ms).tolist()
        if not stretches:
            return False
        firsts = [first_of(rests_on) for rests_on in self._rests]
        behind = np.array([NEVER_MS if first is None else first for first in firsts], np.int64)
        found = [row for stretch in stretches for row in self._unasked(stretch, until_ms, behind)]
        columns = self._columns
        is_known = is_receipted(columns["first"][found].tolist())
        rows = [row for row, known in zip(found, is_known, strict=True) if not known]
        self.doubt(rows)
        columns["asked"][rows] = 1
        return bool(rows)

    def _unasked(self, stretch: int, until_ms: int, behind: Numbers) -> list[int]:
        """The rows of one stretch that were not asked for a receipt yet, and are from now on."""
        columns = self._columns
        part = slice(stretch * STRETCH_ROWS, min((stretch + 1) * STRETCH_ROWS, self._size))
        started_at = columns["started_at"][part]
        is_open = (columns["state"][part] == PLAIN) & (columns["asked"][part] == 0)
        is_due = is_open & (started_at <= until_ms)
        self._unasked_from[stretch] = started_at[is_open & ~is_due].min(initial=NEVER_MS)
        rows = part.start + np.flatnonzero(is_due)
        columns["asked"][rows] = 1
        chosen: list[int] = rows[columns["first"][rows] > behind[columns["rests_on"][rows]]].tolist()
        return chosen
