"""v1.1 enterprise: webhooks by id (delivery protocol, section 3.2)."""

from __future__ import annotations

import re

import pytest

from tests.api.callers import Caller, errors_of
from tests.support.service_world import HOOK, ServiceWorld

BASE = "/1.1/account_activity"
URL = f"https://a.example{HOOK}"


@pytest.fixture
def caller(world: ServiceWorld) -> Caller:
    return Caller.new(world)


def subscriptions(webhook_id: str) -> str:
    return f"{BASE}/webhooks/{webhook_id}/subscriptions/all.json"


def test_webhooks_are_registered_up_to_the_apps_limit_and_listed(caller: Caller) -> None:
    answers = [
        caller.owner("POST", f"{BASE}/webhooks.json", query={"url": f"{URL}/{number}"}) for number in range(6)
    ]
    assert [one.status_code for one in answers] == [200, 200, 200, 200, 200, 403]
    assert errors_of(answers[5]) == [(214, "Too many resources already created.")]
    listed = caller.bearer("GET", f"{BASE}/webhooks.json")
    assert (listed.status_code, listed.json()) == (200, [one.json() for one in answers[:5]])


def test_a_webhook_is_challenged_and_deleted_by_its_id(caller: Caller) -> None:
    path = f"{BASE}/webhooks/{caller.webhook().webhook}.json"
    answers = [caller.owner(method, path) for method in ("PUT", "DELETE", "DELETE")]
    assert [one.status_code for one in answers] == [204, 204, 404]
    assert [one.content for one in answers[:2]] == [b"", b""]


def test_an_account_subscribes_asks_and_unsubscribes_by_webhook(caller: Caller) -> None:
    path = subscriptions(caller.webhook().webhook)
    user = caller.user(caller.world.new_account("81001"))
    statuses = [
        user(method, path).status_code for method in ("GET", "POST", "GET", "DELETE", "GET", "DELETE")
    ]
    assert statuses == [404, 204, 204, 204, 404, 404]


def test_subscribing_twice_is_told_355(caller: Caller) -> None:
    path = subscriptions(caller.webhook().webhook)
    user = caller.user(caller.world.new_account("81002"))
    user("POST", path)
    response = user("POST", path)
    assert (response.status_code, errors_of(response)) == (409, [(355, "Subscription already exists.")])


def test_the_list_names_the_webhook_and_its_accounts(caller: Caller) -> None:
    webhook = caller.webhook()
    caller.user(caller.world.new_account("81003"))("POST", subscriptions(webhook.webhook))
    response = caller.bearer("GET", f"{BASE}/webhooks/{webhook.webhook}/subscriptions/all/list.json")
    assert (response.status_code, response.json()) == (
        200,
        {
            "webhook_id": webhook.webhook,
            "webhook_url": webhook.url,
            "application_id": caller.app.app,
            "subscriptions": [{"user_id": "81003"}],
        },
    )


def test_an_app_ends_the_subscription_of_one_account(caller: Caller) -> None:
    webhook = caller.webhook()
    caller.user(caller.world.new_account("81004"))("POST", subscriptions(webhook.webhook))
    path = f"{BASE}/webhooks/{webhook.webhook}/subscriptions/81004/all.json"
    answers = [caller.bearer("DELETE", path) for _ in range(2)]
    assert [one.status_code for one in answers] == [204, 404]
    assert errors_of(answers[1]) == [(34, "Sorry, that page does not exist.")]


def test_subscriptions_are_counted(caller: Caller) -> None:
    response = caller.bearer("GET", f"{BASE}/subscriptions/count.json")
    assert (response.status_code, response.json()["subscriptions_count_all"]) == (200, "0")


