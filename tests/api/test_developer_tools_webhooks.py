"""The developers' tools for webhooks: state, challenges, secrets, subscriptions, registration that may be repeated."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as StandardWebhook

from ledger.core.standard_webhooks import sign_message
from ledger.gateway.validity import FAILING_MAX_MS, WARNED_AFTER_MS
from tests.api.callers import Bearer, Caller, problem_of
from tests.support.service_world import HOOK, ServiceWorld

TOOLS = "/v1/developer"
URL = f"https://a.example{HOOK}"
HOUR_MS = 3_600_000


@pytest.fixture
def caller(world: ServiceWorld) -> Caller:
    return Caller.new(world)


def all_of(call: Bearer, path: str, **params: Any) -> list[dict[str, Any]]:
    """Every item of a list, page by page."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = call("GET", path, params=params | ({} if cursor is None else {"cursor": cursor})).json()
        assert page["meta"]["result_count"] == len(page["data"])
        found += page["data"]
        cursor = page["meta"]["next_cursor"]
        if cursor is None:
            return found


def test_a_bearer_token_sees_its_app_and_a_key_all_of_its_developer(caller: Caller) -> None:
    other = caller.world.service.parties.create_app(caller.app.developer, "Second")
    Caller.new(caller.world, "Somebody")
    seen = [[one["app"] for one in all_of(call, f"{TOOLS}/apps")] for call in (caller.bearer, caller.key())]
    assert seen == [[caller.app.app], [caller.app.app, other.app.app]]


@pytest.mark.parametrize("role", ["platform", "auditor"])
def test_a_key_of_another_role_is_refused(caller: Caller, role: Any) -> None:
    response = caller.key(role)("GET", f"{TOOLS}/apps")
    assert (response.status_code, problem_of(response)["role"]) == (403, role)


def test_a_webhook_is_registered_once_however_often_it_is_asked_for(caller: Caller) -> None:
    call = caller.bearer
    answers = [
        call("POST", f"{TOOLS}/webhooks", json={"url": URL}, **options)
        for options in (
            {},
            {"params": {"if_exists": "return"}},
            {"headers": {"Idempotency-Key": "first"}},
        )
    ]
    assert [one.status_code for one in answers] == [201, 200, 200]
    assert len({one.json()["data"]["id"] for one in answers}) == 1


def test_a_url_that_is_registered_is_refused_unless_asked_otherwise(caller: Caller) -> None:
    caller.webhook()
    response = caller.bearer("POST", f"{TOOLS}/webhooks", json={"url": URL})
    assert (response.status_code, problem_of(response)["reason"]) == (400, "DuplicateUrlFailed")


def test_a_key_of_several_apps_says_which_one_is_meant(caller: Caller) -> None:
    caller.world.service.parties.create_app(caller.app.developer, "Second")
    key = caller.key()
    answers = [
        key("POST", f"{TOOLS}/webhooks", json={"url": URL} | app) for app in ({}, {"app": caller.app.app})
    ]
    assert [one.status_code for one in answers] == [400, 201]


def test_webhooks_are_found_and_deleted_by_their_url(caller: Caller) -> None:
    webhook = caller.webhook()
    call = caller.bearer
    assert [one["id"] for one in all_of(call, f"{TOOLS}/webhooks", url=URL)] == [webhook.webhook]
    answers = [call("DELETE", f"{TOOLS}/webhooks", params={"url": URL}) for _ in range(2)]
    assert [one.status_code for one in answers] == [204, 404]
    assert all_of(call, f"{TOOLS}/webhooks") == []


def test_a_url_in_several_environments_is_not_deleted_by_guess(world: ServiceWorld) -> None:
    caller = Caller.new(world, environments=("prod", "test"))
    for environment in ("prod", "test"):
        world.service.webhooks.register(caller.app, environment, URL)
    answers = [
        caller.bearer("DELETE", f"{TOOLS}/webhooks", params={"url": URL} | which)
        for which in ({}, {"environment": "test"})
    ]
    assert [one.status_code for one in answers] == [409, 204]
    left = all_of(caller.bearer, f"{TOOLS}/webhooks")
    assert [one["environment"] for one in left] == ["prod"]


