"""The twenty tricky cases of the verdict rules, section 2.6, one test or more each, in their order."""

from __future__ import annotations

import pytest

from ledger.core.admission import check_admission
from ledger.core.grants import Backed, Question, check
from ledger.core.ledger_findings import Sighting, find_collisions
from ledger.errors import RejectedError
from tests.support.builders import DM, POST, Log, seen, tag

NOON = 1_500_000_000_000


@pytest.fixture
def log() -> Log:
    made = Log()
    made.parties()
    made.add("endpoint.verified", 1, endpoint="wh-a")
    made.add("endpoint.verified", 1, endpoint="wh-b")
    return made


def test_01_a_first_byte_before_send_before_is_in_flight_when_the_revocation_came_after_the_attempt(
    log: Log,
) -> None:
    log.issue(at=100)
    attempted = log.attempt(at=NOON - 100)
    log.revoke(at=NOON, via="api")
    judged = log.judge(attempted, log.settle(attempted, NOON + 400))
    assert (judged.verdict, judged.code, judged.severity) == ("VOIDED_LATER", "IN_FLIGHT", "A")
    assert judged.exposure is None


def test_01_a_first_byte_at_send_before_is_no_longer_in_flight_and_never_knowing(log: Log) -> None:
    log.issue(at=100)
    attempted = log.attempt(at=NOON - 100)
    log.revoke(at=NOON, via="api")
    judged = log.judge(attempted, log.settle(attempted, NOON + 900))
    assert (judged.verdict, judged.code, judged.severity) == (
        "VOIDED_LATER",
        "DELIVERED_AFTER_REVOCATION",
        "X",
    )


def test_02_a_retry_that_succeeds_after_a_revocation_is_judged_as_a_retry(log: Log) -> None:
    log.issue(at=100)
    first = log.imported(at=150, disclosure="none")
    log.revoke(at=200)
    retried = log.imported(at=250, attempt=2)
    assert log.judge(first).verdict == "AUTHORIZED"
    assert log.judge(retried).code == "RETRY_AFTER_REVOCATION"


def test_03_a_retry_after_a_body_that_was_sent_makes_two_disclosures(log: Log) -> None:
    first = log.imported(at=150, disclosure="possible", observed=seen())
    second = log.imported(at=160, attempt=2, observed=seen())
    assert [log.judge(told).exposure for told in (first, second)] == ["definite", "definite"]


def test_04_a_duplicate_to_the_same_endpoint_inside_a_live_grant_is_an_advisory(log: Log) -> None:
    log.issue(at=100)
    judged = log.judge(log.imported(at=150), is_duplicate=True)
    assert (judged.verdict, judged.code, judged.severity) == ("AUTHORIZED", "DUPLICATE_DELIVERY", "A")


def test_04_the_same_event_to_a_different_endpoint_is_judged_alone(log: Log) -> None:
    log.issue(at=100)
    log.imported(at=150)
    assert log.judge(log.imported(at=150, endpoint="wh-b")).code == "WRONG_DEVELOPER"


def test_05_a_replay_that_was_requested_while_the_grant_was_live_is_judged_when_it_is_sent(log: Log) -> None:
    log.issue(at=100)
    log.add("replay.requested", 150, replay="r", endpoint="wh-a", from_at=0, to_at=150, via="api")
    attempted = log.attempt(at=300, replay="r")
    log.revoke(at=200, recorded_at=310, via="api")
    judged = log.judge(attempted, log.settle(attempted))
    assert (judged.verdict, judged.code) == ("VOIDED_LATER", "REPLAY_AFTER_REVOCATION")


def test_06_a_delivery_recorded_late_is_judged_by_when_it_started(log: Log) -> None:
    log.issue(at=100)
    log.revoke(at=200)
    assert log.judge(log.imported(at=199, recorded_at=10_000)).verdict == "AUTHORIZED"
    assert log.judge(log.imported(at=200, recorded_at=20_000)).code == "DELIVERED_AFTER_REVOCATION"


def test_07_a_settlement_before_its_attempt_is_kept_flagged_and_judged(log: Log) -> None:
    log.issue(at=100)
    ahead = Log()
    told = ahead.attempt(at=150)
    settled = log.settle(told, 150)
    attempted = log.attempt(at=150)
    judged = log.judge(attempted, settled)
    assert (judged.verdict, judged.code, judged.severity) == ("AUTHORIZED", "SENT_WITHOUT_ATTEMPT", "P")


