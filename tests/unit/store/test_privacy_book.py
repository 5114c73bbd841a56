"""Requests for erasure in SQL, on both databases: claimed, withdrawn, taken up from the log, read in pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.ports.privacy import Erasure
from ledger.store.engine import open_engine
from ledger.store.migrate import upgrade
from ledger.store.privacy import SqlPrivacy
from tests.support.postgresql import SERVICE_ROLE, PostgresqlServer

ADA, GRACE, HEDY = "operator:ada", "operator:grace", "operator:hedy"


@pytest.fixture(params=["sqlite", "postgresql"])
def book(
    request: pytest.FixtureRequest, tmp_path: Path, postgresql_server: PostgresqlServer
) -> Iterator[SqlPrivacy]:
    if request.param == "sqlite":
        upgrade(f"sqlite:///{tmp_path}/ledger.db")
        engine = open_engine(f"sqlite:///{tmp_path}/ledger.db")
        yield SqlPrivacy(engine)
        engine.dispose()
        return
    with postgresql_server.database(with_tables=True) as name:
        engine = open_engine(postgresql_server.url(name, SERVICE_ROLE))
        yield SqlPrivacy(engine)
        engine.dispose()


def asked(number: int, account: str = "") -> Erasure:
    return Erasure(
        erasure=f"er-{number:04}",
        account=account or f"a_{number:032}",
        basis="request",
        policy=None,
        request=None,
        salt=None,
        words_sealed=b"sealed",
        requested_by=ADA,
        requested_at_ms=1_000 + number // 2,
    )


def test_what_is_claimed_is_not_withdrawn_until_the_claim_lapses(book: SqlPrivacy) -> None:
    kept = book.add_erasure(asked(1))
    assert book.claim(kept.erasure, GRACE, 5_000)
    assert not book.withdraw(kept.erasure, ADA, 5_001, 5_000)
    assert book.load_open(kept.account) == replace(kept, decided_by=GRACE, decided_at_ms=5_000)
    assert book.withdraw(kept.erasure, ADA, 9_000, 5_001)
    assert book.load_open(kept.account) is None
    assert not book.claim(kept.erasure, GRACE, 9_001)


def test_only_who_claimed_last_takes_the_claim_back(book: SqlPrivacy) -> None:
    kept = book.add_erasure(asked(1))
    assert book.claim(kept.erasure, GRACE, 5_000)
    assert book.claim(kept.erasure, HEDY, 5_001)
    book.unclaim(kept.erasure, GRACE)
    assert not book.withdraw(kept.erasure, ADA, 5_002, 5_000)
    book.unclaim(kept.erasure, HEDY)
    assert book.load_open(kept.account) == kept
    assert book.withdraw(kept.erasure, ADA, 5_002, 5_000)


def test_an_erasure_of_the_log_takes_up_the_row_that_is_there_or_makes_one(book: SqlPrivacy) -> None:
    withdrawn = book.add_erasure(asked(1))
    book.withdraw(withdrawn.erasure, ADA, 2_000, 0)
    there = book.add_erasure(asked(2, withdrawn.account))
    made = replace(asked(3, withdrawn.account), state="erasing", decided_by=GRACE, decided_at_ms=7_000)
    book.adopt(made)
    (taken_up,) = book.load_erasures(("erasing",))
    assert (taken_up.erasure, taken_up.decided_by, taken_up.decided_at_ms) == (there.erasure, GRACE, 7_000)
    book.go_on(there.erasure, "done")
    book.adopt(made)
    assert [one.erasure for one in book.load_erasures(("erasing",))] == [there.erasure]
    book.adopt(replace(made, erasure="er-0004", account="a_" + "4" * 32))
    assert [one.erasure for one in book.load_erasures(("erasing",))] == ["er-0002", "er-0004"]
    assert [one.state for one in book.load_erasures(("withdrawn",))] == ["withdrawn"]


def test_pages_hold_everything_once_and_in_order(book: SqlPrivacy) -> None:
    for number in (5, 1, 4, 2, 3, 0, 6):
        book.add_erasure(asked(number))
    whole = [one.erasure for one in book.load_erasures(("requested",))]
    assert whole == [f"er-{number:04}" for number in range(7)]
    paged: list[str] = []
    while page := book.load_erasures(("requested",), paged[-1] if paged else "", 3):
        assert len(page) <= 3
        paged += [one.erasure for one in page]
    assert paged == whole
    assert book.load_erasures(("requested",), "er-none", 3) == []
