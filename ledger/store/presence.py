"""Which processes send for one log: whether there is another one, at any moment (ledger format, section 1.5).

A process that hands out permits to send says so before the first one, for as long as it lives; whoever revokes asks
whether there is another one whose permits it cannot see. Where there is none it need not wait for any. The answer holds
for what was decided before it: a process that comes later reads the log first, and finds the revocation there.

On PostgreSQL it is a shared advisory lock on a connection of its own, which ends with the process. Beside a SQLite
database it is a shared lock on a file: a record lock, which the system lets go of when the process ends, and of which
those of the process itself are no hindrance to it. One :class:`Presence` for a database in each process therefore.
"""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path
from typing import IO, Protocol

from sqlalchemy import Connection, Engine, exc, text

from ledger.errors import StoreError
from ledger.store.address import is_server, parse_address
from ledger.store.engine import open_engine, translated

_LOCK = 0x676C_7365_6E64
"""The advisory lock of those who send; its halves are how the database lists it."""

_SHARE = text("SELECT pg_advisory_lock_shared(:lock)").bindparams(lock=_LOCK)
_COUNT = text(
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND CAST(classid AS BIGINT) = :high AND CAST(objid AS BIGINT) = :low"
).bindparams(high=_LOCK >> 32, low=_LOCK & 0xFFFF_FFFF)


class Presence(Protocol):
    """One process among those that send for a log. Safe from any thread."""

    def enter(self) -> None:
        """Say that this process sends from now on; called again it makes sure of it. Raises StoreError."""
        ...

    def is_alone(self) -> bool:
        """Whether surely no other process sends; False where that cannot be told."""
        ...

    def close(self) -> None:
        """Say that this process sends no more."""
        ...


def open_presence(database_url: str) -> Presence:
    """The presence of this process for the log in the database; raises SettingsError where the URL is unusable."""
    address = parse_address(database_url)
    if is_server(address):
        return _ServerPresence(open_engine(database_url))
    assert address.database is not None, "a database in a file has a name"
    return _FilePresence(Path(f"{address.database}.senders"))


class _FilePresence:
    """A record lock on a file beside the database."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._asking = threading.Lock()

    def enter(self) -> None:
        with self._asking:
            if self._file is not None:
                return
            try:
                self._file = self._path.open("a+b")
                # Waits while another process asks, which is over at once.
                fcntl.lockf(self._file, fcntl.LOCK_SH)
            except OSError as error:
                raise StoreError(f"{self._path} cannot be locked: {error.strerror}") from error

    def is_alone(self) -> bool:
        with self._asking:
            if self._file is None:
                return False
            try:
                # The step from shared to exclusive and back leaves no moment without a lock.
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
            fcntl.lockf(self._file, fcntl.LOCK_SH)
            return True

    def close(self) -> None:
        with self._asking:
            if self._file is not None:
                self._file.close()
                self._file = None


class _ServerPresence:
    """An advisory lock on a connection that does nothing else."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._asking = threading.Lock()

    def enter(self) -> None:
        with self._asking, translated(self._engine, "saying that this process sends"):
            if self._connection is not None and not self._is_held(self._connection):
                self._drop()
            if self._connection is None:
                opened = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
                opened.execute(_SHARE)
                self._connection = opened

    def is_alone(self) -> bool:
        with self._asking:
            if self._connection is None:
                return False
            try:
                return self._connection.execute(_COUNT).scalar() == 1
            except exc.SQLAlchemyError:
                self._drop()
                return False

    def close(self) -> None:
        with self._asking:
            self._drop()
            self._engine.dispose()

    def _is_held(self, connection: Connection) -> bool:
        try:
            return int(connection.execute(_COUNT).scalar() or 0) > 0
        except exc.SQLAlchemyError:
            return False

    def _drop(self) -> None:
        """End the connection itself, so that the lock does not live on in a pool."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
