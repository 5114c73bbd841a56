"""Ownership, standing and processors through time (verdict rules, sections 2.1 and 2.5)."""

from __future__ import annotations

import pytest

from ledger.core.destinations import parse_url
from ledger.core.parties import (
    destination_of,
    developer_of_app,
    intended_owner,
    is_account_active,
    is_app_good,
    is_developer_good,
    is_processor,
    owner_of_destination,
    owner_of_endpoint,
)
from tests.support.builders import Log, tag

HOOK = parse_url("https://a.example/hook")


def developers(log: Log, times: list[int], endpoint: str = "wh-a") -> list[str | None]:
    owners = [owner_of_endpoint(log.history, endpoint, at) for at in times]
    return [None if owner is None else owner.developer for owner in owners]


def intended(log: Log, times: list[int], endpoint: str = "wh-a") -> list[str | None]:
    owners = [intended_owner(log.history, endpoint, at) for at in times]
    return [None if owner is None else owner.developer for owner in owners]


@pytest.fixture
def log() -> Log:
    made = Log()
    made.app("app-a", "dev-a")
    made.app("app-b", "dev-b")
    made.endpoint("wh-a", "app-a", "https://a.example/hook", at=100)
    return made


def test_an_endpoint_is_owned_from_its_registration_on(log: Log) -> None:
    assert developers(log, [99, 100, 5_000]) == [None, "dev-a", "dev-a"]


def test_an_endpoint_goes_with_its_transferred_app(log: Log) -> None:
    log.add("app.transferred", 200, app="app-a", developer="dev-b")
    assert developers(log, [199, 200]) == ["dev-a", "dev-b"]


def test_a_transferred_endpoint_belongs_to_the_new_app_and_keeps_its_environment(log: Log) -> None:
    log.add("endpoint.transferred", 200, endpoint="wh-a", app="app-b")
    owner = owner_of_endpoint(log.history, "wh-a", 200)
    assert owner == ("wh-a", "app-b", "prod", "dev-b")


def test_a_transfer_may_name_another_environment(log: Log) -> None:
    log.add("endpoint.transferred", 200, endpoint="wh-a", app="app-a", environment="staging")
    owner = owner_of_endpoint(log.history, "wh-a", 200)
    assert owner == ("wh-a", "app-a", "staging", "dev-a")


def test_retirement_is_final(log: Log) -> None:
    log.add("endpoint.transferred", 300, endpoint="wh-a", app="app-b")
    log.add("endpoint.retired", 200, endpoint="wh-a")
    assert developers(log, [199, 200, 300]) == ["dev-a", None, None]


def test_challenges_change_no_ownership(log: Log) -> None:
    log.add("endpoint.failed", 200, endpoint="wh-a")
    log.add("endpoint.verified", 300, endpoint="wh-a")
    assert developers(log, [200, 300]) == ["dev-a", "dev-a"]


def test_of_two_transfers_at_one_instant_the_lowest_seq_holds(log: Log) -> None:
    log.add("app.transferred", 200, app="app-a", developer="dev-b")
    log.add("app.transferred", 200, app="app-a", developer="dev-c")
    assert developers(log, [200]) == ["dev-b"]


def test_a_transfer_at_the_instant_of_a_registration_comes_after_it(log: Log) -> None:
    log.add("endpoint.transferred", 100, endpoint="wh-a", app="app-b")
    assert developers(log, [100]) == ["dev-b"]


def test_a_retirement_at_the_instant_of_a_transfer_comes_after_it(log: Log) -> None:
    log.add("endpoint.retired", 200, endpoint="wh-a")
    log.add("endpoint.transferred", 200, endpoint="wh-a", app="app-b", developer="dev-b", forced=True)
    assert developers(log, [200]) == [None]


def test_an_apps_registration_time_limits_nothing() -> None:
    log = Log()
    log.app("app-a", "dev-a", at=500)
    log.endpoint("wh-a", "app-a", "https://a.example/hook", at=100)
    assert developers(log, [100]) == ["dev-a"]


def test_an_endpoint_of_an_app_that_was_never_registered_is_nobodys() -> None:
    log = Log()
    log.endpoint("wh-a", "app-a", "https://a.example/hook", developer="dev-a", forced=True)
    assert developers(log, [100]) == [None]


def test_ownership_as_of_a_size_knows_only_what_stands_before(log: Log) -> None:
    size = log.size
    log.add("app.transferred", 200, app="app-a", developer="dev-b")
    assert developer_of_app(log.history, "app-a", 200, size) == "dev-a"
    assert developer_of_app(log.history, "app-a", 200, size + 1) == "dev-b"


