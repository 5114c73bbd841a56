"""What the ledger refuses at append (ledger format, section 1.6; verdict rules, section 2.5)."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.core.admission import check_admission, find_refusal
from tests.support.builders import Log, tag

ISSUED: dict[str, Any] = {
    "kind": "grant.issued",
    "at": 150,
    "grant": "g-2",
    "account": tag("ann"),
    "developer": "dev-a",
    "app": "app-a",
    "environment": "prod",
    "scopes": ["posts"],
}


@pytest.fixture
def log() -> Log:
    made = Log()
    made.parties()
    made.issue(at=100)
    return made


def refused(log: Log, members: dict[str, Any], live: bool) -> str | None:
    return check_admission(log.history, {"at": 150} | members, live)


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"kind": "grant.amended", "grant": "g-9"}, "the grant g-9 is unknown"),
        ({"kind": "grant.revoked", "grant": "g-9"}, "the grant g-9 is unknown"),
        ({"kind": "grant.invalidated", "grant": "g-9"}, "the grant g-9 is unknown"),
        ({"kind": "app.transferred", "app": "app-9", "developer": "dev-b"}, "the app app-9 is unknown"),
        ({"kind": "app.suspended", "app": "app-9"}, "the app app-9 is unknown"),
        ({"kind": "app.reinstated", "app": "app-9"}, "the app app-9 is unknown"),
        (
            {"kind": "endpoint.transferred", "endpoint": "wh-9", "app": "app-a"},
            "the endpoint wh-9 is unknown",
        ),
        ({"kind": "endpoint.transferred", "endpoint": "wh-a", "app": "app-9"}, "the app app-9 is unknown"),
        ({"kind": "endpoint.verified", "endpoint": "wh-9"}, "the endpoint wh-9 is unknown"),
        ({"kind": "endpoint.failed", "endpoint": "wh-9"}, "the endpoint wh-9 is unknown"),
        ({"kind": "endpoint.retired", "endpoint": "wh-9"}, "the endpoint wh-9 is unknown"),
        ({"kind": "replay.requested", "endpoint": "wh-9"}, "the endpoint wh-9 is unknown"),
        ({"kind": "subscription.deleted", "subscription": "s-9"}, "the subscription s-9 is unknown"),
        (
            {"kind": "subscription.created", "subscription": "s", "grant": "g-9", "endpoint": "wh-a"},
            "the grant g-9 is unknown",
        ),
        (
            {"kind": "subscription.created", "subscription": "s", "grant": "g", "endpoint": "wh-9"},
            "the endpoint wh-9 is unknown",
        ),
        ({"kind": "grant.revoked", "grant": "g", "account": tag("bob")}, "the grant g is another account's"),
        ({"kind": "grant.amended", "grant": "g", "account": tag("bob")}, "the grant g is another account's"),
        (ISSUED | {"grant": "g", "account": tag("bob")}, "the grant g is another account's"),
        (
            ISSUED | {"grant": "g", "app": "app-b"},
            "the grant g is issued already: amend it, or issue another",
        ),
        (
            ISSUED | {"grant": "g", "environment": "x"},
            "the grant g is issued already: amend it, or issue another",
        ),
        (ISSUED | {"scopes": ["posts", "secrets"]}, "the scope secrets is unknown"),
        (ISSUED | {"scopes": []}, "a grant covers at least one scope"),
        ({"kind": "grant.amended", "grant": "g", "scopes": []}, "a grant covers at least one scope"),
        ({"kind": "grant.amended", "grant": "g", "scopes": ["secrets"]}, "the scope secrets is unknown"),
        ({"kind": "grant.amended", "grant": "g", "app": "app-b"}, "the app of a grant cannot be amended"),
        (
            {"kind": "grant.amended", "grant": "g", "environment": "x"},
            "the environment of a grant cannot be amended",
        ),
        (
            {"kind": "app.registered", "app": "app-a", "developer": "dev-b"},
            "the app app-a is registered for another developer",
        ),
        (
            {
                "kind": "endpoint.registered",
                "endpoint": "wh-a",
                "app": "app-a",
                "environment": "prod",
                "url": "https://b.example/hook",
            },
            "the endpoint wh-a is registered for another app, environment or URL",
        ),
        (
            {
                "kind": "endpoint.registered",
                "endpoint": "wh-c",
                "app": "app-9",
                "environment": "prod",
                "url": "https://c.example/hook",
            },
            "the app app-9 is unknown",
        ),
        (
            {
                "kind": "endpoint.registered",
                "endpoint": "wh-c",
                "app": "app-a",
                "environment": "prod",
                "url": "https://ann@c.example/hook",
            },
            "a URL with user information is refused",
        ),
    ],
)
def test_an_event_that_cannot_be_is_rejected_with_its_reason(
    log: Log, members: dict[str, Any], reason: str, live: bool
) -> None:
    assert refused(log, members, live) == reason


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize(
    "members",
    [
        ISSUED,
        ISSUED | {"app": "app-9"},
        {"kind": "grant.amended", "grant": "g"},
        {"kind": "grant.amended", "grant": "g", "account": tag("ann"), "developer": "dev-b"},
        {"kind": "app.registered", "app": "app-a", "developer": "dev-a"},
        {"kind": "developer.suspended", "developer": "dev-9"},
        {"kind": "account.suspended", "account": tag("nobody")},
        {"kind": "processor.declared", "developer": "dev-9", "processor": "dev-8"},
        {"kind": "delivery.imported", "endpoint": "wh-9", "account": tag("nobody"), "started_at": 1},
        {"kind": "delivery.attempted", "grant": "g-9"},
        {"kind": "weather.reported"},
    ],
)
def test_an_event_that_can_be_goes_in(log: Log, members: dict[str, Any], live: bool) -> None:
    assert refused(log, members, live) is None


@pytest.mark.parametrize(
    ("kind", "live_reason"),
    [
        ("grant.amended", "the grant g is dead"),
        ("grant.suspended", "the grant g is dead"),
        ("grant.resumed", "the grant g is dead"),
        ("grant.revoked", None),
        ("grant.invalidated", None),
    ],
)
@pytest.mark.parametrize("ending", ["grant.revoked", "grant.invalidated", "account.deleted", "expiry"])
def test_on_a_dead_grant_only_what_ends_it_goes_in_live_and_everything_from_a_file(
    log: Log, kind: str, live_reason: str | None, ending: str
) -> None:
    about: dict[str, Any] = {"account": tag("ann")} if ending == "account.deleted" else {"grant": "g"}
    if ending == "expiry":
        log.amend(at=110, expires_at=120)
    else:
        log.add(ending, 120, **about)
    members = {"kind": kind, "grant": "g", "at": 120}
    assert refused(log, members, live=True) == live_reason
    assert refused(log, members, live=False) is None
    assert refused(log, members | {"at": 119}, live=True) is None


def test_a_taken_grant_id_is_refused_live_and_starts_a_version_from_a_file(log: Log) -> None:
    again = ISSUED | {"grant": "g", "scopes": ["likes"]}
    assert refused(log, again, live=True) is not None
    assert refused(log, again, live=False) is None


@pytest.mark.parametrize("live", [True, False])
def test_after_its_deletion_an_account_is_not_reactivated_and_grants_nothing(log: Log, live: bool) -> None:
    log.add("account.deleted", 120, account=tag("ann"))
    final = "the account is deleted, which is final"
    for members in (ISSUED, {"kind": "account.reactivated", "account": tag("ann")}):
        assert refused(log, members | {"at": 120}, live) == final
        assert refused(log, members | {"at": 119}, live) is None


@pytest.mark.parametrize("live", [True, False])
def test_a_retired_endpoint_is_not_owned_again(log: Log, live: bool) -> None:
    log.add("endpoint.retired", 120, endpoint="wh-a")
    registered = {
        "kind": "endpoint.registered",
        "endpoint": "wh-a",
        "app": "app-a",
        "environment": "prod",
        "url": "https://a.example/hook",
    }
    final = "the endpoint wh-a is retired, which is final"
    for members in (registered, {"kind": "endpoint.transferred", "endpoint": "wh-a", "app": "app-b"}):
        assert refused(log, members | {"at": 120}, live) == final
        assert refused(log, members | {"at": 119}, live) is None


def test_what_stands_later_in_the_log_is_unknown_as_of_a_size(log: Log) -> None:
    size = log.size
    log.issue("g-2", at=100)
    revoked = {"kind": "grant.revoked", "grant": "g-2", "at": 120}
    refusal = find_refusal(log.history, revoked, live=True, as_of_size=size)
    assert refusal is not None
    assert refusal.code == "ENTRY_MALFORMED"
    assert find_refusal(log.history, revoked, live=True, as_of_size=size + 1) is None


def test_an_event_on_a_dead_grant_has_a_code_of_its_own(log: Log) -> None:
    log.revoke(at=120)
    refusal = find_refusal(log.history, {"kind": "grant.resumed", "grant": "g", "at": 130}, live=True)
    assert refusal is not None
    assert refusal.code == "GRANT_AFTER_TERMINAL"


SUBSCRIBED: dict[str, Any] = {
    "kind": "subscription.created",
    "subscription": "s",
    "grant": "g",
    "endpoint": "wh-a",
}


@pytest.mark.parametrize(
    ("at", "live", "reason"),
    [
        (199, True, None),
        (200, True, "the endpoint wh-a is retired, which is final"),
        (300, True, "the endpoint wh-a is retired, which is final"),
        (300, False, None),
    ],
)
def test_nothing_subscribes_live_at_a_retired_endpoint(
    log: Log, at: int, live: bool, reason: str | None
) -> None:
    log.add("endpoint.retired", 200, endpoint="wh-a")
    assert refused(log, SUBSCRIBED | {"at": at}, live) == reason


def test_a_subscription_at_a_retired_endpoint_can_still_end(log: Log) -> None:
    log.add("subscription.created", 150, subscription="s", grant="g", endpoint="wh-a")
    log.add("endpoint.retired", 200, endpoint="wh-a")
    ended = {"kind": "subscription.deleted", "subscription": "s", "grant": "g", "endpoint": "wh-a", "at": 300}
    assert refused(log, ended, True) is None
