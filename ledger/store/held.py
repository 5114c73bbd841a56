"""Whose rows stay however old they are: accounts under a legal hold (ledger format, section 1.5)."""

from __future__ import annotations

HELD_ACCOUNTS = (
    "SELECT account FROM privacy_holds WHERE account <> '' AND lifted_at_ms IS NULL "
    "AND (until_ms IS NULL OR until_ms > :before_ms)"
)
"""The accounts of which nothing that is older than ``:before_ms`` may be destroyed: a legal hold stands on them.

One that ended by itself goes on counting until what was held is older than its end, which errs on the side of keeping.
"""
