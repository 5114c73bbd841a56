"""The credentials suite on PostgreSQL."""

from __future__ import annotations

from tests.conformance.credentials_suite import CredentialsSuite
from tests.conformance.service_databases import OnPostgresql


class TestPostgresqlCredentials(OnPostgresql, CredentialsSuite):
    """A real server, as the role that a service connects as."""
