"""The table of exports, beside those of the log (exports, section 5.5).

It says which exports there are and what became of them; what is in one, and for whom, stands in its own files.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, Text
from sqlmodel import Field, SQLModel

from ledger.store.service_tables import ID
from ledger.store.tables import BIG_INTEGER, exact_text

ACTOR = exact_text(128)
DIGEST = exact_text(64)


class ExportRow(SQLModel, table=True):
    """An export; hashes in hex, ``query`` is its filter and ``recipients`` are X25519 keys in hex."""

    __tablename__ = "service_exports"
    __table_args__ = (Index("ix_service_exports_created", "created_at_ms", "export"),)

    export: str = Field(sa_column=Column(ID, primary_key=True))
    state: str = Field(sa_column=Column(exact_text(16), nullable=False))
    manifest: str = Field(sa_column=Column(DIGEST, nullable=False))
    query: str = Field(sa_column=Column(Text, nullable=False))
    tree_size: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    entries: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    recipients: str = Field(sa_column=Column(Text, nullable=False))
    incident: str | None = Field(sa_column=Column(ID))
    requested_by: str = Field(sa_column=Column(ACTOR, nullable=False))
    decided_by: str | None = Field(sa_column=Column(ACTOR))
    created_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    decided_at_ms: int | None = Field(sa_column=Column(BIG_INTEGER))
    sealed_at_ms: int | None = Field(sa_column=Column(BIG_INTEGER))
    file_sha256: str | None = Field(sa_column=Column(DIGEST))
    file_bytes: int | None = Field(sa_column=Column(BIG_INTEGER))
