"""The tables of the index over the log (:mod:`ledger.core.map_pages`, :mod:`ledger.core.key_tiles`).

Everything in them is derived from the entries and checked wherever it is read. On a PostgreSQL server they lie among the
ledger's own tables; on SQLite in a file of their own beside the ledger's, ``DB.index``, so that a seal that writes many
pages never holds the lock that appends wait for. They are therefore no part of the models that the migrations are
compared with.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, LargeBinary, MetaData, Table

from ledger.store.tables import exact_text

VERSION = 1
"""Of these tables and of what the bytes in them mean; a file with another one is made anew."""

TABLES = MetaData()

# One row: what the other tables hold.
INDEX_STATE = Table(
    "index_state",
    TABLES,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("map_size", BigInteger, nullable=False),
    Column("map_root", LargeBinary, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Column("note", LargeBinary),
    CheckConstraint("id = 1", name="ck_index_state_one_row"),
)

# Rows lie in the order of their keys (SQLite: WITHOUT ROWID), which is the order in which a seal reads and writes them.
INDEX_ROWS = Table(
    "index_rows",
    TABLES,
    Column("position", LargeBinary, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
INDEX_PAGES = Table(
    "index_pages",
    TABLES,
    Column("prefix", exact_text(64), primary_key=True),
    Column("data", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
INDEX_TILES = Table(
    "index_tiles",
    TABLES,
    Column("position", LargeBinary, primary_key=True),
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
