"""Legal holds by the entries: which stand, who may be erased, and what a verifier says of an erasure that was forced in."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.core.admission import check_admission
from ledger.core.ledger_findings import LedgerFinding
from tests.support.builders import Log, tag

ANN = tag("ann")
ADA, GRACE = "operator:ada", "operator:grace"


@pytest.fixture
def log() -> Log:
    made = Log()
    made.parties()
    return made


def refusal(log: Log, at: int, **members: Any) -> str | None:
    """Why ``subject.erased`` of Ann would be refused now."""
    erased = {"kind": "subject.erased", "account": ANN, "at": at, "actor": ADA, "approved_by": GRACE}
    return check_admission(log.history, {**erased, **members}, live=True)


def test_a_hold_on_the_account_refuses_its_erasure_by_name(log: Log) -> None:
    assert refusal(log, 100) is None
    log.add("hold.placed", 100, hold="h-1", account=ANN)
    assert refusal(log, 200) == "the account is under the legal hold h-1: it has to be lifted first"
    assert refusal(log, 200, account=tag("bob")) is None


def test_a_lifted_hold_refuses_nothing(log: Log) -> None:
    log.add("hold.placed", 100, hold="h-1", account=ANN)
    log.add("hold.lifted", 150, hold="h-1", account=ANN)
    assert refusal(log, 200) is None


def test_of_two_holds_the_other_one_still_refuses(log: Log) -> None:
    for name in ("h-1", "h-2"):
        log.add("hold.placed", 100, hold=name, account=ANN)
    log.add("hold.lifted", 150, hold="h-1", account=ANN)
    refused = refusal(log, 200)
    assert refused is not None
    assert "h-2" in refused
    assert "h-1" not in refused


def test_a_hold_ends_at_its_instant_and_not_before(log: Log) -> None:
    log.add("hold.placed", 100, hold="h-1", account=ANN, until=200)
    assert refusal(log, 199) is not None
    assert refusal(log, 200) is None


def test_a_hold_on_an_incident_counts_for_those_it_is_spelled_out_for(log: Log) -> None:
    log.add("hold.placed", 100, hold="h-1", incident="inc-1")
    assert refusal(log, 200) is None
    log.add("hold.placed", 110, hold="h-1", incident="inc-1", account=ANN)
    assert refusal(log, 200) is not None
    log.add("hold.lifted", 150, hold="h-1", incident="inc-1")
    assert refusal(log, 200) is None


def test_the_standing_holds_of_incidents_are_found_by_incident(log: Log) -> None:
    log.add("hold.placed", 100, hold="h-1", incident="inc-1", until=300)
    holds = log.history.holds
    assert [one.hold for one in holds.standing_on_incidents(["inc-0", "inc-1"], 200)] == ["h-1"]
    assert holds.standing_on_incidents(["inc-1"], 300) == []
    assert (holds.held_incidents(200), holds.held_incidents(300)) == (frozenset({"inc-1"}), frozenset())


def test_an_erasure_that_was_forced_in_under_a_hold_is_found_and_is_no_fault_of_the_log(log: Log) -> None:
    log.add("hold.placed", 100, hold="h-1", account=ANN, via="api")
    erased = log.add("subject.erased", 200, account=ANN, via="api", forced=True)
    log.add("hold.lifted", 300, hold="h-1", account=ANN, via="api")
    assert log.findings() == [
        LedgerFinding(
            erased.seq,
            "HOLD_VIOLATED",
            "P",
            "the account is under the legal hold h-1: it has to be lifted first",
        )
    ]


def test_an_erasure_that_claims_to_take_effect_behind_the_end_of_the_hold_violates_it(log: Log) -> None:
    log.add("hold.placed", 100, hold="h-1", account=ANN, until=300, via="api")
    log.add("subject.erased", 400, recorded_at=200, account=ANN, via="api", forced=True)
    assert [found.code for found in log.findings()] == ["HOLD_VIOLATED"]


def test_an_erasure_behind_the_end_of_the_hold_violates_nothing(log: Log) -> None:
    log.add("hold.placed", 100, hold="h-1", account=ANN, until=300, via="api")
    log.add("subject.erased", 300, account=ANN, approved_by=GRACE, via="api")
    assert log.findings() == []


def test_a_hold_that_is_placed_behind_the_erasure_violates_nothing(log: Log) -> None:
    log.add("subject.erased", 200, account=ANN, approved_by=GRACE, via="api")
    log.add("hold.placed", 300, hold="h-1", account=ANN, via="api")
    assert log.findings() == []


def test_lifting_a_hold_that_was_never_placed_is_refused(log: Log) -> None:
    members = {"kind": "hold.lifted", "hold": "h-9", "at": 1, "actor": ADA}
    assert check_admission(log.history, members, live=True) == "the hold h-9 is unknown"


def test_a_hold_that_is_placed_behind_its_own_lifting_holds(log: Log) -> None:
    log.add("hold.placed", 100, hold="h-1", account=tag("bob"))
    log.add("hold.lifted", 150, hold="h-1")
    log.add("hold.placed", 160, hold="h-1", account=ANN)
    assert refusal(log, 200) is not None


def test_an_erasure_that_nobody_approved_is_refused_and_stands_where_it_is_older_than_that(log: Log) -> None:
    assert refusal(log, 100, approved_by=None) == "an erasure names the second person who approved it"
    log.add("subject.erased", 200, account=ANN, via="api", forced=True)
    assert log.findings() == []


def test_an_erasure_that_one_person_asked_for_and_approved_is_refused_and_found(log: Log) -> None:
    assert refusal(log, 100, approved_by=ADA) is not None
    erased = log.add("subject.erased", 200, account=ANN, actor=ADA, approved_by=ADA, via="api", forced=True)
    (found,) = log.findings()
    assert (found.seq, found.code, found.severity) == (erased.seq, "ENTRY_MALFORMED", "I")


def test_the_erased_are_known_by_their_first_entry(log: Log) -> None:
    first = log.add("subject.erased", 200, account=ANN)
    log.add("subject.erased", 300, account=ANN)
    assert log.history.holds.erased == {ANN: first.seq}
