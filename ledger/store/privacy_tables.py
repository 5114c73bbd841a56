"""The tables of legal holds and of erasures under way (ledger format, sections 1.2 and 1.5).

People stand in them as tags. What somebody wrote (why a person asks, what a hold is for) is sealed: under the account's own
key where it is about an account that can be erased, so that it goes with the key, and under the operator's key for a hold.
Rows come and go through :mod:`ledger.store.privacy`.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary, text
from sqlmodel import Field, SQLModel

from ledger.store.service_tables import ID, LONG_ID
from ledger.store.tables import BIG_INTEGER, exact_text


class ErasureRow(SQLModel, table=True):
    """An erasure somebody asked for; ``salt`` opens the commitment ``request``, for whoever still has what was asked."""

    __tablename__ = "privacy_erasures"
    __table_args__ = (
        Index("ix_privacy_erasures_account", "account"),
        Index(
            "ux_privacy_erasures_open",
            "account",
            unique=True,
            sqlite_where=text("state = 'requested'"),
            postgresql_where=text("state = 'requested'"),
        ),
    )

    erasure: str = Field(sa_column=Column(ID, primary_key=True))
    account: str = Field(sa_column=Column(ID, nullable=False))
    basis: str = Field(sa_column=Column(exact_text(16), nullable=False))
    policy: str | None = Field(sa_column=Column(ID))
    request: str | None = Field(sa_column=Column(ID))
    salt: bytes | None = Field(sa_column=Column(LargeBinary))
    words_sealed: bytes | None = Field(sa_column=Column(LargeBinary))
    requested_by: str = Field(sa_column=Column(LONG_ID, nullable=False))
    requested_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    state: str = Field(sa_column=Column(exact_text(16), nullable=False))
    decided_by: str | None = Field(sa_column=Column(LONG_ID))
    decided_at_ms: int | None = Field(sa_column=Column(BIG_INTEGER))


class HoldRow(SQLModel, table=True):
    """A legal hold on an account (a tag), or on an incident; the other one is empty."""

    __tablename__ = "privacy_holds"
    __table_args__ = (Index("ix_privacy_holds_account", "account"),)

    hold: str = Field(sa_column=Column(ID, primary_key=True))
    account: str = Field(sa_column=Column(ID, primary_key=True))
    incident: str = Field(sa_column=Column(ID, primary_key=True))
    salt: bytes | None = Field(sa_column=Column(LargeBinary))
    words_sealed: bytes | None = Field(sa_column=Column(LargeBinary))
    placed_by: str = Field(sa_column=Column(LONG_ID, nullable=False))
    placed_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    until_ms: int | None = Field(sa_column=Column(BIG_INTEGER))
    lifted_by: str | None = Field(sa_column=Column(LONG_ID))
    lifted_at_ms: int | None = Field(sa_column=Column(BIG_INTEGER))
