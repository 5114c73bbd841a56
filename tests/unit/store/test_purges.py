"""Every column that could hold somebody's tag is purged, or kept for a reason that is written down."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlmodel import SQLModel

from ledger import store
from ledger.store.engine import open_engine
from ledger.store.migrate import upgrade
from ledger.store.purges import CONTACTS, KEPT, PURGES, Purge

for module in Path(store.__file__).parent.glob("*tables.py"):
    import_module(f"ledger.store.{module.stem}")

TAGGED = re.compile(r"(owner_)?account|subjects?")


def columns() -> dict[str, str]:
    """Table by column, of all columns that are called like somebody."""
    return {
        f"{table.name}.{column.name}": table.name
        for table in SQLModel.metadata.sorted_tables
        for column in table.columns
        if TAGGED.fullmatch(column.name)
    }


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    url = f"sqlite:///{tmp_path_factory.mktemp('purges')}/ledger.db"
    upgrade(url)
    return open_engine(url)


@pytest.mark.parametrize("column", sorted(columns()))
def test_a_column_that_could_hold_a_tag_is_purged_or_kept_for_a_reason(column: str) -> None:
    table = columns()[column]
    is_purged = any(
        one.table == table and re.search(rf"\b{column.partition('.')[2]} = :account", one.where)
        for one in PURGES
    )
    assert is_purged or column in KEPT, f"name {column} in ledger.store.purges"


def test_what_is_kept_is_there() -> None:
    there = {
        f"{table.name}.{column.name}" for table in SQLModel.metadata.sorted_tables for column in table.columns
    }
    assert set(KEPT) <= there


@pytest.mark.parametrize("line", PURGES, ids=lambda line: line.table)
def test_each_line_is_a_statement_that_the_database_understands(engine: Engine, line: Purge) -> None:
    with engine.connect() as connection:
        query = text(f"SELECT COUNT(*) FROM {line.table} WHERE {line.where}")
        assert connection.execute(query, {"account": "a_" + "0" * 32}).scalar_one() == 0


def test_addresses_are_among_what_is_purged() -> None:
    assert CONTACTS
    assert set(CONTACTS) <= set(PURGES)
