"""Verdicts and the choice of codes (verdict rules, sections 2.2 to 2.5), beyond one story for each code."""

from __future__ import annotations

import pytest

from ledger.core.judgement import Judgement, Party, judge
from tests.support.builders import DM, Log, seen, tag


@pytest.fixture
def log() -> Log:
    made = Log()
    made.parties()
    made.add("endpoint.verified", 1, endpoint="wh-a")
    made.add("endpoint.verified", 1, endpoint="wh-b")
    return made


def decided(log: Log, at: int = 150, **members: object) -> tuple[object, object]:
    attempted = log.attempt(at=at, **members)  # type: ignore[arg-type]
    return attempted, log.settle(attempted)


def answers(judged: Judgement) -> tuple[bool | None, bool | None, str]:
    return judged.then, judged.now, judged.verdict


def test_yes_and_yes_is_authorized(log: Log) -> None:
    log.issue(at=100)
    assert answers(log.judge(*decided(log))) == (True, True, "AUTHORIZED")


def test_yes_and_no_is_voided_later(log: Log) -> None:
    log.issue(at=100)
    told = decided(log)
    log.revoke(at=120, via="api")
    assert answers(log.judge(*told)) == (True, False, "VOIDED_LATER")


def test_no_and_yes_is_covered_retroactively(log: Log) -> None:
    told = decided(log)
    log.issue(at=100)
    assert answers(log.judge(*told)) == (False, True, "COVERED_RETROACTIVELY")


def test_no_and_no_is_unauthorized(log: Log) -> None:
    assert answers(log.judge(*decided(log))) == (False, False, "UNAUTHORIZED")


def test_of_an_import_only_what_is_known_now_is_asked(log: Log) -> None:
    told = log.imported(via="api", ticket="t")
    assert answers(log.judge(told)) == (None, False, "UNAUTHORIZED")
    log.issue(at=100)
    assert answers(log.judge(told)) == (None, True, "AUTHORIZED")


def test_standing_recorded_afterwards_voids_what_was_right_then(log: Log) -> None:
    log.issue(at=100)
    told = decided(log)
    log.add("account.suspended", 120, account=tag("ann"), via="api")
    judged = log.judge(*told)
    assert (judged.verdict, judged.code) == ("VOIDED_LATER", "ACCOUNT_NOT_ACTIVE")


def test_a_misdelivery_was_never_right_on_what_it_knew(log: Log) -> None:
    log.issue(at=100)
    attempted = log.attempt(at=150)
    judged = log.judge(attempted, log.settle(attempted, observed=seen("b.example")))
    assert answers(judged) == (False, False, "UNAUTHORIZED")


def test_a_transfer_recorded_afterwards_counts_for_both_answers(log: Log) -> None:
    log.issue(at=100)
    told = decided(log)
    log.add("app.transferred", 120, app="app-a", developer="dev-b", via="api")
    judged = log.judge(*told)
    assert (judged.then, judged.verdict, judged.cause) == (
        False,
        "UNAUTHORIZED",
        "DEVELOPER_CHANGED_BY_TRANSFER",
    )


def test_a_verdict_is_as_of_a_tree_size(log: Log) -> None:
    log.issue(at=100)
    told = log.imported()
    size = log.size
    log.revoke(at=120)
    before = judge(log.delivery(told), log.history, tree_size=size, ledger_time_ms=150)
    assert (before.verdict, log.judge(told).verdict) == ("AUTHORIZED", "UNAUTHORIZED")


def test_an_unbacked_delivery_lists_the_first_failing_test_of_each_candidate(log: Log) -> None:
    log.issue("g-1", at=100, expires_at=120)
    log.issue("g-2", at=100, environment="staging")
    log.issue("g-3", at=110, scopes=["likes"])
    judged = log.judge(log.imported(observed=seen()))
    assert judged.codes == ("WRONG_ENVIRONMENT", "DELIVERED_AFTER_EXPIRY", "SCOPE_EXCEEDED")
    assert [(miss.grant, miss.code) for miss in judged.misses] == [
        ("g-3", "SCOPE_EXCEEDED"),
        ("g-1", "DELIVERED_AFTER_EXPIRY"),
        ("g-2", "WRONG_ENVIRONMENT"),
    ]


def test_an_authorized_delivery_lists_no_candidates(log: Log) -> None:
    log.issue("g-1", at=100, expires_at=120)
    log.issue("g-2", at=100)
    judged = log.judge(log.imported())
    assert (judged.codes, judged.misses, judged.backing and judged.backing.grant) == ((), (), "g-2")


