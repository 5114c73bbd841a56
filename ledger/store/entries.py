"""The durable sequence of entries, its tiles and its published checkpoint, in SQL (ledger format, sections 1.1, 1.3).

Implements :class:`ledger.ports.EntryStore` on SQLite and PostgreSQL; what differs between them is in
:mod:`ledger.store.rows`. Guards stand in the statements: an append first moves ``ledger_head`` from the size that it
expects, and finds no row to move where a second writer was faster. Whoever wants nobody to be faster locks that row
first (:meth:`SqlEntryStore.turn`).

Writers of this process take turns by a lock here, those of other processes by the database's; tiles are written in
small transactions so that an append never waits long for a seal.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, islice
from typing import Any

from sqlalchemy import Connection, Engine, exc

from ledger.core.strict import INTEGER_MAX
from ledger.errors import ConflictError, ForkError, StoreError
from ledger.ports import Change, NewEntry, StoredEntry
from ledger.store.engine import LostConnectionError, begin_query, begin_write, explain, open_write, translated
from ledger.store.rows import EntryRows, make_changes, rows_of

PAGE_ROWS = 4_096
TILES_PER_TRANSACTION = 64


def _no_step(step: str) -> None:
    """Pass by: outside tests nothing happens between two steps."""


def as_bytes(value: object) -> bytes:
    """A column's value as bytes; an edited SQLite database may hold a value of any type in any column."""
    return value if isinstance(value, bytes) else str(value).encode()


def _commit(connection: Connection) -> None:
    try:
        connection.commit()
    except BaseException:
        # It may still be in its transaction, and hold the lock: nobody may get it from the pool.
        connection.invalidate()
        raise


def _stored(row: Any) -> StoredEntry:
    seq, uid, leaf_hash, data = row
    return StoredEntry(seq, uid, as_bytes(leaf_hash), as_bytes(data))


