"""The credentials suite on SQLite."""

from __future__ import annotations

from tests.conformance.credentials_suite import CredentialsSuite
from tests.conformance.service_databases import OnSqlite


class TestSqliteCredentials(OnSqlite, CredentialsSuite):
    """SQLite in WAL mode."""
