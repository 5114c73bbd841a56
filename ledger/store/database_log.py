"""The live database as a log to be verified (ledger format, sections 1.1 and 1.3).

Implements :class:`ledger.ports.LogSource`. Entries come in the order of their ``seq`` column, which is a claim like every
other column: what they say of themselves, and what their hashes give, decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, TextClause, text

from ledger.ports import Block
from ledger.store.address import show_address
from ledger.store.engine import begin_query, open_engine
from ledger.store.entries import SqlEntryStore, as_bytes


@dataclass(slots=True)
class DatabaseLog:
    """The log in the database at ``url``; each process opens its own connection at first use."""

    url: str = field(repr=False)
    _engine: Engine | None = field(default=None, repr=False)

    def __getstate__(self) -> Any:
        return self.url

    def __setstate__(self, state: Any) -> None:
        self.url, self._engine = state, None

    def _opened(self) -> Engine:
        if self._engine is None:
            self._engine = open_engine(self.url)
        return self._engine

    def _store(self) -> SqlEntryStore:
        return SqlEntryStore(self._opened())

    def close(self) -> None:
        """Close this process's connection."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def describe(self) -> str:
        """The database's address without its password."""
        return show_address(self._opened().url)

    def size_available(self) -> int:
        """One past the highest ``seq`` that a row claims."""
        with begin_query(self._opened(), "reading the size of the log") as connection:
            highest = connection.exec_driver_sql("SELECT MAX(seq) FROM entries").scalar()
        return 0 if highest is None else int(highest) + 1

    def checkpoint(self) -> bytes | None:
        """The published checkpoint, or None before the first seal."""
        return self._value(
            "reading the checkpoint", text("SELECT checkpoint FROM published_checkpoint WHERE id = 1")
        )

    def read_block(self, first: int, count: int) -> Block:
        """The rows with ``first <= seq < first + count``, with the leaf hashes that stand beside them."""
        rows = list(self._store().fetch_range(first, first + count))
        return Block(first, [row.data for row in rows], b"".join([row.leaf_hash for row in rows]))

    def read_bundle(self, index: int, into: memoryview) -> int | None:
        """None: a database keeps rows."""
        return None

    def read_tile(self, path: str) -> bytes | None:
        """A stored hash tile, or None where there is none."""
        query = text("SELECT data FROM tiles WHERE path = :path").bindparams(path=path)
        return self._value(f"reading {path}", query)

    def _value(self, doing: str, query: TextClause) -> bytes | None:
        with begin_query(self._opened(), doing) as connection:
            value = connection.execute(query).scalar()
        return None if value is None else as_bytes(value)
