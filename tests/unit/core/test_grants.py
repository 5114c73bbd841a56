"""The rule: what backs a delivery, and which reason is given when nothing does (sections 2.1 and 2.3)."""

from __future__ import annotations

import pytest

from ledger.core.folding import OPEN_END_MS
from ledger.core.grants import Backed, Question, Unbacked, check, find_backing, is_dead_at
from tests.support.builders import DM, LIKE, POST, Log, tag


def ask(at: int = 150, **members: str) -> Question:
    asked = Question(tag("ann"), "dev-a", "app-a", "prod", POST, at)
    return asked._replace(**members)  # type: ignore[arg-type]


def no(log: Log, at: int = 150, **members: str) -> Unbacked:
    answer = check(log.history, ask(at, **members))
    assert isinstance(answer, Unbacked)
    return answer


@pytest.fixture
def log() -> Log:
    made = Log()
    made.parties()
    return made


def test_a_live_covering_grant_backs_and_is_named_with_its_version_and_end(log: Log) -> None:
    log.issue(at=100, expires_at=900)
    log.amend(at=140, scopes=["posts"])
    assert check(log.history, ask()) == Backed("g", 2, 900)


def test_what_nothing_ends_is_backed_until_the_end_of_time(log: Log) -> None:
    log.issue(at=100)
    assert check(log.history, ask()) == Backed("g", 1, OPEN_END_MS)


def test_the_last_instant_of_the_format_is_backed_by_nothing(log: Log) -> None:
    log.issue(at=100)
    assert no(log, OPEN_END_MS).code == "DELIVERED_AFTER_EXPIRY"


def test_intervals_are_half_open(log: Log) -> None:
    log.issue(at=100, expires_at=200)
    backed = [find_backing(log.history, ask(at)) is not None for at in (99, 100, 199, 200)]
    assert backed == [False, True, True, False]


def test_one_live_grant_is_enough_whichever_was_issued_last(log: Log) -> None:
    log.issue("g-1", at=100)
    log.issue("g-2", at=120, scopes=["likes"])
    log.issue("g-3", at=130, expires_at=140)
    assert check(log.history, ask()) == Backed("g-1", 1, OPEN_END_MS)


def test_all_covers_every_mapped_event_type_and_no_other(log: Log) -> None:
    log.issue(at=100, scopes=["all"])
    assert isinstance(check(log.history, ask(event_type=DM)), Backed)
    assert no(log, event_type="poll_events").code == "EVENT_TYPE_UNMAPPED"


def test_a_grant_does_not_follow_an_app_unless_the_account_accepts(log: Log) -> None:
    log.issue(at=100)
    log.add("app.transferred", 120, app="app-a", developer="dev-b")
    assert no(log, developer="dev-b").code == "DEVELOPER_CHANGED_BY_TRANSFER"
    log.amend(at=140, developer="dev-b")
    assert isinstance(check(log.history, ask(developer="dev-b")), Backed)


def test_a_grant_known_only_later_did_not_back_what_was_known_then(log: Log) -> None:
    size = log.size
    log.issue(at=100)
    assert isinstance(check(log.history, ask(), size), Unbacked)
    assert isinstance(check(log.history, ask(), size + 1), Backed)


def test_the_furthest_candidate_gives_the_reason(log: Log) -> None:
    log.app("app-a2", "dev-a")
    log.issue("app", at=100, app="app-a2")
    assert no(log).code == "WRONG_APP"
    log.issue("environment", at=100, environment="staging")
    assert no(log).code == "WRONG_ENVIRONMENT"
    log.issue("time", at=100, expires_at=120)
    assert no(log).code == "DELIVERED_AFTER_EXPIRY"
    log.issue("scope", at=100, scopes=["likes"])
    answer = no(log)
    assert answer.code == "SCOPE_EXCEEDED"
    assert [miss.grant for miss in answer.misses] == ["scope", "time", "environment", "app"]


@pytest.mark.parametrize("standing", ["app", "developer", "account"])
def test_standing_comes_before_time_and_after_app_and_environment(log: Log, standing: str) -> None:
    log.issue("time", at=100, expires_at=120)
    log.issue("environment", at=100, environment="staging")
    name = {"app": "app-a", "developer": "dev-a", "account": tag("ann")}[standing]
    log.add(f"{standing}.suspended", 110, **{standing: name})  # type: ignore[arg-type]
    expected = "ACCOUNT_NOT_ACTIVE" if standing == "account" else "APP_OR_DEVELOPER_SUSPENDED"
    assert [miss.code for miss in no(log).misses] == [expected, "WRONG_ENVIRONMENT"]


def test_the_apps_and_developers_standing_comes_before_the_accounts(log: Log) -> None:
    log.issue(at=100)
    log.add("account.deleted", 110, account=tag("ann"))
    assert no(log).code == "ACCOUNT_NOT_ACTIVE"
    log.add("developer.suspended", 110, developer="dev-a")
    assert no(log).code == "APP_OR_DEVELOPER_SUSPENDED"


def test_of_equally_far_candidates_one_that_had_begun_comes_before_a_later_one(log: Log) -> None:
    log.issue("later", at=900)
    log.issue("ended", at=100, expires_at=120)
    assert [miss.grant for miss in no(log).misses] == ["ended", "later"]


def test_of_those_the_latest_start_comes_first_and_then_the_highest_seq(log: Log) -> None:
    log.issue("late", at=110, expires_at=120)
    log.issue("early", at=100, expires_at=130)
    log.issue("late-2", at=110, expires_at=115)
    assert [miss.grant for miss in no(log).misses] == ["late-2", "late", "early"]


