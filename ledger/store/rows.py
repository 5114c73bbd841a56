"""How entries go into each database and are found there by their uids: all that :class:`SqlEntryStore` does in two ways.

Both send many rows in few steps. On SQLite a step is a statement of hundreds of rows, because the driver gives up the
interpreter's lock at every step and may wait for it as long as another thread computes. On PostgreSQL it is a binary
COPY, which takes the client half the time of parameters and has no bound on the rows of a transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import chain
from typing import Any, Protocol

from sqlalchemy import Connection, Engine

from ledger.ports import Change, NewEntry
from ledger.store.address import is_server
from ledger.store.steps import steps_of

ROWS_PER_STATEMENT = (1_000, 100, 10, 1)
"""A batch goes into SQLite by statements of these many rows: few steps for any size, and few statements to prepare."""

_COLUMNS = ", ".join(NewEntry._fields)
"""A row is inserted as the value that it comes as."""
_COPY = f"COPY entries ({_COLUMNS}) FROM STDIN (FORMAT BINARY)"
_SEPARATOR = "\n"
_FOREIGN = {_SEPARATOR, "\0"}
_COPY_TYPES = ("int8", "varchar", "bytea", "bytea", "bool")


class EntryRows(Protocol):
    """One database's way with the table of entries; ``mark`` is its mark of a parameter."""

    mark: str

    def insert(self, connection: Connection, entries: Sequence[NewEntry]) -> None:
        """Insert ``entries``, all in the transaction of ``connection``; raises as the driver does."""
        ...

    def fetch_by_uids(self, connection: Connection, uids: Sequence[str]) -> Sequence[Any]:
        """``(seq, uid, leaf_hash, data)`` of the entries that have one of ``uids``, which may be any text."""
        ...

    def fetch(self, connection: Connection, query: str, values: tuple[int, ...]) -> Sequence[Any]:
        """All rows of ``query`` with ``values`` in the places of its marks."""
        ...

    def lock_head(self, connection: Connection) -> int | None:
        """The size in the head row, which nobody else moves before the transaction ends; None without a head row."""
        ...


def rows_of(engine: Engine) -> EntryRows:
    """The way of the database of ``engine``."""
    return PostgresqlRows() if is_server(engine.url) else SqliteRows()


class SqliteRows:
    """SQLite: long statements."""

    mark = "?"

    def insert(self, connection: Connection, entries: Sequence[NewEntry]) -> None:
        """Insert by statements of many rows."""
        start = 0
        for count in ROWS_PER_STATEMENT:
            while start + count <= len(entries):
                values = tuple(chain.from_iterable(entries[start : start + count]))
                connection.exec_driver_sql(_insert_sql(count), values)
                start += count

    def fetch_by_uids(self, connection: Connection, uids: Sequence[str]) -> Sequence[Any]:
        """Ask by one statement, always the same, for any number; an IN would first sort them into a table of its own."""
        rows = connection.exec_driver_sql(
            "SELECT seq, uid, leaf_hash, data FROM json_each(?) AS asked CROSS JOIN entries ON uid = asked.value",
            (json.dumps(list(uids)),),
        ).fetchall()
        # The database ends a text at a NUL, and so finds what was not asked for.
        asked = set(uids) if rows else set()
        return [row for row in rows if row[1] in asked]

    def fetch(self, connection: Connection, query: str, values: tuple[int, ...]) -> Sequence[Any]:
        """Fetch them as the driver has them: to make rows of SQLAlchemy's from them would take as long again."""
        return fetch_plain(connection, query, values)

    def lock_head(self, connection: Connection) -> int | None:
        """Read it: the transaction holds the database's write lock already."""
        size = connection.exec_driver_sql("SELECT size FROM ledger_head WHERE id = 1").scalar()
        return None if size is None else int(size)


def fetch_plain(connection: Connection, query: str, values: tuple[Any, ...]) -> Sequence[Any]:
    """The rows of ``query`` as the driver's own tuples."""
    with connection.exec_driver_sql(query, values) as result:
        assert result.cursor is not None, "a query has rows"
        return result.cursor.fetchall()


@cache
def _insert_sql(rows: int) -> str:
    one = "(" + ", ".join(["?"] * len(NewEntry._fields)) + ")"
    return f"INSERT INTO entries ({_COLUMNS}) VALUES " + ", ".join([one] * rows)


class PostgresqlRows:
    """PostgreSQL: COPY and arrays."""

    mark = "%s"

    def insert(self, connection: Connection, entries: Sequence[NewEntry]) -> None:
        """Insert by COPY, for which SQLAlchemy has no word."""
        with driver_of(connection) as driver, driver.cursor() as cursor, cursor.copy(_COPY) as copy:
            copy.set_types(_COPY_TYPES)
            for entry in entries:
                copy.write_row(entry)

    def fetch_by_uids(self, connection: Connection, uids: Sequence[str]) -> Sequence[Any]:
        """Ask for all of them at once, in one text, which is faster put together and taken apart than an array."""
        asked = _SEPARATOR.join(uids)
        if not asked.isascii() or "\0" in asked or asked.count(_SEPARATOR) >= len(uids):
            # No uid can be such a text; the server would refuse it, or take it for two.
            asked = _SEPARATOR.join(uid for uid in uids if uid.isascii() and not _FOREIGN.intersection(uid))
        return connection.exec_driver_sql(
            f"SELECT seq, uid, leaf_hash, data FROM entries WHERE uid = ANY(string_to_array(%s, '{_SEPARATOR}'))",
            (asked,),
        ).fetchall()

    def fetch(self, connection: Connection, query: str, values: tuple[int, ...]) -> Sequence[Any]:
        """Fetch them in binary, which SQLAlchemy does not ask for: as text, every byte would come as two digits."""
        with driver_of(connection) as driver, driver.cursor(binary=True) as cursor:
            rows: list[tuple[Any, ...]] = cursor.execute(query, values).fetchall()
        return rows

    def lock_head(self, connection: Connection) -> int | None:
        """Lock the row, in turn after whoever holds it."""
        size = connection.exec_driver_sql("SELECT size FROM ledger_head WHERE id = 1 FOR UPDATE").scalar()
        return None if size is None else int(size)


@contextmanager
def driver_of(connection: Connection) -> Iterator[Any]:
    """The driver's own connection, for what goes past SQLAlchemy."""
    driver = connection.connection.driver_connection
    assert driver is not None, "the connection is open"
    try:
        yield driver
    finally:
        if driver.closed:
            # SQLAlchemy did not see the connection end, and would hand it out again.
            connection.invalidate()


def make_changes(connection: Connection, changes: Iterable[Change]) -> None:
    """Make ``changes`` in the transaction of ``connection``, in the steps of :func:`ledger.store.steps.steps_of`."""
    for statement, values in steps_of(changes):
        rows = [dict(one) for one in values]
        connection.execute(statement, rows if len(rows) > 1 else rows[0])
