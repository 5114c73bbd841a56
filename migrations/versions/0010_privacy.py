"""Legal holds and erasures under way."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

UNWEIGHED = {
    "vault_subjects": ("lookup", "sealed"),
    "service_events": ("body_sealed", "content"),
    "service_tokens": ("token_hash", "secret_sealed", "verifier_hash", "consent_text"),
    "service_api_keys": ("secret_hash",),
    "service_notices": ("mark", "text"),
    "service_incident_notices": ("summary",),
    "service_contacts": ("sealed",),
    "service_canaries": ("marker_hash", "sealed"),
    "privacy_erasures": ("salt", "words_sealed"),
}
"""Columns of which the server keeps no sample of values: it would outlive the rows (ledger format, section 1.2)."""

BIG_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables, empty."""
    op.create_table(
        "privacy_erasures",
        sa.Column("erasure", _text(64), primary_key=True),
        sa.Column("account", _text(64), nullable=False),
        sa.Column("basis", _text(16), nullable=False),
        sa.Column("policy", _text(64)),
        sa.Column("request", _text(64)),
        sa.Column("salt", sa.LargeBinary()),
        sa.Column("words_sealed", sa.LargeBinary()),
        sa.Column("requested_by", _text(128), nullable=False),
        sa.Column("requested_at_ms", BIG_INTEGER, nullable=False),
        sa.Column("state", _text(16), nullable=False),
        sa.Column("decided_by", _text(128)),
        sa.Column("decided_at_ms", BIG_INTEGER),
    )
    op.create_index("ix_privacy_erasures_account", "privacy_erasures", ["account"])
    op.create_index(
        "ux_privacy_erasures_open",
        "privacy_erasures",
        ["account"],
        unique=True,
        sqlite_where=sa.text("state = 'requested'"),
        postgresql_where=sa.text("state = 'requested'"),
    )
    op.create_table(
        "privacy_holds",
        sa.Column("hold", _text(64), primary_key=True),
        sa.Column("account", _text(64), primary_key=True),
        sa.Column("incident", _text(64), primary_key=True),
        sa.Column("salt", sa.LargeBinary()),
        sa.Column("words_sealed", sa.LargeBinary()),
        sa.Column("placed_by", _text(128), nullable=False),
        sa.Column("placed_at_ms", BIG_INTEGER, nullable=False),
        sa.Column("until_ms", BIG_INTEGER),
        sa.Column("lifted_by", _text(128)),
        sa.Column("lifted_at_ms", BIG_INTEGER),
    )
    op.create_index("ix_privacy_holds_account", "privacy_holds", ["account"])
    if op.get_context().dialect.name == "postgresql":
        for table, columns in UNWEIGHED.items():
            for column in columns:
                op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS 0")


def downgrade() -> None:
    """Forget which erasures were asked for and which holds stand: the log still says which were placed and lifted."""
    if op.get_context().dialect.name == "postgresql":
        for table, columns in UNWEIGHED.items():
            for column in columns:
                op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS -1")
    op.drop_table("privacy_holds")
    op.drop_table("privacy_erasures")