def test_a_grant_that_begins_later_makes_it_a_delivery_before_the_grant(log: Log) -> None:
    log.issue(at=900)
    assert no(log).code == "DELIVERED_BEFORE_GRANT"


def test_before_its_start_comes_before_invalidated(log: Log) -> None:
    log.issue(at=100)
    log.add("grant.invalidated", 500, grant="g")
    assert [no(log, at).code for at in (99, 100)] == ["DELIVERED_BEFORE_GRANT", "GRANT_INVALIDATED"]


def test_invalidated_comes_before_ended(log: Log) -> None:
    log.issue(at=100, expires_at=120)
    log.add("grant.invalidated", 500, grant="g")
    assert no(log).code == "GRANT_INVALIDATED"


@pytest.mark.parametrize(
    ("expires_at", "revoked_at", "code"),
    [(120, 130, "EXPIRY"), (130, 120, "REVOCATION"), (120, 120, "EXPIRY")],
)
def test_the_earliest_end_counts_and_expiry_first_when_both_fall_together(
    log: Log, expires_at: int, revoked_at: int, code: str
) -> None:
    log.issue(at=100, expires_at=expires_at)
    log.revoke(at=revoked_at)
    assert no(log).code == f"DELIVERED_AFTER_{code}"


def test_ended_comes_before_suspended_and_suspended_before_scope(log: Log) -> None:
    log.issue(at=100, scopes=["likes"])
    log.add("grant.suspended", 110, grant="g")
    assert no(log).code == "GRANT_SUSPENDED"
    log.revoke(at=140)
    assert no(log).code == "DELIVERED_AFTER_REVOCATION"


def test_a_scope_that_an_earlier_version_covered_was_narrowed(log: Log) -> None:
    log.issue(at=100, scopes=["posts"])
    log.amend(at=140, scopes=["likes"])
    log.amend(at=200, scopes=["direct_messages"])
    assert [no(log, 150, event_type=kind).code for kind in (POST, DM)] == ["SCOPE_NARROWED", "SCOPE_EXCEEDED"]


def test_the_expiry_that_was_in_force_then_decides_about_deliveries_before_an_amendment(log: Log) -> None:
    log.issue(at=100, expires_at=300)
    log.amend(at=200, expires_at=250)
    assert isinstance(check(log.history, ask(199)), Backed)
    assert [no(log, at).code for at in (250, 299)] == ["DELIVERED_AFTER_EXPIRY"] * 2


def test_a_change_to_another_developer_is_a_revocation_for_the_old_and_a_start_for_the_new(log: Log) -> None:
    log.issue(at=100)
    log.amend(at=200, developer="dev-b")
    old, new = no(log, 200), no(log, 199, developer="dev-b")
    # The grant is for app-a, live, and names the other developer: step 3 comes before the candidates.
    assert (old.code, new.code) == ("DEVELOPER_CHANGED_BY_TRANSFER", "DEVELOPER_CHANGED_BY_TRANSFER")
    assert [miss.code for miss in (*old.misses, *new.misses)] == [
        "DELIVERED_AFTER_REVOCATION",
        "DELIVERED_BEFORE_GRANT",
    ]


def test_a_developer_that_a_grant_came_back_to_has_a_gap(log: Log) -> None:
    log.issue(at=100)
    log.amend(at=200, developer="dev-b")
    log.amend(at=300, developer="dev-a")
    assert [find_backing(log.history, ask(at)) is not None for at in (199, 200, 299, 300)] == [
        True,
        False,
        False,
        True,
    ]
    assert no(log, 250).misses[0].code == "DELIVERED_AFTER_REVOCATION"


def test_a_grant_elsewhere_counts_only_while_live_and_covering(log: Log) -> None:
    log.issue(at=100, expires_at=200)
    asked = {"developer": "dev-b", "app": "app-b"}
    assert (no(log, 150, **asked).code, no(log, 150, **asked).held_elsewhere) == ("WRONG_DEVELOPER", "g")
    assert no(log, 200, **asked).code == "NO_GRANT"
    assert no(log, 150, event_type=LIKE, **asked).code == "NO_GRANT"


def test_whose_grant_is_transferred_is_asked_for_the_same_environment_only(log: Log) -> None:
    log.issue(at=100, environment="staging")
    assert no(log, developer="dev-b").code == "WRONG_DEVELOPER"


def test_every_ending_in_force_is_told_the_earliest_first(log: Log) -> None:
    log.issue(at=100)
    later, earlier = log.revoke(at=140), log.revoke(at=130)
    (miss,) = no(log).misses
    assert [(ending.at_ms, ending.seq) for ending in miss.endings] == [(130, earlier.seq), (140, later.seq)]
    assert (miss.failed_at_ms, miss.failed_seq) == (130, earlier.seq)


def test_a_dead_grant_is_dead_from_its_end_on(log: Log) -> None:
    log.issue("expired", at=100, expires_at=120)
    log.issue("revoked", at=100)
    log.revoke("revoked", at=120)
    log.issue("void", at=100)
    log.add("grant.invalidated", 120, grant="void")
    for grant in ("expired", "revoked", "void"):
        assert [is_dead_at(log.history, grant, at) for at in (119, 120)] == [False, True]
    assert not is_dead_at(log.history, "unknown", 120)


def test_the_deletion_of_an_account_kills_its_grants(log: Log) -> None:
    log.issue(at=100)
    log.add("account.deleted", 120, account=tag("ann"))
    assert [is_dead_at(log.history, "g", at) for at in (119, 120)] == [False, True]
