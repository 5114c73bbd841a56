"""Intervals for engines: merging, clipping, and what they cover; that they agree with the rule is a property test."""

from __future__ import annotations

import pytest

from ledger.core.folding import OPEN_END_MS
from ledger.core.intervals import (
    app_intervals,
    app_suspensions,
    destination_intervals,
    developer_suspensions,
    grant_intervals,
    intended_intervals,
    merge,
    processor_intervals,
    subtract,
)
from ledger.core.scopes import scopes_of_mask
from tests.support.builders import Log, tag


@pytest.fixture
def log() -> Log:
    made = Log()
    made.parties()
    return made


def test_pairs_that_overlap_or_touch_are_merged_and_empty_ones_vanish() -> None:
    assert merge([(5, 7), (1, 3), (3, 4), (2, 3), (9, 9), (10, 8)]) == [(1, 4), (5, 7)]


def test_holes_are_cut_out_of_pairs() -> None:
    assert subtract([(0, 10), (20, 30)], [(2, 4), (8, 22), (29, 40)]) == [(0, 2), (4, 8), (22, 29)]


def grants(log: Log) -> list[tuple[str, int, int]]:
    return [
        (",".join(scopes_of_mask(interval.scopes)), interval.from_ms, interval.to_ms)
        for interval in grant_intervals(log.history)
    ]


def test_overlapping_grants_have_an_interval_each(log: Log) -> None:
    log.issue("g-1", at=100, expires_at=200, scopes=["posts", "likes"])
    log.issue("g-2", at=150, expires_at=300)
    assert grants(log) == [("posts,likes", 100, 200), ("posts", 150, 300)]


def test_a_grant_of_every_scope_is_one_interval_for_all(log: Log) -> None:
    log.issue(at=100, scopes=["all"])
    assert grants(log) == [("all", 100, OPEN_END_MS)]


def test_the_accounts_bad_standing_is_cut_out(log: Log) -> None:
    log.issue(at=100)
    log.add("account.suspended", 150, account=tag("ann"))
    log.add("account.reactivated", 200, account=tag("ann"))
    log.add("account.deleted", 300, account=tag("ann"))
    assert grants(log) == [("posts", 100, 150), ("posts", 200, 300)]


def test_an_amended_developer_has_an_interval_of_its_own(log: Log) -> None:
    log.issue(at=100)
    log.amend(at=200, developer="dev-b")
    found = [
        (interval.developer, interval.from_ms, interval.to_ms) for interval in grant_intervals(log.history)
    ]
    assert found == [("dev-a", 100, 200), ("dev-b", 200, OPEN_END_MS)]


def test_a_walk_over_the_grants_keeps_no_timelines(log: Log) -> None:
    log.issue(at=100)
    assert list(grant_intervals(log.history))
    assert log.history.grants["g"].timeline is None


def test_suspensions_are_told_from_their_start_to_their_end(log: Log) -> None:
    log.add("app.suspended", 150, app="app-a")
    log.add("app.suspended", 170, app="app-a")
    log.add("app.reinstated", 200, app="app-a")
    log.add("developer.suspended", 150, developer="dev-b")
    assert list(app_suspensions(log.history)) == [("app-a", 150, 200)]
    assert list(developer_suspensions(log.history)) == [("dev-b", 150, OPEN_END_MS)]


def test_a_destination_is_split_where_its_endpoint_or_app_changes_hands(log: Log) -> None:
    log.add("app.transferred", 100, app="app-a", developer="dev-c")
    log.add("endpoint.transferred", 200, endpoint="wh-a", app="app-b")
    log.add("endpoint.retired", 300, endpoint="wh-a")
    held = [one for one in destination_intervals(log.history) if one.endpoint == "wh-a"]
    assert [(one.destination, one.app, one.developer, one.from_ms, one.to_ms) for one in held] == [
        ("a.example:443/hook", "app-a", "dev-a", 0, 100),
        ("a.example:443/hook", "app-a", "dev-c", 100, 200),
        ("a.example:443/hook", "app-b", "dev-b", 200, 300),
    ]
    assert {one.seq for one in held} == {log.history.endpoints["wh-a"].seq}


def test_an_intended_endpoint_is_told_for_all_time() -> None:
    log = Log()
    log.app("app-a", "dev-a", at=50)
    log.endpoint("wh-a", "app-a", "https://a.example/hook", at=100)
    log.add("endpoint.retired", 200, endpoint="wh-a")
    log.add("app.transferred", 300, app="app-a", developer="dev-b")
    assert [(one.developer, one.from_ms, one.to_ms) for one in intended_intervals(log.history)] == [
        ("dev-a", 0, OPEN_END_MS)
    ]
    assert list(app_intervals(log.history)) == [
        ("app-a", "dev-a", 0, 300),
        ("app-a", "dev-b", 300, OPEN_END_MS),
    ]


def test_a_processor_is_told_until_its_declaration_ends_or_is_replaced(log: Log) -> None:
    log.add("processor.declared", 100, developer="dev-a", processor="dev-b", until=150)
    log.add("processor.declared", 200, developer="dev-a", processor="dev-b")
    log.add("processor.declared", 300, developer="dev-a", processor="dev-b", until=300)
    assert list(processor_intervals(log.history)) == [
        ("dev-a", "dev-b", 100, 150),
        ("dev-a", "dev-b", 200, 300),
    ]
