"""The stored index in SQL, by primary key: SQLite beside the ledger's file, or the ledger's own PostgreSQL server.

Implements :class:`ledger.ports.index.IndexRows`. Thousands of rows are read and written in few statements: on SQLite the
driver gives up the interpreter's lock at every step, and may wait for it as long as another thread computes; on
PostgreSQL arrays spare round trips. Rows are asked for in ascending order, so that neighbours come from one page of the
database.

On SQLite a commit does not wait for the disk. What a power failure takes back is the newest states, whole; then the index
is behind what was published, as it is when the process dies between the two, and the next seal catches up. It is never
ahead: the checkpoint was durable before the index's commit began.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, Engine

from ledger.errors import DamagedIndexError, StoreError
from ledger.ports.index import IndexChanges, IndexState
from ledger.store import sqlite
from ledger.store.address import is_server
from ledger.store.engine import BUSY_TIMEOUT_MS, begin_read, begin_write, translated
from ledger.store.entries import as_bytes
from ledger.store.index_tables import INDEX_TILES, TABLES, VERSION
from ledger.store.rows import ROWS_PER_STATEMENT, driver_of, fetch_plain

Row = tuple[Any, ...]

SUFFIX = ".index"
"""What the name of a SQLite ledger's index has behind the ledger's own."""

_ROWS_AT_ONCE = 4_096
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""SQLITE_ERROR is a table or a column that is not there."""
_STATE = "SELECT map_size, map_root, head, note FROM index_state WHERE id = 1"
_COLUMNS = {
    "index_rows": ("position", "data"),
    "index_pages": ("prefix", "data"),
    "index_tiles": tuple(column.name for column in INDEX_TILES.columns),
}
_TYPES = {
    "index_rows": ("bytea", "bytea"),
    "index_pages": ("text", "bytea"),
    "index_tiles": ("bytea", "int4", "int8", "bytea", "bytea"),
}


def _no_step(step: str) -> None:
    """Pass by: outside tests nothing happens between two steps."""


def open_index_engine(ledger_engine: Engine) -> Engine:
    """The engine of the index of the ledger at ``ledger_engine``: the same one on a server."""
    if is_server(ledger_engine.url):
        return ledger_engine
    return sqlite.create_derived(
        ledger_engine.url.set(database=f"{ledger_engine.url.database}{SUFFIX}"), BUSY_TIMEOUT_MS
    )


class IndexSql(Protocol):
    """One database's way with the index's tables."""

    def fetch(
        self, connection: Connection, table: str, columns: str, key: str, keys: Sequence[Any]
    ) -> Iterable[Row]:
        """``columns`` of the rows of ``table`` whose ``key`` is one of ``keys``."""
        ...

    def query(self, connection: Connection, query: str, values: Row) -> Sequence[Row]:
        """The rows of ``query``, with ``values`` in the places of its ``?``."""
        ...

    def put(self, connection: Connection, table: str, rows: Sequence[Row], is_new: bool) -> None:
        """Insert ``rows`` into ``table``; where ``is_new`` is false, those that are there get the new data."""
        ...


class SqliteIndexSql:
    """SQLite: statements of many rows."""

    def fetch(
        self, connection: Connection, table: str, columns: str, key: str, keys: Sequence[Any]
    ) -> Iterable[Row]:
        """Ask by IN lists of a few lengths."""
        for part in _parts(keys):
            query = f"SELECT {columns} FROM {table} WHERE {key} IN ({', '.join('?' * len(part))})"
            yield from fetch_plain(connection, query, tuple(part))

    def query(self, connection: Connection, query: str, values: Row) -> Sequence[Row]:
        """Ask."""
        return fetch_plain(connection, query, values)

    def put(self, connection: Connection, table: str, rows: Sequence[Row], is_new: bool) -> None:
        """Insert by statements of a few lengths."""
        for part in _parts(rows):
            connection.exec_driver_sql(_put_sql(table, len(part), is_new), tuple(chain.from_iterable(part)))


