"""The stored index of a ledger, joined from its parts."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Engine

from ledger.engines.stored_index import StoredIndex
from ledger.store.index_rows import SqlIndexRows, open_index_engine


def _no_step(step: str) -> None:
    """Pass by: outside tests nothing happens between two steps."""


def open_index(ledger_engine: Engine, reached: Callable[[str], None] = _no_step) -> StoredIndex:
    """The index of the ledger at ``ledger_engine``, for its sealer; ``reached`` is called at each step of a write."""
    return StoredIndex(SqlIndexRows(open_index_engine(ledger_engine), reached))
