"""The account that owns an app, where one does."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")


def upgrade() -> None:
    """Add the column; the apps that are there belong to no account."""
    op.add_column("service_apps", sa.Column("owner_account", ID))


def downgrade() -> None:
    """Forget the owners; their accounts' tokens are no owner's then."""
    op.drop_column("service_apps", "owner_account")
