"""The claims suite on SQLite, where work is counted in steps of its virtual machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, event

from ledger.ports.outbox import Outbox
from tests.conformance.claims_suite import ClaimsSuite, claim
from tests.conformance.service_databases import OnSqlite

STEPS = 10
"""How many steps are counted as one piece."""


class TestSqliteClaims(OnSqlite, ClaimsSuite):
    """SQLite in WAL mode."""

    @pytest.fixture
    def work_of_a_claim(self, engine: Engine) -> Callable[[Outbox], int]:
        def measure(outbox: Outbox) -> int:
            pieces = 0

            def count() -> int:
                nonlocal pieces
                pieces += 1
                return 0

            def watch(connection: Any, *_: object) -> None:
                connection.set_progress_handler(count, STEPS)

            event.listen(engine, "checkout", watch)
            assert claim(outbox, per_webhook_max=8)
            event.remove(engine, "checkout", watch)
            return pieces * STEPS

        return measure
