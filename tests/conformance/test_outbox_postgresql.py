"""The outbox suite on PostgreSQL."""

from __future__ import annotations

from tests.conformance.outbox_suite import OutboxSuite
from tests.conformance.service_databases import OnPostgresql


class TestPostgresqlOutbox(OnPostgresql, OutboxSuite):
    """A real server, as the role that a service connects as."""
