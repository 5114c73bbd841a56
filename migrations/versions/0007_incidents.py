"""Incidents: their state, their frozen findings, and the words behind their commitments; and the policies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

BIG_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _exact_text(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


ID = _exact_text(64)
WORD = _exact_text(16)
LONG_ID = _exact_text(128)
UID = _exact_text(320)

TABLES = (
    "service_incidents",
    "service_incident_events",
    "service_incident_updates",
    "service_incident_stagings",
    "service_incident_assessments",
    "service_incident_deliveries",
    "service_incident_people",
    "service_policies",
)


def upgrade() -> None:
    """Create the tables, all empty."""
    create_incidents()
    create_finding_sets()


def create_incidents() -> None:
    """Incidents, their entries' words, their updates; policies."""
    op.create_table(
        "service_incidents",
        sa.Column("incident", ID, primary_key=True),
        sa.Column("cause", ID, nullable=False),
        sa.Column("cause_of", ID, nullable=False),
        sa.Column("from_entry", BIG_INTEGER, nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("opened_at_ms", BIG_INTEGER, nullable=False),
        sa.Column("updated_at_ms", BIG_INTEGER, nullable=False),
    )
    op.create_index("ix_service_incidents_cause", "service_incidents", ["cause", "cause_of", "opened_at_ms"])
    op.create_table(
        "service_incident_events",
        sa.Column("number", BIG_INTEGER, primary_key=True, autoincrement=True),
        sa.Column("incident", ID, nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("uid", UID, nullable=False, unique=True),
        sa.Column("name", ID, nullable=False),
        sa.Column("actor", LONG_ID, nullable=False),
        sa.Column("at_ms", BIG_INTEGER, nullable=False),
        sa.Column("told_at_ms", BIG_INTEGER, nullable=False),
        sa.Column("text", sa.Text()),
        sa.Column("salt", sa.LargeBinary()),
        sa.Column("detail", ID),
        sa.Column("reasons", sa.Text()),
        sa.Column("reasons_salt", sa.LargeBinary()),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_service_incident_events_incident", "service_incident_events", ["incident", "number"])
    op.create_table(
        "service_incident_updates",
        sa.Column("incident", ID, primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("text_sha256", ID, nullable=False),
        sa.Column("published_at_ms", BIG_INTEGER, nullable=False),
    )
    op.create_table(
        "service_policies",
        sa.Column("number", BIG_INTEGER, primary_key=True, autoincrement=True),
        sa.Column("policy", ID, nullable=False),
        sa.Column("jurisdiction", ID, nullable=False),
        sa.Column("period_ms", BIG_INTEGER, nullable=False),
        sa.Column("set_at_ms", BIG_INTEGER, nullable=False),
        sa.Column("uid", UID, nullable=False, unique=True),
        sqlite_autoincrement=True,
    )


def create_finding_sets() -> None:
    """Sets that are staged, sets that are frozen, and their lines."""
    op.create_table(
        "service_incident_stagings",
        sa.Column("staging", BIG_INTEGER, primary_key=True, autoincrement=True),
        sa.Column("incident", ID, nullable=False),
        sa.Column("begun_at_ms", BIG_INTEGER, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_service_incident_stagings_begun", "service_incident_stagings", ["begun_at_ms"])
    op.create_table(
        "service_incident_assessments",
        sa.Column("incident", ID, primary_key=True),
        sa.Column("revision", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("staging", BIG_INTEGER, nullable=False, unique=True),
        sa.Column("tree_size", BIG_INTEGER, nullable=False),
        sa.Column("root", ID, nullable=False),
        sa.Column("rule_set", ID, nullable=False),
        sa.Column("rule_set_sha256", ID, nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("findings", BIG_INTEGER, nullable=False),
        sa.Column("findings_root", ID, nullable=False),
        sa.Column("window_from_ms", BIG_INTEGER, nullable=False),
        sa.Column("window_to_ms", BIG_INTEGER, nullable=False),
        sa.Column("accounts_definite", BIG_INTEGER, nullable=False),
        sa.Column("accounts_possible", BIG_INTEGER, nullable=False),
        sa.Column("others_definite", BIG_INTEGER, nullable=False),
        sa.Column("others_possible", BIG_INTEGER, nullable=False),
        sa.Column("people", BIG_INTEGER, nullable=False),
        sa.Column("deliveries", BIG_INTEGER, nullable=False),
        sa.Column("copies", BIG_INTEGER, nullable=False),
        sa.Column("active_accounts", BIG_INTEGER, nullable=False),
        sa.Column("breakdown", sa.Text(), nullable=False),
        sa.Column("assessed_at_ms", BIG_INTEGER, nullable=False),
    )
    op.create_table(
        "service_incident_deliveries",
        sa.Column("staging", BIG_INTEGER, primary_key=True, autoincrement=False),
        sa.Column("position", BIG_INTEGER, primary_key=True, autoincrement=False),
        sa.Column("delivery", ID),
        sa.Column("attempt", BIG_INTEGER),
        sa.Column("code", ID, nullable=False),
        sa.Column("verdict", ID),
        sa.Column("evidence", WORD, nullable=False),
        sa.Column("account", ID),
        sa.Column("subjects", sa.Text(), nullable=False),
        sa.Column("developer", ID),
        sa.Column("received_by", ID),
        sa.Column("candidates", sa.Text(), nullable=False),
        sa.Column("app", ID),
        sa.Column("endpoint", ID),
        sa.Column("event_type", ID),
        sa.Column("private", sa.Boolean()),
        sa.Column("started_at_ms", BIG_INTEGER, nullable=False),
        sa.Column("seqs", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_service_incident_deliveries_receiver",
        "service_incident_deliveries",
        ["staging", "received_by", "position"],
    )
    op.create_table(
        "service_incident_people",
        sa.Column("staging", BIG_INTEGER, primary_key=True, autoincrement=False),
        sa.Column("account", ID, primary_key=True),
        sa.Column("is_definite", sa.Boolean(), nullable=False),
        sa.Column("is_granting", sa.Boolean(), nullable=False),
        sa.Column("is_other", sa.Boolean(), nullable=False),
        sa.Column("deliveries", BIG_INTEGER, nullable=False),
        sa.Column("first_at_ms", BIG_INTEGER, nullable=False),
        sa.Column("last_at_ms", BIG_INTEGER, nullable=False),
        sa.Column("received_by", sa.Text(), nullable=False),
        sa.Column("event_types", sa.Text(), nullable=False),
        sa.Column("private", sa.Boolean(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_service_incident_people_account", "service_incident_people", ["account", "staging"])


def downgrade() -> None:
    """Drop the tables: the log keeps what was found when, and the words are gone."""
    for table in reversed(TABLES):
        op.drop_table(table)
