"""The index over the log, on a server; a SQLite ledger has it in a file of its own, which the sealer makes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = ("index_state", "index_rows", "index_pages", "index_tiles")


def upgrade() -> None:
    """Create the tables, all empty: the next seal fills them from the entries."""
    if op.get_bind().dialect.name != "postgresql":
        return
    op.create_table(
        "index_state",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("map_size", sa.BigInteger(), nullable=False),
        sa.Column("map_root", sa.LargeBinary(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.LargeBinary()),
        sa.CheckConstraint("id = 1", name="ck_index_state_one_row"),
    )
    op.create_table(
        "index_rows",
        sa.Column("position", sa.LargeBinary(), primary_key=True),
        sa.Column("data", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "index_pages",
        sa.Column("prefix", sa.String(64, collation="C"), primary_key=True),
        sa.Column("data", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "index_tiles",
        sa.Column("position", sa.LargeBinary(), primary_key=True),
        sa.Column("level", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
    )
    for table in ("index_rows", "index_pages", "index_tiles"):
        # Hashes cannot be compressed, and every row fits into a page of the database.
        op.execute(f"ALTER TABLE {table} ALTER COLUMN data SET STORAGE PLAIN")
    for table in ("index_rows", "index_pages"):
        # Room for a changed row beside the old one, so that no index of the database has to change with it.
        op.execute(f"ALTER TABLE {table} SET (fillfactor = 75)")


def downgrade() -> None:
    """Drop the tables; nothing is lost that the entries do not give."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in reversed(TABLES):
        op.drop_table(table)
