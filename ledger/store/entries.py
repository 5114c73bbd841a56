"""The durable sequence of entries, its tiles and its published checkpoint, in SQL (ledger format, sections 1.1, 1.3).

Implements :class:`ledger.ports.EntryStore`. Rows go in through the driver, many to a statement: one step of the
database for hundreds of rows, because the driver gives up the interpreter's lock at every step and may wait for it as
long as another thread computes. Guards stand in the statements: an append first moves ``ledger_head`` from the size
that it expects, and finds no row to move where a second writer was faster.

Writers of this process take turns by a lock here, those of other processes by the database's; tiles are written in
small transactions so that an append never waits long for a seal.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import chain, islice
from typing import Any

from sqlalchemy import Connection, Engine, exc

from ledger.errors import ConflictError, ForkError
from ledger.ports import NewEntry, StoredEntry
from ledger.store.engine import begin_read, begin_write

ROWS_PER_STATEMENT = (1_000, 100, 10, 1)
"""A batch goes in by statements of these many rows: few steps whatever its size, and few statements to prepare."""
PAGE_ROWS = 4_096
TILES_PER_TRANSACTION = 64

_COLUMNS = NewEntry._fields
"""A row is inserted as the value that it comes as."""


def _no_step(step: str) -> None:
    """Pass by: outside tests nothing happens between two steps."""


@cache
def _insert_sql(rows: int, mark: str) -> str:
    one = "(" + ", ".join([mark] * len(_COLUMNS)) + ")"
    return f"INSERT INTO entries ({', '.join(_COLUMNS)}) VALUES " + ", ".join([one] * rows)


def as_bytes(value: object) -> bytes:
    """A column's value as bytes; an edited SQLite database may hold a value of any type in any column."""
    return value if isinstance(value, bytes) else str(value).encode()


def _stored(row: Any) -> StoredEntry:
    seq, uid, leaf_hash, data = row
    return StoredEntry(seq, uid, as_bytes(leaf_hash), as_bytes(data))


