"""SQLite: how its connections are set up, and what its failures mean to the operator.

It runs in WAL mode with ``synchronous=FULL``: when a commit returns, it is on the disk. A transaction that writes takes
the write lock at its beginning (``BEGIN IMMEDIATE``), so that it can wait its turn but never fail half-way for it.
"""

from __future__ import annotations

import sqlite3
import threading
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import URL, Connection, Engine, create_engine, event

CACHE_KIBIBYTES = 65_536
WAL_AUTOCHECKPOINT_PAGES = 16_384
"""64 MiB: a batch of 1,000 entries dirties up to 1,000 pages, and moving them home at each commit doubles its cost."""

WRITE_OPTION = "ledger_write"
"""The execution option of a connection whose transactions write."""

_turns: WeakKeyDictionary[Engine, threading.Lock] = WeakKeyDictionary()
_turns_lock = threading.Lock()

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


def create(url: URL, busy_timeout_ms: int) -> Engine:
    """An engine for the file at ``url``; a write waits at most ``busy_timeout_ms`` for another process's."""
    engine = create_engine(
        url,
        hide_parameters=True,
        connect_args={"timeout": busy_timeout_ms / 1000, "cached_statements": 64},
    )
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def create_derived(url: URL, busy_timeout_ms: int) -> Engine:
    """As :func:`create`, for a file whose content can be made again.

    A commit does not wait for the disk: after a power failure the last ones may be missing, each as a whole. Pages are moved
    home, which does wait, when there are 256 MiB of them: a commit that changes many changes them all over the file.
    """
    engine = create(url, busy_timeout_ms)
    event.listen(engine, "connect", _do_not_wait)
    return engine


def turn_of(engine: Engine) -> threading.Lock:
    """What this process's writers to ``engine`` take turns by.

    Left to the database they would ask for its lock again and again, whoever has waited longest as seldom as the others;
    and a permit ends within a second.
    """
    with _turns_lock:
        return _turns.setdefault(engine, threading.Lock())


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


def _do_not_wait(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {4 * WAL_AUTOCHECKPOINT_PAGES}")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITE_OPTION, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def fix_of(error: BaseException) -> str | None:
    """What to do about the driver's ``error``, where it is one of SQLite's that has a known cause."""
    code = getattr(error, "sqlite_errorcode", None)
    fix = _FIXES.get(code & 0xFF) if isinstance(code, int) else None
    if fix is None and "no such table" in str(error):
        fix = "the ledger's tables are not there: run `grantledger init` first"
    return fix
