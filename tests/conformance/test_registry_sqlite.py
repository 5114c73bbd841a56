"""The registry suite on SQLite."""

from __future__ import annotations

from tests.conformance.registry_suite import RegistrySuite
from tests.conformance.service_databases import OnSqlite


class TestSqliteRegistry(OnSqlite, RegistrySuite):
    """SQLite in WAL mode."""
