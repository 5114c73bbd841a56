"""v2, as existing clients call it (delivery protocol, section 3.3)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.api.callers import Caller, problem_of
from tests.api.test_enterprise import minutes_ago
from tests.support.service_world import HOOK, ServiceWorld

URL = f"https://a.example{HOOK}"
ACTIVITY = "/2/account_activity"
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def caller(world: ServiceWorld) -> Caller:
    return Caller.new(world)


def subscriptions(webhook_id: str) -> str:
    return f"{ACTIVITY}/webhooks/{webhook_id}/subscriptions/all"


def check_problem(response: Any, status: int, reason: str) -> None:
    """The answer is a problem that names ``reason`` where clients look for it."""
    problem = problem_of(response)
    assert response.status_code == status
    assert problem["type"]
    assert problem["title"]
    assert reason in problem["detail"]
    assert reason in problem["errors"][0]["message"]


@pytest.mark.parametrize("who", ["bearer", "owner", "two_legged"])
def test_a_webhook_is_created_by_the_app_or_its_owner(caller: Caller, who: str) -> None:
    response = getattr(caller, who)("POST", "/2/webhooks", json={"url": URL})
    assert response.status_code == 200
    assert set(response.json()) == {"data"}
    data = response.json()["data"]
    assert (data["url"], data["valid"], set(data)) == (URL, True, {"id", "url", "valid", "created_at"})
    assert re.fullmatch(r"[0-9]{1,19}", data["id"])
    assert INSTANT.fullmatch(data["created_at"])


def test_webhooks_are_listed_with_their_count(caller: Caller) -> None:
    made = caller.bearer("POST", "/2/webhooks", json={"url": URL}).json()["data"]
    response = caller.bearer("GET", "/2/webhooks")
    assert (response.status_code, response.json()) == (200, {"data": [made], "meta": {"result_count": 1}})


def test_a_webhook_is_validated_and_deleted(caller: Caller) -> None:
    webhook_id = caller.webhook().webhook
    answers = [caller.bearer(method, f"/2/webhooks/{webhook_id}") for method in ("PUT", "DELETE")]
    assert [(one.status_code, one.json()) for one in answers] == [
        (200, {"data": {"valid": True}}),
        (200, {"data": {"deleted": True}}),
    ]
    assert caller.bearer("GET", "/2/webhooks").json() == {"data": [], "meta": {"result_count": 0}}


@pytest.mark.parametrize("url", ["http://a.example/hook", "https://a.example:81/hook", "nothing", ""])
def test_a_url_that_is_none_is_told_by_name(caller: Caller, url: str) -> None:
    check_problem(caller.bearer("POST", "/2/webhooks", json={"url": url}), 400, "UrlValidationFailed")


def test_a_url_is_taken_once(caller: Caller) -> None:
    caller.webhook()
    check_problem(caller.bearer("POST", "/2/webhooks", json={"url": URL}), 400, "DuplicateUrlFailed")


def test_an_app_takes_no_more_webhooks_than_it_may_have(caller: Caller) -> None:
    for number in range(5):
        caller.bearer("POST", "/2/webhooks", json={"url": f"{URL}/{number}"})
    check_problem(caller.bearer("POST", "/2/webhooks", json={"url": URL}), 400, "WebhookLimitExceeded")


def test_a_webhook_that_fails_its_challenge_is_told_by_name(caller: Caller) -> None:
    webhook_id = caller.webhook().webhook
    caller.be_forgotten_by_receivers()
    check_problem(caller.bearer("POST", "/2/webhooks", json={"url": f"{URL}/2"}), 400, "CrcValidationFailed")
    check_problem(caller.bearer("PUT", f"/2/webhooks/{webhook_id}"), 400, "CrcValidationFailed")
    listed = caller.bearer("GET", "/2/webhooks").json()["data"]
    assert [one["id"] for one in listed] == [webhook_id]


def test_an_account_subscribes_and_asks(caller: Caller) -> None:
    path = subscriptions(caller.webhook().webhook)
    user = caller.user(caller.world.new_account("82001"))
    answers = [user(method, path) for method in ("GET", "POST", "GET")]
    assert [(one.status_code, one.json()) for one in answers] == [
        (200, {"data": {"subscribed": False}}),
        (200, {"data": {"subscribed": True}}),
        (200, {"data": {"subscribed": True}}),
    ]


def test_subscribing_twice_is_told_by_name(caller: Caller) -> None:
    path = subscriptions(caller.webhook().webhook)
    user = caller.user(caller.world.new_account("82002"))
    user("POST", path)
    check_problem(user("POST", path), 400, "DuplicateSubscriptionFailed")


def test_subscribers_are_listed_and_end_by_their_id(caller: Caller) -> None:
    webhook_id = caller.webhook().webhook
    caller.user(caller.world.new_account("82003"))("POST", subscriptions(webhook_id))
    listed = caller.bearer("GET", f"{subscriptions(webhook_id)}/list")
    assert (listed.status_code, listed.json()) == (
        200,
        {"data": [{"user_id": "82003"}], "meta": {"result_count": 1}},
    )
    path = f"{ACTIVITY}/webhooks/{webhook_id}/subscriptions/82003/all"
    ended = caller.bearer("DELETE", path)
    assert (ended.status_code, ended.json()) == (200, {"data": {"subscribed": False}})
    check_problem(caller.bearer("DELETE", path), 404, "SubscriptionNotFound")


def test_counts_are_strings(caller: Caller) -> None:
    response = caller.bearer("GET", f"{ACTIVITY}/subscriptions/count")
    assert (response.status_code, response.json()) == (
        200,
        {
            "data": {
                "account_name": "DeskLine Ltd",
                "subscriptions_count_all": "0",
                "subscriptions_count_direct_messages": "0",
                "provisioned_count": "100000",
            }
        },
    )


@pytest.mark.parametrize("is_old_path", [False, True])
def test_a_replay_answers_its_job(caller: Caller, is_old_path: bool) -> None:
    webhook_id = caller.webhook().webhook
    dates = minutes_ago(caller, 60, 30)
    if is_old_path:
        path = f"{ACTIVITY}/replay/webhooks/{webhook_id}/subscriptions/all"
        response = caller.bearer("POST", path, params=dates)
    else:
        response = caller.bearer("POST", "/2/webhooks/replay", json={"webhook_id": webhook_id, **dates})
    assert response.status_code == 200
    data = response.json()["data"]
    assert set(data) == {"job_id", "created_at"}
    assert re.fullmatch(r"[0-9]{1,19}", data["job_id"])
    assert INSTANT.fullmatch(data["created_at"])


def test_a_second_replay_is_told_by_name(caller: Caller) -> None:
    order = {"webhook_id": caller.webhook().webhook, **minutes_ago(caller, 60, 30)}
    caller.bearer("POST", "/2/webhooks/replay", json=order)
    check_problem(caller.bearer("POST", "/2/webhooks/replay", json=order), 409, "ReplayConflictError")


@pytest.mark.parametrize(
    "wrong",
    [
        {"from_date": ""},
        {"to_date": "2025-01-15"},
        {"from_date": "203001010000", "to_date": "203001010001"},
        {"from_date": "202001010000"},
        {"webhook_id": "abc"},
        {"webhook_id": ""},
    ],
)
def test_wrong_parameters_of_a_replay_are_told_by_name(caller: Caller, wrong: dict[str, str]) -> None:
    order = {"webhook_id": caller.webhook().webhook, **minutes_ago(caller, 60, 30), **wrong}
    check_problem(caller.bearer("POST", "/2/webhooks/replay", json=order), 400, "QueryParamInvalid")


@pytest.mark.parametrize(
    ("method", "path", "who"),
    [
        ("PUT", "/2/webhooks/{id}", "bearer"),
        ("DELETE", "/2/webhooks/{id}", "owner"),
        ("POST", "/2/account_activity/webhooks/{id}/subscriptions/all", "account"),
        ("GET", "/2/account_activity/webhooks/{id}/subscriptions/all", "account"),
        ("GET", "/2/account_activity/webhooks/{id}/subscriptions/all/list", "bearer"),
        ("DELETE", "/2/account_activity/webhooks/{id}/subscriptions/82004/all", "bearer"),
    ],
)
def test_anothers_webhook_is_answered_as_one_that_never_was(
    caller: Caller, method: str, path: str, who: str
) -> None:
    other = Caller.new(caller.world, "Other").webhook().webhook
    call = caller.user(caller.world.new_account("82004")) if who == "account" else getattr(caller, who)
    answers = [call(method, path.replace("{id}", one)) for one in (other, "1234567890")]
    for one in answers:
        check_problem(one, 404, "WebhookIdInvalid")
    first, second = ({k: v for k, v in one.json().items() if k != "request_id"} for one in answers)
    assert first == second


@pytest.mark.parametrize("webhook_id", ["abc", "12345678901234567890", "-1"])
def test_what_is_no_id_is_told_by_name(caller: Caller, webhook_id: str) -> None:
    check_problem(caller.bearer("PUT", f"/2/webhooks/{webhook_id}"), 400, "QueryParamInvalid")


def test_an_app_that_may_only_read_creates_nothing(world: ServiceWorld) -> None:
    caller = Caller.new(world, can_write=False)
    response = caller.bearer("POST", "/2/webhooks", json={"url": URL})
    assert (response.status_code, problem_of(response)["title"]) == (403, "The app may only read")


def test_a_call_without_authentication_is_a_problem(caller: Caller) -> None:
    assert problem_of(caller.client.get("/2/webhooks"))["status"] == 401
