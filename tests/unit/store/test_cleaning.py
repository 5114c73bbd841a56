"""What a delete leaves in a database's files, and that rewriting them leaves nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text

from ledger.store.cleaning import BUSY, clean
from ledger.store.engine import explain, open_engine
from ledger.store.migrate import upgrade
from ledger.vault.subjects import SqlVault
from ledger.wiring.surroundings import SYSTEM_RANDOMNESS
from tests.support.postgresql import PostgresqlServer

PEOPLE = [str(number) for number in range(10_000)]
ERASED = PEOPLE[::50]


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """A database as SQLite keeps one where nobody asked for more, which some builds of it do by themselves."""
    upgrade(f"sqlite:///{tmp_path}/ledger.db")
    made = open_engine(f"sqlite:///{tmp_path}/ledger.db")
    event.listen(made, "connect", lambda driver, _: driver.execute("PRAGMA secure_delete = OFF"))
    return made


def erase_some(engine: Engine) -> list[bytes]:
    """Mint many, erase some; what their rows held."""
    vault = SqlVault(engine, bytes(range(32)), SYSTEM_RANDOMNESS, explain)
    tags: list[str] = []
    for start in range(0, len(PEOPLE), 100):
        subjects = vault.subjects_of(PEOPLE[start : start + 100])
        tags += [subjects[one].tag for one in ERASED if one in subjects]
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT tag, lookup, sealed FROM vault_subjects")).all()
    assert vault.erase(tags) == set(tags)
    return [bytes(value) for tag, *values in rows if tag in tags for value in values]


def left(needles: list[bytes], directory: Path) -> int:
    """How many of ``needles`` a file below ``directory`` holds."""
    data = b"\0".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())
    return sum(needle in data for needle in needles)


def test_rows_that_were_moved_before_leave_copies_and_rewriting_the_file_removes_them(
    engine: Engine, tmp_path: Path
) -> None:
    needles = erase_some(engine)
    with sqlite3.connect(tmp_path / "ledger.db") as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    # What is deleted is overwritten, and all the same there are copies of keys in pages that were split.
    assert left(needles, tmp_path) > 0
    assert clean(engine, {"vault_subjects"}).is_clean
    assert left(needles, tmp_path) == 0


def test_while_somebody_reads_it_says_that_it_is_not_done(engine: Engine, tmp_path: Path) -> None:
    patient = open_engine(f"sqlite:///{tmp_path}/ledger.db", busy_timeout_ms=50)
    needles = erase_some(engine)
    with sqlite3.connect(tmp_path / "ledger.db", isolation_level=None) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM vault_subjects").fetchone()
        done = clean(patient, {"vault_subjects"})
        assert (done.is_clean, done.left) == (False, BUSY)
        reader.execute("ROLLBACK")
    reader.close()
    assert clean(patient, {"vault_subjects"}).is_clean
    assert left(needles, tmp_path) == 0


def test_on_a_server_the_heap_holds_nothing_afterwards(postgresql_server: PostgresqlServer) -> None:
    with postgresql_server.database(with_tables=True) as name:
        engine = open_engine(postgresql_server.url(name))
        needles = erase_some(engine)
        ((data,),) = postgresql_server.execute("SHOW data_directory")
        ((oid,),) = postgresql_server.execute(f"SELECT oid FROM pg_database WHERE datname = '{name}'")
        heap = Path(str(data)) / "base" / str(oid)
        postgresql_server.execute("CHECKPOINT")
        assert left(needles, heap) > 0
        assert clean(engine, {"vault_subjects"}).is_clean
        postgresql_server.execute("CHECKPOINT")
        assert left(needles, heap) == 0
        engine.dispose()
