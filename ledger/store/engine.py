"""Database engines for the store: how a connection is set up, and what its failures mean to the operator.

SQLite runs in WAL mode with ``synchronous=FULL``: when a commit returns, it is on the disk. A transaction that writes
takes the write lock at its beginning (``BEGIN IMMEDIATE``), so that it can wait its turn but never fail half-way for
it; such transactions are opened with :func:`begin_write`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.engine import make_url

from ledger.errors import SettingsError, StoreError

BUSY_TIMEOUT_MS = 10_000
CACHE_KIBIBYTES = 65_536
WAL_AUTOCHECKPOINT_PAGES = 16_384
"""64 MiB: a batch of 1,000 entries dirties up to 1,000 pages, and moving them home at each commit doubles its cost."""

_WRITE_OPTION = "ledger_write"

_FIXES = {
    sqlite3.SQLITE_FULL: "the disk (or the database's page limit) is full: free some space, then run the command again",
    sqlite3.SQLITE_READONLY: "the database is read-only: check the permissions of the file and of its directory",
    sqlite3.SQLITE_BUSY: "another process keeps the database locked: wait for it or stop it, then try again",
    sqlite3.SQLITE_LOCKED: "another connection keeps a table locked: wait for it or stop it, then try again",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: restore a backup or the published log, then run `verify` on it",
    sqlite3.SQLITE_NOTADB: "the file is not a SQLite database: check the path",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened: check that its directory exists and may be written to",
    sqlite3.SQLITE_IOERR: "the disk reported an error (a file size limit or a full disk among others): check it",
    sqlite3.SQLITE_PERM: "access is denied: check the permissions of the file and of its directory",
}


def open_engine(url: str, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> Engine:
    """An engine for the database ``url`` (``sqlite:///path``); connects to nothing yet.

    A write waits at most ``busy_timeout_ms`` for another process's.

    Raises SettingsError when ``url`` is not the URL of a database that the store can use.
    """
    try:
        parsed = make_url(url)
    except exc.ArgumentError as error:
        raise SettingsError(
            f"{url!r} is not a database URL; write for example sqlite:///ledger.db"
        ) from error
    if parsed.get_backend_name() != "sqlite":
        raise SettingsError(f"{parsed.get_backend_name()} databases are not supported; use a sqlite:/// URL")
    engine = create_engine(parsed, connect_args={"timeout": busy_timeout_ms / 1000, "cached_statements": 64})
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _set_up(connection: Any, _record: object) -> None:
    # Transactions are begun by _begin; left to itself the driver would begin them at the first write.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute(f"PRAGMA cache_size = -{CACHE_KIBIBYTES}")
    cursor.execute("PRAGMA synchronous = FULL")
    if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        # On a read-only database this changes nothing, and reading goes on in the mode that is there.
        cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute(f"PRAGMA wal_autocheckpoint = {WAL_AUTOCHECKPOINT_PAGES}")
    cursor.close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITE_OPTION, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def begin_read(engine: Engine, doing: str) -> Iterator[Connection]:
    """A connection in a transaction that only reads; failures become StoreError, ``doing`` says of what."""
    with translated(engine, doing), engine.connect() as connection:
        yield connection


@contextmanager
def begin_write(engine: Engine, doing: str) -> Iterator[Connection]:
    """A connection in a transaction that holds the write lock; commits at the end, rolls back on an exception.

    Failures of the database become StoreError, ``doing`` says of what.
    """
    with translated(engine, doing), engine.connect() as opened:
        connection = opened.execution_options(**{_WRITE_OPTION: True})
        with connection.begin():
            yield connection


@contextmanager
def translated(engine: Engine, doing: str) -> Iterator[None]:
    """Turn the database's exceptions into StoreError with what was tried, what failed and what to do."""
    try:
        yield
    except (exc.SQLAlchemyError, sqlite3.Error) as error:
        raise StoreError(f"{doing}: {explain(error)} ({engine.url.render_as_string()})") from error


def explain(error: BaseException) -> str:
    """What failed and what to do about it, in one line."""
    origin = getattr(error, "orig", None) or error
    code = getattr(origin, "sqlite_errorcode", None)
    fix = _FIXES.get(code & 0xFF) if isinstance(code, int) else None
    if fix is None and "no such table" in str(origin):
        fix = "the ledger's tables are not there: run `grantledger init` first"
    text = str(origin).strip() or type(origin).__name__
    return f"{text}; {fix}" if fix else text