class PostgresqlIndexSql:
    """PostgreSQL: arrays, in binary."""

    def fetch(
        self, connection: Connection, table: str, columns: str, key: str, keys: Sequence[Any]
    ) -> Iterable[Row]:
        """Ask by arrays."""
        for at in range(0, len(keys), _ROWS_AT_ONCE):
            with driver_of(connection) as driver, driver.cursor(binary=True) as cursor:
                part = list(keys[at : at + _ROWS_AT_ONCE])
                yield from cursor.execute(f"SELECT {columns} FROM {table} WHERE {key} = ANY(%b)", (part,))

    def query(self, connection: Connection, query: str, values: Row) -> Sequence[Row]:
        """Ask."""
        with driver_of(connection) as driver, driver.cursor(binary=True) as cursor:
            rows: Sequence[Row] = cursor.execute(query.replace("?", "%b"), values).fetchall()
        return rows

    def put(self, connection: Connection, table: str, rows: Sequence[Row], is_new: bool) -> None:
        """Insert by COPY, or from arrays where rows may be there."""
        columns = _COLUMNS[table]
        types = _TYPES[table]
        if is_new and rows:
            query = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
            with driver_of(connection) as driver, driver.cursor() as cursor, cursor.copy(query) as copy:
                copy.set_types(types)
                for row in rows:
                    copy.write_row(row)
            return
        arrays = ", ".join([f"%b::{kind}[]" for kind in types])
        query = f"INSERT INTO {table} ({', '.join(columns)}) SELECT * FROM unnest({arrays}) "
        query += f"ON CONFLICT ({columns[0]}) DO UPDATE SET data = excluded.data"
        for at in range(0, len(rows), _ROWS_AT_ONCE):
            part = rows[at : at + _ROWS_AT_ONCE]
            with driver_of(connection) as driver, driver.cursor() as cursor:
                cursor.execute(query, [list(column) for column in zip(*part, strict=True)])


