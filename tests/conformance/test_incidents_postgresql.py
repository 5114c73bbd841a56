"""The suite of incidents on PostgreSQL."""

from __future__ import annotations

from tests.conformance.incidents_suite import IncidentsSuite
from tests.conformance.service_databases import OnPostgresql


class TestPostgresqlIncidents(OnPostgresql, IncidentsSuite):
    """A real server, as the role that a service connects as."""
