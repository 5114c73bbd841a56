"""The fold of one grant, clause by clause (verdict rules, section 2.1)."""

from __future__ import annotations

from typing import Any

from ledger.core.folding import OPEN_END_MS
from ledger.core.scopes import scopes_of_mask
from ledger.core.timelines import Timeline, is_dead_before, timeline_of
from tests.support.builders import Log, tag


def fold(log: Log, as_of_size: int | None = None) -> Timeline:
    timeline = timeline_of(log.history.grants["g"], as_of_size)
    assert timeline is not None
    return timeline


def live(log: Log) -> list[tuple[int, int]]:
    return [span[:2] for span in fold(log).spans]


def terms(log: Log) -> list[tuple[int, str, tuple[str, ...], int | None]]:
    """``(from, developer, scopes, expiry)`` of each version."""
    return [
        (version.from_ms, version.developer, scopes_of_mask(version.scopes), version.expires_at_ms)
        for version in fold(log).versions
    ]


def granted(**members: object) -> Log:
    log = Log()
    log.issue(at=100, **members)  # type: ignore[arg-type]
    return log


def test_an_amendment_starts_a_version_at_its_time() -> None:
    log = granted(expires_at=900)
    log.amend(at=200, scopes=["likes"])
    assert terms(log) == [(100, "dev-a", ("posts",), 900), (200, "dev-a", ("likes",), 900)]


def test_scopes_that_an_amendment_leaves_out_stay() -> None:
    log = granted()
    log.amend(at=200, expires_at=900)
    assert terms(log)[1] == (200, "dev-a", ("posts",), 900)


def test_a_new_expiry_replaces_the_old_one_from_its_time_on() -> None:
    log = granted(expires_at=300)
    log.amend(at=200, expires_at=900)
    assert live(log) == [(100, 200), (200, 900)]


def test_an_expiry_that_is_not_after_the_amendment_ends_the_grant_there_and_not_before() -> None:
    log = granted(expires_at=900)
    log.amend(at=200, expires_at=150)
    assert live(log) == [(100, 200)]


def test_a_grant_that_expires_at_its_start_is_never_live() -> None:
    assert live(granted(expires_at=100)) == []


def test_an_amendment_at_or_after_the_expiry_is_one_of_a_dead_grant() -> None:
    for at in (300, 301):
        log = granted(expires_at=300)
        log.amend(at=at, expires_at=900, scopes=["likes"])
        assert (live(log), len(fold(log).versions)) == ([(100, 300)], 1)


def test_versions_of_one_instant_are_the_intersection_of_the_scopes_that_they_state() -> None:
    log = granted(scopes=["posts", "likes"])
    log.amend(at=100, scopes=["likes", "follows"])
    log.amend(at=100, expires_at=900)
    assert terms(log) == [(100, "dev-a", ("likes",), 900)]


def test_versions_of_one_instant_have_the_earliest_expiry_that_they_state() -> None:
    log = granted(expires_at=900)
    log.amend(at=200, expires_at=700)
    log.amend(at=200, expires_at=800)
    assert terms(log)[1][3] == 700


def test_an_expiry_of_zero_is_an_expiry() -> None:
    log = granted()
    log.amend(at=200, expires_at=0)
    log.amend(at=200, expires_at=900)
    assert live(log) == [(100, 200)]


def test_versions_of_one_instant_that_state_nothing_carry_over() -> None:
    log = granted(expires_at=900)
    log.amend(at=200, developer="dev-a")
    log.amend(at=200, developer="dev-b")
    assert terms(log)[1][2:] == (("posts",), 900)


def test_of_two_developers_named_at_one_instant_the_lowest_seq_holds() -> None:
    log = granted()
    log.amend(at=200, developer="dev-b")
    log.amend(at=200, developer="dev-c")
    assert terms(log)[1][1] == "dev-b"


