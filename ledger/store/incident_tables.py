"""The tables of incidents, beside those of the log and the service (incidents and exports, section 5.1).

People stand in them as tags. What people wrote stands beside the salt of its commitment, since an operator must be able to
show it; nothing in a frozen finding set is more than what entries say in clear. Rows come and go through
:mod:`ledger.store.incidents` and :mod:`ledger.store.finding_sets`; every index is there for one of their queries.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, Text
from sqlmodel import Field, SQLModel

from ledger.store.service_tables import ID
from ledger.store.tables import BIG_INTEGER, exact_text

WORD = exact_text(16)
UID = exact_text(320)
HEX = exact_text(64)
"""A SHA-256 in hex."""


class IncidentRow(SQLModel, table=True):
    """An incident; ``cause_of`` is empty where the cause is of the whole fleet."""

    __tablename__ = "service_incidents"
    __table_args__ = (Index("ix_service_incidents_cause", "cause", "cause_of", "opened_at_ms"),)

    incident: str = Field(sa_column=Column(ID, primary_key=True))
    cause: str = Field(sa_column=Column(ID, nullable=False))
    cause_of: str = Field(sa_column=Column(ID, nullable=False))
    from_entry: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    status: str = Field(sa_column=Column(WORD, nullable=False))
    revision: int = Field(sa_column=Column(Integer, nullable=False))
    opened_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    updated_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))


class IncidentEventRow(SQLModel, table=True):
    """One entry about an incident, and the words behind its commitments; ``number`` is the order of recording."""

    __tablename__ = "service_incident_events"
    __table_args__ = (
        Index("ix_service_incident_events_incident", "incident", "number"),
        {"sqlite_autoincrement": True},
    )

    number: int = Field(sa_column=Column(BIG_INTEGER, primary_key=True, autoincrement=True))
    incident: str = Field(sa_column=Column(ID, nullable=False))
    kind: str = Field(sa_column=Column(WORD, nullable=False))
    uid: str = Field(sa_column=Column(UID, nullable=False, unique=True))
    name: str = Field(sa_column=Column(ID, nullable=False))
    actor: str = Field(sa_column=Column(exact_text(128), nullable=False))
    at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    told_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    text: str | None = Field(sa_column=Column(Text))
    salt: bytes | None = Field(sa_column=Column(LargeBinary))
    detail: str | None = Field(sa_column=Column(ID))
    reasons: str | None = Field(sa_column=Column(Text))
    reasons_salt: bytes | None = Field(sa_column=Column(LargeBinary))


class IncidentUpdateRow(SQLModel, table=True):
    """A public update."""

    __tablename__ = "service_incident_updates"

    incident: str = Field(sa_column=Column(ID, primary_key=True))
    number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    text: str = Field(sa_column=Column(Text, nullable=False))
    text_sha256: str = Field(sa_column=Column(HEX, nullable=False))
    published_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))


class StagingRow(SQLModel, table=True):
    """A finding set that is being staged; gone when it was frozen."""

    __tablename__ = "service_incident_stagings"
    __table_args__ = (
        Index("ix_service_incident_stagings_begun", "begun_at_ms"),
        {"sqlite_autoincrement": True},
    )

    staging: int = Field(sa_column=Column(BIG_INTEGER, primary_key=True, autoincrement=True))
    incident: str = Field(sa_column=Column(ID, nullable=False))
    begun_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))


class AssessmentRow(SQLModel, table=True):
    """A frozen finding set, whose lines are those of ``staging``; ``query`` and ``breakdown`` are JSON."""

    __tablename__ = "service_incident_assessments"

    incident: str = Field(sa_column=Column(ID, primary_key=True))
    revision: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    staging: int = Field(sa_column=Column(BIG_INTEGER, nullable=False, unique=True))
    tree_size: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    root: str = Field(sa_column=Column(HEX, nullable=False))
    rule_set: str = Field(sa_column=Column(ID, nullable=False))
    rule_set_sha256: str = Field(sa_column=Column(HEX, nullable=False))
    query: str = Field(sa_column=Column(Text, nullable=False))
    findings: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    findings_root: str = Field(sa_column=Column(HEX, nullable=False))
    window_from_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    window_to_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    accounts_definite: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    accounts_possible: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    others_definite: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    others_possible: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    people: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    deliveries: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    copies: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    active_accounts: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    breakdown: str = Field(sa_column=Column(Text, nullable=False))
    assessed_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))


class ExposedRow(SQLModel, table=True):
    """One line of a finding set; the lists are JSON arrays."""

    __tablename__ = "service_incident_deliveries"
    __table_args__ = (
        Index("ix_service_incident_deliveries_receiver", "staging", "received_by", "position"),
        {"sqlite_with_rowid": False},
    )

    staging: int = Field(sa_column=Column(BIG_INTEGER, primary_key=True, autoincrement=False))
    position: int = Field(sa_column=Column(BIG_INTEGER, primary_key=True, autoincrement=False))
    delivery: str | None = Field(sa_column=Column(ID))
    attempt: int | None = Field(sa_column=Column(BIG_INTEGER))
    code: str = Field(sa_column=Column(ID, nullable=False))
    verdict: str | None = Field(sa_column=Column(ID))
    evidence: str = Field(sa_column=Column(WORD, nullable=False))
    account: str | None = Field(sa_column=Column(ID))
    subjects: str = Field(sa_column=Column(Text, nullable=False))
    developer: str | None = Field(sa_column=Column(ID))
    received_by: str | None = Field(sa_column=Column(ID))
    candidates: str = Field(sa_column=Column(Text, nullable=False))
    app: str | None = Field(sa_column=Column(ID))
    endpoint: str | None = Field(sa_column=Column(ID))
    event_type: str | None = Field(sa_column=Column(ID))
    private: bool | None = Field(sa_column=Column(Boolean))
    started_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    seqs: str = Field(sa_column=Column(Text, nullable=False))


class AffectedRow(SQLModel, table=True):
    """Somebody affected by a finding set; the lists are JSON arrays."""

    __tablename__ = "service_incident_people"
    __table_args__ = (
        Index("ix_service_incident_people_account", "account", "staging"),
        {"sqlite_with_rowid": False},
    )

    staging: int = Field(sa_column=Column(BIG_INTEGER, primary_key=True, autoincrement=False))
    account: str = Field(sa_column=Column(ID, primary_key=True))
    is_definite: bool = Field(sa_column=Column(Boolean, nullable=False))
    is_granting: bool = Field(sa_column=Column(Boolean, nullable=False))
    is_other: bool = Field(sa_column=Column(Boolean, nullable=False))
    deliveries: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    first_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    last_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    received_by: str = Field(sa_column=Column(Text, nullable=False))
    event_types: str = Field(sa_column=Column(Text, nullable=False))
    private: bool = Field(sa_column=Column(Boolean, nullable=False))


class PolicyRow(SQLModel, table=True):
    """A policy that an entry set; ``number`` is the order of recording, the last of its name holds."""

    __tablename__ = "service_policies"
    __table_args__ = ({"sqlite_autoincrement": True},)

    number: int = Field(sa_column=Column(BIG_INTEGER, primary_key=True, autoincrement=True))
    policy: str = Field(sa_column=Column(ID, nullable=False))
    jurisdiction: str = Field(sa_column=Column(ID, nullable=False))
    period_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    set_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    uid: str = Field(sa_column=Column(UID, nullable=False, unique=True))