def test_08_a_grant_recorded_after_the_delivery_covers_it_retroactively_and_never_silently(log: Log) -> None:
    attempted = log.attempt(at=150)
    settled = log.settle(attempted)
    log.issue(at=100, recorded_at=10_000, via="api")
    judged = log.judge(attempted, settled)
    assert (judged.verdict, judged.code, judged.severity) == ("COVERED_RETROACTIVELY", "GRANT_BACKDATED", "X")
    assert [(finding.code, finding.severity) for finding in log.findings()] == [("GRANT_BACKDATED", "P")]


def test_09_granted_again_after_expiry_leaves_a_real_gap(log: Log) -> None:
    log.issue("g-1", at=100, expires_at=200)
    log.issue("g-2", at=300)
    verdicts = [log.judge(log.imported(f"d-{at}", at=at)).verdict for at in (199, 200, 299, 300)]
    assert verdicts == ["AUTHORIZED", "UNAUTHORIZED", "UNAUTHORIZED", "AUTHORIZED"]
    assert log.judge(log.imported("d", at=250)).code == "DELIVERED_AFTER_EXPIRY"


def test_10_narrowed_and_widened_at_one_instant_is_denied_until_the_next_amendment(log: Log) -> None:
    log.issue(at=100, scopes=["posts", "direct_messages"])
    log.amend(at=200, scopes=["direct_messages", "likes", "posts"])
    log.amend(at=200, scopes=["posts"])
    log.amend(at=300, scopes=["direct_messages"])
    codes = [log.judge(log.imported(f"d-{at}", at=at, event_type=DM)).code for at in (199, 200, 299, 300)]
    assert codes == [None, "SCOPE_NARROWED", "SCOPE_NARROWED", None]


def test_11_an_endpoint_that_moved_to_another_developer_is_not_owned_by_whom_the_subscription_names(
    log: Log,
) -> None:
    log.issue(at=100)
    log.add("endpoint.transferred", 120, endpoint="wh-a", app="app-b")
    attempted = log.attempt(at=150)
    judged = log.judge(attempted, log.settle(attempted))
    assert (judged.code, judged.actual and judged.actual.developer) == ("ENDPOINT_NOT_OWNED", "dev-b")


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (119, "WRONG_DEVELOPER"),
        (120, "DESTINATION_MISMATCH"),
        (179, "DESTINATION_MISMATCH"),
        (180, "WRONG_DEVELOPER"),
    ],
)
def test_12_an_agency_may_receive_only_while_it_is_declared_as_a_processor(
    log: Log, at: int, code: str
) -> None:
    log.issue(at=100)
    log.add("processor.declared", 120, developer="dev-a", processor="dev-b", until=180)
    judged = log.judge(log.imported(at=at, observed=seen("b.example")))
    assert judged.code == code
    assert judged.actual is not None
    assert judged.actual.developer == "dev-b"


def test_13_a_shared_address_is_an_advisory_and_the_observed_name_decides(log: Log) -> None:
    log.issue(at=100)
    judged = log.judge(log.imported(at=150, observed=seen(peer_ip="203.0.113.7"), resolved_ip="203.0.113.7"))
    assert (judged.verdict, judged.code) == ("AUTHORIZED", None)
    shared = [Sighting("wh-a", "203.0.113.7", 10, 20), Sighting("wh-b", "203.0.113.7", 15, 30)]
    assert [collision.since_ms for collision in find_collisions(log.history, shared)] == [15]


def test_14_a_message_between_two_businesses_needs_a_grant_of_each_for_its_own_copy(log: Log) -> None:
    log.issue(at=100, account="ann", scopes=["direct_messages"])
    sent = log.imported("d-1", at=150, account="ann", event_type=DM)
    copy = log.imported("d-2", at=150, account="bob", event_type=DM, endpoint="wh-b")
    assert (log.judge(sent).verdict, log.judge(copy).code) == ("AUTHORIZED", "NO_GRANT")


def test_15_an_item_decided_before_its_app_was_transferred_is_judged_when_it_is_sent(log: Log) -> None:
    log.issue(at=100)
    attempted = log.attempt(at=150)
    log.add("app.transferred", 160, app="app-a", developer="dev-b", via="api")
    judged = log.judge(attempted, log.settle(attempted, 170))
    assert judged.code == "DEVELOPER_CHANGED_BY_TRANSFER"


