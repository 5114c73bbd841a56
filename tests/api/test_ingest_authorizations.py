"""POST /v1/authorizations: asked before each attempt, by systems that deliver by themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from ledger.core.ticket import check_ticket
from ledger.ports.credentials import ROLES
from tests.api.platform_client import Granted, Platform, issuing, with_key
from tests.support.service_world import ServiceWorld

PATH = "/v1/authorizations"


@pytest.fixture
def platform(world: ServiceWorld) -> Iterator[Platform]:
    with world.client() as client:
        yield with_key(world, client, "platform")


@pytest.fixture
def granted(platform: Platform) -> Granted:
    return platform.grant()


def test_a_backed_attempt_is_permitted_with_a_ticket_that_checks(
    platform: Platform, granted: Granted
) -> None:
    response = platform.post(PATH, granted.asked())
    answer = response.json()
    assert (response.status_code, answer["status"]) == (200, "permitted")
    ticket = check_ticket(answer["ticket"], [platform.world.service.ledger.verifier])
    assert (ticket.seq, ticket.leaf_hash.hex()) == (answer["seq"], answer["leaf_hash"])
    assert answer["url"] == f"https://h{granted.number}.example/hook"
    assert 0 <= answer["send_before"] - answer["now"] <= 1_000


def test_the_entry_is_the_callers(platform: Platform, granted: Granted) -> None:
    entry = platform.entry(platform.post(PATH, granted.asked()).json()["seq"])
    assert entry["kind"] == "delivery.attempted"
    assert entry["actor"] == f"platform:{platform.key.split('_')[1]}"


def test_a_refusal_is_a_decision_with_its_reason(platform: Platform, granted: Granted) -> None:
    response = platform.post(PATH, granted.asked(event_type="direct_message_events"))
    answer = response.json()
    assert (response.status_code, answer["status"], answer["code"]) == (200, "refused", "SCOPE_EXCEEDED")
    assert answer["nearest"][0]["grant"] == granted.grant


def test_a_revocation_that_was_recorded_is_heeded_at_once(platform: Platform, granted: Granted) -> None:
    platform.post("/v1/records", [granted.revoked()], idempotency_key=f"end-{granted.number}")
    assert platform.post(PATH, granted.asked()).json()["code"] == "DELIVERED_AFTER_REVOCATION"


def test_the_same_attempt_again_gets_no_second_permit(platform: Platform, granted: Granted) -> None:
    first = platform.post(PATH, granted.asked()).json()
    again = platform.post(PATH, granted.asked())
    assert again.status_code == 200
    assert again.json() == {
        "status": "repeated",
        "delivery": first["delivery"],
        "attempt": 1,
        "decided": "permitted",
        "seq": first["seq"],
        "leaf_hash": first["leaf_hash"],
    }


def test_many_are_answered_each_by_itself_in_order(platform: Platform, granted: Granted) -> None:
    asked = [
        granted.asked(),
        granted.asked(attempt=2, event_type="favorite_events"),
        {"delivery": "d-x"},
        granted.asked(attempt=3, body="x", body_bytes=5),
        granted.asked(),
    ]
    response = platform.post(PATH, asked)
    assert response.status_code == 200
    assert [one["status"] for one in response.json()["results"]] == [
        "permitted",
        "refused",
        "rejected",
        "rejected",
        "repeated",
    ]


def test_callers_at_the_same_time_get_each_their_own_answer(platform: Platform, granted: Granted) -> None:
    def ask(number: int) -> Any:
        return platform.post(PATH, granted.asked(delivery=f"d-{granted.number}-{number}")).json()

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(60)))
    assert [answer["delivery"] for answer in answers] == [f"d-{granted.number}-{n}" for n in range(60)]
    assert {answer["status"] for answer in answers} == {"permitted"}
    assert len({answer["seq"] for answer in answers}) == 60


def test_a_wrong_call_among_others_at_the_same_time_is_answered_alone(
    platform: Platform, granted: Granted
) -> None:
    other = with_key(platform.world, platform.client, "auditor")

    def ask(number: int) -> int:
        if number % 4 == 0:
            return other.post(PATH, granted.asked()).status_code
        if number % 4 == 1:
            return platform.send(PATH, b"{", "application/json").status_code
        if number % 4 == 2:
            return platform.post(PATH, {}).status_code
        return platform.post(PATH, granted.asked(delivery=f"d-{granted.number}-w{number}")).status_code

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(ask, range(40)))
    assert statuses == [403, 400, 422, 200] * 10


@pytest.mark.parametrize(
    ("members", "status", "code"),
    [
        ({"endpoint": "wh-nobody"}, 422, "unknown_endpoint"),
        ({"body": '{"for_user_id":"1"}'}, 422, "payload_of_another_account"),
        ({"account": "a_" + "0" * 32}, 422, "malformed"),
        ({"body": None}, 422, "malformed"),
    ],
)
def test_what_cannot_be_decided_is_a_problem_with_a_code(
    platform: Platform, granted: Granted, members: dict[str, Any], status: int, code: str
) -> None:
    response = platform.post(PATH, granted.asked(**members))
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"


def test_the_same_attempt_with_another_content_is_a_conflict(platform: Platform, granted: Granted) -> None:
    platform.post(PATH, granted.asked())
    response = platform.post(PATH, granted.asked(private=True))
    assert (response.status_code, response.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    "members",
    [{"payload_sha256": "0" * 64}, {"attempt": 0}, {"attempt": "1"}, {"private": None}, {"channel": "fax"}],
)
def test_a_member_that_is_wrong_is_named(
    platform: Platform, granted: Granted, members: dict[str, Any]
) -> None:
    response = platform.post(PATH, granted.asked(**members))
    assert response.status_code == 422
    assert next(iter(members)) in response.json()["detail"]


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"", "application/json", 400),
        (b"null", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"[1,", "application/json", 400),
        (b'{"delivery":"a","delivery":"b"}', "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"{}", "text/plain", 415),
        (json.dumps([{}] * 1_001).encode(), "application/json", 413),
    ],
)
def test_a_body_that_is_no_question_is_refused(
    platform: Platform, content: bytes, content_type: str, status: int
) -> None:
    response = platform.send(PATH, content, content_type)
    assert response.status_code == status
    assert response.json()["request_id"]


def test_without_a_key_nobody_is_answered(platform: Platform, granted: Granted) -> None:
    response = platform.client.post(PATH, json=granted.asked())
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("text", ["glk_none_00", "glk__", "x", "glk_k0_" + "0" * 64])
def test_a_key_that_is_none_is_refused(platform: Platform, granted: Granted, text: str) -> None:
    response = platform.client.post(PATH, json=granted.asked(), headers={"authorization": f"Bearer {text}"})
    assert response.status_code == 401


@pytest.mark.parametrize("role", [role for role in ROLES if role != "platform"])
def test_no_other_role_may_ask(platform: Platform, granted: Granted, role: Any) -> None:
    subject = {"developer": granted.developer, "business": "a_" + "0" * 32, "person": "a_" + "0" * 32}.get(
        role, ""
    )
    other = with_key(platform.world, platform.client, role, subject)
    for asked in (granted.asked(), [granted.asked()]):
        response = other.post(PATH, asked)
        assert (response.status_code, response.json()["role"]) == (403, role)


def test_a_revoked_key_gets_no_further_decision(platform: Platform, granted: Granted) -> None:
    new = issuing(platform.world).issue_key("platform")
    caller = Platform(platform.world, platform.client, new.text)
    assert caller.post(PATH, granted.asked()).status_code == 200
    platform.world.service.credentials.revoke_key(new.key.key, platform.world.service.clock.now_ms())
    assert caller.post(PATH, granted.asked(attempt=2)).status_code == 401
    assert caller.post(PATH, [granted.asked(attempt=2)]).status_code == 401


def test_the_answer_has_the_headers_of_every_answer(platform: Platform, granted: Granted) -> None:
    response: httpx.Response = platform.post(PATH, granted.asked())
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-request-id"]


def test_the_openapi_text_describes_the_question_and_the_answers(platform: Platform) -> None:
    text = platform.client.get("/openapi.json").json()
    operation = text["paths"][PATH]["post"]
    one, many = operation["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    assert one["additionalProperties"] is False
    assert "body_bytes" in one["properties"]
    assert many["maxItems"] == 1_000
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]["oneOf"][0]
    statuses = [kind["properties"]["status"]["enum"] for kind in answer["anyOf"]]
    assert statuses == [["permitted"], ["refused"], ["repeated"], ["rejected"]]
    assert operation["security"] == [{"api_key": []}]
