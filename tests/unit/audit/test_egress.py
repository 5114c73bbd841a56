"""Egress counts held against a log's deliveries, by both engines."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.audit.report import Report
from ledger.core.egress_counts import HOUR_MS
from ledger.errors import RejectedError
from tests.support.builders import Log, seen
from tests.support.second_sources import PROXY, add_count, public_key
from tests.unit.audit.test_receipts import check, codes, new_log

MIDDLE = HOUR_MS + HOUR_MS // 2


def new_counted_log() -> Log:
    """A log whose proxy has a key."""
    log = new_log()
    log.add("egress.key_set", 130, via="api", proxy=PROXY, key=public_key(PROXY))
    return log


def deliver(log: Log, delivery: str = "d", at: int = MIDDLE, body_bytes: int = 1_024, **ended: Any) -> Any:
    attempted = log.attempt(delivery, at=at, body_bytes=body_bytes)
    log.settle(attempted, at, **({"observed": seen()} | ended))
    return attempted


def close(log: Log, names: int = 1, **members: Any) -> Any:
    """The sum that closes the hour."""
    return add_count(log, names=names, **members)


def counted(**members: Any) -> Report:
    """The report on one delivery to a.example whose hour was counted as ``members`` say."""
    log = new_counted_log()
    deliver(log)
    add_count(log, sni="a.example", **members)
    close(log, **members)
    return check(log)


def test_a_count_that_fits_is_no_finding() -> None:
    assert codes(counted()) == []


def test_traffic_to_a_name_that_the_log_knows_nothing_of_is_a_mismatch() -> None:
    log = new_counted_log()
    add_count(log, sni="nowhere.example")
    report = check(log)
    assert codes(report) == ["EGRESS_COUNT_MISMATCH"]
    assert report.exit_status == 2


def test_more_bytes_than_the_recorded_bodies_can_explain_are_a_mismatch() -> None:
    assert codes(counted(bytes_up=12_000)) == ["EGRESS_COUNT_MISMATCH"]


def test_more_connections_than_requests_and_challenges_are_a_mismatch() -> None:
    assert codes(counted(connections=100, bytes_up=9_000)) == ["EGRESS_COUNT_MISMATCH"]


def test_a_recorded_disclosure_that_was_not_counted_is_a_mismatch() -> None:
    log = new_counted_log()
    deliver(log)
    close(log, names=0, connections=0, bytes_up=0, bytes_down=0)
    assert codes(check(log)) == ["EGRESS_COUNT_MISMATCH"]


def test_fewer_bytes_than_the_recorded_bodies_are_a_mismatch_where_the_hour_is_closed() -> None:
    assert codes(counted(bytes_up=500)) == ["EGRESS_COUNT_MISMATCH"]
    log = new_counted_log()
    deliver(log)
    add_count(log, sni="a.example", bytes_up=500)
    assert codes(check(log)) == []


def test_a_connection_that_was_kept_from_the_hour_before_fits() -> None:
    assert codes(counted(connections=0)) == []


def test_a_request_at_an_hours_end_may_have_been_counted_in_the_next() -> None:
    log = new_counted_log()
    deliver(log, at=2 * HOUR_MS - 10)
    close(log, names=0, connections=0, bytes_up=0, bytes_down=0)
    add_count(log, hour=2, at=3 * HOUR_MS, sni="a.example")
    close(log, hour=2)
    assert codes(check(log)) == []


def test_what_failed_or_went_another_way_need_not_have_been_counted() -> None:
    log = new_counted_log()
    deliver(log, "d1", disclosure="none", status=None)
    deliver(log, "d2", MIDDLE + 1, via="api")
    close(log, names=0, connections=0, bytes_up=0, bytes_down=0)
    assert "EGRESS_COUNT_MISMATCH" not in codes(check(log))


@pytest.mark.parametrize("lies", [{"names": 2}, {"connections": 2}, {"bytes_up": 4_001}])
def test_an_hour_whose_sum_is_not_that_of_its_names_lost_one(lies: dict[str, int]) -> None:
    log = new_counted_log()
    deliver(log)
    add_count(log, sni="a.example")
    close(log, **lies)
    assert codes(check(log)) == ["EGRESS_COUNT_MISMATCH"]


def test_an_hour_that_was_counted_twice_and_otherwise_is_a_mismatch() -> None:
    log = new_counted_log()
    deliver(log)
    add_count(log, sni="a.example")
    add_count(log, sni="a.example", bytes_up=4_001)
    close(log)
    assert codes(check(log)) == ["EGRESS_COUNT_MISMATCH"]


def test_a_count_under_another_key_is_refused_and_malformed_where_it_was_forced_in() -> None:
    log = new_counted_log()
    forged = add_count(log, sni="nowhere.example", signer="thief")
    assert codes(check(log)) == ["ENTRY_MALFORMED"]
    members = {name: getattr(forged, name) for name in ("proxy", "key", "signature", "sni")}
    numbers = {
        name: getattr(forged, name) for name in ("from_at", "to_at", "connections", "bytes_up", "bytes_down")
    }
    with pytest.raises(RejectedError):
        log.add("egress.counted", log.recorded_at, via="api", **members, **numbers)


def test_a_count_that_was_changed_is_malformed() -> None:
    log = new_counted_log()
    honest = add_count(log, sni="a.example")
    log.entries.pop()
    members = {
        name: getattr(honest, name) for name in ("proxy", "key", "signature", "sni", "from_at", "to_at")
    }
    log.add("egress.counted", log.recorded_at, via="api", connections=1, bytes_up=1, bytes_down=1, **members)
    assert codes(check(log)) == ["ENTRY_MALFORMED"]


def test_hours_with_deliveries_that_nobody_closed_are_told_in_a_note() -> None:
    log = new_counted_log()
    deliver(log)
    add_count(log, sni="a.example", at=4 * HOUR_MS)
    report = check(log)
    assert codes(report) == []
    assert any("1 hours with deliveries have no closed count" in note for note in report.notes)
