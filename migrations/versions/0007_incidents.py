"""Incidents: their state, their frozen findings, and the words behind their commitments."""

from __future__ import annotations

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, empty."""


def downgrade() -> None:
    """Drop the tables."""
