"""Making deleted rows disappear from a database's own files (ledger format, section 1.2).

A ``DELETE`` only says that bytes may be used again. On SQLite what is deleted for an erasure is overwritten where it lies
(``secure_delete``), and then the whole file is written anew (``VACUUM``), because rows that were moved or changed before have
left copies of themselves in pages; the write-ahead log is moved home and cut to nothing. On PostgreSQL the tables are written
anew (``VACUUM FULL``), which their owner alone may do; the server's write-ahead log is recycled in its own time.

What no database reaches: blocks of the disk that a file has given back, backups, standbys and archived write-ahead logs.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing

from sqlalchemy import Engine, text

from ledger.ports.privacy import Cleaned
from ledger.store import sqlite
from ledger.store.address import is_server
from ledger.store.engine import begin_query, translated

NOT_OWNER = (
    "the role that connects may not rewrite the tables: run `grantledger erase clean` as their owner; until then what was "
    "deleted lies in the tables' files, to be read by whoever has these and the operator's key"
)
BUSY = (
    "somebody is reading the database, so its write-ahead file cannot be cut yet: it is tried again, or run `grantledger "
    "erase clean`"
)

_OWNED = text(
    "SELECT COALESCE(bool_and(pg_has_role(relowner, 'USAGE')), true) FROM pg_class "
    "WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) AND relname = ANY(:tables)"
)


def clean(engine: Engine, tables: Collection[str]) -> Cleaned:
    """Write anew what holds ``tables``, so that nothing deleted is left in it; raises StoreError where that fails."""
    return _clean_server(engine, sorted(tables)) if is_server(engine.url) else _clean_file(engine)


def _clean_file(engine: Engine) -> Cleaned:
    # In this process's turn to write: others would ask for the lock in vain, and for longer than they wait.
    with (
        sqlite.turn_of(engine),
        translated(engine, "rewriting the database"),
        closing(engine.raw_connection()) as pooled,
    ):
        driver = pooled.driver_connection
        assert driver is not None, "the connection is open"
        driver.execute("PRAGMA secure_delete = ON")
        # What went before lies in the write-ahead file as well, so it is cut behind the rewriting, which goes through it.
        driver.execute("VACUUM")
        busy, _, _ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return Cleaned(is_clean=False, left=BUSY) if busy else Cleaned(is_clean=True)


def _clean_server(engine: Engine, tables: list[str]) -> Cleaned:
    with begin_query(engine, "looking whose the tables are") as connection:
        if not connection.execute(_OWNED, {"tables": tables}).scalar_one():
            return Cleaned(is_clean=False, left=NOT_OWNER)
    quote = engine.dialect.identifier_preparer.quote_identifier
    with translated(engine, "rewriting tables"), engine.connect() as opened:
        connection = opened.execution_options(isolation_level="AUTOCOMMIT")
        for table in tables:
            connection.exec_driver_sql(f"VACUUM (FULL) {quote(table)}")
    return Cleaned(is_clean=True)
