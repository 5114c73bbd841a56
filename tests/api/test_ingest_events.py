"""POST /v1/events: one event, many, or CloudEvents, each kept or said why not."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from ledger.ports.credentials import ROLES
from tests.api.callers import Caller
from tests.api.platform_client import Platform, with_key
from tests.support.service_world import ServiceWorld, payload

PATH = "/v1/events"
CLOUD = "application/cloudevents+json"
CLOUD_BATCH = "application/cloudevents-batch+json"
_used = iter(range(10**9))


@pytest.fixture
def platform(world: ServiceWorld) -> Iterator[Platform]:
    with world.client() as client:
        yield with_key(world, client, "platform")


def event(world: ServiceWorld) -> dict[str, Any]:
    """A follow event of an account of its own, that the ledger knows."""
    number = next(_used)
    account_id = f"77{number:06d}"
    world.new_account(account_id)
    made = payload("follow_events")
    made["for_user_id"] = account_id
    made["follow_events"][0]["target"]["id"] = account_id
    return made


def cloud_event(data: Any, **attributes: Any) -> dict[str, Any]:
    stated = {
        "specversion": "1.0",
        "id": "event-1",
        "source": "/platform/bus",
        "type": "example.follow",
        "data": data,
        **attributes,
    }
    return {name: value for name, value in stated.items() if value is not None}


def binary(**headers: str) -> dict[str, str]:
    stated = {"ce_specversion": "1.0", "ce_id": "event-1", "ce_source": "/bus", "ce_type": "x", **headers}
    return {name: value for name, value in stated.items() if value}


def test_an_event_that_nobody_subscribed_to_is_accepted_for_nobody(platform: Platform) -> None:
    response = platform.post(PATH, event(platform.world))
    assert response.status_code == 202
    assert (response.json()["status"], response.json()["deliveries"]) == ("accepted", 0)


def test_an_event_goes_to_each_webhook_that_the_account_subscribed(platform: Platform) -> None:
    world = platform.world
    caller = Caller.new(world)
    made = event(world)
    account = world.service.parties.create_account(made["for_user_id"])
    world.subscribe(caller.made, caller.webhook(), account)
    response = platform.post(PATH, made)
    assert (response.json()["status"], response.json()["deliveries"]) == ("accepted", 1)
    again = platform.post(PATH, made)
    assert again.status_code == 202
    assert again.json() == {**response.json(), "status": "duplicate"}


def test_many_events_are_answered_each_by_itself_in_order(platform: Platform) -> None:
    response = platform.post(PATH, [event(platform.world), {"for_user_id": "1"}, event(platform.world), 7])
    assert response.status_code == 202
    assert [one["status"] for one in response.json()["results"]] == [
        "accepted",
        "rejected",
        "accepted",
        "rejected",
    ]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"for_user_id": "1999999"}, "unknown_account"),
        ({"for_user_id": None}, "no_account"),
        ({"favorite_events": []}, "no_event_key"),
    ],
)
def test_an_event_that_is_not_taken_is_a_problem_with_a_code(
    platform: Platform, changed: dict[str, Any], code: str
) -> None:
    response = platform.post(PATH, event(platform.world) | changed)
    assert (response.status_code, response.json()["code"]) == (422, code)


def test_the_id_of_a_cloud_event_is_the_events(platform: Platform) -> None:
    sent = json.dumps(cloud_event(event(platform.world), id="bus-17")).encode()
    response = platform.send(PATH, sent, CLOUD)
    assert (response.status_code, response.json()["event"]) == (202, "bus-17")


def test_data_may_be_bytes_in_base64(platform: Platform) -> None:
    data = base64.b64encode(json.dumps(event(platform.world)).encode()).decode()
    response = platform.send(PATH, json.dumps(cloud_event(None, data_base64=data)).encode(), CLOUD)
    assert response.status_code == 202


def test_a_batch_of_cloud_events_is_answered_each_by_itself(platform: Platform) -> None:
    sent = [
        cloud_event(event(platform.world), id="bus-1"),
        cloud_event(event(platform.world), id="bus-2", specversion="0.3"),
        cloud_event(event(platform.world), id="bus-3", source=None),
        cloud_event("text", id="bus-4"),
        "none",
    ]
    response = platform.send(PATH, json.dumps(sent).encode(), CLOUD_BATCH)
    made = response.json()["results"]
    assert [one["status"] for one in made] == ["accepted", *["rejected"] * 4]
    assert "source" in made[2]["reason"]


def test_in_the_binary_form_headers_are_the_attributes_and_the_body_is_the_data(platform: Platform) -> None:
    body = json.dumps(event(platform.world)).encode()
    response = platform.send(PATH, body, "application/json", **binary(ce_id="bus%2017"))
    assert response.status_code == 422, "an id with a space is none of ours"
    response = platform.send(PATH, body, "application/json", **binary(ce_id='"bus-%31\\7"'))
    assert (response.status_code, response.json()["event"]) == (202, "bus-17")


@pytest.mark.parametrize(
    "headers",
    [{"ce_id": ""}, {"ce_source": ""}, {"ce_type": ""}, {"ce_specversion": "0.3"}, {"ce_id": "%ff"}],
)
def test_a_binary_event_without_its_attributes_is_malformed(
    platform: Platform, headers: dict[str, str]
) -> None:
    body = json.dumps(event(platform.world)).encode()
    assert platform.send(PATH, body, "application/json", **binary(**headers)).status_code == 400


@pytest.mark.parametrize(
    "attributes",
    [
        {"id": ""},
        {"id": 7},
        {"specversion": "2.0"},
        {"Source2": "x"},
        {"data": [1]},
        {"data_base64": "e30="},
        {"data": None, "data_base64": "e30"},
        {"data": None},
        {"datacontenttype": "text/xml"},
    ],
)
def test_a_structured_event_that_is_none_is_malformed(platform: Platform, attributes: dict[str, Any]) -> None:
    sent = cloud_event(**({"data": event(platform.world)} | attributes))
    assert platform.send(PATH, json.dumps(sent).encode(), CLOUD).status_code == 400


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"1", "application/json", 400),
        (b"[]", CLOUD_BATCH, 400),
        (b"{}", CLOUD_BATCH, 400),
        (b"[]", CLOUD, 400),
        (b"{}", "text/plain", 415),
        (b"[" + b"{}," * 1_000 + b"{}]", "application/json", 413),
    ],
)
def test_a_body_that_holds_no_event_is_refused(
    platform: Platform, content: bytes, content_type: str, status: int
) -> None:
    assert platform.send(PATH, content, content_type).status_code == status


def test_an_event_in_an_array_is_kept_byte_for_byte(platform: Platform) -> None:
    world = platform.world
    caller = Caller.new(world)
    made = event(world)
    account = world.service.parties.create_account(made["for_user_id"])
    world.subscribe(caller.made, caller.webhook(), account)
    body = json.dumps(made, indent=3).encode()
    first = platform.send(PATH, b"[\n " + body + b" ]", "application/json").json()["results"][0]
    again = platform.send(PATH, body, "application/json").json()
    assert (first["status"], again["status"]) == ("accepted", "duplicate")
    spaced_otherwise = platform.post(PATH, made)
    assert (spaced_otherwise.status_code, spaced_otherwise.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize("role", [role for role in ROLES if role != "platform"])
def test_no_other_role_may_hand_in_events(platform: Platform, role: Any) -> None:
    subject = {"developer": "dev-x", "business": "a_" + "0" * 32, "person": "a_" + "0" * 32}.get(role, "")
    other = with_key(platform.world, platform.client, role, subject)
    assert other.post(PATH, event(platform.world)).status_code == 403


def test_the_openapi_text_names_every_form(platform: Platform) -> None:
    operation = platform.client.get("/openapi.json").json()["paths"][PATH]["post"]
    assert set(operation["requestBody"]["content"]) == {"application/json", CLOUD, CLOUD_BATCH}
