"""The stored index in tests: in memory, grown from made-up logs, and checked against the naive one."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

from ledger.core.index import KeyRow, key_leaf_hash, key_position
from ledger.core.key_tiles import StoredRow, Tile, decode_row, prove_key_page
from ledger.core.key_trees import KeyTrees
from ledger.core.map_pages import prove_in_pages
from ledger.core.map_proof import check_map_proof
from ledger.core.merkle import hash_leaf
from ledger.core.page_proof import check_page
from ledger.core.sparse_map import SparseMap
from ledger.engines.stored_index import StoredIndex
from ledger.errors import StoreError
from ledger.ports.index import IndexChanges, IndexRows, IndexSnapshot, IndexState

Log = Sequence[Sequence[str]]
"""The keys of each entry."""


def leaf_of(seq: int) -> bytes:
    """The leaf hash of entry ``seq`` of every made-up log."""
    return hash_leaf(b"entry %d" % seq)


class MemoryRows:
    """:class:`~ledger.ports.index.IndexRows` in dictionaries, which tests may edit."""

    def __init__(self) -> None:
        self.state: IndexState | None = None
        self.rows: dict[bytes, bytes] = {}
        self.pages: dict[str, bytes] = {}
        self.tiles: dict[tuple[bytes, int, int], Tile] = {}
        self.read = 0

    def load_state(self) -> IndexState | None:
        return self.state

    def load_rows(self, positions: Sequence[bytes]) -> Mapping[bytes, bytes]:
        self.read += len(positions)
        return {position: self.rows[position] for position in positions if position in self.rows}

    def load_pages(self, prefixes: Sequence[str]) -> Mapping[str, bytes]:
        self.read += len(prefixes)
        return {prefix: self.pages[prefix] for prefix in prefixes if prefix in self.pages}

    def load_tiles(self, position: bytes, level: int, start: int, end: int) -> list[Tile]:
        self.read += end - start
        names = [(position, level, number) for number in range(start, end)]
        return [self.tiles[name] for name in names if name in self.tiles]

    def load_tile_roots(self, position: bytes, level: int, start: int, end: int) -> Sequence[bytes]:
        return [tile.root for tile in self.load_tiles(position, level, start, end)]

    def commit(self, expected: IndexState | None, state: IndexState, changes: IndexChanges) -> None:
        if expected != self.state:
            raise StoreError("another process has changed the index meanwhile: try again")
        self.state = state
        self.rows.update(changes.rows)
        self.pages.update(changes.pages)
        for tile in changes.tiles:
            assert tile[:3] not in self.tiles, "a tile is written once"
            self.tiles[tile[:3]] = Tile(tile.root, tile.data)

    def clear(self) -> None:
        self.state = None
        self.rows, self.pages, self.tiles = {}, {}, {}


def grow(rows: IndexRows, log: Log, start: int, end: int, note: bytes | None = b"note") -> IndexState:
    """Take the entries ``[start, end)`` of ``log`` into the index in ``rows``, as another process would."""
    index = StoredIndex(rows)
    index.append(
        start,
        [leaf_of(seq) for seq in range(start, end)],
        [[index.number_of(key) for key in keys] for keys in log[start:end]],
    )
    grown = index.grow()
    index.commit(note)
    return grown


class Naive:
    """The index over the entries taken so far, entry by entry."""

    def __init__(self) -> None:
        self.trees = KeyTrees()
        self.map = SparseMap()
        self.seqs: dict[str, list[int]] = {}

    def take(self, log: Log, start: int, end: int) -> bytes:
        """The root after the entries ``[start, end)``."""
        for seq in range(start, end):
            self.trees.append_entry(log[seq], seq, leaf_of(seq))
            for key in log[seq]:
                self.seqs.setdefault(key, []).append(seq)
        self.map.update(self.trees.changed_rows())
        self.trees.mark_sealed()
        return self.map.root()

    def row(self, key: str) -> KeyRow | None:
        """The row of ``key``."""
        return self.trees.row(key)


def stored_row(rows: MemoryRows, key: str) -> StoredRow | None:
    """The row of ``key``."""
    data = rows.rows.get(key_position(key))
    return None if data is None else decode_row(data)


def check_key(rows: MemoryRows, naive: Naive, key: str) -> None:
    """Assert that the proof of ``key`` is the naive one, and holds."""
    assert rows.state is not None
    row = stored_row(rows, key)
    proof = prove_in_pages(key_position(key), rows.pages.get, rows.state.map_root)
    check_map_proof(key, proof, None if row is None else row.key_row(), rows.state.map_root)
    assert proof == naive.map.prove(key)
    assert (None if row is None else row.key_row()) == naive.row(key)


def check_pages(rows: MemoryRows, naive: Naive, key: str, pages: Iterable[tuple[int, int]]) -> None:
    """Assert that the pages ``(first, count)`` of ``key`` hold what they should, with a proof that holds."""
    row = stored_row(rows, key)
    assert row is not None
    position = key_position(key)
    for first, count in pages:
        page = prove_key_page(
            row,
            first,
            count,
            lambda level, start, end: rows.load_tiles(position, level, start, end),
            lambda seqs: [leaf_of(seq) for seq in seqs],
        )
        assert list(page.seqs) == naive.seqs[key][first : first + count]
        leaves = [key_leaf_hash(seq, leaf) for seq, leaf in zip(page.seqs, page.leaf_hashes, strict=True)]
        check_page(leaves, first, row.count, page.proof, row.key_row().key_root)


def some_pages(count: int, random_: random.Random) -> list[tuple[int, int]]:
    """The first, the last, the whole and some pages in between of a key with ``count`` entries."""
    pages = [(0, min(50, count)), (max(0, count - 50), min(50, count)), (0, count), (count - 1, 1)]
    for _ in range(4):
        first = random_.randrange(count)
        pages.append((first, min(random_.choice([1, 7, 50, 64, 65, 128]), count - first)))
    return pages


def check_snapshot(snapshot: IndexSnapshot, naive: IndexSnapshot, keys: Iterable[str]) -> None:
    """Assert that a snapshot says of ``keys`` what the naive one says."""
    assert (snapshot.map_size, snapshot.map_root, snapshot.note) == (
        naive.map_size,
        naive.map_root,
        naive.note,
    )
    for key in keys:
        row = naive.load_row(key)
        assert snapshot.load_row(key) == row
        assert snapshot.prove_map(key) == naive.prove_map(key)
        if row is not None:
            for first, count in some_pages(row.count, random.Random(row.count)):
                assert snapshot.load_page(key, first, count) == naive.load_page(key, first, count)
