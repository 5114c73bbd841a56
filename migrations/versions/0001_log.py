"""The log: entries that refuse to change, the guarded head, tiles and the published checkpoint."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# Told apart by their bytes and found by them, in the order that every database gives them, whatever its language.
UID = sa.String(320).with_variant(sa.String(320, collation="C"), "postgresql")
PATH = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")

SQLITE_REFUSALS = {
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

POSTGRESQL_REFUSALS = {
    "entries_refuse_change": ("entries", "UPDATE OR DELETE OR TRUNCATE", "", "entries never change"),
    "tiles_refuse_change": ("tiles", "UPDATE OR DELETE OR TRUNCATE", "", "tiles never change"),
    "ledger_head_refuses_delete": ("ledger_head", "DELETE OR TRUNCATE", "", "the head row must stay"),
    "ledger_head_refuses_shrinking": (
        "ledger_head",
        "UPDATE",
        "FOR EACH ROW WHEN (NEW.size < OLD.size OR NEW.id <> OLD.id)",
        "the log never shrinks",
    ),
}
"""Of each trigger: the table, what it refuses, when, and with which words."""


def upgrade() -> None:
    """Create the tables, the head row of an empty log, and the triggers."""
    op.create_table(
        "entries",
        sa.Column("seq", BIG_INTEGER, primary_key=True, autoincrement=False),
        sa.Column("uid", UID, nullable=False),
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
        sa.Column("path", PATH, primary_key=True),
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
    if op.get_bind().dialect.name == "postgresql":
        refuse_on_postgresql()
        return
    for name, body in SQLITE_REFUSALS.items():
        op.execute(f"CREATE TRIGGER {name} {body}")


def refuse_on_postgresql() -> None:
    """Create the triggers of PostgreSQL, which fire for replicated changes, too (ENABLE ALWAYS)."""
    op.execute(
        "CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '%', TG_ARGV[0]; END $$"
    )
    for name, (table, events, when, words) in POSTGRESQL_REFUSALS.items():
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {events} ON {table} {when} EXECUTE FUNCTION ledger_refuse('{words}')"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


def downgrade() -> None:
    """Refuse: a log is never dropped by a migration."""
    raise NotImplementedError("the log cannot be migrated away; delete the database by hand if you mean it")
