"""Canaries: made-up accounts of one developer each, and what opens their commitments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ID = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table, empty."""
    op.create_table(
        "service_canaries",
        sa.Column("canary", ID, primary_key=True),
        sa.Column("account", ID, nullable=False, unique=True),
        sa.Column("developer", ID, nullable=False),
        sa.Column("app", ID, nullable=False),
        sa.Column("marker_hash", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at_ms", BIG_INTEGER, nullable=False),
        sa.Column("released_at_ms", BIG_INTEGER),
        sa.Column("fetched_at_ms", BIG_INTEGER),
        sa.Column("fetches", sa.Integer(), nullable=False),
    )


def downgrade() -> None:
    """Forget all canaries: what they committed to can be opened by nobody any more."""
    op.drop_table("service_canaries")
