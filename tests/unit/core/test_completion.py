"""What the ledger looks up for each kind (ledger format, sections 1.6 and 1.7)."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.core.completion import complete
from ledger.errors import RejectedError
from tests.support.builders import Log, seen, tag


@pytest.fixture
def log() -> Log:
    """app-a goes from dev-a to dev-c at 200; wh-a with it, until it is retired at 300; ann's grant likewise."""
    made = Log()
    made.parties()
    made.issue(at=100)
    made.add("app.transferred", 200, app="app-a", developer="dev-c")
    made.amend(at=200, developer="dev-c")
    made.add("endpoint.retired", 300, endpoint="wh-a")
    return made


def completed(log: Log, at: int, members: dict[str, Any], **hints: Any) -> dict[str, Any]:
    """What is looked up beyond ``members``."""
    filled = {"at": at} | members
    complete(filled, log.history, log.size, **hints)
    return {name: value for name, value in filled.items() if name not in members and name != "at"}


@pytest.mark.parametrize("kind", ["app.suspended", "app.reinstated"])
def test_an_apps_standing_names_its_developer_then(log: Log, kind: str) -> None:
    assert completed(log, 199, {"kind": kind, "app": "app-a"}) == {"developer": "dev-a"}
    assert completed(log, 200, {"kind": kind, "app": "app-a"}) == {"developer": "dev-c"}


def test_an_apps_transfer_names_the_developer_before(log: Log) -> None:
    members = {"kind": "app.transferred", "app": "app-a", "developer": "dev-b"}
    assert completed(log, 250, members) == {"previous_developer": "dev-c"}


def test_an_endpoints_registration_names_the_developer_of_its_app(log: Log) -> None:
    members = {"kind": "endpoint.registered", "endpoint": "wh-c", "app": "app-a"}
    assert completed(log, 150, members) == {"developer": "dev-a"}


def test_an_endpoints_transfer_names_both_developers(log: Log) -> None:
    members = {"kind": "endpoint.transferred", "endpoint": "wh-a", "app": "app-b"}
    assert completed(log, 250, members) == {"developer": "dev-b", "previous_developer": "dev-c"}


@pytest.mark.parametrize("kind", ["endpoint.verified", "endpoint.failed", "endpoint.retired"])
def test_an_endpoints_check_names_app_and_developer_or_the_last_or_first_ones(log: Log, kind: str) -> None:
    members = {"kind": kind, "endpoint": "wh-a"}
    assert completed(log, 150, members) == {"app": "app-a", "developer": "dev-a"}
    assert completed(log, 400, members) == {"app": "app-a", "developer": "dev-c"}


@pytest.mark.parametrize("kind", ["grant.suspended", "grant.resumed", "grant.revoked", "grant.invalidated"])
def test_a_grants_event_names_account_and_developer_then(log: Log, kind: str) -> None:
    members = {"kind": kind, "grant": "g"}
    developers = [completed(log, at, members)["developer"] for at in (50, 150, 200)]
    assert developers == ["dev-a", "dev-a", "dev-c"]
    assert completed(log, 150, members)["account"] == tag("ann")


def test_an_amendment_that_names_a_developer_has_the_one_before_as_well(log: Log) -> None:
    members = {"kind": "grant.amended", "grant": "g", "developer": "dev-b"}
    assert completed(log, 250, members) == {"account": tag("ann"), "previous_developer": "dev-c"}


def test_an_amendment_to_the_same_developer_names_it_all_the_same(log: Log) -> None:
    members = {"kind": "grant.amended", "grant": "g", "developer": "dev-c"}
    assert completed(log, 250, members)["previous_developer"] == "dev-c"


def test_an_amendment_that_names_no_developer_has_no_one_before(log: Log) -> None:
    members = {"kind": "grant.amended", "grant": "g", "scopes": ["likes"]}
    assert completed(log, 250, members) == {"account": tag("ann"), "developer": "dev-c"}


def test_a_stated_account_is_left_to_admission(log: Log) -> None:
    members = {"kind": "grant.revoked", "grant": "g", "account": tag("bob")}
    assert completed(log, 150, members) == {"developer": "dev-a"}


def test_a_subscription_names_what_its_grant_binds(log: Log) -> None:
    members = {"kind": "subscription.created", "subscription": "s", "grant": "g", "endpoint": "wh-a"}
    assert completed(log, 150, members) == {
        "account": tag("ann"),
        "developer": "dev-a",
        "app": "app-a",
        "environment": "prod",
    }


