"""The table of exports is the one of the migration, and a change to it does nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlmodel import SQLModel

from ledger.errors import RejectedError
from ledger.ports import Change
from ledger.ports.exports import Export
from ledger.store.engine import begin_write, open_engine
from ledger.store.export_tables import ExportRow
from ledger.store.exports import SqlExports
from ledger.store.migrate import upgrade
from tests.support.postgresql import PostgresqlServer

SHAPE = "SELECT name, type, \"notnull\", pk FROM pragma_table_info('service_exports')"
POSTGRESQL_SHAPE = (
    "SELECT column_name, data_type || COALESCE(character_maximum_length, 0), is_nullable, collation_name "
    "FROM information_schema.columns WHERE table_name = 'service_exports'"
)
EXPORT = Export(
    "x-1", "requested", "ab" * 32, "{}", 20, 6, "", None, "operator:one", None, 5, None, None, None, None
)  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def engines(
    request: pytest.FixtureRequest, tmp_path: Path, postgresql_server: PostgresqlServer
) -> Iterator[list[Engine]]:
    """A migrated database, and one whose tables the models made."""
    if request.param == "sqlite":
        upgrade(f"sqlite:///{tmp_path}/migrated.db")
        made = [open_engine(f"sqlite:///{tmp_path}/{name}.db") for name in ("migrated", "modelled")]
        yield made
    else:
        with (
            postgresql_server.database(with_tables=True) as migrated,
            postgresql_server.database(with_tables=False) as modelled,
        ):
            made = [open_engine(postgresql_server.url(name)) for name in (migrated, modelled)]
            yield made
            for engine in made:
                engine.dispose()
        return
    for engine in made:
        engine.dispose()


def shape(engine: Engine) -> set[tuple[object, ...]]:
    query = POSTGRESQL_SHAPE if engine.dialect.name == "postgresql" else SHAPE
    with engine.connect() as connection:
        return {tuple(row) for row in connection.exec_driver_sql(query)}


def make(engine: Engine, change: Change) -> None:
    with begin_write(engine, "changing an export") as connection:
        connection.execute(change.statement, dict(change.values))


def test_the_migration_makes_the_table_of_the_model(engines: list[Engine]) -> None:
    migrated, modelled = engines
    with modelled.begin() as connection:
        SQLModel.metadata.create_all(
            connection, tables=[SQLModel.metadata.tables[str(ExportRow.__tablename__)]]
        )
    assert shape(migrated) == shape(modelled)
    assert len(shape(migrated)) == 15


def test_an_export_goes_through_its_states_once(engines: list[Engine]) -> None:
    book = SqlExports(engines[0])
    make(engines[0], book.put(EXPORT))
    make(engines[0], book.put(replace(EXPORT, requested_by="operator:other")))
    assert book.load("x-1") == EXPORT
    make(engines[0], book.seal("x-1", "cd" * 32, 9, 7))
    assert book.load("x-1") == EXPORT
    make(engines[0], book.decide("x-1", "approved", "operator:two", 6))
    make(engines[0], book.decide("x-1", "rejected", "operator:three", 6))
    make(engines[0], book.seal("x-1", "cd" * 32, 9, 7))
    approved = replace(EXPORT, state="approved", decided_by="operator:two", decided_at_ms=6)
    sealed = replace(approved, state="sealed", sealed_at_ms=7, file_sha256="cd" * 32, file_bytes=9)
    assert list(book.load_all()) == [sealed]
    assert book.load("x-2") is None


def test_what_no_column_keeps_is_refused(engines: list[Engine]) -> None:
    with pytest.raises(RejectedError):
        SqlExports(engines[0]).put(replace(EXPORT, export="x" * 65))
