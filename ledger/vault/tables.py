"""The vault's tables, beside the ledger's (ledger format, section 1.2).

Everything in them is keyed or sealed under the operator's key, which lies elsewhere; of a person only the random tag
is in clear, as in the log. Rows come through :mod:`ledger.vault.subjects`.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Integer, LargeBinary, String
from sqlmodel import Field, SQLModel


class VaultKeyRow(SQLModel, table=True):
    """One row: a value that only the operator's key of this vault gives, so that another key is noticed."""

    __tablename__ = "vault_key"
    __table_args__ = (CheckConstraint("id = 1", name="ck_vault_key_one_row"),)

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    key_check: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class SubjectRow(SQLModel, table=True):
    """A person or business: ``lookup`` is a keyed hash of its id, ``sealed`` its tag, subject key and id."""

    __tablename__ = "vault_subjects"

    lookup: bytes = Field(sa_column=Column(LargeBinary(32), primary_key=True))
    tag: str = Field(sa_column=Column(String(34), nullable=False, unique=True))
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class ErasedRow(SQLModel, table=True):
    """A suppression mark, a keyed hash of an erased id; ``number`` ascends, so that news of erasures is cheap."""

    __tablename__ = "vault_erased"
    __table_args__ = ({"sqlite_autoincrement": True},)

    number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=True))
    mark: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False, unique=True))
