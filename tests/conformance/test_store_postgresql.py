"""The store suite on PostgreSQL, as the role that a service connects as, and what only a server's database can do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from ledger.core import canonical
from ledger.core.chain import ZERO_PREV
from ledger.core.merkle import hash_leaf
from ledger.engines.codec import MsgspecCodec
from ledger.errors import ForkError, StoreError
from ledger.ports import Change, NewEntry
from ledger.sequencer.draft import expect
from ledger.sequencer.sequencer import Sequencer
from ledger.store.engine import begin_read, open_engine
from ledger.store.entries import SqlEntryStore
from tests.conformance.store_suite import EntryStoreSuite, note, rows
from tests.support.cut_connection import MOMENTS, CutConnection, Moment
from tests.support.log_world import SetClock, opening, settlement
from tests.support.postgresql import PostgresqlServer, database_of


class TestPostgresqlEntryStore(EntryStoreSuite):
    """A real server; the tests' own SQL runs as the owner of the tables."""

    @pytest.fixture
    def url(self, service_postgresql_url: str) -> str:
        return service_postgresql_url

    @pytest.fixture
    def execute(self, url: str, postgresql_server: PostgresqlServer) -> Callable[[str], None]:
        def run(statement: str) -> None:
            postgresql_server.execute(statement, database_of(url))

        return run


@pytest.fixture
def cut(postgresql_server: PostgresqlServer) -> Iterator[CutConnection]:
    with CutConnection(postgresql_server.directory) as connection:
        yield connection


@pytest.fixture
def store(cut: CutConnection, service_postgresql_url: str) -> Iterator[SqlEntryStore]:
    """A store whose connections can be cut."""
    opened = SqlEntryStore(open_engine(cut.url(service_postgresql_url)))
    yield opened
    opened.close()


@pytest.fixture
def owned(postgresql_server: PostgresqlServer, service_postgresql_url: str) -> Callable[[str], object]:
    """Runs a statement as the owner of the tables."""
    return lambda statement: postgresql_server.execute(statement, database_of(service_postgresql_url))


def append(
    store: SqlEntryStore, entries: Sequence[NewEntry], changes: Sequence[Change] = (), *, in_turn: bool
) -> None:
    """Append at the end, in a turn or at once."""
    if in_turn:
        with store.turn() as turn:
            turn.append(entries, changes)
    else:
        store.append(entries[0].seq, entries, changes)


NOTES = "CREATE TABLE notes (name VARCHAR(40) PRIMARY KEY, value INTEGER NOT NULL)"