class SqlEntryStore:
    """An :class:`~ledger.ports.EntryStore` on the engine of :func:`ledger.store.engine.open_engine`.

    ``reached`` is called at each named step of a write, so that tests can stop the process or raise there. Safe for
    use from any number of threads; they append one at a time.
    """

    def __init__(self, engine: Engine, reached: Callable[[str], None] = _no_step) -> None:
        """Use ``engine``, whose tables :func:`ledger.store.migrate.upgrade` has made."""
        self._engine = engine
        self._reached = reached
        self._writing = threading.Lock()
        self._rows: EntryRows = rows_of(engine)
        self._mark = self._rows.mark

    def close(self) -> None:
        """Close the connections; the store is usable again at the next call."""
        self._engine.dispose()

    def size(self) -> int:
        """How many entries are durable."""
        with begin_query(self._engine, "reading the size of the log") as connection:
            size = connection.exec_driver_sql("SELECT size FROM ledger_head WHERE id = 1").scalar()
        return _there(size)

    def append(self, expected_size: int, entries: Sequence[NewEntry], changes: Sequence[Change] = ()) -> None:
        """Add ``entries`` at ``expected_size`` and make ``changes`` in one transaction, durable on return (see the port).

        Raises ForkError when the log has another size, ConflictError when a ``uid`` is taken or a table refuses a change;
        then nothing is written. Where the connection was lost on the way nobody can say; but then whoever looks next
        sees what has become of it, unless the server cannot be asked.
        """
        with self._writing, open_write(self._engine, "taking the turn to write") as connection:
            self.append_on(connection, expected_size, entries, changes)

    @contextmanager
    def turn(self) -> Iterator[HeldTurn]:
        """Wait for the turn to write and hold it during the block (see the port).

        Nothing else of this store may be written inside the block by the thread that holds the turn.
        """
        with self._writing, open_write(self._engine, "taking the turn to write") as connection:
            yield HeldTurn(self, connection, _there(self._rows.lock_head(connection)))

    def append_on(
        self, connection: Connection, size: int, entries: Sequence[NewEntry], changes: Sequence[Change]
    ) -> None:
        """Append on ``connection`` and commit, as :meth:`append`: for whoever holds this store's lock."""
        try:
            with translated(self._engine, f"appending {len(entries)} entries"):
                self._add(connection, size, entries, changes)
                _commit(connection)
        except LostConnectionError:
            connection.invalidate()
            self._await_lost()
            raise
        # From here on the entries are durable, whether or not anybody is told.
        self._reached("store.append.committed")

    def _add(
        self, connection: Connection, size: int, entries: Sequence[NewEntry], changes: Sequence[Change]
    ) -> None:
        assert all(entry.seq == size + place for place, entry in enumerate(entries)), "seqs have a gap"
        self._move_head(connection, size, size + len(entries))
        self._reached("store.append.guarded")
        refused = (exc.IntegrityError, self._engine.dialect.loaded_dbapi.IntegrityError)
        try:
            self._rows.insert(connection, entries)
        except refused as error:
            raise ConflictError(f"an entry at or after {size} is taken: {explain(error)}") from error
        self._reached("store.append.inserted")
        try:
            make_changes(connection, changes)
        except refused as error:
            raise ConflictError(f"a change beside the log is refused: {explain(error)}") from error
        # A process that dies up to here has appended nothing: the transaction was never committed.
        self._reached("store.append.changed")

    def _move_head(self, connection: Connection, expected_size: int, new_size: int) -> None:
        moved = connection.exec_driver_sql(
            f"UPDATE ledger_head SET size = {self._mark} WHERE id = 1 AND size = {self._mark}",
            (new_size, expected_size),
        )
        if moved.rowcount != 1:
            raise ForkError(f"the log does not end at {expected_size}: another writer has appended to it")

    def _await_lost(self) -> None:
        """Wait until the server is done with the transaction whose connection was lost.

        It may be committing still, and whoever looked at the log before it ends would see too little. It holds the head
        row as long, so the turn comes when it has ended, one way or the other.
        """
        with suppress(StoreError), open_write(self._engine, "waiting for a lost transaction") as connection:
            self._rows.lock_head(connection)

    def fetch_by_uids(self, uids: Sequence[str]) -> dict[str, StoredEntry]:
        """Those of ``uids`` that are taken, with their entries."""
        with begin_query(self._engine, "looking up uids") as connection:
            rows = self._rows.fetch_by_uids(connection, uids)
        return {row[1]: _stored(row) for row in rows}

    def fetch_range(self, start: int, end: int) -> Iterator[StoredEntry]:
        """Entries ``start <= seq < end`` in order, streamed in pages; entries that are not there are left out."""
        while start < end:
            page_end = min(end, start + PAGE_ROWS)
            rows = self._fetch("seq, uid, leaf_hash, data", start, page_end)
            yield from map(_stored, rows)
            start = page_end

    def fetch_state(self, start: int = 0) -> Iterator[StoredEntry]:
        """Every entry from ``start`` on that was appended with ``bears_state``, in order, streamed in pages."""
        after = start - 1
        while True:
            with begin_query(self._engine, "reading the state") as connection:
                rows = self._rows.fetch(
                    connection,
                    "SELECT seq, uid, leaf_hash, data FROM entries "
                    f"WHERE bears_state AND seq > {self._mark} ORDER BY seq LIMIT {PAGE_ROWS}",
                    (after,),
                )
            yield from map(_stored, rows)
            if len(rows) < PAGE_ROWS:
                return
            after = rows[-1][0]

    def leaf_hashes(self, start: int, end: int) -> bytes:
        """The leaf hashes of ``start <= seq < end``, 32 bytes each, joined."""
        return b"".join([as_bytes(row[0]) for row in self._fetch("leaf_hash", start, end)])

    def leaf_hashes_at(self, seqs: Sequence[int]) -> dict[int, bytes]:
        """The leaf hashes of the entries at ``seqs``, in any order; those that are not there are left out."""
        hashes: dict[int, bytes] = {}
        # One is below 2^53; of others the database would say that they are too large.
        asked = sorted({seq for seq in seqs if seq <= INTEGER_MAX})
        with begin_query(self._engine, "reading leaf hashes") as connection:
            for at in range(0, len(asked), PAGE_ROWS):
                part = tuple(asked[at : at + PAGE_ROWS])
                marks = ", ".join([self._mark] * len(part))
                query = f"SELECT seq, leaf_hash FROM entries WHERE seq IN ({marks})"
                hashes.update(
                    (seq, as_bytes(value)) for seq, value in self._rows.fetch(connection, query, part)
                )
        return hashes

    def _fetch(self, columns: str, start: int, end: int) -> Sequence[Any]:
        with begin_query(self._engine, f"reading entries {start} to {end}") as connection:
            return self._rows.fetch(
                connection,
                f"SELECT {columns} FROM entries WHERE seq >= {self._mark} AND seq < {self._mark} ORDER BY seq",
                (start, end),
            )

    def load_tile(self, path: str) -> bytes | None:
        """A stored hash tile by its path (``tile/0/005.p/3``), or None."""
        with begin_query(self._engine, f"reading {path}") as connection:
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
        with begin_query(self._engine, "reading the published checkpoint") as connection:
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


class HeldTurn:
    """The turn to write, held on ``connection``: a :class:`~ledger.ports.Turn`."""

    __slots__ = ("_connection", "_is_over", "_store", "size")

    def __init__(self, store: SqlEntryStore, connection: Connection, size: int) -> None:
        self._store = store
        self._connection = connection
        self._is_over = False
        self.size = size

    def append(self, entries: Sequence[NewEntry], changes: Sequence[Change] = ()) -> None:
        """Add ``entries`` at :attr:`size` and make ``changes``, durable on return; raises as :meth:`SqlEntryStore.append`."""
        assert not self._is_over, "a turn is for one append"
        self._is_over = True
        self._store.append_on(self._connection, self.size, entries, changes)


def _there(size: int | None) -> int:
    if size is None:
        raise ForkError("the ledger's head row is gone: somebody edited the database; run `verify`")
    return size
