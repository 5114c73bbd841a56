"""The claims suite on PostgreSQL, where work is counted in pages that are looked at."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, text

from ledger.ports.outbox import Outbox
from ledger.store.claims import FIND
from tests.conformance.claims_suite import ClaimsSuite
from tests.conformance.service_databases import OnPostgresql
from tests.conformance.service_samples import NOW_MS


class TestPostgresqlClaims(OnPostgresql, ClaimsSuite):
    """A real server, as the role that a service connects as."""

    @pytest.fixture
    def work_of_a_claim(self, engine: Engine) -> Callable[[Outbox], int]:
        values = {"now_ms": NOW_MS, "count_max": 256, "per_webhook_max": 8, "busy": json.dumps({"3": 2})}

        def measure(_outbox: Outbox) -> int:
            query = text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {FIND['postgresql']}")
            with engine.connect() as connection:
                found = connection.execute(query, values).scalar_one()
            plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
            assert plan["Actual Rows"] == 16
            return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])

        return measure
