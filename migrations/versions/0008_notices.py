"""Notices to people, and the obligations of developers."""

from __future__ import annotations

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, empty."""


def downgrade() -> None:
    """Drop the tables."""
