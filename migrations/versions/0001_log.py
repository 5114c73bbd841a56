"""The log: entries that refuse to change, the guarded head, tiles and the published checkpoint."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

REFUSALS = {
    "entries_refuse_update": "BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'entries never change'); END",
    "entries_refuse_delete": "BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'entries never change'); END",
    "tiles_refuse_update": "BEFORE UPDATE ON tiles BEGIN SELECT RAISE(ABORT, 'tiles never change'); END",
    "ledger_head_refuses_delete": (
        "BEFORE DELETE ON ledger_head BEGIN SELECT RAISE(ABORT, 'the head row must stay'); END"
    ),
    "ledger_head_refuses_shrinking": (
        "BEFORE UPDATE ON ledger_head WHEN NEW.size < OLD.size "
        "BEGIN SELECT RAISE(ABORT, 'the log never shrinks'); END"
    ),
}


def upgrade() -> None:
    """Create the tables, the head row of an empty log, and the triggers."""
    op.create_table(
        "entries",
        sa.Column("seq", BIG_INTEGER, primary_key=True, autoincrement=False),
        sa.Column("uid", sa.String(320), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=False),
        sa.Column("bears_state", sa.Boolean(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("uid"),
    )
    op.create_index(
        "ix_entries_state",
        "entries",
        ["seq"],
        sqlite_where=sa.text("bears_state"),
        postgresql_where=sa.text("bears_state"),
    )
    op.create_table(
        "ledger_head",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("size", BIG_INTEGER, nullable=False),
        sa.CheckConstraint("id = 1", name="ck_ledger_head_one_row"),
    )
    op.create_table(
        "tiles",
        sa.Column("path", sa.String(64), primary_key=True),
        sa.Column("data", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "published_checkpoint",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("tree_size", BIG_INTEGER, nullable=False),
        sa.Column("checkpoint", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_published_checkpoint_one_row"),
    )
    op.execute("INSERT INTO ledger_head (id, size) VALUES (1, 0)")
    for name, body in REFUSALS.items():
        op.execute(f"CREATE TRIGGER {name} {body}")


def downgrade() -> None:
    """Refuse: a log is never dropped by a migration."""
    raise NotImplementedError("the log cannot be migrated away; delete the database by hand if you mean it")