class SqlIndexRows:
    """The index on the engine of :func:`open_index_engine`.

    ``reached`` is called at each named step of a write. Safe for use from any number of threads, one of which writes.
    """

    def __init__(self, engine: Engine, reached: Callable[[str], None] = _no_step) -> None:
        """Use ``engine``; on SQLite the file is made by the first commit."""
        self._engine = engine
        self._reached = reached
        self._is_server = is_server(engine.url)
        self._file: tuple[int, int] | None = None
        self.sql: IndexSql = PostgresqlIndexSql() if self._is_server else SqliteIndexSql()

    def load_state(self) -> IndexState | None:
        """The state, or None where no index is stored, or one of another version."""
        if not self.is_there():
            return None
        with self._read("reading the state of the index") as connection:
            return self.load_state_on(connection)

    def is_there(self) -> bool:
        """Whether there is a file, or a server's tables, to look into."""
        if self._is_server:
            return True
        try:
            found = Path(str(self._engine.url.database)).stat()
        except FileNotFoundError:
            found = None
        file = None if found is None else (found.st_dev, found.st_ino)
        if file is None or file != self._file:
            # Somebody deleted the file, or put another one there: what is open belongs to neither.
            self._engine.dispose()
            self._file = file
        return file is not None

    def load_state_on(self, connection: Connection) -> IndexState | None:
        """As :meth:`load_state`, in the transaction of ``connection``."""
        if not self._is_server:
            if connection.exec_driver_sql("PRAGMA user_version").scalar() != VERSION:
                return None
        row = next(iter(self.sql.query(connection, _STATE, ())), None)
        if row is None:
            return None
        map_size, map_root, head, note = row
        is_sound = isinstance(map_size, int) and map_size > 0 and isinstance(note, bytes | None)
        if not is_sound or not all(
            isinstance(value, bytes) and len(value) == 32 for value in (map_root, head)
        ):
            # Somebody edited the row: it is as good as none.
            return None
        return IndexState(map_size, map_root, head, note)

    def load_rows(self, positions: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The rows of the keys at ``positions`` that have one."""
        with self._read("reading the rows of keys") as connection:
            found = self.sql.fetch(connection, "index_rows", "position, data", "position", positions)
            return {as_bytes(position): as_bytes(data) for position, data in found}

    def load_pages(self, prefixes: Sequence[str]) -> Mapping[str, bytes]:
        """The pages of the map with these prefixes that are there."""
        with self._read("reading pages of the index's map") as connection:
            found = self.sql.fetch(connection, "index_pages", "prefix, data", "prefix", prefixes)
            return {prefix: as_bytes(data) for prefix, data in found}

    @contextmanager
    def read_on(self, connection: Connection) -> Iterator[Connection]:
        """For a block that reads in the transaction of ``connection``: its failures as those of this store."""
        with damage_told(), translated(self._engine, "reading the index"):
            yield connection

    def load_row_on(self, connection: Connection, position: bytes) -> bytes | None:
        """The row of the key at ``position``, in the transaction of ``connection``."""
        found = self.sql.query(connection, "SELECT data FROM index_rows WHERE position = ?", (position,))
        return as_bytes(found[0][0]) if found else None

    def load_page_on(self, connection: Connection, prefix: str) -> bytes | None:
        """The page of the map with ``prefix``, in the transaction of ``connection``."""
        found = self.sql.query(connection, "SELECT data FROM index_pages WHERE prefix = ?", (prefix,))
        return as_bytes(found[0][0]) if found else None

    def load_tile_roots(self, position: bytes, level: int, start: int, end: int) -> Sequence[bytes]:
        """The roots of a key's tiles ``[start, end)`` at ``level``, in order; those that are not there are left out."""
        with self._read("reading tiles of a key") as connection:
            return [as_bytes(row[0]) for row in self.load_tiles_on(connection, position, level, start, end)]

    def load_tiles_on(
        self, connection: Connection, position: bytes, level: int, start: int, end: int
    ) -> Sequence[Row]:
        """Root and data of a key's tiles, as :meth:`load_tile_roots`."""
        return self.sql.query(
            connection,
            "SELECT root, data FROM index_tiles WHERE position = ? AND level = ? AND number >= ? AND number < ? "
            "ORDER BY number",
            (position, level, start, end),
        )

    def commit(self, expected: IndexState | None, state: IndexState, changes: IndexChanges) -> None:
        """Make ``changes`` and put ``state`` in the place of ``expected``, in one transaction, or change nothing."""
        with damage_told(), begin_write(self._engine, "writing the index") as connection:
            if expected is None and self.load_state_on(connection) is None:
                self._begin_anew(connection)
            self._swap_state(connection, expected, state)
            self._reached("index.guarded")
            self.sql.put(connection, "index_rows", changes.rows, expected is None)
            self.sql.put(connection, "index_pages", changes.pages, expected is None)
            self.sql.put(connection, "index_tiles", changes.tiles, True)
            # A process that dies up to here has changed nothing; the next seal computes and stores it again.
            self._reached("index.written")
        self._reached("index.committed")

    def clear(self) -> None:
        """Forget everything, also what is damaged beyond reading."""
        if not self._is_server:
            # Others may be reading, who keep what they have opened.
            for end in ("", "-wal", "-shm"):
                Path(f"{self._engine.url.database}{end}").unlink(missing_ok=True)
            return
        with begin_write(self._engine, "deleting the index") as connection:
            self._begin_anew(connection)

    def _begin_anew(self, connection: Connection) -> None:
        """Have empty tables, whatever an interrupted or edited index has left."""
        if self._is_server:
            for table in ("index_state", *_COLUMNS):
                connection.exec_driver_sql(f"DELETE FROM {table}")
            return
        TABLES.drop_all(connection)
        TABLES.create_all(connection)
        connection.exec_driver_sql(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def _read(self, doing: str) -> Iterator[Connection]:
        with damage_told(), begin_read(self._engine, doing) as connection:
            yield connection

    def _swap_state(self, connection: Connection, expected: IndexState | None, state: IndexState) -> None:
        # The guard stands in the statement, as an append's does.
        if expected is None:
            done = connection.exec_driver_sql(
                self._marked(
                    "INSERT INTO index_state (map_size, map_root, head, note, id) VALUES (?, ?, ?, ?, 1) "
                    "ON CONFLICT (id) DO NOTHING"
                ),
                tuple(state),
            )
        else:
            done = connection.exec_driver_sql(
                self._marked(
                    "UPDATE index_state SET map_size = ?, map_root = ?, head = ?, note = ? "
                    "WHERE id = 1 AND map_size = ? AND map_root = ?"
                ),
                (*state, expected.map_size, expected.map_root),
            )
        if done.rowcount != 1:
            raise StoreError("another process has changed the index meanwhile: try again")

    def _marked(self, query: str) -> str:
        return query.replace("?", "%s") if self._is_server else query


@contextmanager
def damage_told() -> Iterator[None]:
    """Turn what SQLite says of a damaged file, or of other tables than the index's, into DamagedIndexError."""
    try:
        yield
    except StoreError as error:
        driver_error = getattr(error.__cause__, "orig", error.__cause__)
        # The driver itself raises without a code: a text where bytes belong.
        code = getattr(driver_error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        if isinstance(driver_error, sqlite3.Error) and code & 0xFF in _DAMAGE:
            raise DamagedIndexError(
                "the file of the index is damaged, or was edited; nothing is lost, it is made from the log: make it anew "
                "with `grantledger reindex`"
            ) from error
        raise


@cache
def _put_sql(table: str, rows: int, is_new: bool) -> str:
    columns = _COLUMNS[table]
    one = f"({', '.join('?' * len(columns))})"
    verb = "INSERT" if is_new else "REPLACE"
    return f"{verb} INTO {table} ({', '.join(columns)}) VALUES " + ", ".join([one] * rows)


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """``values`` in parts of the lengths that statements are made for."""
    start = 0
    for length in ROWS_PER_STATEMENT:
        while start + length <= len(values):
            yield values[start : start + length]
            start += length
