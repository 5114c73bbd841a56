"""The outbox suite on SQLite."""

from __future__ import annotations

from tests.conformance.outbox_suite import OutboxSuite
from tests.conformance.service_databases import OnSqlite


class TestSqliteOutbox(OnSqlite, OutboxSuite):
    """SQLite in WAL mode."""
