"""The suite of notices and obligations on SQLite."""

from __future__ import annotations

from tests.conformance.notices_suite import NoticesSuite
from tests.conformance.service_databases import OnSqlite


class TestSqliteNotices(OnSqlite, NoticesSuite):
    """SQLite in WAL mode."""
