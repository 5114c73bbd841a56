"""The vault: sealed subjects, suppression marks and the check of the operator's key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; the first tag that is minted binds them to the operator's key."""
    op.create_table(
        "vault_key",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("key_check", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_vault_key_one_row"),
    )
    op.create_table(
        "vault_subjects",
        sa.Column("lookup", sa.LargeBinary(32), primary_key=True),
        sa.Column("tag", sa.String(34), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("tag"),
    )
    op.create_table(
        "vault_erased",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("mark", sa.LargeBinary(32), nullable=False),
        sa.UniqueConstraint("mark"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    """Refuse: who is behind the tags of a log is never dropped by a migration."""
    raise NotImplementedError("the vault cannot be migrated away; delete the database by hand if you mean it")
