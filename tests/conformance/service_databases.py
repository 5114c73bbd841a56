"""Databases for the suites of the service's tables: made once for a suite, empty for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
from sqlalchemy import Boolean, Column, Engine, Integer, LargeBinary, text
from sqlmodel import SQLModel

from ledger import store
from ledger.store.migrate import upgrade
from tests.support.postgresql import SERVICE_ROLE, PostgresqlServer

MODULES = [
    import_module(f"ledger.store.{found.name}")
    for found in iter_modules(store.__path__)
    if found.name.endswith("_tables")
]
"""All that beside the log's own tables have models."""

TABLES = sorted(
    str(table.__tablename__)
    for module in MODULES
    for table in vars(module).values()
    if isinstance(table, type) and issubclass(table, SQLModel) and table is not SQLModel
)

ROWS = 4_000
"""As many rows in each table as make a database weigh its indexes."""

_WORDS = {
    "service_parcels.state": "CASE WHEN i % 3 = 0 THEN 'waiting' ELSE 'delivered' END",
    "service_replays.state": "'done'",
    "service_notes.outcome": "CASE WHEN i % 5 = 0 THEN 'failed' ELSE 'delivered' END",
    "service_tokens.kind": "'access'",
    "service_incident_notices.state": "CASE WHEN i % 3 = 0 THEN 'waiting' WHEN i % 7 = 0 THEN 'sending' ELSE 'sent' END",
    "service_incident_notices.medium": "CASE WHEN i % 2 = 0 THEN 'inbox' ELSE 'email' END",
}


def fill_all(engine: Engine) -> None:
    """Put :data:`ROWS` rows into every table, with many values in every column and nothing in some of those that may."""
    with engine.begin() as connection:
        for name in TABLES:
            columns = [
                column
                for column in SQLModel.metadata.tables[name].columns
                if column.autoincrement is not True
            ]
            binary = "BYTEA" if engine.dialect.name == "postgresql" else "BLOB"
            values = ", ".join(_value_of(column, place, binary) for place, column in enumerate(columns))
            connection.execute(
                text(
                    f"INSERT INTO {name} ({', '.join(column.name for column in columns)}) "
                    "WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < :rows) "
                    f"SELECT {values} FROM numbers WHERE i > 0 ON CONFLICT DO NOTHING"
                ),
                {"rows": ROWS},
            )


def _value_of(column: Column[Any], place: int, binary: str) -> str:
    """SQL of a value of ``column`` in the row ``i``; the numbers of different values are coprime, mostly."""
    is_key = column.unique or (column.primary_key and place == 0)
    number = "i" if is_key else f"(i % {199 + 2 * place})"
    match column.type:
        case Boolean():
            value = "(i % 2 = 0)"
        case Integer():
            value = number
        case LargeBinary():
            value = f"CAST('v' || {number} AS {binary})"
        case _:
            value = _WORDS.get(f"{column.table.name}.{column.name}", f"'v' || {number}")
    return f"CASE WHEN i % 4 = 0 THEN {value} END" if column.nullable else value


class OnSqlite:
    """A file in WAL mode, a copy of one whose tables were made once."""

    @pytest.fixture(scope="class")
    @classmethod
    def made(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        path = tmp_path_factory.mktemp("made") / "ledger.db"
        upgrade(f"sqlite:///{path}")
        return path

    @pytest.fixture
    def url(self, made: Path, tmp_path: Path) -> str:
        shutil.copy(made, tmp_path / "ledger.db")
        return f"sqlite:///{tmp_path}/ledger.db"

    @pytest.fixture
    def filled(self, engine: Engine) -> Engine:
        """The database with many rows, which it has not been told to weigh: nobody does."""
        fill_all(engine)
        return engine


class OnPostgresql:
    """A database of a real server, for the role that a service connects as; its owner empties the tables."""

    @pytest.fixture(scope="class")
    @classmethod
    def made(cls, postgresql_server: PostgresqlServer) -> Iterator[str]:
        with postgresql_server.database(with_tables=True) as name:
            yield name

    @pytest.fixture
    def url(self, made: str, postgresql_server: PostgresqlServer) -> str:
        postgresql_server.execute(f"TRUNCATE {', '.join(TABLES)} RESTART IDENTITY", made)
        return postgresql_server.url(made, SERVICE_ROLE)

    @pytest.fixture
    def filled(self, engine: Engine, made: str, postgresql_server: PostgresqlServer) -> Engine:
        """The database with many rows, weighed, as the server does by itself before long."""
        fill_all(engine)
        postgresql_server.execute("ANALYZE", made)
        return engine
