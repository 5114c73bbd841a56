"""The store suite on SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.ports import EntryStore
from ledger.store.engine import open_engine
from ledger.store.entries import SqlEntryStore
from ledger.store.migrate import upgrade
from tests.conformance.store_suite import EntryStoreSuite


class TestSqliteEntryStore(EntryStoreSuite):
    """SQLite in WAL mode."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        upgrade(f"sqlite:///{tmp_path}/ledger.db")
        return tmp_path / "ledger.db"

    @pytest.fixture
    def open_store(self, path: Path) -> Iterator[Callable[[], EntryStore]]:
        opened: list[SqlEntryStore] = []

        def open_one() -> EntryStore:
            opened.append(SqlEntryStore(open_engine(f"sqlite:///{path}")))
            return opened[-1]

        yield open_one
        for store in opened:
            store.close()

    @pytest.fixture
    def execute(self, path: Path) -> Callable[[str], None]:
        def run(statement: str) -> None:
            connection = sqlite3.connect(path)
            try:
                with connection:
                    connection.execute(statement)
            finally:
                connection.close()

        return run
