"""What the sequencer knows of the log it writes: the folded history and the last entry (ledger format, section 1.1)."""

from __future__ import annotations

import heapq
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from ledger.core.chain import ZERO_PREV
from ledger.core.entries import Entry
from ledger.core.folding import OPEN_END_MS
from ledger.core.history import History


@dataclass(slots=True)
class Head:
    """The end of the log: its size, the leaf hash and ``recorded_at`` of its last entry (none and 0 when empty).

    ``is_shared`` and ``turned`` say what else was recorded at that very millisecond
    (:mod:`ledger.sequencer.instants`); where that is not known, it is shared.
    """

    size: int = 0
    leaf_hash: bytes | None = None
    recorded_at_ms: int = 0
    is_shared: bool = True
    turned: AbstractSet[tuple[str, str]] = frozenset()

    @property
    def link(self) -> str:
        """What the next entry's ``prev`` will be."""
        return ZERO_PREV if self.leaf_hash is None else self.leaf_hash.hex()


@dataclass(slots=True)
class State:
    """The history folded up to ``head``; only the writer thread touches it.

    ``upcoming_ms`` are the instants, a heap, at which entries take effect that were recorded before they do.
    """

    history: History
    head: Head
    upcoming_ms: list[int]

    def add(self, entry: Entry) -> None:
        """Fold ``entry``, which bears state."""
        self.history.add(entry)
        if entry.at > entry.recorded_at:
            heapq.heappush(self.upcoming_ms, entry.at)

    def next_change_ms(self, now_ms: int) -> int:
        """The first instant after ``now_ms``, which never decreases, at which some recorded entry takes effect."""
        while self.upcoming_ms and self.upcoming_ms[0] <= now_ms:
            heapq.heappop(self.upcoming_ms)
        return self.upcoming_ms[0] if self.upcoming_ms else OPEN_END_MS
