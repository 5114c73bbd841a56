"""Migrations and models say the same, and upgrading is safe to repeat."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

import ledger.store.tables
from ledger.errors import StoreError
from ledger.store.engine import begin_read, open_engine
from ledger.store.migrate import is_current, upgrade

OURS = {"entries", "ledger_head", "tiles", "published_checkpoint"}


def test_the_migrations_make_exactly_the_tables_of_the_models(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
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


def test_upgrading_twice_changes_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    upgrade(url)
    before = _schema(tmp_path)
    upgrade(url)
    assert _schema(tmp_path) == before
    assert is_current(url)


def _schema(directory: Path) -> list[tuple[str]]:
    connection = sqlite3.connect(directory / "ledger.db")
    found = connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
    connection.close()
    return found


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    upgrade(url)
    connection = sqlite3.connect(tmp_path / "ledger.db")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="9999"):
        upgrade(url)


def test_an_upgrade_that_cannot_write_leaves_no_half_made_tables(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="directory exists"):
        upgrade(f"sqlite:///{tmp_path}/nowhere/ledger.db")
