"""Database engines for the store: one way to read, to write and to fail, whatever the database.

:mod:`ledger.store.sqlite` and :mod:`ledger.store.postgresql` say how a connection is set up and what a failure means;
here is what both have in common. A transaction that writes is opened with :func:`begin_write`, one that only reads with
:func:`begin_read`, which neither database lets write.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from sqlalchemy import Connection, Engine, exc

from ledger.errors import StoreError
from ledger.store import postgresql, sqlite
from ledger.store.address import is_server, parse_address, show_address

BUSY_TIMEOUT_MS = 10_000


class LostConnectionError(StoreError):
    """The connection ended on the way: whether what was being written became durable, only a look can tell."""


def open_engine(url: str, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> Engine:
    """An engine for the database ``url`` (``sqlite:///path`` or ``postgresql://…``); connects to nothing yet.

    A write waits at most ``busy_timeout_ms`` for another process's. Its connections are safe for use by any number of
    threads, one at a time each; the engine does not cross into another process.

    Raises SettingsError when ``url`` is not the URL of a database that the store can use.
    """
    address = parse_address(url)
    create = postgresql.create if is_server(address) else sqlite.create
    return create(address, busy_timeout_ms)


@contextmanager
def begin_read(engine: Engine, doing: str) -> Iterator[Connection]:
    """A connection in a transaction that only reads; failures become StoreError, ``doing`` says of what."""
    with translated(engine, doing), engine.connect() as opened:
        yield opened.execution_options(postgresql_readonly=True) if is_server(engine.url) else opened


@contextmanager
def begin_query(engine: Engine, doing: str) -> Iterator[Connection]:
    """As :func:`begin_read`, for a block of one query, which needs no transaction around it: two round trips less."""
    with translated(engine, doing), engine.connect() as opened:
        yield opened.execution_options(isolation_level="AUTOCOMMIT") if is_server(engine.url) else opened


@contextmanager
def begin_write(engine: Engine, doing: str) -> Iterator[Connection]:
    """A connection in a transaction that may write; commits at the end, rolls back on an exception.

    On SQLite it holds the database's write lock from its beginning, on PostgreSQL nothing before its first statement.
    Failures of the database become StoreError, ``doing`` says of what.
    """
    with open_write(engine, doing) as connection, connection.begin():
        yield connection


@contextmanager
def open_write(engine: Engine, doing: str) -> Iterator[Connection]:
    """As :func:`begin_write`, but only what the block commits itself stays."""
    turn = nullcontext() if is_server(engine.url) else sqlite.turn_of(engine)
    with turn, translated(engine, doing), engine.connect() as opened:
        yield opened.execution_options(**{sqlite.WRITE_OPTION: True})


@contextmanager
def translated(engine: Engine, doing: str) -> Iterator[None]:
    """Turn the database's exceptions into StoreError with what was tried, what failed and what to do."""
    driver_error: type[Exception] = engine.dialect.loaded_dbapi.Error
    try:
        yield
    except (exc.SQLAlchemyError, driver_error) as error:
        kind = LostConnectionError if postgresql.is_lost(_origin(error)) else StoreError
        raise kind(f"{doing}: {explain(error)} ({show_address(engine.url)})") from error


def explain(error: BaseException) -> str:
    """What failed and what to do about it, in one line that repeats no row's values."""
    origin = _origin(error)
    text = postgresql.text_of(origin) or str(origin).strip() or type(origin).__name__
    fix = sqlite.fix_of(origin) or postgresql.fix_of(origin)
    return f"{text}; {fix}" if fix else text


def _origin(error: BaseException) -> BaseException:
    """The driver's own exception, where ``error`` is wrapped around one."""
    origin = getattr(error, "orig", None)
    return origin if isinstance(origin, BaseException) else error
