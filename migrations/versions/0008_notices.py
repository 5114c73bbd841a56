"""Notices to people, and the obligations of developers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BIG_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


ID = _text(64)
WORD = _text(16)


def upgrade() -> None:
    """Create the tables, empty."""
    op.create_table(
        "service_contacts",
        sa.Column("account", ID, primary_key=True),
        sa.Column("medium", WORD, primary_key=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at_ms", BIG_INTEGER, nullable=False),
    )
    _create_notices()
    _create_obligations()
    op.create_table(
        "service_obligation_lines",
        sa.Column("obligation", ID, primary_key=True),
        sa.Column("place", BIG_INTEGER, primary_key=True, autoincrement=False),
        sa.Column("delivery", ID, nullable=False),
        sa.Column("attempt", BIG_INTEGER, nullable=False),
        sa.Column("account", ID, nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
    )
    for column in ("delivery", "account"):
        op.create_index(f"ix_service_obligation_lines_{column}", "service_obligation_lines", [column])
    op.create_table(
        "service_attestations",
        sa.Column("attestation", ID, primary_key=True),
        sa.Column("obligation", ID, nullable=False),
        sa.Column("key", ID, nullable=False),
        sa.Column("received_at_ms", BIG_INTEGER, nullable=False),
        sa.Column("claims", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ix_service_attestations_obligation", "service_attestations", ["obligation"])
    op.create_table(
        "service_obligation_remarks",
        sa.Column("obligation", ID, primary_key=True),
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "service_cursors",
        sa.Column("name", ID, primary_key=True),
        sa.Column("size", BIG_INTEGER, nullable=False),
    )


def _create_notices() -> None:
    op.create_table(
        "service_incident_notices",
        sa.Column("notice", ID, primary_key=True),
        sa.Column("incident", ID, nullable=False),
        sa.Column("account", ID, nullable=False),
        sa.Column("medium", WORD, nullable=False),
        sa.Column("template", ID, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("due_at_ms", BIG_INTEGER, nullable=False),
        sa.Column("queued_at_ms", BIG_INTEGER, nullable=False),
        sa.Column("sent_at_ms", BIG_INTEGER),
        sa.Column("read_at_ms", BIG_INTEGER),
        sa.Column("reason", ID),
        sa.Column("lease_owner", _text(128), nullable=False),
        sa.Column("lease_until_ms", BIG_INTEGER, nullable=False),
    )
    table = "service_incident_notices"
    op.create_index(f"ix_{table}_account", table, ["account", "medium", "notice"])
    op.create_index(f"ix_{table}_incident", table, ["incident", "notice"])
    for name, columns, condition in (
        ("waiting", ["medium", "due_at_ms", "notice"], sa.text("state = 'waiting'")),
        ("sending", ["lease_until_ms"], sa.text("state = 'sending'")),
    ):
        op.create_index(
            f"ix_{table}_{name}", table, columns, sqlite_where=condition, postgresql_where=condition
        )


def _create_obligations() -> None:
    op.create_table(
        "service_obligations",
        sa.Column("obligation", ID, primary_key=True),
        sa.Column("incident", ID, nullable=False),
        sa.Column("developer", ID, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("tree_size", BIG_INTEGER, nullable=False),
        sa.Column("deliveries", BIG_INTEGER, nullable=False),
        sa.Column("list_root", ID, nullable=False),
        sa.Column("opened_at_ms", BIG_INTEGER, nullable=False),
        sa.Column("acknowledge_by_ms", BIG_INTEGER, nullable=False),
        sa.Column("delete_by_ms", BIG_INTEGER, nullable=False),
        sa.Column("attest_by_ms", BIG_INTEGER, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("acknowledged_at_ms", BIG_INTEGER),
        sa.Column("reported_at_ms", BIG_INTEGER),
        sa.Column("attested_at_ms", BIG_INTEGER),
        sa.Column("attested_version", BIG_INTEGER),
        sa.Column("attestation", ID),
        sa.Column("overdue", sa.Text(), nullable=False),
        sa.Column("steps", sa.Text(), nullable=False),
        sa.Column("held_from", WORD),
        sa.Column("held_since_ms", BIG_INTEGER),
        sa.Column("held_total_ms", BIG_INTEGER, nullable=False),
        sa.Column("contradicted_by", BIG_INTEGER),
    )
    for column in ("developer", "incident"):
        op.create_index(
            f"ix_service_obligations_{column}",
            "service_obligations",
            [column, "opened_at_ms", "obligation"],
        )


def downgrade() -> None:
    """Drop the tables: who was told what, and who had to delete what, then stands in the log alone."""
    for table in (
        "service_cursors",
        "service_obligation_remarks",
        "service_attestations",
        "service_obligation_lines",
        "service_obligations",
        "service_incident_notices",
        "service_contacts",
    ):
        op.drop_table(table)