class SqlEntryStore:
    """An :class:`~ledger.ports.EntryStore` on the engine of :func:`ledger.store.engine.open_engine`.

    ``reached`` is called at each named step of a write, so that tests can stop the process or raise there. Safe for
    use from any number of threads; one of them appends.
    """

    def __init__(self, engine: Engine, reached: Callable[[str], None] = _no_step) -> None:
        """Use ``engine``, whose tables :func:`ledger.store.migrate.upgrade` has made."""
        self._engine = engine
        self._reached = reached
        self._writing = threading.Lock()
        self._mark = "?" if engine.dialect.paramstyle == "qmark" else "%s"

    def close(self) -> None:
        """Close the connections; the store is usable again at the next call."""
        self._engine.dispose()

    def size(self) -> int:
        """How many entries are durable."""
        with begin_read(self._engine, "reading the size of the log") as connection:
            row = connection.exec_driver_sql("SELECT size FROM ledger_head WHERE id = 1").first()
        if row is None:
            raise ForkError("the ledger's head row is gone: somebody edited the database; run `verify`")
        return int(row[0])

    def append(self, expected_size: int, entries: Sequence[NewEntry]) -> None:
        """Add ``entries`` at ``expected_size`` in one transaction, durable when this returns (see the port).

        Raises ForkError when the log has another size, ConflictError when a ``uid`` is taken; then nothing is written.
        """
        assert all(entry.seq == expected_size + place for place, entry in enumerate(entries)), (
            "seqs have a gap"
        )
        with self._writing, begin_write(self._engine, f"appending {len(entries)} entries") as connection:
            self._move_head(connection, expected_size, expected_size + len(entries))
            self._reached("store.append.guarded")
            try:
                self._insert(connection, entries)
            except exc.IntegrityError as error:
                raise ConflictError(f"an entry at or after {expected_size} is taken: {error.orig}") from error
            # A process that dies up to here has appended nothing: the transaction was never committed.
            self._reached("store.append.inserted")
        # From here on the entries are durable, whether or not anybody is told.
        self._reached("store.append.committed")

    def _move_head(self, connection: Connection, expected_size: int, new_size: int) -> None:
        moved = connection.exec_driver_sql(
            f"UPDATE ledger_head SET size = {self._mark} WHERE id = 1 AND size = {self._mark}",
            (new_size, expected_size),
        )
        if moved.rowcount != 1:
            raise ForkError(f"the log does not end at {expected_size}: another writer has appended to it")

    def _insert(self, connection: Connection, entries: Sequence[NewEntry]) -> None:
        rows = entries
        start = 0
        for count in ROWS_PER_STATEMENT:
            while start + count <= len(rows):
                values = tuple(chain.from_iterable(rows[start : start + count]))
                connection.exec_driver_sql(_insert_sql(count, self._mark), values)
                start += count

    def fetch_by_uids(self, uids: Sequence[str]) -> dict[str, StoredEntry]:
        """Those of ``uids`` that are taken, with their entries."""
        # One statement, always the same, for any number of uids; an IN would first sort them into a table of its own.
        with begin_read(self._engine, "looking up uids") as connection:
            rows = connection.exec_driver_sql(
                "SELECT seq, uid, leaf_hash, data "
                f"FROM json_each({self._mark}) AS asked CROSS JOIN entries ON uid = asked.value",
                (json.dumps(list(uids)),),
            ).fetchall()
        # The database ends a text at a NUL, and so finds what was not asked for.
        asked = set(uids) if rows else set()
        return {row[1]: _stored(row) for row in rows if row[1] in asked}

    def fetch_range(self, start: int, end: int) -> Iterator[StoredEntry]:
        """Entries ``start <= seq < end`` in order, streamed in pages; entries that are not there are left out."""
        while start < end:
            page_end = min(end, start + PAGE_ROWS)
            rows = self._fetch("seq, uid, leaf_hash, data", start, page_end)
            yield from map(_stored, rows)
            start = page_end

    def fetch_state(self) -> Iterator[StoredEntry]:
        """Every entry that was appended with ``bears_state``, in order, streamed in pages."""
        after = -1
        while True:
            with begin_read(self._engine, "reading the state") as connection:
                rows = connection.exec_driver_sql(
                    "SELECT seq, uid, leaf_hash, data FROM entries "
                    f"WHERE bears_state AND seq > {self._mark} ORDER BY seq LIMIT {PAGE_ROWS}",
                    (after,),
                ).fetchall()
            yield from map(_stored, rows)
            if len(rows) < PAGE_ROWS:
                return
            after = rows[-1][0]

    def leaf_hashes(self, start: int, end: int) -> bytes:
        """The leaf hashes of ``start <= seq < end``, 32 bytes each, joined."""
        return b"".join([as_bytes(row[0]) for row in self._fetch("leaf_hash", start, end)])

    def _fetch(self, columns: str, start: int, end: int) -> Sequence[Any]:
        with begin_read(self._engine, f"reading entries {start} to {end}") as connection:
            return connection.exec_driver_sql(
                f"SELECT {columns} FROM entries WHERE seq >= {self._mark} AND seq < {self._mark} ORDER BY seq",
                (start, end),
            ).fetchall()

    def load_tile(self, path: str) -> bytes | None:
        """A stored hash tile by its path (``tile/0/005.p/3``), or None."""
        with begin_read(self._engine, f"reading {path}") as connection:
            row = connection.exec_driver_sql(
                f"SELECT data FROM tiles WHERE path = {self._mark}", (path,)
            ).first()
        return None if row is None else as_bytes(row[0])

    def put_tiles(self, tiles: Iterable[tuple[str, bytes]]) -> None:
        """Store tiles durably, in the order given; raises ForkError where one is there with other bytes.

        Dying between two transactions leaves a beginning of ``tiles``, which the next call with the same tiles
        completes.
        """
        remaining = iter(tiles)
        while block := list(islice(remaining, TILES_PER_TRANSACTION)):
            with self._writing, begin_write(self._engine, "writing tiles") as connection:
                inserted = connection.exec_driver_sql(
                    "INSERT INTO tiles (path, data) VALUES "
                    + ", ".join([f"({self._mark}, {self._mark})"] * len(block))
                    + " ON CONFLICT (path) DO NOTHING",
                    tuple(chain.from_iterable(block)),
                )
                if inserted.rowcount != len(block):
                    self._check_tiles(connection, dict(block))
            self._reached("store.put_tiles.committed")

    def _check_tiles(self, connection: Connection, expected: dict[str, bytes]) -> None:
        stored = connection.exec_driver_sql(
            f"SELECT path, data FROM tiles WHERE path IN ({', '.join([self._mark] * len(expected))})",
            tuple(expected),
        )
        for path, data in stored.fetchall():
            if as_bytes(data) != expected[path]:
                raise ForkError(
                    f"{path} is stored with other hashes than the entries give: one of them was changed"
                )

    def load_checkpoint(self) -> bytes | None:
        """The last published checkpoint, or None before the first."""
        with begin_read(self._engine, "reading the published checkpoint") as connection:
            row = connection.exec_driver_sql(
                "SELECT checkpoint FROM published_checkpoint WHERE id = 1"
            ).first()
        return None if row is None else as_bytes(row[0])

    def put_checkpoint(self, tree_size: int, checkpoint: bytes) -> None:
        """Publish durably; raises ForkError and changes nothing when a larger one is published."""
        with self._writing, begin_write(self._engine, "publishing the checkpoint") as connection:
            put = connection.exec_driver_sql(
                "INSERT INTO published_checkpoint (id, tree_size, checkpoint) "
                f"VALUES (1, {self._mark}, {self._mark}) ON CONFLICT (id) DO UPDATE SET "
                "tree_size = excluded.tree_size, checkpoint = excluded.checkpoint "
                "WHERE published_checkpoint.tree_size <= excluded.tree_size",
                (tree_size, checkpoint),
            )
            if put.rowcount != 1:
                raise ForkError(f"a checkpoint of more than {tree_size} entries is published already")
        self._reached("store.put_checkpoint.committed")