def test_a_deleted_subscription_names_what_it_was_created_with(log: Log) -> None:
    log.add("subscription.created", 150, subscription="s", grant="g", endpoint="wh-a")
    filled = completed(log, 160, {"kind": "subscription.deleted", "subscription": "s"})
    assert filled == {
        "account": tag("ann"),
        "developer": "dev-a",
        "app": "app-a",
        "environment": "prod",
        "endpoint": "wh-a",
        "grant": "g",
    }


def test_a_replay_names_the_owner_of_its_endpoint(log: Log) -> None:
    members = {"kind": "replay.requested", "replay": "r", "endpoint": "wh-a"}
    assert completed(log, 150, members) == {"app": "app-a", "developer": "dev-a", "environment": "prod"}


def imported(**members: Any) -> dict[str, Any]:
    return {"kind": "delivery.imported", "endpoint": "wh-a", "started_at": 150} | members


OWNER_B = {"endpoint": "wh-b", "app": "app-b", "environment": "prod", "developer": "dev-b"}


def test_an_import_names_the_intended_developer_and_the_real_receiver_when_it_started(log: Log) -> None:
    assert completed(log, 999, imported(observed=seen("b.example"))) == {
        "developer": "dev-a",
        "received_by": OWNER_B,
    }


def test_an_import_without_observation_was_received_by_the_intended_endpoints_owner(log: Log) -> None:
    filled = completed(log, 150, imported(started_at=250))
    assert filled["received_by"] == {
        "endpoint": "wh-a",
        "app": "app-a",
        "environment": "prod",
        "developer": "dev-c",
    }


def test_an_import_to_a_retired_endpoint_names_its_last_developer_and_no_receiver(log: Log) -> None:
    assert completed(log, 400, imported(started_at=400)) == {"developer": "dev-c"}


def test_an_import_of_things_never_registered_names_nobody(log: Log) -> None:
    assert completed(log, 150, imported(endpoint="wh-9", observed=seen("c.example"))) == {}


def test_a_processors_principal_is_never_the_receiver(log: Log) -> None:
    log.add("processor.declared", 100, developer="dev-a", processor="dev-b")
    assert completed(log, 150, imported(observed=seen("b.example")))["received_by"] == OWNER_B


def test_a_settlement_names_the_receiver_with_the_attempts_endpoint_as_the_intended_one(log: Log) -> None:
    log.endpoint("wh-b2", "app-b", "https://b.example/hook")
    members = {"kind": "delivery.settled", "started_at": 150, "observed": seen("b.example")}
    assert completed(log, 150, members)["received_by"]["endpoint"] == "wh-b"
    assert completed(log, 150, members, endpoint="wh-b2")["received_by"]["endpoint"] == "wh-b2"


def test_a_settlement_without_observation_and_attempt_names_no_receiver(log: Log) -> None:
    assert completed(log, 150, {"kind": "delivery.settled", "started_at": 150}) == {}


def test_a_claim_about_the_receiver_is_replaced_by_what_history_says(log: Log) -> None:
    members = imported(developer="dev-x", received_by={"developer": "dev-x"}, observed=seen("c.example"))
    filled = {"at": 150} | members
    complete(filled, log.history, log.size)
    assert (filled["developer"], "received_by" in filled) == ("dev-a", False)


def test_only_entries_before_the_new_one_are_looked_at(log: Log) -> None:
    filled: dict[str, Any] = {"kind": "app.suspended", "app": "app-a", "at": 250}
    complete(filled, log.history, 4)
    assert filled["developer"] == "dev-a"


@pytest.mark.parametrize(
    "members",
    [
        {"kind": "app.suspended", "app": "app-9"},
        {"kind": "app.transferred", "app": "app-9", "developer": "dev-a"},
        {"kind": "endpoint.registered", "endpoint": "wh-c", "app": "app-9"},
        {"kind": "endpoint.retired", "endpoint": "wh-9"},
        {"kind": "endpoint.transferred", "endpoint": "wh-9", "app": "app-a"},
        {"kind": "grant.revoked", "grant": "g-9"},
        {"kind": "grant.amended", "grant": "g-9"},
        {"kind": "subscription.created", "subscription": "s", "grant": "g-9", "endpoint": "wh-a"},
        {"kind": "subscription.deleted", "subscription": "s-9"},
        {"kind": "replay.requested", "replay": "r", "endpoint": "wh-9"},
    ],
)
def test_what_cannot_be_looked_up_is_rejected(log: Log, members: dict[str, Any]) -> None:
    with pytest.raises(RejectedError, match="is unknown"):
        complete({"at": 150} | members, log.history, log.size)
