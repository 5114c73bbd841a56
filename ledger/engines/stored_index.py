"""The index over a growing log, kept in a store and grown from there; implements ``ledger.ports.GrowingIndex``.

What a seal needs is read, checked against the stored state, and changed in memory: the rows of the keys of new entries
(:mod:`ledger.engines.tile_trees`) and the map's pages on the way to them (:mod:`ledger.engines.page_map`). All of it is
stored in one transaction when the caller says so, and nothing stays in memory after that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np

from ledger.core.index import key_position
from ledger.core.map_proof import EMPTY_NODE
from ledger.engines.batch_map import words_of
from ledger.engines.hash_rows import (
    HASH,
    Hashes,
    Numbers,
    as_hashes,
    hash_key_leaves,
    hash_values,
    starts_of,
)
from ledger.engines.page_map import update_pages
from ledger.engines.tile_trees import Trees, decode_rows, grow
from ledger.errors import DamagedIndexError, ProofError
from ledger.ports.index import IndexChanges, IndexRows, IndexState, TileRow

DAMAGED = (
    "the index that is stored is damaged, or was edited: {}; nothing is lost, it is made from the log: "
    "make it anew with `grantledger reindex`"
)


class _Numbers(dict[str, int]):
    """``key -> number``; a key that is looked up for the first time gets the next number."""

    def __init__(self) -> None:
        super().__init__()
        self._positions: list[bytes] = []

    def __missing__(self, key: str) -> int:
        number = self[key] = len(self)
        self._positions.append(key_position(key))
        return number

    def positions(self) -> Hashes:
        """The positions of the keys, by number."""
        return as_hashes(b"".join(self._positions))


class StoredIndex:
    """The index in ``rows``. Holds what is new since the last commit, about 200 bytes for each key of each entry."""

    def __init__(self, rows: IndexRows) -> None:
        """Go on from what ``rows`` hold."""
        self._rows = rows
        self.discard()

    def state(self) -> IndexState | None:
        """What is stored, or None where nothing is."""
        return self._rows.load_state()

    def discard(self) -> None:
        """Forget what was appended since the last commit."""
        self._numbers = _Numbers()
        # The look-up itself: a method around it would cost more than it does.
        self.number_of: Callable[[str], int] = self._numbers.__getitem__
        self._leaves: list[Hashes] = []
        self._keys: list[Numbers] = []
        self._seqs: list[Numbers] = []
        self._first: int | None = None
        self._end = 0
        self._head = b""
        self._grown: tuple[IndexState | None, IndexState, IndexChanges] | None = None

    def clear(self) -> None:
        """Begin anew, from nothing."""
        self.discard()
        self._rows.clear()

    def append(self, first: int, leaf_hashes: Sequence[bytes], keys: Sequence[Sequence[int]]) -> None:
        """Append consecutive entries, the first of them at the seq ``first``: leaf hashes and the numbers of their keys."""
        if not leaf_hashes:
            return
        if self._first is None:
            self._first = self._end = first
        assert first == self._end, f"entries from {first} on do not follow {self._end}"
        counts = np.fromiter(map(len, keys), np.int64, len(keys))
        self._keys.append(np.fromiter(chain.from_iterable(keys), np.int64, int(counts.sum())))
        self._seqs.append(np.repeat(np.arange(first, first + len(keys)), counts))
        self._leaves.append(hash_key_leaves(first, as_hashes(b"".join(leaf_hashes))))
        self._end = first + len(leaf_hashes)
        self._head = leaf_hashes[-1]

    def grow(self) -> IndexState:
        """The state over everything appended, which is not stored yet.

        Raises DamagedIndexError where what is stored is not what its state stands for.
        """
        before = self._rows.load_state()
        if self._first is None:
            assert before is not None, "an index is over one entry at least"
            self._grown = before, before, IndexChanges()
            return before
        assert self._first == (before.map_size if before else 0), "entries are appended to what is stored"
        try:
            map_root, changes = self._change(before.map_root if before else EMPTY_NODE)
        except ProofError as error:
            raise DamagedIndexError(DAMAGED.format(error)) from error
        after = IndexState(self._end, map_root, self._head, None)
        self._grown = before, after, changes
        return after

    def commit(self, note: bytes | None) -> None:
        """Store what the last :meth:`grow` made, with ``note``."""
        assert self._grown is not None, "what is committed has grown before"
        before, after, changes = self._grown
        self.discard()
        self._rows.commit(before, after._replace(note=note), changes)

    def _change(self, map_root: bytes) -> tuple[bytes, IndexChanges]:
        """The new root, and what it takes to store the index that has it."""
        numbers, seqs = np.concatenate(self._keys), np.concatenate(self._seqs)
        if not len(numbers):
            return map_root, IndexChanges()
        assert self._first is not None, "there is something to append"
        positions = self._numbers.positions()
        # By position from here on: neighbours in the store are neighbours, and each page is met once.
        by_position = np.lexsort(words_of(positions).T[::-1])
        rank = np.empty(len(positions), np.int64)
        rank[by_position] = np.arange(len(positions))
        positions = positions[by_position]
        # Key and entry in one number: sorted by key, and stable, by the fastest sort there is.
        bits = len(seqs).bit_length()
        ordered = np.sort(rank[numbers] << bits | np.arange(len(seqs)))
        keys, seqs = ordered >> bits, seqs[ordered & ((1 << bits) - 1)]
        added = np.bincount(keys, minlength=len(positions)).astype(np.int64)
        with_entries = np.flatnonzero(added)
        if len(with_entries) < len(positions):
            positions, added = positions[with_entries], added[with_entries]
        names = [position.tobytes() for position in positions]
        held = self._rows.load_rows(names) if map_root != EMPTY_NODE else {}
        before = decode_rows([held.get(name, b"") for name in names])
        after, tiles = grow(
            before,
            starts_of(added),
            seqs,
            np.concatenate(self._leaves),
            seqs - self._first,
            lambda tree, level, start, end: self._rows.load_tile_roots(names[tree], level, start, end),
        )
        update = update_pages(self._rows.load_pages, map_root, positions, _values(after), _values(before))
        return update.root, IndexChanges(
            list(zip(names, after.encode(), strict=True)),
            sorted(update.pages.items()),
            [TileRow(names[tile.tree], *tile[1:]) for tile in tiles],
        )


def _values(trees: Trees) -> Hashes:
    """The values that the map holds for ``trees``, zeros where a tree has no entry."""
    values = np.zeros(len(trees.counts), HASH)
    some = np.flatnonzero(trees.counts)
    values[some] = hash_values(trees.counts[some], trees.last_seqs[some], trees.roots()[some])
    return values
