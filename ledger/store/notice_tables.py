"""The tables of notices about incidents and of developers' obligations (incidents and exports, sections 5.2 and 5.3).

People stand in them as tags. Addresses are sealed under the person's key, attestations and remarks under the operator's:
they name people. Rows come and go through :mod:`ledger.store.notices` and :mod:`ledger.store.obligations`.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

from ledger.store.service_tables import ID, LONG_ID
from ledger.store.tables import BIG_INTEGER, exact_text

HEX_HASH = exact_text(64)
WORD = exact_text(16)


def _some(name: str, *columns: str, where: str) -> Index:
    condition = text(where)
    return Index(name, *columns, sqlite_where=condition, postgresql_where=condition)


class ContactRow(SQLModel, table=True):
    """Where a person is reached."""

    __tablename__ = "service_contacts"

    account: str = Field(sa_column=Column(ID, primary_key=True))
    medium: str = Field(sa_column=Column(WORD, primary_key=True))
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    updated_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))


class IncidentNoticeRow(SQLModel, table=True):
    """A notice; ``notice`` is made of incident, person and medium, so that there is one of each."""

    __tablename__ = "service_incident_notices"
    __table_args__ = (
        Index("ix_service_incident_notices_account", "account", "medium", "notice"),
        Index("ix_service_incident_notices_incident", "incident", "notice"),
        _some(
            "ix_service_incident_notices_waiting",
            "medium",
            "due_at_ms",
            "notice",
            where="state = 'waiting'",
        ),
        _some("ix_service_incident_notices_sending", "lease_until_ms", where="state = 'sending'"),
    )

    notice: str = Field(sa_column=Column(ID, primary_key=True))
    incident: str = Field(sa_column=Column(ID, nullable=False))
    account: str = Field(sa_column=Column(ID, nullable=False))
    medium: str = Field(sa_column=Column(WORD, nullable=False))
    template: str = Field(sa_column=Column(HEX_HASH, nullable=False))
    revision: int = Field(sa_column=Column(Integer, nullable=False))
    summary: str = Field(sa_column=Column(Text, nullable=False))
    state: str = Field(sa_column=Column(WORD, nullable=False))
    attempt: int = Field(sa_column=Column(Integer, nullable=False))
    due_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    queued_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    sent_at_ms: int | None = Field(sa_column=Column(BIG_INTEGER))
    read_at_ms: int | None = Field(sa_column=Column(BIG_INTEGER))
    reason: str | None = Field(sa_column=Column(ID))
    lease_owner: str = Field(sa_column=Column(LONG_ID, nullable=False))
    lease_until_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))


class ObligationRow(SQLModel, table=True):
    """An obligation; the lists are JSON arrays."""

    __tablename__ = "service_obligations"
    __table_args__ = (
        Index("ix_service_obligations_developer", "developer", "opened_at_ms", "obligation"),
        Index("ix_service_obligations_incident", "incident", "opened_at_ms", "obligation"),
    )

    obligation: str = Field(sa_column=Column(ID, primary_key=True))
    incident: str = Field(sa_column=Column(ID, nullable=False))
    developer: str = Field(sa_column=Column(ID, nullable=False))
    revision: int = Field(sa_column=Column(Integer, nullable=False))
    tree_size: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    deliveries: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    list_root: str = Field(sa_column=Column(HEX_HASH, nullable=False))
    opened_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    acknowledge_by_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    delete_by_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    attest_by_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    state: str = Field(sa_column=Column(WORD, nullable=False))
    version: int = Field(sa_column=Column(Integer, nullable=False))
    acknowledged_at_ms: int | None = Field(sa_column=Column(BIG_INTEGER))
    reported_at_ms: int | None = Field(sa_column=Column(BIG_INTEGER))
    attested_at_ms: int | None = Field(sa_column=Column(BIG_INTEGER))
    attested_version: int | None = Field(sa_column=Column(BIG_INTEGER))
    attestation: str | None = Field(sa_column=Column(HEX_HASH))
    overdue: str = Field(sa_column=Column(Text, nullable=False))
    steps: str = Field(sa_column=Column(Text, nullable=False))
    held_from: str | None = Field(sa_column=Column(WORD))
    held_since_ms: int | None = Field(sa_column=Column(BIG_INTEGER))
    held_total_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    contradicted_by: int | None = Field(sa_column=Column(BIG_INTEGER))


class ObligationLineRow(SQLModel, table=True):
    """One delivery on an obligation's list; ``line`` is what the developer sees, the rest is to find it by."""

    __tablename__ = "service_obligation_lines"
    __table_args__ = (
        Index("ix_service_obligation_lines_delivery", "delivery"),
        Index("ix_service_obligation_lines_account", "account"),
    )

    obligation: str = Field(sa_column=Column(ID, primary_key=True))
    place: int = Field(sa_column=Column(BIG_INTEGER, primary_key=True, autoincrement=False))
    delivery: str = Field(sa_column=Column(ID, nullable=False))
    attempt: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    account: str = Field(sa_column=Column(ID, nullable=False))
    line: str = Field(sa_column=Column(Text, nullable=False))


class AttestationRow(SQLModel, table=True):
    """A signed statement of a developer, as it came."""

    __tablename__ = "service_attestations"
    __table_args__ = (Index("ix_service_attestations_obligation", "obligation"),)

    attestation: str = Field(sa_column=Column(HEX_HASH, primary_key=True))
    obligation: str = Field(sa_column=Column(ID, nullable=False))
    key: str = Field(sa_column=Column(HEX_HASH, nullable=False))
    received_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    claims: str = Field(sa_column=Column(Text, nullable=False))
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class RemarkRow(SQLModel, table=True):
    """Words behind the commitment of an obligation's entry."""

    __tablename__ = "service_obligation_remarks"

    obligation: str = Field(sa_column=Column(ID, primary_key=True))
    version: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class CursorRow(SQLModel, table=True):
    """How far a reader of the log has come."""

    __tablename__ = "service_cursors"

    name: str = Field(sa_column=Column(ID, primary_key=True))
    size: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
