"""What every EntryStore must do, whatever database it lies on: subclass and give ``url`` and ``execute``."""

from __future__ import annotations

import hashlib
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.synchronize import Event

import pytest
from sqlalchemy import text

from ledger.errors import ConflictError, ForkError, StoreError
from ledger.ports import Change, EntryStore, NewEntry
from ledger.store.engine import open_engine
from ledger.store.entries import SqlEntryStore

SOON_SECONDS = 0.3
"""How long is waited for what must not happen."""
WAIT_SECONDS = 30
"""How long is waited for what must happen."""

ADD_NOTE = text("INSERT INTO notes (name, value) VALUES (:name, :value)")
RAISE_NOTE = text("UPDATE notes SET value = value + 1 WHERE name = :name")
ADD_NOWHERE = text("INSERT INTO nowhere (name) VALUES (:name)")


def note(name: str, value: int = 0) -> Change:
    return Change(ADD_NOTE, {"name": name, "value": value})


def rows(start: int, end: int, salt: str = "") -> list[NewEntry]:
    """New entries ``start <= seq < end``; every third one bears state."""
    made = []
    for seq in range(start, end):
        data = f'{{"seq":{seq}{salt}}}'.encode()
        made.append(
            NewEntry(seq, f"kind/{seq}{salt}", hashlib.sha256(b"\0" + data).digest(), data, seq % 3 == 0)
        )
    return made


def append_in_a_process(url: str, size: int, taken: Event, go: Event, in_turn: bool) -> None:
    """Append one entry at ``size``: in a turn that is held until ``go``, or at once and without one."""
    store = SqlEntryStore(open_engine(url))
    if in_turn:
        with store.turn() as turn:
            taken.set()
            assert go.wait(WAIT_SECONDS)
            turn.append(rows(size, size + 1, ',"by":"turn"'))
    else:
        taken.set()
        store.append(size, rows(size, size + 1, ',"by":"other"'))
    store.close()


