"""The stored index on a PostgreSQL server, among the ledger's tables, as the role of a service."""

from __future__ import annotations

import pytest

from tests.conformance.index_suite import IndexSuite


class TestPostgresqlIndex(IndexSuite):
    """The suite on PostgreSQL."""

    @pytest.fixture
    def url(self, service_postgresql_url: str) -> str:
        """A new database, as a service connects to it."""
        return service_postgresql_url
