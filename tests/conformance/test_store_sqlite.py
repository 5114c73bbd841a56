"""The store suite on SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.store.migrate import upgrade
from tests.conformance.store_suite import EntryStoreSuite


class TestSqliteEntryStore(EntryStoreSuite):
    """SQLite in WAL mode."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        upgrade(f"sqlite:///{tmp_path}/ledger.db")
        return tmp_path / "ledger.db"

    @pytest.fixture
    def url(self, path: Path) -> str:
        return f"sqlite:///{path}"

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
