"""The migration of the tables of holds and erasures and their models say the same, on both databases."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect
from sqlmodel import SQLModel

from ledger.store import privacy_tables
from ledger.store.engine import open_engine
from ledger.store.migrate import upgrade
from tests.support.postgresql import PostgresqlServer

TABLES = [privacy_tables.ErasureRow.__tablename__, privacy_tables.HoldRow.__tablename__]


def left_to_migrate(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, SQLModel.metadata)
    return [repr(change) for change in found if "privacy_" in repr(change)]


def test_alembic_finds_nothing_left_to_migrate_on_sqlite(tmp_path: Path) -> None:
    upgrade(f"sqlite:///{tmp_path}/ledger.db")
    engine = open_engine(f"sqlite:///{tmp_path}/ledger.db")
    assert set(TABLES) <= set(inspect(engine).get_table_names())
    assert left_to_migrate(engine) == []
    engine.dispose()


def test_alembic_finds_nothing_left_to_migrate_on_postgresql(postgresql_server: PostgresqlServer) -> None:
    with postgresql_server.database(with_tables=True) as name:
        engine = open_engine(postgresql_server.url(name))
        assert set(TABLES) <= set(inspect(engine).get_table_names())
        assert left_to_migrate(engine) == []
        engine.dispose()
