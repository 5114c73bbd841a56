"""The tables of the ledger's database, as SQLModel definitions.

``entries`` is the log; no row of it ever changes (triggers of the first migration refuse it), and only ``data`` is
evidence: every other column repeats something so that it can be looked up. ``ledger_head`` is one row that carries
the guard of every append. Tiles and the published checkpoint are derived and kept because they are promises.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, Integer, LargeBinary, String, text
from sqlmodel import Field, SQLModel

BIG_INTEGER = BigInteger().with_variant(Integer, "sqlite")
"""64 bits on every database; SQLite's row id must be declared INTEGER."""


def exact_text(length: int) -> String:
    """A text of at most ``length`` characters that is compared by its bytes on every database, whatever its language."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


class EntryRow(SQLModel, table=True):
    """One entry: its place, its ``uid``, its leaf hash (32 bytes) and its canonical bytes."""

    __tablename__ = "entries"
    __table_args__ = (
        Index(
            "ix_entries_state",
            "seq",
            sqlite_where=text("bears_state"),
            postgresql_where=text("bears_state"),
        ),
    )

    seq: int = Field(sa_column=Column(BIG_INTEGER, primary_key=True, autoincrement=False))
    uid: str = Field(sa_column=Column(exact_text(320), nullable=False, unique=True))
    leaf_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    bears_state: bool = Field(sa_column=Column(Boolean, nullable=False))
    data: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class HeadRow(SQLModel, table=True):
    """How many entries there are: the one row that an append moves, and only from the size that it expects."""

    __tablename__ = "ledger_head"
    __table_args__ = (CheckConstraint("id = 1", name="ck_ledger_head_one_row"),)

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    size: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))


class TileRow(SQLModel, table=True):
    """A hash tile by its path; immutable."""

    __tablename__ = "tiles"

    path: str = Field(sa_column=Column(exact_text(64), primary_key=True))
    data: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class CheckpointRow(SQLModel, table=True):
    """The last published checkpoint: one row that only moves forward."""

    __tablename__ = "published_checkpoint"
    __table_args__ = (CheckConstraint("id = 1", name="ck_published_checkpoint_one_row"),)

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    tree_size: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    checkpoint: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