def test_a_developer_that_held_for_no_time_was_named_all_the_same() -> None:
    log = granted()
    log.amend(at=200, developer="dev-b")
    log.amend(at=200, developer="dev-c")
    assert [(stint.developer, stint.from_ms, stint.to_ms) for stint in fold(log).stints] == [
        ("dev-a", 100, 200),
        ("dev-c", 200, 200),
        ("dev-b", 200, OPEN_END_MS),
    ]


def test_another_developer_carries_scopes_and_expiry_over() -> None:
    log = granted(expires_at=900)
    log.amend(at=200, developer="dev-b")
    assert terms(log)[1] == (200, "dev-b", ("posts",), 900)


def test_a_suspension_pauses_and_a_resumption_goes_on() -> None:
    log = granted(expires_at=900)
    log.add("grant.suspended", 200, grant="g")
    log.add("grant.resumed", 300, grant="g")
    assert live(log) == [(100, 200), (300, 900)]


def test_a_resumption_at_the_instant_of_a_suspension_does_not_lift_it() -> None:
    log = granted(expires_at=900)
    log.add("grant.suspended", 200, grant="g")
    log.add("grant.resumed", 200, grant="g")
    assert live(log) == [(100, 200)]


def test_a_suspension_before_the_start_holds_until_it_is_resumed() -> None:
    log = granted(expires_at=900)
    log.add("grant.suspended", 50, grant="g")
    log.add("grant.resumed", 150, grant="g")
    assert live(log) == [(150, 900)]


def test_of_several_revocations_the_earliest_counts() -> None:
    log = granted()
    log.revoke(at=300)
    log.revoke(at=200)
    assert live(log) == [(100, 200)]


def test_a_revocation_before_the_start_leaves_nothing() -> None:
    log = granted()
    log.revoke(at=50)
    assert live(log) == []


def test_an_invalidated_grant_is_void_from_its_start() -> None:
    log = granted()
    log.add("grant.invalidated", 500, grant="g")
    assert live(log) == []


def test_the_deletion_of_the_account_ends_its_grants() -> None:
    log = granted()
    log.add("account.deleted", 200, account=tag("ann"))
    assert live(log) == [(100, 200)]


def test_events_after_the_end_change_nothing() -> None:
    for ending in ("grant.revoked", "grant.invalidated", "account.deleted"):
        log = granted()
        about: dict[str, Any] = {"account": tag("ann")} if ending == "account.deleted" else {"grant": "g"}
        log.add(ending, 200, **about)
        log.amend(at=201, developer="dev-b", scopes=["likes"])
        assert [stint.developer for stint in fold(log).stints] == ["dev-a"], ending


def test_an_amendment_before_the_start_finds_nothing_to_amend() -> None:
    log = granted()
    log.amend(at=50, developer="dev-b", scopes=["likes"], expires_at=70)
    assert terms(log) == [(100, "dev-a", ("posts",), None)]


def test_a_second_issue_from_a_file_starts_a_version() -> None:
    log = granted(expires_at=900)
    log.issue(at=200, scopes=["likes"])
    assert terms(log) == [(100, "dev-a", ("posts",), 900), (200, "dev-a", ("likes",), 900)]


def test_a_fold_as_of_a_size_knows_only_what_stands_before() -> None:
    log = granted()
    size = log.size
    log.revoke(at=200)
    log.add("account.deleted", 150, account=tag("ann"))
    assert [fold(log, as_of).end_ms for as_of in (size, size + 1, size + 2)] == [OPEN_END_MS, 200, 150]


def test_a_grant_is_not_dead_for_what_is_applied_before_its_end_at_the_same_instant() -> None:
    log = granted()
    log.revoke(at=200)
    assert [is_dead_before(fold(log), at) for at in (199, 200, 201)] == [False, False, True]


def test_a_grant_is_dead_at_its_expiry_but_not_by_a_version_of_the_same_instant() -> None:
    log = granted(expires_at=300)
    assert [is_dead_before(fold(log), at) for at in (299, 300)] == [False, True]
    log.amend(at=200, expires_at=0)
    assert [is_dead_before(fold(log), at) for at in (200, 201)] == [False, True]