def test_an_intended_endpoint_names_its_first_owner_before_its_registration(log: Log) -> None:
    log.add("app.transferred", 200, app="app-a", developer="dev-b")
    assert intended(log, [0, 99, 100, 200]) == ["dev-a", "dev-a", "dev-a", "dev-b"]


def test_a_retired_intended_endpoint_names_its_last_owner_before(log: Log) -> None:
    log.add("app.transferred", 150, app="app-a", developer="dev-b")
    log.add("endpoint.retired", 200, endpoint="wh-a")
    log.add("app.transferred", 300, app="app-a", developer="dev-c")
    assert intended(log, [149, 150, 200, 400]) == ["dev-a", "dev-b", "dev-b", "dev-b"]


def test_an_endpoint_that_was_never_registered_names_nobody(log: Log) -> None:
    assert intended(log, [100], "wh-9") == [None]
    assert destination_of(log.history, "wh-9", 100) is None


def test_a_retired_endpoint_still_has_its_url(log: Log) -> None:
    log.add("endpoint.retired", 200, endpoint="wh-a")
    assert destination_of(log.history, "wh-a", 300) == HOOK


def test_a_destination_belongs_to_the_intended_endpoint_if_it_is_among_several(log: Log) -> None:
    log.endpoint("wh-b", "app-b", "https://A.example:443/hook", at=100)
    chosen = [owner_of_destination(log.history, HOOK, 150, meant) for meant in ("wh-b", "wh-a", "wh-9", None)]
    assert [owner and owner.endpoint for owner in chosen] == ["wh-b", "wh-a", "wh-a", "wh-a"]


def test_a_destination_belongs_to_the_lowest_seq_of_those_that_live(log: Log) -> None:
    log.endpoint("wh-b", "app-b", "https://a.example/hook", at=100)
    log.add("endpoint.retired", 200, endpoint="wh-a")
    owners = [owner_of_destination(log.history, HOOK, at, "wh-a") for at in (199, 200)]
    assert [owner and owner.endpoint for owner in owners] == ["wh-a", "wh-b"]


def test_an_accounts_suspension_pauses_it(log: Log) -> None:
    log.add("account.suspended", 200, account=tag("ann"))
    log.add("account.reactivated", 300, account=tag("ann"))
    active = [is_account_active(log.history, tag("ann"), at) for at in (199, 200, 299, 300)]
    assert active == [True, False, False, True]


def test_a_deletion_is_final_whatever_is_said_later(log: Log) -> None:
    log.add("account.reactivated", 300, account=tag("ann"))
    log.add("account.deleted", 200, account=tag("ann"))
    assert [is_account_active(log.history, tag("ann"), at) for at in (199, 200, 300)] == [True, False, False]


def test_a_suspension_at_the_instant_of_a_reinstatement_holds(log: Log) -> None:
    log.add("app.suspended", 200, app="app-a")
    log.add("app.reinstated", 200, app="app-a")
    log.add("developer.suspended", 200, developer="dev-a")
    log.add("developer.reinstated", 200, developer="dev-a")
    assert not is_app_good(log.history, "app-a", 200)
    assert not is_developer_good(log.history, "dev-a", 200)


def test_who_was_never_heard_of_is_in_good_standing(log: Log) -> None:
    assert is_account_active(log.history, tag("nobody"), 1)
    assert is_app_good(log.history, "app-9", 1)
    assert is_developer_good(log.history, "dev-9", 1)


def test_a_processor_is_declared_from_its_instant_until_the_end_exclusive(log: Log) -> None:
    log.add("processor.declared", 100, developer="dev-a", processor="dev-p", until=200)
    live = [is_processor(log.history, "dev-a", "dev-p", at) for at in (99, 100, 199, 200)]
    assert live == [False, True, True, False]
    assert not is_processor(log.history, "dev-p", "dev-a", 150)


def test_a_later_declaration_of_the_same_two_replaces_the_earlier_one(log: Log) -> None:
    log.add("processor.declared", 100, developer="dev-a", processor="dev-p")
    log.add("processor.declared", 150, developer="dev-a", processor="dev-q")
    log.add("processor.declared", 200, developer="dev-a", processor="dev-p", until=200)
    assert [is_processor(log.history, "dev-a", "dev-p", at) for at in (199, 200)] == [True, False]
    assert is_processor(log.history, "dev-a", "dev-q", 200)
