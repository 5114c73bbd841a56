"""Findings about entries and endpoints (verdict rules, sections 2.2, 2.3 and 2.6)."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from ledger.core.ledger_findings import Sighting, find_collisions, schema_finding
from tests.support.builders import Log, tag


@pytest.fixture
def log() -> Log:
    made = Log()
    made.parties()
    return made


def found(log: Log) -> list[tuple[str, str]]:
    return [(finding.code, finding.severity) for finding in log.findings()]


def test_a_log_that_the_ledger_accepted_live_has_no_findings(log: Log) -> None:
    log.issue(at=100, via="api")
    log.amend(at=110, scopes=["likes"], via="api")
    log.revoke(at=120, via="api")
    assert found(log) == []


def test_an_event_on_a_grant_that_died_by_time_is_found_whatever_the_order_of_the_file() -> None:
    ends = [("grant.revoked", 200), ("grant.amended", 210), ("grant.suspended", 190)]
    for order in permutations(ends):
        log = Log()
        log.issue(at=100)
        for kind, at in order:
            log.add(kind, at, grant="g")
        findings = log.findings()
        assert [finding.code for finding in findings] == ["GRANT_AFTER_TERMINAL"]
        assert log.entries[findings[0].seq].at == 210


def test_an_amendment_at_the_instant_of_the_revocation_is_applied_before_it(log: Log) -> None:
    log.issue(at=100)
    log.revoke(at=200)
    log.amend(at=200, scopes=["likes"])
    assert found(log) == []


@pytest.mark.parametrize("at", [300, 301])
def test_an_amendment_at_or_after_expiry_from_a_file_is_found(log: Log, at: int) -> None:
    log.issue(at=100, expires_at=300)
    log.amend(at=at, expires_at=900)
    assert found(log) == [("GRANT_AFTER_TERMINAL", "P")]


def test_a_further_revocation_of_a_dead_grant_is_no_finding(log: Log) -> None:
    log.issue(at=100)
    log.revoke(at=200)
    log.revoke(at=300)
    log.add("grant.invalidated", 400, grant="g")
    assert found(log) == []


def test_a_grant_from_a_file_that_begins_after_its_accounts_deletion_is_found(log: Log) -> None:
    log.issue(at=300)
    log.add("account.deleted", 200, account=tag("ann"))
    assert found(log) == [("GRANT_AFTER_TERMINAL", "P")]


def test_the_issue_of_a_grant_that_was_revoked_before_its_start_is_no_event_on_it(log: Log) -> None:
    log.issue(at=300)
    log.revoke(at=200)
    assert found(log) == []


def test_a_live_event_is_judged_by_what_stood_before_it(log: Log) -> None:
    log.issue(at=100)
    log.amend(at=300, scopes=["likes"], via="api")
    log.revoke(at=200, via="api", recorded_at=5_200)
    assert found(log) == []


def test_a_grant_on_a_deleted_account_that_was_forced_in_breaks_the_ledger(log: Log) -> None:
    log.add("account.deleted", 200, account=tag("ann"))
    log.issue(at=300, forced=True)
    log.add("account.reactivated", 300, account=tag("ann"), forced=True)
    assert found(log) == [("GRANT_AFTER_TERMINAL", "I"), ("ENTRY_MALFORMED", "I")]


def test_an_event_of_something_unknown_that_was_forced_in_is_malformed(log: Log) -> None:
    log.add("app.suspended", 100, app="app-9", developer="dev-9", forced=True)
    log.revoke("g-9", at=100, account=tag("ann"), developer="dev-a", forced=True)
    log.issue(at=100, scopes=["secrets"], forced=True)
    assert found(log) == [("ENTRY_MALFORMED", "I")] * 3


@pytest.mark.parametrize(("late_ms", "expected"), [(5_000, []), (5_001, [("GRANT_BACKDATED", "P")])])
def test_a_live_grant_is_backdated_from_more_than_five_seconds_on(
    log: Log, late_ms: int, expected: list[tuple[str, str]]
) -> None:
    log.issue(at=100, via="api", recorded_at=100 + late_ms)
    assert found(log) == expected


@pytest.mark.parametrize("kind", ["grant.amended", "grant.resumed"])
def test_an_amendment_and_a_resumption_are_backdated_as_well(log: Log, kind: str) -> None:
    log.issue(at=100)
    log.add(kind, 200, grant="g", via="api", recorded_at=9_000)
    assert found(log) == [("GRANT_BACKDATED", "P")]


@pytest.mark.parametrize(
    ("kind", "about"),
    [
        ("grant.revoked", {"grant": "g"}),
        ("grant.suspended", {"grant": "g"}),
        ("account.suspended", {"account": tag("ann")}),
        ("account.deleted", {"account": tag("ann")}),
        ("app.suspended", {"app": "app-a"}),
        ("developer.suspended", {"developer": "dev-a"}),
        ("endpoint.retired", {"endpoint": "wh-a"}),
    ],
)
def test_a_live_restriction_is_recorded_late_by_the_same_measure(
    log: Log, kind: str, about: dict[str, str]
) -> None:
    log.issue(at=100)
    log.add(kind, 200, via="api", recorded_at=5_201, **about)  # type: ignore[arg-type]
    assert found(log) == [("REVOCATION_RECORDED_LATE", "P")]


def test_an_invalidation_is_about_the_past_and_never_late(log: Log) -> None:
    log.issue(at=100)
    log.add("grant.invalidated", 200, grant="g", via="api", recorded_at=90_000)
    assert found(log) == []


def test_history_from_a_file_is_neither_backdated_nor_late(log: Log) -> None:
    log.issue(at=100, recorded_at=90_000)
    log.revoke(at=200)
    assert found(log) == []


@pytest.mark.parametrize(
    ("kind", "known", "unknown", "severity"),
    [
        ("weather.reported", False, (), "A"),
        ("grant.paused", False, (), "I"),
        ("delivery.lost", False, (), "I"),
        ("grant.issued", True, ("colour",), "A"),
    ],
)
def test_an_unknown_schema_is_an_advisory_unless_verdicts_depend_on_it(
    kind: str, known: bool, unknown: tuple[str, ...], severity: str
) -> None:
    finding = schema_finding(7, kind, known, unknown)
    assert finding is not None
    assert finding[:3] == (7, "SCHEMA_UNKNOWN", severity)


def test_a_listed_kind_with_listed_members_is_no_finding() -> None:
    assert schema_finding(7, "grant.issued", True, ()) is None


ADDRESS = "203.0.113.7"


def verify(log: Log, endpoint: str, at: int, *addresses: str) -> None:
    log.add("endpoint.verified", at, endpoint=endpoint, addresses=sorted(addresses))


def test_two_developers_endpoints_at_one_address_port_and_path_collide_from_the_later_start(log: Log) -> None:
    verify(log, "wh-a", 100, ADDRESS)
    verify(log, "wh-b", 200, ADDRESS, "203.0.113.8")
    (collision,) = find_collisions(log.history)
    assert collision.endpoints == ("wh-a", "wh-b")
    assert collision.developers == ("dev-a", "dev-b")
    assert collision[2:] == (ADDRESS, 443, "/hook", 200)


def test_endpoints_whose_addresses_parted_before_they_met_do_not_collide(log: Log) -> None:
    verify(log, "wh-a", 100, ADDRESS)
    verify(log, "wh-a", 200, "203.0.113.8")
    verify(log, "wh-b", 200, ADDRESS)
    assert find_collisions(log.history) == []


def test_a_failed_challenge_changes_no_address(log: Log) -> None:
    verify(log, "wh-a", 100, ADDRESS)
    log.add("endpoint.failed", 150, endpoint="wh-a", addresses=["203.0.113.8"])
    verify(log, "wh-b", 200, ADDRESS)
    assert [collision.since_ms for collision in find_collisions(log.history)] == [200]


def test_endpoints_with_other_paths_or_ports_do_not_collide(log: Log) -> None:
    log.endpoint("wh-path", "app-b", "https://c.example/other")
    log.endpoint("wh-port", "app-b", "https://c.example:8443/hook")
    for endpoint in ("wh-a", "wh-path", "wh-port"):
        verify(log, endpoint, 100, ADDRESS)
    assert find_collisions(log.history) == []


def test_one_developers_own_endpoints_do_not_collide_until_one_is_another_developers(log: Log) -> None:
    log.endpoint("wh-a2", "app-a", "https://a2.example/hook")
    verify(log, "wh-a", 100, ADDRESS)
    verify(log, "wh-a2", 100, ADDRESS)
    assert find_collisions(log.history) == []
    log.add("endpoint.transferred", 300, endpoint="wh-a2", app="app-b")
    assert [collision.since_ms for collision in find_collisions(log.history)] == [300]


def test_a_retired_endpoint_collides_with_nobody(log: Log) -> None:
    verify(log, "wh-a", 100, ADDRESS)
    log.add("endpoint.retired", 150, endpoint="wh-a")
    verify(log, "wh-b", 200, ADDRESS)
    assert find_collisions(log.history) == []


@pytest.mark.parametrize(("first_seen", "since"), [(360_099, [360_099]), (360_100, [])])
def test_what_deliveries_resolved_counts_for_six_minutes_after_it_was_last_seen(
    log: Log, first_seen: int, since: list[int]
) -> None:
    sightings = [
        Sighting("wh-a", ADDRESS, 50, 100),
        Sighting("wh-b", ADDRESS, first_seen, first_seen),
    ]
    assert [collision.since_ms for collision in find_collisions(log.history, sightings)] == since


@pytest.mark.parametrize(("via", "expected"), [("api", [("ENTRY_MALFORMED", "I")]), ("file", [])])
def test_a_subscription_at_a_retired_endpoint_is_found_where_it_was_forced_in_live(
    log: Log, via: str, expected: list[tuple[str, str]]
) -> None:
    log.issue(at=100)
    log.add("endpoint.retired", 200, endpoint="wh-a")
    members: dict[str, Any] = {
        "account": tag("ann"),
        "developer": "dev-a",
        "app": "app-a",
        "environment": "prod",
    }
    log.add(
        "subscription.created",
        300,
        via=via,
        forced=True,
        subscription="s",
        grant="g",
        endpoint="wh-a",
        **members,
    )
    assert found(log) == expected
