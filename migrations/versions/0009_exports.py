"""Exports: who asked, who approved, what was sealed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BIG_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _exact(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table, empty."""
    op.create_table(
        "service_exports",
        sa.Column("export", _exact(64), primary_key=True),
        sa.Column("state", _exact(16), nullable=False),
        sa.Column("manifest", _exact(64), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("tree_size", BIG_INTEGER, nullable=False),
        sa.Column("entries", BIG_INTEGER, nullable=False),
        sa.Column("recipients", sa.Text(), nullable=False),
        sa.Column("incident", _exact(64)),
        sa.Column("requested_by", _exact(128), nullable=False),
        sa.Column("decided_by", _exact(128)),
        sa.Column("created_at_ms", BIG_INTEGER, nullable=False),
        sa.Column("decided_at_ms", BIG_INTEGER),
        sa.Column("sealed_at_ms", BIG_INTEGER),
        sa.Column("file_sha256", _exact(64)),
        sa.Column("file_bytes", BIG_INTEGER),
    )
    op.create_index("ix_service_exports_created", "service_exports", ["created_at_ms", "export"])


def downgrade() -> None:
    """Forget which exports there are; their files and entries stay."""
    op.drop_table("service_exports")
