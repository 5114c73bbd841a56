"""The developers' tools for deliveries: the log of attempts, sending again, replays."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from ledger.core.timestamps import format_rfc3339
from ledger.gateway.offered import Accepted, OfferedEvent
from ledger.ports.outbox import AttemptNote
from tests.api.callers import Caller, problem_of
from tests.api.test_developer_tools_webhooks import all_of
from tests.api.test_enterprise import minutes_ago
from tests.support.service_world import ServiceWorld, payload, wait_for

TOOLS = "/v1/developer"
START_MS = 1_768_478_400_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceWorld]:
    """A service that delivers."""
    with ServiceWorld(tmp_path_factory.mktemp("delivering")) as made:
        made.serve(("api", "dispatch"))
        yield made


@pytest.fixture
def caller(world: ServiceWorld) -> Caller:
    return Caller.new(world)


def note(caller: Caller, webhook: str, number: int, **members: Any) -> AttemptNote:
    """Have an attempt in the log, ``number`` seconds after the start."""
    stated: dict[str, Any] = {
        "delivery": f"d-{webhook}-{number}",
        "attempt": 1,
        "webhook": webhook,
        "app": caller.app.app,
        "event_type": "follow_events",
        "at_ms": START_MS + number * 1_000,
        "outcome": "delivered",
        "status": 200,
        "duration_ms": 12,
        "reason": None,
        "seq": None,
    }
    made = AttemptNote(**(stated | members))
    service = caller.world.service
    service.registry.apply([service.outbox.note(made)])
    return made


def send_event(caller: Caller, account_id: str, number: int) -> str:
    """An event of the account, on its way; the id of its delivery, once it was tried."""
    event = copy.deepcopy(payload("follow_events"))
    event["for_user_id"] = account_id
    event["follow_events"][0]["created_timestamp"] = str(number)
    (accepted,) = caller.world.service.intake.accept([OfferedEvent(event)])
    assert isinstance(accepted, Accepted)
    wait_for(lambda: len(all_of(caller.bearer, f"{TOOLS}/deliveries")) >= number)
    newest: str = all_of(caller.bearer, f"{TOOLS}/deliveries")[0]["delivery"]
    return newest


def test_a_delivery_stands_in_the_log_with_its_entry(caller: Caller) -> None:
    webhook = caller.webhook()
    account = caller.world.new_account("84001")
    caller.world.subscribe(caller.made, webhook, account)
    delivery = send_event(caller, "84001", 1)
    (attempt,) = all_of(caller.bearer, f"{TOOLS}/deliveries")
    assert (attempt["delivery"], attempt["webhook"], attempt["attempt"]) == (delivery, webhook.webhook, 1)
    assert (attempt["outcome"], attempt["status"], attempt["event_type"]) == (
        "delivered",
        200,
        "follow_events",
    )
    assert b"delivery.attempted" in next(
        row.data for row in caller.world.service.ledger.store.fetch_range(attempt["seq"], attempt["seq"] + 1)
    )


def test_the_log_names_nobody(caller: Caller) -> None:
    webhook = caller.webhook()
    account = caller.world.new_account("84002")
    caller.world.subscribe(caller.made, webhook, account)
    send_event(caller, "84002", 1)
    told = caller.bearer("GET", f"{TOOLS}/deliveries").text
    assert "84002" not in told
    assert account.tag not in told


def test_the_log_is_read_in_pages_that_neither_repeat_nor_skip(caller: Caller) -> None:
    webhook = caller.webhook()
    for number in range(7):
        note(caller, webhook.webhook, number // 2, delivery=f"d-{webhook.webhook}-{number}")
    listed = all_of(caller.bearer, f"{TOOLS}/deliveries", limit=2)
    order = [(one["at"], one["delivery"]) for one in listed]
    assert len(set(order)) == 7
    assert order == sorted(order, reverse=True)


def test_a_key_sees_the_attempts_of_all_apps_in_one_order(caller: Caller) -> None:
    second = caller.world.service.parties.create_app(caller.app.developer, "Second").app
    webhook = caller.webhook()
    for number in range(6):
        note(caller, webhook.webhook, number, app=(caller.app.app, second.app)[number % 2])
    listed = all_of(caller.key(), f"{TOOLS}/deliveries", limit=4)
    assert [one["at"] for one in listed] == [format_rfc3339(START_MS + n * 1_000) for n in range(5, -1, -1)]
    only = all_of(caller.key(), f"{TOOLS}/deliveries", app=second.app)
    assert {one["app"] for one in only} == {second.app}


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ({"outcome": "failed"}, [1]),
        ({"event_type": "favorite_events"}, [2]),
        ({"from_time": format_rfc3339(START_MS + 2_000)}, [3, 2]),
        ({"to_time": format_rfc3339(START_MS + 2_000)}, [1, 0]),
        ({"webhook": "1"}, []),
    ],
)
def test_the_log_is_filtered(caller: Caller, filters: dict[str, str], numbers: list[int]) -> None:
    webhook = caller.webhook().webhook
    note(caller, webhook, 0)
    note(caller, webhook, 1, outcome="failed", status=500)
    note(caller, webhook, 2, event_type="favorite_events")
    note(caller, webhook, 3)
    listed = all_of(caller.bearer, f"{TOOLS}/deliveries", **filters)
    assert [one["delivery"] for one in listed] == [f"d-{webhook}-{number}" for number in numbers]


def test_the_attempts_of_one_delivery_are_found(caller: Caller) -> None:
    webhook = caller.webhook().webhook
    note(caller, webhook, 0, outcome="failed", status=503)
    note(caller, webhook, 1, delivery=f"d-{webhook}-0", attempt=2)
    note(caller, webhook, 2)
    listed = all_of(caller.bearer, f"{TOOLS}/deliveries", delivery=f"d-{webhook}-0")
    assert [(one["attempt"], one["outcome"]) for one in listed] == [(2, "delivered"), (1, "failed")]


@pytest.mark.parametrize("name", ["webhook", "event_type", "delivery", "outcome"])
@pytest.mark.parametrize("value", ["\0", "é", "x" * 65, "a b"])
def test_a_filter_that_can_fit_nothing_is_refused(caller: Caller, name: str, value: str) -> None:
    response = caller.bearer("GET", f"{TOOLS}/deliveries", params={name: value})
    assert problem_of(response)["status"] == 422


def test_a_time_that_is_none_is_refused(caller: Caller) -> None:
    response = caller.bearer("GET", f"{TOOLS}/deliveries", params={"from_time": "yesterday"})
    assert problem_of(response)["status"] == 400


def test_a_delivery_is_sent_again_and_decided_anew(caller: Caller) -> None:
    webhook = caller.webhook()
    account = caller.world.new_account("84003")
    subscription = caller.world.subscribe(caller.made, webhook, account)
    delivery = send_event(caller, "84003", 1)
    response = caller.bearer("POST", f"{TOOLS}/deliveries/{delivery}/resend")
    assert (response.status_code, response.json()["data"]["state"]) == (202, "waiting")
    wait_for(lambda: len(all_of(caller.bearer, f"{TOOLS}/deliveries")) == 2)
    caller.world.service.subscriptions.unsubscribe(
        subscription, by=f"account:{account.tag}", channel="api_account"
    )
    caller.bearer("POST", f"{TOOLS}/deliveries/{delivery}/resend")
    wait_for(lambda: len(all_of(caller.bearer, f"{TOOLS}/deliveries")) == 3)
    third, second, first = all_of(caller.bearer, f"{TOOLS}/deliveries")
    assert [one["outcome"] for one in (first, second, third)] == ["delivered", "delivered", "refused"]
    assert third["reason"] == "DELIVERED_AFTER_REVOCATION"
    state = caller.bearer("GET", f"{TOOLS}/deliveries/{delivery}").json()["data"]
    assert (state["state"], state["attempt"]) == ("refused", 3)


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/resend")])
def test_anothers_delivery_is_answered_as_one_that_never_was(caller: Caller, method: str, path: str) -> None:
    other = Caller.new(caller.world, "Other")
    account_id = f"8401{len(path)}"
    other.world.subscribe(other.made, other.webhook(), other.world.new_account(account_id))
    delivery = send_event(other, account_id, 1)
    answers = [caller.bearer(method, f"{TOOLS}/deliveries/{one}{path}") for one in (delivery, "d-none")]
    told = [{k: v for k, v in problem_of(one).items() if k != "request_id"} for one in answers]
    assert told == [told[0]] * 2
    assert told[0]["status"] == 404


def test_a_replay_shows_how_far_it_has_come(caller: Caller) -> None:
    webhook = caller.webhook()
    order = {"webhook_id": webhook.webhook, **minutes_ago(caller, 60, 30)}
    job_id = caller.bearer("POST", "/2/webhooks/replay", json=order).json()["data"]["job_id"]
    (listed,) = all_of(caller.bearer, f"{TOOLS}/replays", webhook=webhook.webhook)
    job = caller.bearer("GET", f"{TOOLS}/replays/{job_id}").json()["data"]
    assert (listed["job_id"], job["job_id"], job["webhook"], job["sent"]) == (
        job_id,
        job_id,
        webhook.webhook,
        0,
    )
    assert listed["state"] in ("running", "done")


def test_anothers_replay_is_not_there(caller: Caller) -> None:
    other = Caller.new(caller.world, "Other")
    order = {"webhook_id": other.webhook().webhook, **minutes_ago(caller, 60, 30)}
    job_id = other.bearer("POST", "/2/webhooks/replay", json=order).json()["data"]["job_id"]
    assert caller.bearer("GET", f"{TOOLS}/replays/{job_id}").status_code == 404
    assert all_of(caller.bearer, f"{TOOLS}/replays") == []
