"""The stored index goes on from what is stored, as long as that is this log's and what was sealed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import pytest

from ledger.core import canonical
from ledger.core.merkle import hash_leaf
from ledger.engines.stored_index import StoredIndex
from ledger.errors import DamagedIndexError, ForkError
from ledger.ports import EntryStore, StoredEntry
from ledger.ports.index import IndexState
from ledger.sequencer import log_index
from ledger.sequencer.log_index import LogIndex, SealedMap
from tests.support.stored_index import MemoryRows


class Rows:
    """The part of an ``EntryStore`` that an index reads; counts what was read."""

    def __init__(self, *datas: bytes) -> None:
        self.rows = [StoredEntry(seq, f"u-{seq}", hash_leaf(data), data) for seq, data in enumerate(datas)]
        self.fetched = 0

    def fetch_range(self, start: int, end: int) -> Iterator[StoredEntry]:
        self.fetched += len(self.rows[start:end])
        return iter(self.rows[start:end])

    def leaf_hashes(self, start: int, end: int) -> bytes:
        return b"".join(row.leaf_hash for row in self.rows[start:end])

    def as_store(self) -> EntryStore:
        return cast(EntryStore, self)


def entries(count: int, name: str = "a") -> list[bytes]:
    return [canonical.encode({"account": f"{name}{number % 7}", "seq": number}) for number in range(count)]


def sealed(store: Rows, size: int) -> SealedMap:
    """What ``index.sealed`` over the first ``size`` entries says."""
    root = LogIndex(store.as_store(), StoredIndex(MemoryRows())).extend(size)
    return SealedMap(size, root, b"checkpoint over %d" % size)


@pytest.fixture
def rows() -> MemoryRows:
    return MemoryRows()


@pytest.fixture
def open_index(rows: MemoryRows) -> Callable[[Rows], LogIndex]:
    """Open the index as another process would."""
    return lambda store: LogIndex(store.as_store(), StoredIndex(rows))


Open = Callable[[Rows], LogIndex]


def test_nothing_is_stored_before_it_is_published(rows: MemoryRows, open_index: Open) -> None:
    index = open_index(Rows(*entries(20)))
    root = index.extend(20)
    assert rows.state is None
    index.publish(b"note")
    assert rows.state == IndexState(20, root, hash_leaf(entries(20)[-1]), b"note")


def test_only_what_is_new_is_read(rows: MemoryRows, open_index: Open) -> None:
    store = Rows(*entries(20))
    index = open_index(store)
    index.extend(12)
    index.publish(b"note")
    store.fetched = 0
    assert open_index(store).extend(20) == sealed(Rows(*entries(20)), 20).map_root
    assert store.fetched == 8


def test_an_index_that_is_one_seal_behind_catches_up(rows: MemoryRows, open_index: Open) -> None:
    store = Rows(*entries(20))
    index = open_index(store)
    index.extend(12)
    index.publish(b"older")
    index.catch_up(sealed(store, 20))
    assert rows.state is not None
    assert (rows.state.map_size, rows.state.note) == (20, b"checkpoint over 20")


def test_an_index_that_was_deleted_is_made_anew(rows: MemoryRows, open_index: Open) -> None:
    store = Rows(*entries(20))
    open_index(store).catch_up(sealed(store, 20))
    whole = dict(rows.rows)
    rows.clear()
    open_index(store).catch_up(sealed(store, 20))
    assert rows.rows == whole


@pytest.mark.parametrize("others", [entries(30), entries(12), entries(5, "b"), entries(40, "b")])
def test_an_index_of_other_entries_is_dropped_and_made_anew(
    rows: MemoryRows, open_index: Open, others: list[bytes]
) -> None:
    other = Rows(*others)
    open_index(other).catch_up(sealed(other, len(others)))
    store = Rows(*entries(20))
    open_index(store).catch_up(sealed(store, 20))
    expected = MemoryRows()
    LogIndex(store.as_store(), StoredIndex(expected)).catch_up(sealed(store, 20))
    if len(others) <= 20 or others[:20] != entries(20):
        assert (rows.state, rows.rows) == (expected.state, expected.rows)


def test_an_index_with_far_to_go_is_stored_in_pieces_and_resumed(
    rows: MemoryRows, open_index: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_index, "CHUNK_ENTRIES", 10)
    monkeypatch.setattr(log_index, "BLOCK_ENTRIES", 4)
    store = Rows(*entries(47))
    told: list[tuple[int, int]] = []
    index = LogIndex(store.as_store(), StoredIndex(rows), lambda done, total: told.append((done, total)))
    index.extend(47)
    assert told[:3] == [(4, 47), (8, 47), (10, 47)]
    assert told[-1] == (47, 47)
    assert rows.state is not None
    assert (rows.state.map_size, rows.state.note) == (40, None)
    expected = sealed(store, 47)
    store.fetched = 0
    # The process died here.
    open_index(store).catch_up(expected)
    assert store.fetched == 7
    assert rows.state.map_root == expected.map_root


def test_an_interrupted_reindexing_goes_on(
    rows: MemoryRows, open_index: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Rows(*entries(47))
    expected = sealed(store, 47)
    monkeypatch.setattr(log_index, "CHUNK_ENTRIES", 10)
    open_index(store).build(47)
    store.fetched = 0
    open_index(store).make_anew(expected)
    assert store.fetched == 7
    open_index(store).make_anew(expected)
    assert store.fetched == 54


def test_reindexing_makes_a_damaged_index_anew_whole_or_half_made(
    rows: MemoryRows, open_index: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Rows(*entries(47))
    expected = sealed(store, 47)
    monkeypatch.setattr(log_index, "CHUNK_ENTRIES", 10)
    open_index(store).build(47)
    rows.pages[""] = bytes(len(rows.pages[""]))
    with pytest.raises(DamagedIndexError, match="reindex"):
        open_index(store).catch_up(expected)
    open_index(store).make_anew(expected)
    assert rows.state is not None
    assert rows.state.map_root == expected.map_root


def test_an_index_with_another_root_than_the_sealed_one_is_damaged(
    rows: MemoryRows, open_index: Open
) -> None:
    store = Rows(*entries(20))
    open_index(store).catch_up(sealed(store, 20))
    assert rows.state is not None
    rows.state = rows.state._replace(map_root=bytes(32))
    with pytest.raises(DamagedIndexError, match="reindex"):
        open_index(store).catch_up(sealed(store, 20))


def test_an_older_index_that_does_not_lead_to_the_sealed_root_is_damaged(
    rows: MemoryRows, open_index: Open
) -> None:
    store, other = Rows(*entries(20)), Rows(*entries(12, "b"))
    open_index(other).catch_up(sealed(other, 12))
    assert rows.state is not None
    # Another log's index, made to look like this one's.
    rows.state = rows.state._replace(head=store.rows[11].leaf_hash)
    with pytest.raises(DamagedIndexError, match="reindex"):
        open_index(store).catch_up(sealed(store, 20))
    assert rows.state.map_size == 12


def test_entries_that_give_another_root_than_the_sealed_one_are_a_fork(open_index: Open) -> None:
    store = Rows(*entries(20))
    lie = sealed(store, 20)._replace(map_root=bytes(32))
    with pytest.raises(ForkError, match="another map root"):
        open_index(store).catch_up(lie)


def test_an_index_that_is_ahead_of_what_was_sealed_is_kept_and_not_shown(
    rows: MemoryRows, open_index: Open
) -> None:
    store = Rows(*entries(30))
    open_index(store).catch_up(sealed(store, 30))
    open_index(store).catch_up(sealed(store, 20))
    assert rows.state is not None
    assert (rows.state.map_size, rows.state.note) == (30, None)


def test_a_smaller_index_than_the_stored_one_is_made_from_the_beginning(open_index: Open) -> None:
    store = Rows(*entries(30))
    open_index(store).catch_up(sealed(store, 30))
    assert open_index(store).extend(20) == sealed(store, 20).map_root