def test_webhooks_are_listed_in_pages_that_neither_repeat_nor_skip(caller: Caller) -> None:
    made = [caller.bearer("POST", "/2/webhooks", json={"url": f"{URL}/{n}"}).json() for n in range(5)]
    listed = all_of(caller.bearer, f"{TOOLS}/webhooks", limit=2)
    assert [one["id"] for one in listed] == [one["data"]["id"] for one in made]


def test_a_valid_webhook_carries_no_warning(caller: Caller) -> None:
    webhook = caller.webhook()
    data = caller.bearer("GET", f"{TOOLS}/webhooks/{webhook.webhook}").json()["data"]
    assert (data["state"], data["valid"], data["warning"], data["disabled_at"]) == ("valid", True, None, None)


def fail_since(caller: Caller, ago_ms: int, *, is_valid: bool = True) -> dict[str, Any]:
    """The state of a webhook whose challenges have failed for that long."""
    service = caller.world.service
    webhook = caller.webhook()
    failing = replace(
        webhook,
        is_valid=is_valid,
        failing_since_ms=service.clock.now_ms() - ago_ms,
        reason="Non-200 response code during CRC GET request (i.e. 404, 500, etc).",
    )
    service.registry.apply([service.registry.put_webhook(failing)])
    answer = caller.bearer("GET", f"{TOOLS}/webhooks/{webhook.webhook}").json()
    state: dict[str, Any] = answer["data"]
    return state


def test_a_failing_webhook_says_since_when_and_until_when(caller: Caller) -> None:
    state = fail_since(caller, HOUR_MS)
    assert (state["state"], state["valid"], state["warning"]) == ("failing", True, None)
    assert state["failing_since"] < state["disabled_at"]


def test_a_webhook_is_warned_about_before_it_is_disabled(caller: Caller) -> None:
    state = fail_since(caller, WARNED_AFTER_MS)
    assert state["state"] == "failing"
    assert state["disabled_at"] in state["warning"]


def test_an_invalid_webhook_says_what_to_do(caller: Caller) -> None:
    state = fail_since(caller, FAILING_MAX_MS, is_valid=False)
    assert (state["state"], state["valid"]) == ("invalid", False)
    assert "until a challenge is passed" in state["warning"]
    assert state["reason"].startswith("Non-200")


def test_challenges_are_listed_with_their_reasons(caller: Caller) -> None:
    webhook = caller.webhook()
    caller.be_forgotten_by_receivers()
    path = f"{TOOLS}/webhooks/{webhook.webhook}/challenges"
    asked = caller.bearer("POST", path)
    assert (asked.status_code, asked.json()["data"]["passed"]) == (201, False)
    newest, oldest = all_of(caller.bearer, path, limit=1)
    assert newest == asked.json()["data"]
    assert (newest["trigger"], newest["status"], newest["reason"][:7]) == ("request", 403, "Non-200")
    assert (oldest["trigger"], oldest["passed"], oldest["reason"]) == ("registration", True, None)


def test_challenges_of_one_millisecond_are_neither_repeated_nor_skipped(caller: Caller) -> None:
    webhook = caller.webhook()
    service = caller.world.service
    (one,) = service.registry.load_challenges(webhook.webhook)
    for latency_ms in (1_001, 1_002, 1_003):
        same = replace(one, trigger="schedule", latency_ms=latency_ms)
        service.registry.apply([service.registry.add_challenge(same)])
    kept = [each.latency_ms for each in service.registry.load_challenges(webhook.webhook)]
    listed = all_of(caller.bearer, f"{TOOLS}/webhooks/{webhook.webhook}/challenges", limit=1)
    assert [each["latency_ms"] for each in listed] == kept