def test_16_an_invalidated_grant_voids_every_delivery_under_it_whatever_the_time_of_the_invalidation(
    log: Log,
) -> None:
    log.issue(at=100)
    told = []
    for at in (110, 400):
        attempted = log.attempt(f"d-{at}", at=at)
        told.append((attempted, log.settle(attempted)))
    log.add("grant.invalidated", 300, grant="g", recorded_at=500, via="api")
    judged = [log.judge(*entries) for entries in told]
    assert {(one.verdict, one.code) for one in judged} == {("VOIDED_LATER", "GRANT_INVALIDATED")}
    assert log.findings() == []


def test_17_the_verdicts_about_an_erased_account_stay_as_they_were(log: Log) -> None:
    log.issue(at=100)
    told = log.imported(at=150)
    before = log.judge(told)
    log.add("subject.erased", 200, account=tag("ann"))
    assert (log.judge(told).verdict, log.judge(told).codes) == (before.verdict, before.codes)


def test_18_the_transports_settlement_wins_over_the_rescuers_that_stands_before_it(log: Log) -> None:
    log.issue(at=100)
    attempted = log.attempt(at=150)
    rescued = log.settle(attempted, by="rescuer", observed=None, disclosure="possible")
    settled = log.settle(attempted, 155, observed=seen("b.example"))
    judged = log.judge(attempted, rescued, settled)
    assert (judged.evidence, judged.disclosure, judged.code) == ("observed", "confirmed", "WRONG_DEVELOPER")


def test_19_an_unknown_event_type_is_refused_by_the_gate_and_reported_by_the_verifier(log: Log) -> None:
    log.issue(at=100, scopes=["all"])
    asked = Question(tag("ann"), "dev-a", "app-a", "prod", "poll_events", 150)
    assert not isinstance(check(log.history, asked), Backed)
    assert log.judge(log.imported(at=150, event_type="poll_events")).code == "EVENT_TYPE_UNMAPPED"


def test_19_an_account_that_nobody_knows_has_granted_nothing(log: Log) -> None:
    asked = Question(tag("nobody"), "dev-a", "app-a", "prod", POST, 150)
    assert not isinstance(check(log.history, asked), Backed)
    assert log.judge(log.imported(at=150, account="nobody")).code == "NO_GRANT"


def test_20_a_revocation_by_another_account_is_rejected_at_append(log: Log) -> None:
    log.issue(at=100)
    with pytest.raises(RejectedError, match="another account's"):
        log.revoke(at=120, account=tag("bob"))


def test_20_a_revocation_by_another_account_that_was_forced_in_is_found_and_changes_nothing(log: Log) -> None:
    log.issue(at=100)
    log.revoke(at=120, account=tag("bob"), developer="dev-a", forced=True)
    assert [(finding.code, finding.severity) for finding in log.findings()] == [("ENTRY_MALFORMED", "I")]
    assert log.judge(log.imported(at=150)).verdict == "AUTHORIZED"


def test_20_an_event_on_a_dead_grant_is_rejected_live(log: Log) -> None:
    log.issue(at=100)
    log.revoke(at=120)
    with pytest.raises(RejectedError, match="dead"):
        log.amend(at=130, scopes=["likes"], via="api")


def test_20_an_event_on_a_dead_grant_that_was_forced_in_is_found(log: Log) -> None:
    log.issue(at=100)
    log.revoke(at=120)
    log.amend(at=130, scopes=["posts"], account=tag("ann"), developer="dev-a", via="api", forced=True)
    assert [(finding.code, finding.severity) for finding in log.findings()] == [("GRANT_AFTER_TERMINAL", "I")]
    assert log.judge(log.imported(at=150)).code == "DELIVERED_AFTER_REVOCATION"


def test_20_an_event_on_a_dead_grant_from_a_file_goes_in_and_is_a_process_finding(log: Log) -> None:
    log.issue(at=100)
    log.revoke(at=120)
    assert (
        check_admission(log.history, {"kind": "grant.resumed", "grant": "g", "at": 130}, live=False) is None
    )
    log.add("grant.resumed", 130, grant="g")
    assert [(finding.code, finding.severity) for finding in log.findings()] == [("GRANT_AFTER_TERMINAL", "P")]
