"""How connections are set up, and what failures tell the operator to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from ledger.errors import SettingsError, StoreError
from ledger.store.engine import begin_read, begin_write, open_engine


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 10_000)],
)
def test_every_connection_is_set_up_to_be_durable(tmp_path: Path, pragma: str, value: object) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/l.db")
    with begin_read(engine, "reading") as one, begin_read(engine, "reading") as two:
        for connection in (one, two):
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
    engine.dispose()


@pytest.mark.parametrize("url", ["ledger.db", "", "oracle://x/y", "postgresql+asyncpg://x/y", "nosuch://x"])
def test_a_url_that_cannot_be_used_is_a_settings_error(url: str) -> None:
    with pytest.raises(SettingsError):
        open_engine(url)


def test_a_write_rolls_back_when_its_block_raises(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/l.db")
    with begin_write(engine, "making") as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")

    def insert_and_fail() -> None:
        with begin_write(engine, "writing") as connection:
            connection.exec_driver_sql("INSERT INTO t VALUES (1)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        insert_and_fail()
    with begin_read(engine, "reading") as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar() == 0
    engine.dispose()


def test_a_locked_database_is_a_store_error_that_names_the_fix(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "l.db")
    other.execute("CREATE TABLE t (x)")
    other.commit()
    other.execute("BEGIN IMMEDIATE")
    engine = open_engine(f"sqlite:///{tmp_path}/l.db", busy_timeout_ms=50)
    with pytest.raises(StoreError, match="another process"), begin_write(engine, "writing"):
        raise AssertionError("two hold the write lock")
    other.rollback()
    other.close()
    with begin_write(engine, "writing") as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
    engine.dispose()