def test_a_mismatch_of_destinations_is_listed_whatever_else_is_wrong(log: Log) -> None:
    log.issue(at=100)
    judged = log.judge(log.imported(observed=seen("b.example")))
    assert judged.codes == ("WRONG_DEVELOPER", "DESTINATION_MISMATCH")
    unknown = log.judge(log.imported("d-2", observed=seen("c.example")))
    assert unknown.codes == ("DESTINATION_MISMATCH", "ENDPOINT_UNKNOWN")


def test_destinations_mismatch_by_url_and_not_by_endpoint(log: Log) -> None:
    log.issue(at=100)
    log.endpoint("wh-a2", "app-a", "https://A.example./hook")
    judged = log.judge(log.imported(endpoint="wh-a2", observed=seen()))
    assert (judged.codes, judged.actual and judged.actual.endpoint) == ((), "wh-a2")


def test_nothing_mismatches_where_nothing_was_observed_or_registered(log: Log) -> None:
    log.issue(at=100)
    log.add("endpoint.transferred", 120, endpoint="wh-a", app="app-b")
    assert "DESTINATION_MISMATCH" not in log.judge(log.imported()).codes
    judged = log.judge(log.imported("d-2", endpoint="wh-9", observed=seen("b.example")))
    assert "DESTINATION_MISMATCH" not in judged.codes


def test_where_nothing_was_observed_the_intended_url_stands_in(log: Log) -> None:
    log.issue(at=100)
    log.add("endpoint.retired", 120, endpoint="wh-a")
    log.endpoint("wh-a2", "app-a", "https://a.example/hook", at=120)
    judged = log.judge(log.imported())
    assert (judged.verdict, judged.evidence, judged.actual and judged.actual.endpoint) == (
        "AUTHORIZED",
        "intended",
        "wh-a2",
    )


def test_an_import_may_state_the_app_that_was_meant(log: Log) -> None:
    log.issue(at=100)
    judged = log.judge(log.imported(app="app-b", environment="prod", observed=seen()))
    assert judged.expected == Party("dev-b", "app-b", "prod", "wh-a")
    assert judged.verdict == "AUTHORIZED"


def test_an_import_to_a_stated_app_that_does_not_have_the_endpoint_went_to_one_not_owned(log: Log) -> None:
    log.issue(at=100, developer="dev-b", app="app-b")
    judged = log.judge(log.imported(app="app-b"))
    assert (judged.code, judged.codes) == ("ENDPOINT_NOT_OWNED", ("ENDPOINT_NOT_OWNED",))


def test_a_stated_environment_alone_leaves_the_endpoints_app(log: Log) -> None:
    judged = log.judge(log.imported(environment="staging"))
    assert judged.expected == Party("dev-a", "app-a", "staging", "wh-a")


def test_a_stated_app_that_nobody_knows_has_no_developer(log: Log) -> None:
    judged = log.judge(log.imported(app="app-9", observed=seen("b.example")))
    assert (judged.expected.developer, judged.code) == (None, "WRONG_DEVELOPER")


def test_a_candidate_of_the_receiver_is_listed_though_the_destination_is_the_reason(log: Log) -> None:
    log.issue(at=100)
    log.issue("g-b", at=100, developer="dev-b", app="app-b", expires_at=120)
    judged = log.judge(log.imported(observed=seen("b.example")))
    assert judged.code == "WRONG_DEVELOPER"
    assert judged.codes == ("WRONG_DEVELOPER", "DESTINATION_MISMATCH", "DELIVERED_AFTER_EXPIRY")


def test_a_misdelivery_to_somebody_who_has_a_grant_as_well_is_backed(log: Log) -> None:
    log.issue(at=100)
    log.issue("g-b", at=100, developer="dev-b", app="app-b")
    judged = log.judge(log.imported(observed=seen("b.example")))
    assert (judged.verdict, judged.codes, judged.severity) == ("AUTHORIZED", ("DESTINATION_MISMATCH",), "P")


def test_a_processors_principal_is_judged_for_its_own_grant(log: Log) -> None:
    log.issue(at=100, expires_at=140)
    log.add("processor.declared", 100, developer="dev-a", processor="dev-b")
    judged = log.judge(log.imported(observed=seen("b.example")))
    assert (judged.code, judged.codes) == (
        "DELIVERED_AFTER_EXPIRY",
        ("DESTINATION_MISMATCH", "DELIVERED_AFTER_EXPIRY"),
    )


