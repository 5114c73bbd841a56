"""Which entries an export or a table is about, read in order and as they go by (exports, section 5.5).

What is asked by index key is found by the index, and only that is read; everything else is found by going through the
stretch of the log that the bounds leave. Of the entries themselves no more than a page is held; of those found by a key,
eight bytes each.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from typing import Any, NamedTuple

import msgspec

from ledger.core.export_filter import Filter, is_about, is_within, keys_of
from ledger.core.index import KeyRow
from ledger.core.map_proof import MapProof
from ledger.errors import ForkError
from ledger.ports import EntryStore, StoredEntry
from ledger.ports.index import IndexSnapshot

PAGE_ENTRIES = 10_000
_RUN_ENTRIES = 4_096
_GAP_MAX = 32
"""Entries that lie closer together than this are read at once, with those between them."""

PROGRESS_ENTRIES = 10_000

Progress = Callable[[int, int], None]
"""Is told how many entries were gone through, and how many there are."""

_decode = msgspec.json.Decoder(type=dict[str, Any]).decode


def tell_nobody(_done: int, _total: int) -> None:
    """Nobody is told."""


class Selected(NamedTuple):
    """One selected entry: as it is stored, and its members."""

    row: StoredEntry
    members: dict[str, Any]


class KeyFacts(NamedTuple):
    """What the index says of a key: the proof of its row, or of its absence."""

    key: str
    row: KeyRow | None
    proof: MapProof


class Selection:
    """What ``wanted`` selects of the first ``tree_size`` entries; reads the index of ``snapshot`` when it is made.

    ``linked`` are numbers of entries that belong to the incident asked for.
    """

    def __init__(
        self,
        store: EntryStore,
        wanted: Filter,
        tree_size: int,
        snapshot: IndexSnapshot | None,
        linked: Iterable[int] = (),
    ) -> None:
        self._store = store
        self._wanted = wanted
        self._size = min(tree_size, tree_size if wanted.seq_to is None else wanted.seq_to)
        self._start = wanted.seq_from or 0
        self._keys = frozenset(keys_of(wanted))
        self._linked = frozenset(linked)
        self.facts: list[KeyFacts] = []
        self._seqs: array[int] | None = None
        if snapshot is not None:
            self._ask(snapshot)

    @property
    def count_max(self) -> int:
        """No more entries than this are selected."""
        return max(0, self._size - self._start) if self._seqs is None else len(self._seqs)

    def entries(self, on_progress: Progress = tell_nobody) -> Iterator[Selected]:
        """The selected entries in order; ForkError where one that is sealed is not there."""
        if self._seqs is None:
            yield from self._scan(self._start, self._size, on_progress)
            return
        told = 0
        for first, end in _runs(self._seqs):
            asked = self._seqs[first:end]
            rows = self._store.fetch_range(asked[0], asked[-1] + 1)
            for seq in asked:
                row = next((row for row in rows if row.seq >= seq), None)
                if row is None or row.seq != seq:
                    raise _lost(seq)
                members = _decode(row.data)
                if is_within(self._wanted, members) and is_about(self._wanted, self._keys, members):
                    yield Selected(row, members)
            if end - told >= PROGRESS_ENTRIES:
                told = end
                on_progress(end, len(self._seqs))

    def _scan(self, start: int, end: int, on_progress: Progress) -> Iterator[Selected]:
        expected = start
        for row in self._store.fetch_range(start, end):
            if row.seq != expected:
                break
            expected += 1
            if expected % PROGRESS_ENTRIES == 0:
                on_progress(expected - start, end - start)
            members = _decode(row.data)
            if is_within(self._wanted, members) and (
                row.seq in self._linked or is_about(self._wanted, self._keys, members)
            ):
                yield Selected(row, members)
        if expected < end:
            raise _lost(expected)

    def _ask(self, snapshot: IndexSnapshot) -> None:
        for key in sorted(self._keys):
            self.facts.append(KeyFacts(key, snapshot.load_row(key), snapshot.prove_map(key)))
        if not self._keys or self._wanted.incident is not None:
            return
        found = [array("Q") for _ in self.facts]
        for seqs, (key, row, _) in zip(found, self.facts, strict=True):
            for first in range(0, 0 if row is None else row.count, PAGE_ENTRIES):
                seqs.extend(snapshot.load_page(key, first, PAGE_ENTRIES).seqs)
        # Behind what the index is over nobody has looked yet.
        behind = range(snapshot.map_size, self._size)
        self._seqs, last = array("Q"), -1
        for seq in merge(*found, behind):
            if seq != last and self._start <= seq < self._size:
                self._seqs.append(seq)
            last = seq


def _lost(seq: int) -> ForkError:
    return ForkError(f"entry {seq} is not in the database, although it is sealed")


def _runs(seqs: array[int]) -> Iterator[tuple[int, int]]:
    """Ranges of places whose ``seqs`` lie close enough together to be read at once."""
    start = 0
    for place in range(1, len(seqs) + 1):
        is_end = place == len(seqs)
        if is_end or seqs[place] - seqs[place - 1] > _GAP_MAX or place - start >= _RUN_ENTRIES:
            yield start, place
            start = place
