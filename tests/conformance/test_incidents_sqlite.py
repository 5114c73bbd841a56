"""The suite of incidents on SQLite."""

from __future__ import annotations

from tests.conformance.incidents_suite import IncidentsSuite
from tests.conformance.service_databases import OnSqlite


class TestSqliteIncidents(OnSqlite, IncidentsSuite):
    """SQLite in WAL mode."""
