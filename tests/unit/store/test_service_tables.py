"""The migration of the service's tables and their models say the same, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text
from sqlmodel import SQLModel

from ledger.store import service_tables
from ledger.store.engine import open_engine
from ledger.store.migrate import upgrade
from ledger.store.statements import INTEGER_MAX, SMALL_INTEGER_MAX, TEXT_CHARACTERS_MAX, bounds_of
from ledger.store.tables import BIG_INTEGER
from tests.conformance.service_databases import TABLES
from tests.support.postgresql import PostgresqlServer

SQLITE_SHAPES = """
SELECT tables.name, columns.name, columns.type, columns."notnull", columns.pk, NULL
FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns
WHERE tables.type = 'table' AND tables.name LIKE 'service%'
UNION ALL SELECT tbl_name, name, type, NULL, NULL, sql FROM sqlite_master
WHERE type = 'index' AND tbl_name LIKE 'service%'
"""
POSTGRESQL_SHAPES = """
SELECT table_name, column_name, data_type || COALESCE(character_maximum_length, 0), is_nullable, collation_name,
    COALESCE(column_default, '') || is_identity
FROM information_schema.columns WHERE table_schema = 'public' AND table_name LIKE 'service%'
UNION ALL SELECT tablename, indexname, NULL, NULL, NULL, indexdef FROM pg_indexes WHERE tablename LIKE 'service%'
"""


def shapes(engine: Engine) -> set[tuple[object, ...]]:
    """Every column and index of the service's tables, with all that the database says of it."""
    query = POSTGRESQL_SHAPES if engine.dialect.name == "postgresql" else SQLITE_SHAPES
    with engine.connect() as connection:
        return {tuple(row) for row in connection.execute(text(query))}


def make_all(engine: Engine) -> None:
    """Make the tables as the models say."""
    tables = [SQLModel.metadata.tables[name] for name in TABLES]
    with engine.begin() as connection:
        SQLModel.metadata.create_all(connection, tables=tables)


@pytest.fixture
def migrated_sqlite(tmp_path: Path) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path}/migrated.db"
    upgrade(url)
    engine = open_engine(url)
    yield engine
    engine.dispose()


def test_the_migration_makes_the_tables_of_the_models_on_sqlite(
    migrated_sqlite: Engine, tmp_path: Path
) -> None:
    modelled = open_engine(f"sqlite:///{tmp_path}/modelled.db")
    make_all(modelled)
    assert shapes(migrated_sqlite) == shapes(modelled)
    assert len(shapes(modelled)) > 100
    modelled.dispose()


def test_the_migration_makes_the_tables_of_the_models_on_postgresql(
    postgresql_server: PostgresqlServer,
) -> None:
    with (
        postgresql_server.database(with_tables=True) as migrated,
        postgresql_server.database(with_tables=False) as modelled,
    ):
        engines = [open_engine(postgresql_server.url(name)) for name in (migrated, modelled)]
        make_all(engines[1])
        assert shapes(engines[0]) == shapes(engines[1])
        assert len(shapes(engines[1])) > 100
        for engine in engines:
            engine.dispose()


def test_alembic_finds_nothing_left_to_migrate(migrated_sqlite: Engine) -> None:
    with migrated_sqlite.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        left = [
            change for change in compare_metadata(context, SQLModel.metadata) if "service_" in repr(change)
        ]
    assert left == []


def test_every_time_has_64_bits() -> None:
    for name in TABLES:
        for column in SQLModel.metadata.tables[name].columns:
            if column.name.endswith("_ms"):
                assert column.type is BIG_INTEGER or column.name == "retry_waits_ms", column


def test_bounds_are_those_of_the_columns() -> None:
    bounds = bounds_of(service_tables.NoteRow)
    assert bounds["delivery"] == 64
    assert bounds["reason"] == TEXT_CHARACTERS_MAX
    assert bounds["attempt"] == SMALL_INTEGER_MAX
    assert bounds["at_ms"] == INTEGER_MAX
