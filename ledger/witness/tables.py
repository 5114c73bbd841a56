"""The tables of a witness's database, as SQLModel definitions; they share nothing with a ledger's.

``witness_cosigned`` is the one that everything rests on: a row for each log, which only a statement that names the state
before it may move.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


class WitnessTable(SQLModel, registry=registry()):
    """Base of the tables here, so that they are made apart from others."""


class KeyRow(WitnessTable, table=True):
    """A key that the witness trusts for the checkpoints of a log; a log has more than one while it rotates them."""

    __tablename__ = "witness_keys"

    vkey: str = Field(sa_column=Column(String(2_048), primary_key=True))
    origin: str = Field(sa_column=Column(String(512), nullable=False, index=True))
    added_at: int = Field(sa_column=Column(BigInteger, nullable=False))


class CosignedRow(WitnessTable, table=True):
    """The last checkpoint of a log that was cosigned: size, root, when (seconds), and the note as the log signed it."""

    __tablename__ = "witness_cosigned"

    origin: str = Field(sa_column=Column(String(512), primary_key=True))
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    root: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    cosigned_at: int = Field(sa_column=Column(BigInteger, nullable=False))
    note: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class EvidenceRow(WitnessTable, table=True):
    """Evidence against a log, named by a hash of its two checkpoints, so that the same is kept once."""

    __tablename__ = "witness_evidence"
    __table_args__ = (Index("ix_witness_evidence_origin", "origin"),)

    number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=True))
    name: str = Field(sa_column=Column(String(32), nullable=False, unique=True))
    origin: str = Field(sa_column=Column(String(512), ForeignKey("witness_cosigned.origin"), nullable=False))
    seen_at: int = Field(sa_column=Column(BigInteger, nullable=False))
    data: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
