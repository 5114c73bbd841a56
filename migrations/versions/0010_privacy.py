"""Legal holds and erasures under way."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

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


def downgrade() -> None:
    """Forget which erasures were asked for and which holds stand: the log still says which were placed and lifted."""
    op.drop_table("privacy_holds")
    op.drop_table("privacy_erasures")