class EntryStoreSuite:
    """The properties of the port, on the database at ``url``, whose tables are made."""

    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError("a suite of a database gives one with tables and without entries")

    @pytest.fixture
    def execute(self) -> Callable[[str], None]:
        raise NotImplementedError("a suite of a database runs SQL on it, past the store")

    @pytest.fixture
    def open_store(self, url: str) -> Iterator[Callable[[], SqlEntryStore]]:
        opened: list[SqlEntryStore] = []

        def open_one() -> SqlEntryStore:
            opened.append(SqlEntryStore(open_engine(url)))
            return opened[-1]

        yield open_one
        for store in opened:
            store.close()

    @pytest.fixture
    def store(self, open_store: Callable[[], EntryStore]) -> EntryStore:
        return open_store()

    @pytest.fixture
    def notes(self, url: str, execute: Callable[[str], None]) -> Callable[[], dict[str, int]]:
        """A table beside the log, and what is in it."""
        execute("CREATE TABLE notes (name VARCHAR(40) PRIMARY KEY, value INTEGER NOT NULL)")

        def read() -> dict[str, int]:
            engine = open_engine(url)
            with engine.connect() as connection:
                found = connection.execute(text("SELECT name, value FROM notes")).fetchall()
            engine.dispose()
            return {str(name): int(value) for name, value in found}

        return read

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
            "UPDATE tiles SET path = 'tile/0/001'",
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

    @pytest.mark.parametrize("start", [1, 3, 4_000, 12_999, 13_000])
    def test_the_state_can_be_read_from_an_entry_on(self, store: EntryStore, start: int) -> None:
        store.append(0, rows(0, 13_000))
        assert [row.seq for row in store.fetch_state(start)] == [n for n in range(0, 13_000, 3) if n >= start]

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

    def test_changes_become_durable_with_their_entries(
        self, store: EntryStore, notes: Callable[[], dict[str, int]]
    ) -> None:
        store.append(0, rows(0, 2), [note("a", 1), note("b", 2)])
        assert (store.size(), notes()) == (2, {"a": 1, "b": 2})

    def test_changes_are_made_in_their_order(
        self, store: EntryStore, notes: Callable[[], dict[str, int]]
    ) -> None:
        up = Change(RAISE_NOTE, {"name": "a"})
        store.append(0, rows(0, 1), [up, note("a"), up, up, note("b"), Change(RAISE_NOTE, {"name": "b"})])
        assert notes() == {"a": 2, "b": 1}

    def test_any_number_of_changes_goes_with_one_entry(
        self, store: EntryStore, notes: Callable[[], dict[str, int]]
    ) -> None:
        store.append(0, rows(0, 1), [note(f"n{number}", number) for number in range(2_000)])
        assert len(notes()) == 2_000

    def test_a_change_that_its_table_refuses_takes_the_entries_with_it(
        self, store: EntryStore, notes: Callable[[], dict[str, int]]
    ) -> None:
        store.append(0, rows(0, 1), [note("a", 1)])
        with pytest.raises(ConflictError, match="a change beside the log"):
            store.append(1, rows(1, 3), [note("b", 2), note("a", 3)])
        assert (store.size(), notes()) == (1, {"a": 1})
        assert len(list(store.fetch_range(0, 10))) == 1

    def test_a_change_that_cannot_be_made_takes_the_entries_with_it(
        self, store: EntryStore, notes: Callable[[], dict[str, int]]
    ) -> None:
        with pytest.raises(StoreError):
            store.append(0, rows(0, 3), [note("a"), Change(ADD_NOWHERE, {"name": "b"})])
        assert (store.size(), notes()) == (0, {})

    def test_entries_that_are_refused_take_their_changes_with_them(
        self, store: EntryStore, notes: Callable[[], dict[str, int]]
    ) -> None:
        store.append(0, rows(0, 1))
        twin = rows(1, 2)[0]._replace(uid="kind/0")
        with pytest.raises(ConflictError):
            store.append(1, [twin], [note("a")])
        assert notes() == {}

    def test_an_append_that_was_overtaken_makes_no_change(
        self, store: EntryStore, notes: Callable[[], dict[str, int]]
    ) -> None:
        store.append(0, rows(0, 5))
        with pytest.raises(ForkError):
            store.append(4, rows(4, 6), [note("a")])
        assert notes() == {}

    def test_a_store_goes_on_after_every_kind_of_refusal(self, store: EntryStore) -> None:
        store.append(0, rows(0, 2))
        with suppress(ConflictError):
            store.append(2, [rows(2, 3)[0]._replace(uid="kind/0")])
        with suppress(ForkError):
            store.append(3, rows(3, 4))
        with suppress(StoreError):
            store.append(2, rows(2, 3), [Change(ADD_NOWHERE, {"name": "a"})])
        store.append(2, rows(2, 4))
        assert store.size() == 4

    def test_in_a_turn_entries_go_to_the_end_and_are_durable_before_it_is_over(
        self, store: EntryStore, open_store: Callable[[], EntryStore], notes: Callable[[], dict[str, int]]
    ) -> None:
        store.append(0, rows(0, 5))
        with store.turn() as turn:
            assert turn.size == 5
            turn.append(rows(5, 8), [note("a", 1)])
            assert (open_store().size(), notes()) == (8, {"a": 1})

    def test_a_turn_without_an_append_changes_nothing(self, store: EntryStore) -> None:
        store.append(0, rows(0, 5))
        with store.turn():
            pass
        store.append(5, rows(5, 6))
        assert store.size() == 6

    def test_a_turn_that_is_left_by_an_exception_is_over(self, store: EntryStore) -> None:
        with pytest.raises(ZeroDivisionError), store.turn():
            raise ZeroDivisionError
        store.append(0, rows(0, 1))
        assert store.size() == 1

    def test_a_turn_is_for_one_append(self, store: EntryStore) -> None:
        with store.turn() as turn:
            turn.append(rows(0, 1))
            with pytest.raises(AssertionError):
                turn.append(rows(1, 2))
        assert store.size() == 1

    def test_an_append_that_fails_in_a_turn_writes_nothing(
        self, store: EntryStore, notes: Callable[[], dict[str, int]]
    ) -> None:
        store.append(0, rows(0, 1))
        with store.turn() as turn, pytest.raises(ConflictError):
            turn.append([rows(1, 2)[0]._replace(uid="kind/0")], [note("a")])
        assert (store.size(), notes()) == (1, {})

    def test_what_is_read_inside_a_turn_is_what_is_durable(self, store: EntryStore) -> None:
        store.append(0, rows(0, 5))
        with store.turn():
            assert store.size() == 5
            assert [row.seq for row in store.fetch_range(0, 10)] == [0, 1, 2, 3, 4]
            assert list(store.fetch_by_uids(["kind/4", "kind/5"])) == ["kind/4"]
            assert [row.seq for row in store.fetch_state(1)] == [3]
            assert store.leaf_hashes(4, 5) == rows(4, 5)[0].leaf_hash

    @pytest.mark.parametrize("shares_the_store", [True, False])
    def test_while_a_thread_holds_the_turn_no_other_appends(
        self, store: EntryStore, open_store: Callable[[], EntryStore], shares_the_store: bool
    ) -> None:
        other = store if shares_the_store else open_store()
        outcome: list[str] = []

        def overtake() -> None:
            try:
                other.append(0, rows(0, 1, ',"by":"other"'))
                outcome.append("appended")
            except ForkError:
                outcome.append("too late")

        thread = threading.Thread(target=overtake)
        with store.turn() as turn:
            thread.start()
            thread.join(SOON_SECONDS)
            assert outcome == []
            turn.append(rows(0, 1))
        thread.join(WAIT_SECONDS)
        assert outcome == ["too late"]
        assert [row.data for row in store.fetch_range(0, 10)] == [row.data for row in rows(0, 1)]

    def test_turns_are_taken_one_after_the_other(self, open_store: Callable[[], EntryStore]) -> None:
        stores = [open_store() for _ in range(6)]

        def write(number: int) -> None:
            for _ in range(10):
                with stores[number].turn() as turn:
                    turn.append(rows(turn.size, turn.size + 3))

        threads = [threading.Thread(target=write, args=(number,)) for number in range(len(stores))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [row.seq for row in stores[0].fetch_range(0, 1_000)] == list(range(180))

    def test_while_a_process_holds_the_turn_nobody_else_appends(self, store: EntryStore, url: str) -> None:
        context = multiprocessing.get_context("spawn")
        taken, go = context.Event(), context.Event()
        holder = context.Process(target=append_in_a_process, args=(url, 0, taken, go, True))
        holder.start()
        assert taken.wait(WAIT_SECONDS)
        outcome: list[str] = []

        def overtake() -> None:
            with pytest.raises(ForkError):
                store.append(0, rows(0, 1))
            outcome.append("too late")

        thread = threading.Thread(target=overtake)
        thread.start()
        thread.join(SOON_SECONDS)
        assert outcome == []
        go.set()
        thread.join(WAIT_SECONDS)
        holder.join(WAIT_SECONDS)
        assert outcome == ["too late"]
        assert (holder.exitcode, store.size()) == (0, 1)

    def test_a_turn_waits_for_an_append_of_another_process(self, store: EntryStore, url: str) -> None:
        context = multiprocessing.get_context("spawn")
        started, go = context.Event(), context.Event()
        other = context.Process(target=append_in_a_process, args=(url, 0, started, go, False))
        with store.turn() as turn:
            other.start()
            assert started.wait(WAIT_SECONDS)
            other.join(SOON_SECONDS)
            assert other.is_alive()
            assert (turn.size, store.size()) == (0, 0)
        other.join(WAIT_SECONDS)
        with store.turn() as turn:
            assert turn.size == 1

    def test_a_turn_that_takes_too_long_is_a_clear_error_for_the_others(
        self, store: EntryStore, url: str
    ) -> None:
        hasty = SqlEntryStore(open_engine(url, busy_timeout_ms=100))
        with store.turn(), pytest.raises(StoreError, match=r"another process .* wait for it or stop it"):
            hasty.append(0, rows(0, 1))
        hasty.append(0, rows(0, 1))
        hasty.close()
        assert store.size() == 1
