"""What every EntryStore must do, whatever database it lies on: subclass and give ``store`` and ``raw``."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable

import pytest

from ledger.errors import ConflictError, ForkError, StoreError
from ledger.ports import EntryStore, NewEntry


def rows(start: int, end: int, salt: str = "") -> list[NewEntry]:
    """New entries ``start <= seq < end``; every third one bears state."""
    made = []
    for seq in range(start, end):
        data = f'{{"seq":{seq}{salt}}}'.encode()
        made.append(
            NewEntry(seq, f"kind/{seq}{salt}", hashlib.sha256(b"\0" + data).digest(), data, seq % 3 == 0)
        )
    return made


class EntryStoreSuite:
    """The properties of the port; ``open_store`` opens another store on the same database."""

    @pytest.fixture
    def open_store(self) -> Callable[[], EntryStore]:
        raise NotImplementedError("a suite of a database opens stores on it")

    @pytest.fixture
    def execute(self) -> Callable[[str], None]:
        raise NotImplementedError("a suite of a database runs SQL on it, past the store")

    @pytest.fixture
    def store(self, open_store: Callable[[], EntryStore]) -> EntryStore:
        return open_store()

    def test_a_new_store_is_empty(self, store: EntryStore) -> None:
        assert store.size() == 0
        assert list(store.fetch_range(0, 10)) == []
        assert store.load_checkpoint() is None

    @pytest.mark.parametrize("count", [1, 2, 9, 10, 11, 99, 100, 999, 1000, 1001, 2345])
    def test_appended_entries_are_read_back_in_order_and_whole(self, store: EntryStore, count: int) -> None:
        store.append(0, rows(0, count))
        store.append(count, rows(count, count + 3))
        read = list(store.fetch_range(0, count + 3))
        assert [(row.seq, row.uid, row.leaf_hash, row.data) for row in read] == [
            (row.seq, row.uid, row.leaf_hash, row.data) for row in rows(0, count + 3)
        ]
        assert store.size() == count + 3

    def test_a_range_is_half_open(self, store: EntryStore) -> None:
        store.append(0, rows(0, 20))
        assert [row.seq for row in store.fetch_range(5, 8)] == [5, 6, 7]

    def test_a_range_longer_than_a_page_is_whole(self, store: EntryStore) -> None:
        store.append(0, rows(0, 9000))
        assert [row.seq for row in store.fetch_range(1, 8999)] == list(range(1, 8999))

    def test_another_store_on_the_same_database_sees_what_is_durable(
        self, store: EntryStore, open_store: Callable[[], EntryStore]
    ) -> None:
        store.append(0, rows(0, 5))
        assert open_store().size() == 5

    @pytest.mark.parametrize("expected", [0, 4, 6])
    def test_an_append_at_another_size_is_a_fork_and_writes_nothing(
        self, store: EntryStore, expected: int
    ) -> None:
        store.append(0, rows(0, 5))
        with pytest.raises(ForkError, match=str(expected)):
            store.append(expected, rows(expected, expected + 2, ',"x":1'))
        assert store.size() == 5
        assert len(list(store.fetch_range(0, 100))) == 5

    def test_a_taken_uid_is_refused_and_nothing_of_its_batch_is_written(self, store: EntryStore) -> None:
        store.append(0, rows(0, 5))
        fresh, twin = rows(5, 7)
        twin = NewEntry(twin.seq, "kind/2", twin.leaf_hash, twin.data, False)
        with pytest.raises(ConflictError):
            store.append(5, [fresh, twin])
        assert store.size() == 5
        assert store.fetch_by_uids([fresh.uid]) == {}

    def test_of_writers_that_race_for_one_place_exactly_one_wins(
        self, open_store: Callable[[], EntryStore]
    ) -> None:
        stores = [open_store() for _ in range(8)]
        outcomes: list[str] = []
        start = threading.Barrier(len(stores))

        def write(number: int) -> None:
            start.wait()
            try:
                stores[number].append(0, rows(0, 300, f',"w":{number}'))
                outcomes.append("won")
            except ForkError:
                outcomes.append("lost")

        threads = [threading.Thread(target=write, args=(number,)) for number in range(len(stores))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["lost"] * 7 + ["won"]
        assert stores[0].size() == 300 == len(list(stores[0].fetch_range(0, 1000)))

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE entries SET data = leaf_hash WHERE seq = 3",
            "UPDATE entries SET seq = 99 WHERE seq = 3",
            "DELETE FROM entries WHERE seq = 4",
            "DELETE FROM entries",
            "DELETE FROM ledger_head",
            "UPDATE ledger_head SET size = 4",
            "UPDATE tiles SET data = path",
        ],
    )
    def test_the_database_itself_refuses_to_change_the_past(
        self, store: EntryStore, execute: Callable[[str], None], statement: str
    ) -> None:
        store.append(0, rows(0, 5))
        store.put_tiles([("tile/0/000.p/1", b"h" * 32)])
        with pytest.raises(Exception, match=r"never|must stay"):
            execute(statement)
        assert [row.data for row in store.fetch_range(0, 5)] == [row.data for row in rows(0, 5)]

    def test_uids_are_found_among_any_number_of_others(self, store: EntryStore) -> None:
        store.append(0, rows(0, 700))
        wanted = [f"kind/{seq}" for seq in range(690, 2300)]
        found = store.fetch_by_uids(wanted)
        assert sorted(found) == sorted(f"kind/{seq}" for seq in range(690, 700))
        assert found["kind/695"].seq == 695

    @pytest.mark.parametrize(
        "text", ["", "kind/1\0", 'kind/1"', "kind/\u00e9", "\ud800", "KIND/1", "kind/1 "]
    )
    def test_a_text_that_is_no_uid_is_not_taken(self, store: EntryStore, text: str) -> None:
        store.append(0, rows(0, 3))
        assert list(store.fetch_by_uids([text, "kind/2"])) == ["kind/2"]

    def test_a_uid_asked_for_twice_is_found_once(self, store: EntryStore) -> None:
        store.append(0, rows(0, 3))
        assert list(store.fetch_by_uids(("kind/2", "kind/2"))) == ["kind/2"]

    def test_the_state_is_every_entry_that_bears_it_and_no_other(self, store: EntryStore) -> None:
        store.append(0, rows(0, 13_000))
        assert [row.seq for row in store.fetch_state()] == list(range(0, 13_000, 3))

    def test_leaf_hashes_come_joined(self, store: EntryStore) -> None:
        store.append(0, rows(0, 10))
        assert store.leaf_hashes(2, 5) == b"".join(row.leaf_hash for row in rows(2, 5))

    def test_tiles_are_read_back_and_absent_ones_are_none(self, store: EntryStore) -> None:
        store.put_tiles((f"tile/0/{n:03d}", bytes([n]) * 32) for n in range(200))
        assert store.load_tile("tile/0/199") == bytes([199]) * 32
        assert store.load_tile("tile/0/200") is None

    def test_a_tile_that_is_there_with_the_same_bytes_stays(self, store: EntryStore) -> None:
        store.put_tiles([("tile/0/000", b"a" * 32)])
        store.put_tiles([("tile/0/000", b"a" * 32), ("tile/0/001", b"b" * 32)])
        assert store.load_tile("tile/0/001") == b"b" * 32

    def test_a_tile_with_other_bytes_is_a_fork_and_the_first_stays(self, store: EntryStore) -> None:
        store.put_tiles([("tile/0/000", b"a" * 32)])
        with pytest.raises(ForkError, match="tile/0/000"):
            store.put_tiles([("tile/0/000", b"b" * 32)])
        assert store.load_tile("tile/0/000") == b"a" * 32

    def test_the_published_checkpoint_moves_forward(self, store: EntryStore) -> None:
        store.put_checkpoint(5, b"five")
        store.put_checkpoint(9, b"nine")
        assert store.load_checkpoint() == b"nine"

    def test_the_published_checkpoint_never_moves_back(self, store: EntryStore) -> None:
        store.put_checkpoint(9, b"nine")
        with pytest.raises(ForkError):
            store.put_checkpoint(5, b"five")
        assert store.load_checkpoint() == b"nine"

    def test_a_head_row_that_was_removed_is_reported(
        self, store: EntryStore, execute: Callable[[str], None]
    ) -> None:
        execute("DROP TABLE ledger_head")
        with pytest.raises((ForkError, StoreError)):
            store.size()
