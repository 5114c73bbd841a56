"""Migrations and models say the same, and upgrading is safe to repeat."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlmodel import SQLModel

import ledger.store.tables
from ledger.errors import LedgerError, SettingsError, StoreError
from ledger.store.engine import begin_read, begin_write, open_engine
from ledger.store.migrate import is_current, upgrade
from tests.support.postgresql import PostgresqlServer

OURS = {"entries", "ledger_head", "tiles", "published_checkpoint"}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    return str(request.getfixturevalue("postgresql_url"))


def test_the_migrations_make_exactly_the_tables_of_the_models(url: str) -> None:
    upgrade(url)
    assert {
        EntryRow.__tablename__ for EntryRow in vars(ledger.store.tables).values() if _is_table(EntryRow)
    } == OURS
    engine = open_engine(url)
    with begin_read(engine, "comparing") as connection:
        context = MigrationContext.configure(
            connection,
            opts={"compare_type": True, "include_object": lambda _o, name, kind, *_: _is_ours(name, kind)},
        )
        assert compare_metadata(context, SQLModel.metadata) == []
    engine.dispose()


def _is_table(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, SQLModel) and value is not SQLModel


def _is_ours(name: str | None, kind: str) -> bool:
    return kind != "table" or name in OURS


def test_upgrading_twice_changes_nothing(url: str) -> None:
    upgrade(url)
    before = _schema(url)
    upgrade(url)
    assert _schema(url) == before
    assert is_current(url)


def _schema(url: str) -> list[tuple[object, ...]]:
    is_file = url.startswith("sqlite")
    query = (
        "SELECT sql FROM sqlite_master ORDER BY name"
        if is_file
        else "SELECT oid, relname FROM pg_class UNION ALL SELECT oid, tgname FROM pg_trigger ORDER BY 1, 2"
    )
    return _run(url, lambda connection: [tuple(row) for row in connection.exec_driver_sql(query)])


def _run(url: str, work: Callable[[Connection], list[tuple[object, ...]]]) -> list[tuple[object, ...]]:
    engine = open_engine(url)
    with begin_write(engine, "looking") as connection:
        found = work(connection)
    engine.dispose()
    return found


def test_a_database_of_a_newer_version_is_left_alone(url: str) -> None:
    upgrade(url)

    def set_revision(connection: Connection) -> list[tuple[object, ...]]:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        return []

    _run(url, set_revision)
    with pytest.raises(StoreError, match="9999"):
        upgrade(url)


def test_of_many_that_upgrade_at_once_one_does_and_none_fails(url: str) -> None:
    start = threading.Barrier(5)
    failures: list[LedgerError] = []

    def run() -> None:
        start.wait()
        try:
            upgrade(url)
        except LedgerError as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert is_current(url)


def test_an_upgrade_that_fails_leaves_the_tables_as_they_were(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(config: Config, _revision: str) -> None:
        config.attributes["connection"].exec_driver_sql("CREATE TABLE half_made (x INTEGER)")
        raise StoreError("on purpose")

    before = _schema(url)
    monkeypatch.setattr(command, "upgrade", fail)
    with pytest.raises(StoreError, match="on purpose"):
        upgrade(url)
    assert _schema(url) == before


def test_a_database_whose_text_is_not_utf_8_is_refused(postgresql_server: PostgresqlServer) -> None:
    postgresql_server.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    with pytest.raises(SettingsError, match="--encoding UTF8"):
        upgrade(postgresql_server.url("latin"))
    postgresql_server.execute("DROP DATABASE latin")


def test_an_error_of_an_upgrade_shows_no_password() -> None:
    with pytest.raises(StoreError) as failed:
        upgrade("postgresql://x:hidden@127.0.0.1:1/ledger")
    assert "hidden" not in str(failed.value)


def test_an_upgrade_that_cannot_write_leaves_no_half_made_tables(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="directory exists"):
        upgrade(f"sqlite:///{tmp_path}/nowhere/ledger.db")