@pytest.mark.parametrize(
    ("method", "path", "who"),
    [
        ("PUT", "webhooks/{id}.json", "owner"),
        ("DELETE", "webhooks/{id}.json", "owner"),
        ("POST", "webhooks/{id}/subscriptions/all.json", "account"),
        ("GET", "webhooks/{id}/subscriptions/all.json", "account"),
        ("DELETE", "webhooks/{id}/subscriptions/all.json", "account"),
        ("GET", "webhooks/{id}/subscriptions/all/list.json", "bearer"),
        ("DELETE", "webhooks/{id}/subscriptions/81005/all.json", "bearer"),
        (
            "POST",
            "replay/webhooks/{id}/subscriptions/all.json?from_date=202001010000&to_date=202001010001",
            "bearer",
        ),
    ],
)
def test_anothers_webhook_is_answered_as_one_that_never_was(
    caller: Caller, method: str, path: str, who: str
) -> None:
    other = Caller.new(caller.world, "Other").webhook().webhook
    call = caller.user(caller.world.new_account("81005")) if who == "account" else getattr(caller, who)
    answers = [call(method, f"{BASE}/{path}".replace("{id}", one)) for one in (other, "1234567890")]
    assert [one.status_code for one in answers] == [404, 404]
    assert answers[0].text == answers[1].text
    assert errors_of(answers[0])[0][0] == 34


def replay(caller: Caller, webhook_id: str, **dates: str) -> tuple[int, int, str]:
    """Status, code and message of a refused replay."""
    path = f"{BASE}/replay/webhooks/{webhook_id}/subscriptions/all.json"
    response = caller.bearer("POST", path, params=dates)
    ((code, message),) = errors_of(response)
    return response.status_code, code, message


def test_a_replay_is_taken_on_with_202(caller: Caller) -> None:
    path = f"{BASE}/replay/webhooks/{caller.webhook().webhook}/subscriptions/all.json"
    response = caller.bearer("POST", path, params=minutes_ago(caller, 60, 30))
    assert response.status_code == 202
    body = response.json()
    assert set(body) == {"job_id", "created_at"}
    assert re.fullmatch(r"[0-9]{1,19}", body["job_id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["created_at"])


def minutes_ago(caller: Caller, first: int, last: int) -> dict[str, str]:
    """``from_date`` and ``to_date`` that many minutes before now."""
    from datetime import UTC, datetime, timedelta

    now = datetime.fromtimestamp(caller.world.service.clock.now_ms() / 1_000, UTC)
    dates = [f"{now - timedelta(minutes=ago):%Y%m%d%H%M}" for ago in (first, last)]
    return {"from_date": dates[0], "to_date": dates[1]}


def test_a_second_replay_of_a_webhook_is_told_355(caller: Caller) -> None:
    webhook_id = caller.webhook().webhook
    path = f"{BASE}/replay/webhooks/{webhook_id}/subscriptions/all.json"
    caller.bearer("POST", path, params=minutes_ago(caller, 60, 30))
    assert replay(caller, webhook_id, **minutes_ago(caller, 60, 30))[:2] == (409, 355)


@pytest.mark.parametrize(
    ("dates", "code"),
    [
        ({}, 357),
        ({"from_date": "202001010000"}, 357),
        ({"to_date": "202001010000"}, 357),
        ({"from_date": "2020-01-01", "to_date": "202001010000"}, 358),
        ({"from_date": "202013010000", "to_date": "202001010000"}, 358),
        ({"from_date": "20200101000", "to_date": "202001010000"}, 358),
        ({"from_date": "203001010000", "to_date": "203001010001"}, 368),
        ({"from_date": "202001010001", "to_date": "202001010000"}, 356),
        ({"from_date": "202001010000", "to_date": "202001010001"}, 356),
    ],
)
def test_what_is_wrong_with_the_dates_has_its_code(caller: Caller, dates: dict[str, str], code: int) -> None:
    assert replay(caller, caller.webhook().webhook, **dates)[:2] == (400, code)


@pytest.mark.parametrize(("webhook_id", "code"), [("-5", 360), ("abc", 358)])
def test_what_is_no_webhook_id_has_its_code(caller: Caller, webhook_id: str, code: int) -> None:
    assert replay(caller, webhook_id, **minutes_ago(caller, 60, 30))[:2] == (400, code)


def test_a_replay_to_a_webhook_that_fails_its_challenge_is_told_214(caller: Caller) -> None:
    webhook_id = caller.webhook().webhook
    caller.be_forgotten_by_receivers()
    assert replay(caller, webhook_id, **minutes_ago(caller, 60, 30))[:2] == (400, 214)


def test_a_replay_takes_a_bearer_token_only(caller: Caller) -> None:
    path = f"{BASE}/replay/webhooks/{caller.webhook().webhook}/subscriptions/all.json"
    response = caller.owner("POST", path, query=minutes_ago(caller, 60, 30))
    assert (response.status_code, errors_of(response)[0][0]) == (401, 32)
