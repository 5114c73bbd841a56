"""The suite of notices and obligations on PostgreSQL."""

from __future__ import annotations

from tests.conformance.notices_suite import NoticesSuite
from tests.conformance.service_databases import OnPostgresql


class TestPostgresqlNotices(OnPostgresql, NoticesSuite):
    """A real server, as the role that a service connects as."""
