"""Who is definitely and who possibly affected: exact where observed, by circumstances where not."""

from __future__ import annotations

from typing import Any

from ledger.audit.exposure import Assessment, Period, assess
from ledger.core.exposure import Circumstances
from ledger.engines.codec import MsgspecCodec
from ledger.engines.scalar import ScalarEngine
from tests.support.builders import Log, seen, tag
from tests.support.forged_logs import MemoryLog, encode_log, open_log, tell_events_apart, verify_source

WORKER: dict[str, Any] = {"worker": "w1", "resolved_ip": "192.0.2.1"}


def begin() -> Log:
    """Ann granted to dev-a, Bob to dev-b; both endpoints at one address and path."""
    log = open_log()
    log.parties()
    log.issue("g-a")
    log.issue("g-b", account="bob", developer="dev-b", app="app-b")
    return log


def look(log: Log, circumstances: Circumstances | None = None, period: Period | None = None) -> Assessment:
    source = MemoryLog(encode_log(tell_events_apart(log)))
    verified = verify_source(source, ScalarEngine())
    return assess(verified, source, MsgspecCodec(), circumstances or Circumstances(), period or Period())


def after_anothers(log: Log, later_ms: int, **members: Any) -> None:
    """Ann's delivery, and Bob's by the same worker ``later_ms`` after it."""
    log.imported("d-1", at=1_000, **WORKER)
    log.imported("d-2", at=1_000 + later_ms, account="bob", endpoint="wh-b", **(WORKER | members))


def test_an_unobserved_delivery_after_another_developers_is_possibly_exposed_to_that_one() -> None:
    log = begin()
    after_anothers(log, 360_000)
    found = look(log).to_json()
    assert found["definite"]["deliveries"] == 0
    assert (found["possible"]["deliveries"], found["possible"]["accounts"]) == (1, 1)
    assert found["accounts"] == [{"account": tag("bob"), "exposure": "possible", "deliveries": 1}]
    assert found["developers"] == [{"developer": "dev-a", "definite": 0, "possible": 1}]


def test_a_millisecond_after_the_window_nothing_is_possible() -> None:
    log = begin()
    after_anothers(log, 360_001)
    assert look(log).possible.deliveries == set()


def test_an_observed_delivery_is_never_possibly_exposed() -> None:
    log = begin()
    after_anothers(log, 10, observed=seen("b.example"))
    assert look(log).possible.deliveries == set()


def test_what_was_never_disclosed_is_not_possibly_exposed_and_exposes_nothing_else() -> None:
    log = begin()
    after_anothers(log, 10, disclosure="none")
    assert look(log).possible.deliveries == set()


def test_an_observed_misdelivery_is_definite() -> None:
    log = begin()
    log.imported("d-1", at=150, observed=seen("b.example"), **WORKER)
    found = look(log)
    assert (len(found.definite.deliveries), found.definite.developers) == (1, {"dev-b": 1})


def test_somebody_definite_is_not_counted_as_possible() -> None:
    log = begin()
    after_anothers(log, 10)
    log.imported("d-3", at=5_000, account="bob", endpoint="wh-b", observed=seen("a.example"))
    found = look(log).to_json()
    assert (found["definite"]["accounts"], found["possible"]["accounts"]) == (1, 0)
    assert found["accounts"] == [{"account": tag("bob"), "exposure": "definite", "deliveries": 1}]


def test_shares_are_of_the_accounts_active_in_the_period() -> None:
    log = begin()
    after_anothers(log, 10)
    assert look(log).to_json()["possible"]["share_of_active_accounts"] == 0.5
    found = look(log, period=Period(1_001, None)).to_json()
    assert (found["active_accounts"], found["possible"]["share_of_active_accounts"]) == (1, 1.0)


def test_a_period_is_half_open() -> None:
    assert [Period(10, 20).holds(at_ms) for at_ms in (9, 10, 19, 20)] == [False, True, True, False]


def test_what_happened_before_the_period_still_makes_a_delivery_in_it_possible() -> None:
    log = begin()
    after_anothers(log, 10)
    assert len(look(log, period=Period(1_005, 2_000)).possible.deliveries) == 1
    assert look(log, period=Period(0, 1_005)).possible.deliveries == set()


def test_an_attempt_and_its_settlement_are_one_delivery() -> None:
    log = begin()
    log.imported("d-1", at=1_000, **WORKER)
    attempted = log.attempt(
        "d-2", at=1_010, account="bob", developer="dev-b", app="app-b", endpoint="wh-b", worker="w1"
    )
    log.settle(attempted, observed={"peer_ip": "192.0.2.1"}, worker="w1")
    assert look(log, Circumstances(same_worker=False)).possible.accounts == {tag("bob"): 1}


def test_dropped_circumstances_match_more() -> None:
    log = begin()
    after_anothers(log, 10, worker="w2")
    assert look(log).possible.deliveries == set()
    assert len(look(log, Circumstances(same_worker=False)).possible.deliveries) == 1
