"""Receipts held against a log's deliveries, by both engines."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.audit.report import Report
from ledger.core import canonical
from ledger.engines.duck import DuckEngine
from ledger.engines.scalar import ScalarEngine
from ledger.errors import RejectedError
from tests.support.builders import Log, seen, tag
from tests.support.forged_logs import (
    MemoryLog,
    encode_log,
    open_log,
    relink,
    report_bytes,
    tell_events_apart,
    verify_source,
)
from tests.support.second_sources import DAY_MS, add_receipt, plant, public_key, set_key


def new_log() -> Log:
    """dev-a and dev-b, ann's grant to dev-a, and dev-a's key."""
    log = open_log()
    log.parties()
    for letter in "ab":
        log.add("endpoint.verified", 1, endpoint=f"wh-{letter}")
    log.issue("g", at=100)
    set_key(log, "dev-a", 110)
    return log


def deliver(log: Log, delivery: str = "d", at: int = 150, **ended: Any) -> Any:
    """An attempt at dev-a that ended as ``ended`` says, by default confirmed."""
    attempted = log.attempt(delivery, at=at)
    log.settle(attempted, at, **({"observed": seen()} | ended))
    return attempted


def check(log: Log, **options: Any) -> Report:
    """The report, which both engines agree on."""
    entries = MemoryLog(encode_log(tell_events_apart(log)))
    reports = [
        verify_source(entries, engine, with_index=False, **options).report
        for engine in (ScalarEngine(), DuckEngine(1, 1))
    ]
    assert report_bytes(reports[0]) == report_bytes(reports[1])
    return reports[0]


def codes(report: Report) -> list[str]:
    return [finding.code for finding in report.findings]


def test_a_receipt_for_what_the_developer_was_sent_is_no_finding() -> None:
    log = new_log()
    add_receipt(log, "dev-a", deliver(log))
    assert codes(check(log)) == []


def test_a_receipt_for_a_delivery_that_the_log_does_not_know_is_an_alarm() -> None:
    log = new_log()
    add_receipt(log, "dev-a", delivery="never-logged")
    report = check(log)
    assert codes(report) == ["RECEIPT_WITHOUT_DELIVERY"]
    assert report.exit_status == 1


def test_a_receipt_of_a_developer_that_it_was_not_sent_to_exposes_the_account() -> None:
    log = new_log()
    set_key(log, "dev-b", 120)
    attempted = deliver(log)
    add_receipt(log, "dev-b", attempted)
    report = check(log)
    assert codes(report) == ["RECEIPT_WITHOUT_DELIVERY"]
    assert report.exposed.accounts["definite"] == {tag("ann")}
    assert report.findings[0].to_json()["account"] == tag("ann")


def test_a_developer_that_really_received_it_by_mistake_confirms_a_misdelivery_and_nothing_more() -> None:
    log = new_log()
    set_key(log, "dev-b", 120)
    attempted = deliver(log, observed=seen("b.example"))
    add_receipt(log, "dev-b", attempted)
    assert codes(check(log)) == ["WRONG_DEVELOPER"]


def test_a_receipt_without_a_ticket_is_found_its_delivery_by_name() -> None:
    log = new_log()
    attempted = deliver(log)
    add_receipt(log, "dev-a", delivery=attempted.delivery)
    assert codes(check(log)) == []


def test_a_receipt_whose_ticket_promises_another_entry_is_an_alarm() -> None:
    log = new_log()
    attempted = deliver(log)
    add_receipt(log, "dev-a", attempted, promised_leaf="2" * 64)
    assert codes(check(log)) == ["RECEIPT_WITHOUT_DELIVERY"]


def test_a_receipt_turns_a_possible_disclosure_into_a_confirmed_one() -> None:
    log = new_log()
    log.revoke("g", at=140)
    attempted = deliver(log, disclosure="possible", status=None)
    before = check(log).findings[0].to_json()
    add_receipt(log, "dev-a", attempted)
    after = check(log).findings[0].to_json()
    assert (before["disclosure"], after["disclosure"]) == ("possible", "confirmed")


def test_a_receipt_for_what_is_said_never_to_have_left_is_an_exposure_of_that_attempt() -> None:
    log = new_log()
    attempted = deliver(log, disclosure="none", status=None)
    assert codes(check(log)) == []
    add_receipt(log, "dev-a", attempted)
    report = check(log)
    assert codes(report) == ["RECEIPT_WITHOUT_DELIVERY"]
    found = report.findings[0].to_json()
    assert (found["severity"], found["disclosure"], found["exposure"]) == ("X", "confirmed", "definite")


@pytest.mark.parametrize("changed", ["host", "received_at", "signature", "promised_seq"])
def test_a_receipt_that_was_changed_after_it_was_signed_is_invalid(changed: str) -> None:
    log = new_log()
    attempted = deliver(log)
    receipt = add_receipt(log, "dev-a", attempted)
    entries = encode_log(log)
    members = canonical.decode(entries[receipt.seq])
    members[changed] = {
        "host": "b.example",
        "received_at": 1,
        "signature": "0" * 126 + "01",
        "promised_seq": attempted.seq + 1,
    }[changed]
    forged = relink([*entries[: receipt.seq], canonical.encode(members)])
    for engine in (ScalarEngine(), DuckEngine(1, 1)):
        report = verify_source(MemoryLog(forged), engine, with_index=False).report
        assert codes(report) == ["RECEIPT_INVALID"]
        assert report.exit_status == 2


def test_a_receipt_signed_with_another_key_is_refused_and_invalid_where_it_was_forced_in() -> None:
    log = new_log()
    attempted = deliver(log)
    with pytest.raises(RejectedError):
        add_receipt(log, "dev-a", attempted, signer="thief")
    add_receipt(log, "dev-a", attempted, signer="thief", forced=True)
    assert codes(check(log)) == ["RECEIPT_INVALID"]


def test_only_the_key_that_was_set_last_before_it_counts() -> None:
    log = new_log()
    first = deliver(log)
    add_receipt(log, "dev-a", first)
    set_key(log, "dev-a", 160, key=public_key("thief"))
    second = deliver(log, "d2", 170)
    add_receipt(log, "dev-a", second, signer="thief")
    assert codes(check(log)) == []
    add_receipt(log, "dev-a", second, forced=True)
    assert codes(check(log)) == ["RECEIPT_INVALID"]


def test_a_receipt_that_names_other_people_than_its_attempt_is_malformed() -> None:
    log = new_log()
    add_receipt(log, "dev-a", deliver(log), account=tag("eve"))
    assert codes(check(log)) == ["ENTRY_MALFORMED"]


def test_a_receipt_is_missing_a_day_after_a_developer_that_sent_some_before_confirmed_by_its_answer() -> None:
    log = new_log()
    add_receipt(log, "dev-a", deliver(log))
    deliver(log, "d2", 200)
    assert codes(check(log)) == []
    log.add("developer.registered", 200 + DAY_MS, developer="dev-z")
    report = check(log)
    assert codes(report) == ["RECEIPT_MISSING"]
    assert (report.findings[0].severity, report.exit_status) == ("A", 0)
    assert report.findings[0].to_json()["delivery"] == "d2"


def test_nothing_is_missing_of_a_developer_that_never_sent_receipts_or_before_its_first() -> None:
    log = new_log()
    deliver(log, "d0", 150)
    log.add("developer.registered", 150 + DAY_MS, developer="dev-z")
    assert codes(check(log)) == []
    add_receipt(log, "dev-a", deliver(log, "d1", 160 + DAY_MS))
    assert codes(check(log)) == []


def test_where_nobody_can_verify_signatures_the_report_says_so() -> None:
    log = new_log()
    add_receipt(log, "dev-a", delivery="never-logged")
    report = check(log, check_signature=None)
    assert codes(report) == []
    assert any("signatures were not checked" in note for note in report.notes)


# --- Canaries.


@pytest.mark.parametrize("seen_by", ["dev-b", None])
def test_a_canary_that_turns_up_elsewhere_than_at_its_developer_has_leaked(seen_by: str | None) -> None:
    log = new_log()
    opened = plant(log, "c-1", "ann", "dev-a", 120)
    log.add("canary.seen", 200, via="api", seen_in="report", seen_by=seen_by, **opened)
    report = check(log)
    assert codes(report) == ["CANARY_LEAKED"]
    assert report.exit_status == 1


@pytest.mark.parametrize(("seen_in", "seen_by"), [("report", "dev-a"), ("fetch", None)])
def test_a_canary_at_its_own_developer_or_a_link_that_anybody_followed_is_no_leak(
    seen_in: str, seen_by: str | None
) -> None:
    log = new_log()
    opened = plant(log, "c-1", "ann", "dev-a", 120)
    log.add("canary.seen", 200, via="api", seen_in=seen_in, seen_by=seen_by, **opened)
    assert codes(check(log)) == []


@pytest.mark.parametrize("changed", ["account", "developer", "marker", "salt"])
def test_an_account_that_was_declared_a_canary_afterwards_opens_no_commitment(changed: str) -> None:
    log = new_log()
    opened = plant(log, "c-1", "ann", "dev-a", 120)
    opened[changed] = {"account": tag("bob"), "developer": "dev-b"}.get(changed, "4" * 64)
    log.add("canary.seen", 200, via="api", forced=True, seen_in="report", seen_by="dev-a", **opened)
    assert "COMMITMENT_MISMATCH" in codes(check(log))
