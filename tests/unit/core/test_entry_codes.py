"""Integrity and hygiene of how an attempt was recorded and sent (verdict rules, sections 2.3 and 2.5)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.builders import Log, seen

SPKI_A, SPKI_B = "a" * 64, "b" * 64


@pytest.fixture
def log() -> Log:
    made = Log()
    made.parties()
    made.add("endpoint.verified", 1, endpoint="wh-a", spki_sha256=SPKI_A)
    made.add("endpoint.verified", 1, endpoint="wh-b", spki_sha256=SPKI_B)
    made.issue(at=100)
    return made


def codes(log: Log, *told: Any, **policy: Any) -> tuple[str, ...]:
    return log.judge(*told, **policy).codes


def test_a_clean_attempt_has_no_code(log: Log) -> None:
    attempted = log.attempt(at=150)
    judged = log.judge(attempted, log.settle(attempted, observed=seen(spki_sha256=SPKI_A)))
    assert (judged.verdict, judged.codes, judged.code, judged.severity) == ("AUTHORIZED", (), None, None)


def test_of_the_hygiene_codes_an_import_from_a_file_has_only_two() -> None:
    log = Log()
    log.parties()
    log.issue(at=100)
    told = log.imported(observed=seen("b.example", sni="a.example", spki_sha256=SPKI_B))
    assert codes(log, told, is_duplicate=True) == ("SNI_MISMATCH", "DUPLICATE_DELIVERY")


def test_an_import_through_the_api_has_the_others_as_well(log: Log) -> None:
    told = log.imported(via="api", observed=seen(spki_sha256=SPKI_B))
    assert codes(log, told) == ("UNTICKETED", "PEER_KEY_MISMATCH")


def test_an_import_with_its_ticket_is_ticketed(log: Log) -> None:
    assert codes(log, log.imported(via="api", ticket="t"), require_tickets=True) == ()


def test_a_decision_is_stale_unless_it_was_made_on_the_entry_before(log: Log) -> None:
    for decided in (log.size - 1, log.size + 1):
        attempted = log.attempt(f"d-{decided}", at=150, decided_at_size=decided)
        judged = log.judge(attempted, log.settle(attempted))
        assert (judged.code, judged.severity) == ("STALE_DECISION", "I")
        log.add("developer.suspended", 999, developer="dev-z")


@pytest.mark.parametrize(("ledger_time", "expected"), [(60_149, ()), (60_150, ("ATTEMPT_UNSETTLED",))])
def test_an_attempt_is_unsettled_sixty_seconds_after_it_was_recorded(
    log: Log, ledger_time: int, expected: tuple[str, ...]
) -> None:
    attempted = log.attempt(at=150)
    judged = log.judge(attempted, ledger_time=ledger_time)
    assert (judged.verdict, judged.codes, judged.evidence) == ("INDETERMINATE", expected, "intended")
    assert judged.disclosure == "possible"


def request(log: Log, **members: Any) -> Any:
    return log.add(
        "replay.requested", 120, replay="r", from_at=0, to_at=100, **({"endpoint": "wh-a"} | members)
    )


def test_a_replay_is_requested_before_the_attempt_and_of_this_endpoint(log: Log) -> None:
    request(log)
    attempted = log.attempt(at=150, replay="r")
    assert codes(log, attempted, log.settle(attempted)) == ()


def test_a_replay_requested_of_another_endpoint_is_unrequested(log: Log) -> None:
    request(log, endpoint="wh-b")
    attempted = log.attempt(at=150, replay="r")
    assert codes(log, attempted, log.settle(attempted)) == ("REPLAY_UNREQUESTED",)


def test_a_replay_requested_after_the_attempt_is_unrequested(log: Log) -> None:
    attempted = log.attempt(at=150, replay="r")
    request(log)
    assert codes(log, attempted, log.settle(attempted)) == ("REPLAY_UNREQUESTED",)


def test_an_endpoint_stays_verified_when_a_later_challenge_fails(log: Log) -> None:
    log.add("endpoint.failed", 120, endpoint="wh-a")
    attempted = log.attempt(at=150)
    assert codes(log, attempted, log.settle(attempted)) == ()


def test_an_endpoint_is_unverified_until_its_first_passed_challenge() -> None:
    log = Log()
    log.parties()
    log.issue(at=100)
    log.add("endpoint.failed", 110, endpoint="wh-a")
    log.add("endpoint.verified", 150, endpoint="wh-a")
    told = []
    for at in (149, 150):
        attempted = log.attempt(f"d-{at}", at=at)
        told.append(codes(log, attempted, log.settle(attempted, at)))
    assert told == [("ENDPOINT_UNVERIFIED",), ()]


@pytest.mark.parametrize(
    ("key", "expected"),
    [(SPKI_A, ()), (SPKI_B, ("PEER_KEY_MISMATCH",)), ("c" * 64, ())],
)
def test_a_peers_key_is_foreign_only_when_it_is_another_developers(
    log: Log, key: str, expected: tuple[str, ...]
) -> None:
    attempted = log.attempt(at=150)
    assert codes(log, attempted, log.settle(attempted, observed=seen(spki_sha256=key))) == expected


def test_a_key_of_the_developers_other_endpoint_is_not_foreign(log: Log) -> None:
    log.endpoint("wh-a2", "app-a", "https://a2.example/hook")
    log.add("endpoint.verified", 110, endpoint="wh-a2", spki_sha256="d" * 64)
    attempted = log.attempt(at=150)
    assert codes(log, attempted, log.settle(attempted, observed=seen(spki_sha256="d" * 64))) == ()


def test_a_key_that_was_pinned_again_is_no_longer_the_other_endpoints(log: Log) -> None:
    log.add("endpoint.verified", 120, endpoint="wh-b", spki_sha256="e" * 64)
    attempted = log.attempt(at=150)
    assert codes(log, attempted, log.settle(attempted, observed=seen(spki_sha256=SPKI_B))) == ()


def test_a_missing_claim_about_the_receiver_is_a_mismatch_where_somebody_owns_the_destination(
    log: Log,
) -> None:
    attempted = log.attempt(at=150)
    judged = log.judge(attempted, log.settle(attempted, forced=True))
    assert (judged.code, judged.severity) == ("RECEIVED_BY_MISMATCH", "I")


def test_a_settlement_without_disclosure_need_not_say_who_would_have_received(log: Log) -> None:
    attempted = log.attempt(at=150)
    assert codes(log, attempted, log.settle(attempted, disclosure="none", forced=True)) == ()


def test_a_settlement_without_attempt_may_name_any_endpoint_that_lies_there(log: Log) -> None:
    log.endpoint("wh-a2", "app-a", "https://a.example/hook")
    claimed = {"developer": "dev-a", "app": "app-a", "environment": "prod", "endpoint": "wh-a2"}
    settled = log.settle(Log().attempt(at=150), received_by=claimed, forced=True)
    assert codes(log, settled) == ("SENT_WITHOUT_ATTEMPT",)


def test_a_settlement_without_attempt_and_observation_can_claim_nothing_false(log: Log) -> None:
    settled = log.settle(Log().attempt(at=150), observed=None, received_by=None, forced=True)
    assert codes(log, settled) == ("SENT_WITHOUT_ATTEMPT",)


def test_a_false_index_claim_about_the_intended_developer_is_a_mismatch(log: Log) -> None:
    claimed = {"developer": "dev-a", "app": "app-a", "environment": "prod", "endpoint": "wh-a"}
    told = log.imported(developer="dev-b", received_by=claimed, forced=True)
    assert codes(log, told) == ("RECEIVED_BY_MISMATCH",)


def test_the_rescuers_claim_is_checked_beside_the_transports(log: Log) -> None:
    attempted = log.attempt(at=150)
    rescued = log.settle(attempted, by="rescuer", observed=None, forced=True)
    settled = log.settle(attempted)
    assert codes(log, attempted, rescued, settled) == ("RECEIVED_BY_MISMATCH",)


def test_codes_that_others_raised_are_listed_with_their_severity(log: Log) -> None:
    judged = log.judge(log.imported(), raised=("RECEIPT_MISSING",))
    assert (judged.code, judged.severity) == ("RECEIPT_MISSING", "A")


def test_a_status_belies_that_nothing_was_disclosed(log: Log) -> None:
    told = log.imported(observed=seen("b.example"), disclosure="none", status=200)
    judged = log.judge(told)
    assert (judged.verdict, judged.code, judged.severity) == ("UNAUTHORIZED", "ENTRY_MALFORMED", "I")
    attempted = log.attempt("d-2", at=150)
    assert codes(log, attempted, log.settle(attempted, disclosure="none", status=500)) == ("ENTRY_MALFORMED",)
