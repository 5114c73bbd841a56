"""Attempts and settlements that lie in two chunks of the log, one after the other.

Chunks are read by processes that know nothing of each other; here, in their parent, what each left over meets what the
next one left over.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.core.entries import decode_entry
from ledger.engines.known import KnownDecoder
from ledger.engines.recurring import Fresh, Notes
from ledger.engines.rows import Columns, LeftOver, RowHashes, RowMaker

PARENT = 127
"""The number of the parent among the processes that give ids; workers have lower ones."""


class Joint:
    """Takes the left-over entries of chunk after chunk."""

    def __init__(self, secret: bytes) -> None:
        self._decoder = KnownDecoder()
        self._notes = Notes(PARENT)
        self._hashes = RowHashes(secret)
        self._rows = RowMaker(self._notes, self._hashes)
        self._left: list[LeftOver] = []

    def add(self, first: int, left_over: Sequence[tuple[int, bytes]]) -> None:
        """Take what the chunk that begins at ``first`` left over, with positions, in any order."""
        ordered = sorted(left_over)
        entries = self._decoder.decode_all([data for _, data in ordered])
        if entries is None:
            entries = [decode_entry(data).entry for _, data in ordered]
        for (position, _), entry in zip(ordered, entries, strict=True):
            self._rows.add(entry, position)
        self._settle(first)

    def take(self) -> tuple[Columns, list[Fresh], list[LeftOver]]:
        """The rows of what met, the routes and arrivals in them, and what did not meet."""
        self._settle(None)
        return self._rows.columns(), self._notes.take_fresh(), self._left

    def _settle(self, before: int | None) -> None:
        left = self._rows.left_over(before)
        self._left += [self._hashes.left_over(entry, position) for entry, position in left]
