"""How the length of a body stands in an entry (ledger format, section 1.2)."""

from __future__ import annotations

BODY_BYTES_STEP = 256


def rounded_body_bytes(body_bytes: int) -> int:
    """``body_bytes`` rounded up to a multiple of 256, so that a length tells little; 0 stays 0."""
    assert body_bytes >= 0, "a body has no negative length"
    return -(-body_bytes // BODY_BYTES_STEP) * BODY_BYTES_STEP