def test_another_developers_declaration_does_not_help(log: Log) -> None:
    log.issue(at=100)
    log.add("processor.declared", 100, developer="dev-c", processor="dev-b")
    assert log.judge(log.imported(observed=seen("b.example"))).code == "WRONG_DEVELOPER"


def test_knowing_needs_a_sender_who_was_not_right_on_what_it_knew(log: Log) -> None:
    log.issue("g-1", at=120, expires_at=900)
    log.revoke("g-1", at=130)
    log.issue("g-2", at=100)
    told = decided(log)
    log.revoke("g-2", at=140, via="api")
    judged = log.judge(*told)
    assert (judged.verdict, judged.code) == ("VOIDED_LATER", "DELIVERED_AFTER_REVOCATION")


def test_knowing_comes_before_replay_and_replay_before_retry(log: Log) -> None:
    log.issue(at=100)
    log.revoke(at=120)
    known = decided(log, attempt=2, replay="r")
    assert log.judge(*known).cause == "KNOWING_DELIVERY_AFTER_REVOCATION"


def test_any_revocation_that_was_known_makes_it_knowing_though_an_earlier_one_came_later(log: Log) -> None:
    log.issue(at=100)
    log.revoke(at=140)
    told = decided(log)
    log.revoke(at=120, via="api")
    assert log.judge(*told).code == "KNOWING_DELIVERY_AFTER_REVOCATION"


def test_an_unauthorized_delivery_is_never_in_flight(log: Log) -> None:
    log.issue(at=100)
    attempted = log.attempt(at=150, event_type=DM)
    log.revoke(at=150, via="api")
    judged = log.judge(attempted, log.settle(attempted, 160))
    assert (judged.verdict, judged.severity) == ("UNAUTHORIZED", "X")
    assert "IN_FLIGHT" not in judged.codes


def test_a_grant_amended_away_while_in_flight_ended_as_by_a_revocation(log: Log) -> None:
    log.issue(at=100)
    attempted = log.attempt(at=150)
    log.amend(at=155, developer="dev-c", scopes=["likes"], via="api")
    judged = log.judge(attempted, log.settle(attempted, 160))
    assert (judged.verdict, judged.code) == ("VOIDED_LATER", "IN_FLIGHT")


def test_an_integrity_code_comes_first_and_the_verdict_is_told_all_the_same(log: Log) -> None:
    log.issue(at=100)
    attempted = log.attempt(at=150, decided_at_size=0)
    judged = log.judge(attempted, log.settle(attempted, observed=seen("b.example")))
    assert (judged.code, judged.cause, judged.severity) == ("STALE_DECISION", "WRONG_DEVELOPER", "I")
    assert (judged.verdict, judged.exposure) == ("UNAUTHORIZED", "definite")


def test_an_advisory_primary_code_does_not_hide_a_foreign_key(log: Log) -> None:
    log.issue(at=100)
    attempted = log.attempt(at=150)
    log.revoke(at=150, via="api")
    judged = log.judge(attempted, log.settle(attempted, 160), raised=("PEER_KEY_MISMATCH",))
    assert (judged.code, judged.severity, judged.exposure) == ("IN_FLIGHT", "X", "definite")


@pytest.mark.parametrize(
    ("disclosure", "observed", "exposure"),
    [
        ("confirmed", True, "definite"),
        ("possible", True, "definite"),
        ("confirmed", False, "possible"),
        ("possible", False, "possible"),
        ("none", True, None),
    ],
)
def test_an_exposure_is_definite_where_egress_was_observed(
    log: Log, disclosure: str, observed: bool, exposure: str | None
) -> None:
    told = log.imported(disclosure=disclosure, observed=seen() if observed else None)
    assert log.judge(told).exposure == exposure


def test_without_disclosure_a_broken_entry_stays_broken(log: Log) -> None:
    attempted = log.attempt(at=150, decided_at_size=0)
    judged = log.judge(attempted, log.settle(attempted, disclosure="none"))
    assert (judged.severity, judged.exposure) == ("I", None)


def test_an_undecidable_attempt_has_no_answer(log: Log) -> None:
    log.issue(at=100)
    judged = log.judge(log.attempt(at=150))
    assert (answers(judged), judged.codes) == ((None, None, "INDETERMINATE"), ())


def test_the_entries_are_the_attempts_own_and_those_that_made_the_nearest_candidate_fail(log: Log) -> None:
    issued = log.issue(at=100)
    revoked = log.revoke(at=120)
    told = log.imported()
    assert log.judge(told).entries == (issued.seq, revoked.seq, told.seq)
