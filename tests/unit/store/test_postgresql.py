"""What a PostgreSQL server's failures tell the operator to do, and that no text shows a password."""

from __future__ import annotations

import threading

import psycopg
import pytest
from sqlalchemy import Engine, text

from ledger.errors import StoreError
from ledger.store.engine import LostConnectionError, begin_read, begin_write, explain, open_engine
from ledger.store.entries import SqlEntryStore
from tests.support.postgresql import PASSWORD, PASSWORD_ROLE, PostgresqlServer, database_of


def failure_of(url: str) -> str:
    """What the store says of the database at ``url``, which cannot be read."""
    store = SqlEntryStore(open_engine(url))
    with pytest.raises(StoreError) as failed:
        store.size()
    store.close()
    return str(failed.value)


@pytest.mark.parametrize(
    ("url", "fix"),
    [
        ("postgresql://x:hidden@127.0.0.1:1/ledger", "no server answers there: start it"),
        ("postgresql://x:hidden@/ledger?host=/nowhere", "no server answers there: start it"),
        ("postgresql://x:hidden@nosuch.invalid/ledger", "check the name of the host"),
    ],
)
def test_a_server_that_is_not_there_is_a_clear_error_without_the_password(url: str, fix: str) -> None:
    said = failure_of(url)
    assert fix in said
    assert "hidden" not in said


def test_a_database_that_is_not_there_is_a_clear_error(postgresql_server: PostgresqlServer) -> None:
    assert "make it first" in failure_of(postgresql_server.url("nosuch"))


def test_a_role_that_is_not_there_is_a_clear_error(postgresql_server: PostgresqlServer) -> None:
    assert "make it first" in failure_of(postgresql_server.url("postgres", "nosuch"))


def test_a_database_without_the_tables_says_what_to_do(postgresql_url: str) -> None:
    assert "grantledger init" in failure_of(postgresql_url)


@pytest.mark.parametrize("given", [None, "hidden"])
def test_a_password_that_is_wrong_or_missing_is_a_clear_error_that_does_not_repeat_it(
    postgresql_server: PostgresqlServer, given: str | None
) -> None:
    said = failure_of(postgresql_server.url("postgres", PASSWORD_ROLE, given))
    assert "in PGPASSWORD or in ~/.pgpass" in said
    assert "hidden" not in said


@pytest.mark.parametrize("where", ["url", "option", "environment"])
def test_the_password_may_come_from_the_url_or_from_where_libpq_looks(
    postgresql_server: PostgresqlServer, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    url = postgresql_server.url("postgres", PASSWORD_ROLE)
    if where == "url":
        url = postgresql_server.url("postgres", PASSWORD_ROLE, PASSWORD.replace(" ", "%20"))
    elif where == "option":
        url += "&password=" + PASSWORD.replace(" ", "%20")
    else:
        monkeypatch.setenv("PGPASSWORD", PASSWORD)
    engine = open_engine(url)
    with begin_read(engine, "reading") as connection:
        assert connection.exec_driver_sql("SELECT current_user").scalar() == PASSWORD_ROLE
    assert PASSWORD.split()[0] not in repr(engine) + str(engine.url)
    engine.dispose()


@pytest.fixture
def engine(migrated_postgresql_url: str) -> Engine:
    return open_engine(migrated_postgresql_url, busy_timeout_ms=100)


def test_a_block_that_only_reads_cannot_write(engine: Engine) -> None:
    with pytest.raises(StoreError, match="read-only"), begin_read(engine, "reading") as connection:
        connection.exec_driver_sql("INSERT INTO tiles VALUES ('a', 'b')")
    with begin_write(engine, "writing") as connection:
        connection.exec_driver_sql("INSERT INTO tiles VALUES ('a', 'b')")
    engine.dispose()


def test_a_database_that_only_reads_names_the_primary_as_the_fix(
    engine: Engine, postgresql_server: PostgresqlServer
) -> None:
    postgresql_server.execute(f"ALTER DATABASE {engine.url.database} SET default_transaction_read_only = on")
    with pytest.raises(StoreError, match="name the primary"), begin_write(engine, "writing") as connection:
        connection.exec_driver_sql("INSERT INTO tiles VALUES ('a', 'b')")
    engine.dispose()


def test_a_write_rolls_back_when_its_block_raises(engine: Engine) -> None:
    def insert_and_fail() -> None:
        with begin_write(engine, "writing") as connection:
            connection.exec_driver_sql("INSERT INTO tiles VALUES ('a', 'b')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        insert_and_fail()
    with begin_read(engine, "reading") as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM tiles").scalar() == 0
    engine.dispose()


def test_a_held_turn_is_waited_for_only_so_long(engine: Engine) -> None:
    store = SqlEntryStore(engine)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with SqlEntryStore(engine).turn():
            held.set()
            done.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(30)
    with pytest.raises(StoreError, match="another process holds the turn to write"):
        store.append(0, [])
    done.set()
    holder.join()
    store.close()


def test_a_client_that_falls_silent_within_a_transaction_gives_the_turn_back(
    migrated_postgresql_url: str,
) -> None:
    engine = open_engine(migrated_postgresql_url)
    with begin_read(engine, "reading") as connection:
        limit = connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar()
    assert limit == "1min"
    engine.dispose()


def test_an_error_repeats_no_row(engine: Engine) -> None:
    statement = text("INSERT INTO vault_subjects (lookup, tag, sealed) VALUES (:lookup, :tag, :sealed)")
    rows = [{"lookup": lookup, "tag": "a-telling-tag", "sealed": b"s"} for lookup in (b"1", b"2")]
    with pytest.raises(StoreError) as failed, begin_write(engine, "writing") as connection:
        connection.execute(statement, rows)
    assert "duplicate key" in str(failed.value)
    assert "telling" not in str(failed.value)
    engine.dispose()


@pytest.mark.parametrize(
    ("state", "fix"),
    [
        ("53100", "disk is full"),
        ("53300", "max_connections"),
        ("42501", "--service-role"),
        ("57014", "statement_timeout"),
        ("58030", "reported an error"),
        ("XX001", "restore a backup"),
        ("40P01", "run the command again"),
        ("57P03", "wait for it"),
    ],
)
def test_what_a_server_reports_comes_with_its_fix(state: str, fix: str) -> None:
    assert fix in explain(psycopg.errors.lookup(state)("so it failed"))


def test_only_a_connection_that_was_there_can_be_lost(
    engine: Engine, postgresql_server: PostgresqlServer
) -> None:
    def be_cut_off() -> None:
        with begin_write(engine, "writing") as connection:
            postgresql_server.end_connections(database_of(str(engine.url)))
            connection.exec_driver_sql("SELECT 1")

    with pytest.raises(LostConnectionError):
        be_cut_off()
    absent = SqlEntryStore(open_engine("postgresql://x@127.0.0.1:1/ledger"))
    with pytest.raises(StoreError) as failed:
        absent.size()
    assert not isinstance(failed.value, LostConnectionError)
    engine.dispose()
