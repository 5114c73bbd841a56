"""The registry suite on PostgreSQL."""

from __future__ import annotations

from tests.conformance.registry_suite import RegistrySuite
from tests.conformance.service_databases import OnPostgresql


class TestPostgresqlRegistry(OnPostgresql, RegistrySuite):
    """A real server, as the role that a service connects as."""