@pytest.mark.parametrize("in_turn", [False, True], ids=["append", "turn"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_connection_lost_at_the_commit_is_reported_and_the_log_tells_what_happened(
    store: SqlEntryStore, cut: CutConnection, moment: Moment, in_turn: bool
) -> None:
    store.append(0, rows(0, 5))
    cut.plan(moment)
    with pytest.raises(StoreError, match=r"lost.*may have happened or not"):
        append(store, rows(5, 9), in_turn=in_turn)
    size = 5 if moment == "before" else 9
    assert (cut.cuts, store.size(), len(list(store.fetch_range(0, 99)))) == (1, size, size)
    store.append(size, rows(size, size + 2))
    assert store.size() == size + 2


@pytest.mark.parametrize("in_turn", [False, True], ids=["append", "turn"])
def test_after_a_lost_connection_nobody_looks_before_the_server_is_done_with_it(
    store: SqlEntryStore, cut: CutConnection, owned: Callable[[str], object], in_turn: bool
) -> None:
    owned(NOTES)
    owned(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$"
    )
    owned(
        "CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION dawdle()"
    )
    cut.plan("meanwhile")
    with pytest.raises(StoreError, match="lost"):
        append(store, rows(0, 3), [note("a")], in_turn=in_turn)
    assert store.size() == 3


@pytest.mark.parametrize("step", ["guarded", "inserted", "changed"])
def test_a_connection_that_the_server_ends_within_an_append_leaves_nothing(
    service_postgresql_url: str,
    postgresql_server: PostgresqlServer,
    owned: Callable[[str], object],
    step: str,
) -> None:
    owned(NOTES)
    armed = False

    def reached(name: str) -> None:
        if armed and name == f"store.append.{step}":
            postgresql_server.end_connections(database_of(service_postgresql_url))

    store = SqlEntryStore(open_engine(service_postgresql_url), reached)
    store.append(0, rows(0, 2))
    armed = True
    with pytest.raises(StoreError, match="lost"):
        store.append(2, rows(2, 1_500), [note("a"), note("b")])
    armed = False
    assert (store.size(), len(list(store.fetch_range(0, 9_999)))) == (2, 2)
    store.append(2, rows(2, 4), [note("a")])
    assert store.size() == 4
    store.close()


def test_connections_that_ended_between_two_calls_are_replaced_unnoticed(
    service_postgresql_url: str, postgresql_server: PostgresqlServer
) -> None:
    store = SqlEntryStore(open_engine(service_postgresql_url))
    store.append(0, rows(0, 2))
    assert postgresql_server.end_connections(database_of(service_postgresql_url)) == 1
    store.append(2, rows(2, 4))
    assert store.size() == 4
    store.close()


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_sequencer_answers_by_what_the_log_holds_after_a_lost_connection(
    store: SqlEntryStore, cut: CutConnection, moment: Moment
) -> None:
    with Sequencer(store, MsgspecCodec(), SetClock()) as sequencer:
        sequencer.append_many(opening())
        cut.plan(moment)
        if moment == "before":
            with pytest.raises(StoreError, match="lost"):
                sequencer.append(settlement("d-1"))
        else:
            assert expect(sequencer.append(settlement("d-1"))).created
        again = expect(sequencer.append(settlement("d-1")))
        assert (again.created, cut.cuts) == (moment == "before", 1)
        assert store.size() == len(opening()) + 1


def test_sequencers_that_append_at_once_make_one_chain(service_postgresql_url: str) -> None:
    stores = [SqlEntryStore(open_engine(service_postgresql_url)) for _ in range(3)]
    with Sequencer(stores[0], MsgspecCodec(), SetClock()) as first:
        first.append_many(opening())
    created = [0, 0, 0]

    def append_some(number: int) -> None:
        with Sequencer(stores[number], MsgspecCodec(), SetClock()) as sequencer:
            for at in range(20):
                drafts = [settlement(f"d-{number}-{at}-{n}") for n in range(10)]
                # Everybody also brings one that the others bring.
                outcomes = sequencer.append_many([*drafts, settlement(f"d-shared-{at}")])
                created[number] += sum(expect(outcome).created for outcome in outcomes)

    threads = [threading.Thread(target=append_some, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = list(stores[0].fetch_range(0, 10_000))
    assert len(entries) == stores[0].size() == len(opening()) + sum(created)
    assert sum(created) == 3 * 20 * 10 + 20
    links = [ZERO_PREV, *(hash_leaf(entry.data).hex() for entry in entries)]
    assert [canonical.decode(entry.data)["prev"] for entry in entries] == links[:-1]
    for store in stores:
        store.close()


@pytest.mark.parametrize(
    ("asked", "given"), [("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")]
)
def test_commits_wait_for_the_disk_whatever_the_role_says(
    service_postgresql_url: str, owned: Callable[[str], object], asked: str, given: str
) -> None:
    database = database_of(service_postgresql_url)
    owned(f"ALTER DATABASE {database} SET synchronous_commit = {asked}")
    engine = open_engine(service_postgresql_url)
    with begin_read(engine, "reading") as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == given
    engine.dispose()


def test_an_overtaken_append_is_a_fork_whatever_isolation_the_database_defaults_to(
    service_postgresql_url: str, owned: Callable[[str], object]
) -> None:
    database = database_of(service_postgresql_url)
    owned(f"ALTER DATABASE {database} SET default_transaction_isolation = 'serializable'")
    store = SqlEntryStore(open_engine(service_postgresql_url))
    store.append(0, rows(0, 2))
    with pytest.raises(ForkError):
        store.append(1, rows(1, 3))
    store.close()


@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE entries",
        "TRUNCATE tiles",
        "TRUNCATE ledger_head",
        "DELETE FROM tiles",
        "UPDATE ledger_head SET id = 2",
    ],
)
@pytest.mark.parametrize("role", ["origin", "replica"])
def test_not_even_a_superuser_changes_the_past_by_a_mistake(
    postgresql_server: PostgresqlServer, service_postgresql_url: str, statement: str, role: str
) -> None:
    store = SqlEntryStore(open_engine(service_postgresql_url))
    store.append(0, rows(0, 5))
    database = database_of(service_postgresql_url)
    postgresql_server.execute(f"ALTER DATABASE {database} SET session_replication_role = {role}")
    with pytest.raises(Exception, match=r"never|must stay"):
        postgresql_server.execute(statement, database)
    assert (store.size(), len(list(store.fetch_range(0, 9)))) == (5, 5)
    store.close()