def test_subscriptions_are_listed_with_their_grants(caller: Caller) -> None:
    webhook = caller.webhook()
    service = caller.world.service
    for number in range(5):
        account = caller.world.new_account(str(83001 + number))
        service.subscriptions.subscribe(caller.app, webhook, account, ("posts", "likes"), None)
    listed = all_of(caller.bearer, f"{TOOLS}/webhooks/{webhook.webhook}/subscriptions", limit=2)
    assert sorted(one["user_id"] for one in listed) == [str(83001 + number) for number in range(5)]
    rows = {row.subscription: row for row in service.registry.load_subscriptions(webhook.webhook)}
    for one in listed:
        row = rows[one["subscription"]]
        assert (one["grant"], one["scopes"]) == (row.grant, ["likes", "posts"])


def test_a_new_secret_signs_beside_the_old_one(caller: Caller) -> None:
    webhook = caller.webhook()
    path = f"{TOOLS}/webhooks/{webhook.webhook}/secrets"
    (first,) = caller.bearer("GET", path).json()["data"]["secrets"]
    made = caller.bearer("POST", path)
    assert made.status_code == 201
    second = made.json()["data"]["secret"]
    assert caller.bearer("GET", path).json()["data"]["secrets"] == [second, first]
    body = json.dumps({"hello": "world"})
    keys = [base64.b64decode(one.removeprefix("whsec_")) for one in (second, first)]
    now_s = caller.world.service.clock.now_ms() // 1_000
    headers = sign_message(keys, "msg-1", now_s, body.encode())
    assert [StandardWebhook(one).verify(body, headers) for one in (first, second)] == [{"hello": "world"}] * 2


def test_a_test_event_is_signed_and_tells_of_nobody(caller: Caller) -> None:
    webhook = caller.webhook(path="/tests/1")
    response = caller.bearer("POST", f"{TOOLS}/webhooks/{webhook.webhook}/test-events")
    note = response.json()["data"]
    assert (response.status_code, note["outcome"], note["status"], note["seq"]) == (
        200,
        "delivered",
        200,
        None,
    )
    (arrival,) = [one for one in caller.world.arrivals.all if one.path == "/tests/1"]
    assert arrival.is_signed
    assert set(arrival.payload()) == {"test_event"}
    assert set(arrival.payload()["test_event"]) == {"webhook_id", "timestamp_ms"}


def test_a_test_event_stands_in_the_delivery_log_and_not_in_the_ledger(caller: Caller) -> None:
    webhook = caller.webhook()
    size = caller.world.service.ledger.store.size()
    note = caller.bearer("POST", f"{TOOLS}/webhooks/{webhook.webhook}/test-events").json()["data"]
    assert caller.world.service.ledger.store.size() == size
    assert all_of(caller.bearer, f"{TOOLS}/deliveries") == [note]
    assert note["event_type"] == "test_event"


def test_a_test_event_that_is_not_taken_says_so(caller: Caller) -> None:
    webhook = caller.webhook()
    caller.be_forgotten_by_receivers()
    note = caller.bearer("POST", f"{TOOLS}/webhooks/{webhook.webhook}/test-events").json()["data"]
    assert (note["outcome"], note["status"]) == ("failed", 403)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/challenges"),
        ("POST", "/challenges"),
        ("POST", "/test-events"),
        ("GET", "/subscriptions"),
        ("GET", "/secrets"),
        ("POST", "/secrets"),
    ],
)
def test_anothers_webhook_is_answered_as_one_that_never_was(caller: Caller, method: str, path: str) -> None:
    other = Caller.new(caller.world, "Other").webhook().webhook
    answers = [
        caller.bearer(method, f"{TOOLS}/webhooks/{one}{path}") for one in (other, "1234567890", "none")
    ]
    told = [{k: v for k, v in problem_of(one).items() if k != "request_id"} for one in answers]
    assert told == [told[0]] * 3
    assert (told[0]["status"], told[0]["reason"]) == (404, "WebhookIdInvalid")


@pytest.mark.parametrize("path", [f"{TOOLS}/webhooks", f"{TOOLS}/deliveries", f"{TOOLS}/replays"])
@pytest.mark.parametrize("cursor", ["", "AA", "a b", "x" * 399, "MTIz"])
def test_a_cursor_that_nobody_gave_is_refused(caller: Caller, path: str, cursor: str) -> None:
    response = caller.bearer("GET", path, params={"cursor": cursor})
    assert (response.status_code, problem_of(response)["title"]) == (400, "Malformed request")
