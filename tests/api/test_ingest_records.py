"""POST /v1/records: what happened, handed in by the platform, one by one and once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ledger.ports.credentials import ROLES
from tests.api.platform_client import AT, Granted, Platform, with_key
from tests.support.service_world import ServiceWorld

PATH = "/v1/records"
NDJSON = "application/x-ndjson"


@pytest.fixture
def platform(world: ServiceWorld) -> Iterator[Platform]:
    with world.client() as client:
        yield with_key(world, client, "platform")


@pytest.fixture
def granted(platform: Platform) -> Granted:
    return platform.grant()


def results(platform: Platform, *records: Any, **headers: str) -> list[dict[str, Any]]:
    response = platform.post(PATH, list(records), **headers)
    assert response.status_code == 200, response.text
    made: list[dict[str, Any]] = response.json()["results"]
    return made


def lines(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def test_each_record_has_a_result_in_its_place(platform: Platform, granted: Granted) -> None:
    developer = {"kind": "developer.registered", "developer": f"dev-new-{granted.number}", "at": AT}
    made = results(platform, developer, {"kind": "no.such"}, developer, granted.delivered())
    assert [one["status"] for one in made] == ["appended", "rejected", "exists", "appended"]
    assert made[2]["seq"] == made[0]["seq"]
    assert made[1]["code"] == "malformed"


def test_lines_of_json_are_taken_like_an_array(platform: Platform, granted: Granted) -> None:
    sent = lines(granted.delivered()) + b"\r\n\n" + lines({"kind": "developer.registered"})[:-1]
    response = platform.send(PATH, sent, NDJSON)
    assert [one["status"] for one in response.json()["results"]] == ["appended", "rejected"]


def test_an_array_and_lines_of_the_same_records_are_the_same_entries(
    platform: Platform, granted: Granted
) -> None:
    (first,) = results(platform, granted.delivered())
    response = platform.send(PATH, lines(granted.delivered()), NDJSON + "; charset=utf-8")
    assert response.json()["results"] == [{**first, "status": "exists"}]


def test_without_at_a_call_needs_a_name(platform: Platform, granted: Granted) -> None:
    (made,) = results(platform, granted.revoked())
    assert made["code"] == "at_missing"


def test_a_named_call_made_again_is_the_same_entries(platform: Platform, granted: Granted) -> None:
    name = f"end-{granted.number}"
    (first,) = results(platform, granted.revoked(), idempotency_key=name)
    (again,) = results(platform, granted.revoked(), idempotency_key=name)
    assert (first["status"], again) == ("appended", {**first, "status": "exists"})
    assert platform.entry(first["seq"])["at"] == platform.entry(first["seq"])["recorded_at"]


def test_a_named_call_with_other_records_is_a_conflict(platform: Platform, granted: Granted) -> None:
    name = f"end-{granted.number}"
    results(platform, granted.revoked(), idempotency_key=name)
    (other,) = results(platform, {"kind": "grant.suspended", "grant": granted.grant}, idempotency_key=name)
    assert (other["status"], other["code"]) == ("rejected", "conflict")


def test_a_name_that_is_too_long_is_refused(platform: Platform, granted: Granted) -> None:
    response = platform.post(PATH, [granted.revoked()], idempotency_key="x" * 256)
    assert response.status_code == 422


def test_a_delivery_with_the_ticket_of_its_authorization_settles_the_attempt(
    platform: Platform, granted: Granted
) -> None:
    permit = platform.post("/v1/authorizations", granted.asked()).json()
    started_at = permit["now"] + 20
    (made,) = results(platform, granted.delivered(ticket=permit["ticket"], started_at=started_at))
    assert made["status"] == "appended"
    entry = platform.entry(made["seq"])
    assert (entry["kind"], entry["by"], entry["started_at"]) == ("delivery.settled", "transport", started_at)


def test_the_verifier_finds_nothing_wrong_with_a_delivery_that_was_asked_for_and_settled(
    platform: Platform, granted: Granted
) -> None:
    permit = platform.post("/v1/authorizations", granted.asked()).json()
    results(platform, granted.delivered(ticket=permit["ticket"], started_at=permit["now"]))
    report = platform.world.verify()
    told = [
        finding for finding in report.finding_rows() if finding.get("delivery") == granted.asked()["delivery"]
    ]
    assert told == []


def test_the_verifier_tells_of_a_delivery_that_nobody_asked_for(platform: Platform, granted: Granted) -> None:
    results(platform, granted.delivered())
    report = platform.world.verify()
    (told,) = [row for row in report.finding_rows() if row.get("delivery") == granted.asked()["delivery"]]
    assert told["codes"] == ["UNTICKETED"]


def test_a_ticket_of_another_attempt_settles_nothing(platform: Platform, granted: Granted) -> None:
    permit = platform.post("/v1/authorizations", granted.asked()).json()
    (made,) = results(platform, granted.delivered(ticket=permit["ticket"], attempt=2))
    assert (made["status"], made["code"]) == ("rejected", "ticket")


def test_a_revocation_tells_the_account(platform: Platform, granted: Granted) -> None:
    results(platform, granted.revoked(), idempotency_key=f"end-{granted.number}")
    service = platform.world.service
    tag = service.vault.find([granted.account])[granted.account].tag
    assert [notice.kind for notice in service.registry.load_notices(tag)] == ["grant.issued", "grant.revoked"]


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"", "application/json", 400),
        (b"{}", "application/json", 400),
        (b"[", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"", NDJSON, 400),
        (b"{}", "text/csv", 415),
        (b"[" + b"{}," * 1_000 + b"{}]", "application/json", 413),
        (b"{}\n" * 1_001, NDJSON, 413),
    ],
)
def test_a_body_that_holds_no_records_is_refused(
    platform: Platform, content: bytes, content_type: str, status: int
) -> None:
    assert platform.send(PATH, content, content_type).status_code == status


@pytest.mark.parametrize(
    "record",
    [
        b"1",
        b"null",
        b'"x"',
        b'{"kind":"developer.registered","developer":"a","developer":"b","at":1}',
        b"{}",
        b"\xff",
    ],
)
def test_what_is_no_record_is_rejected_in_its_place(
    platform: Platform, granted: Granted, record: bytes
) -> None:
    sound = lines(granted.delivered())
    made = platform.send(PATH, record + b"\n" + sound, NDJSON).json()["results"]
    assert [one["status"] for one in made] == ["rejected", "appended"]


@pytest.mark.parametrize("role", [role for role in ROLES if role != "platform"])
def test_no_other_role_may_report(platform: Platform, granted: Granted, role: Any) -> None:
    subject = {"developer": granted.developer, "business": "a_" + "0" * 32, "person": "a_" + "0" * 32}.get(
        role, ""
    )
    other = with_key(platform.world, platform.client, role, subject)
    assert other.post(PATH, [granted.delivered()]).status_code == 403


def test_every_kind_of_record_is_in_the_openapi_text(platform: Platform) -> None:
    operation = platform.client.get("/openapi.json").json()["paths"][PATH]["post"]
    kinds = operation["requestBody"]["content"]["application/json"]["schema"]["items"]["oneOf"]
    named = {kind["properties"]["kind"]["enum"][0] for kind in kinds}
    assert {"grant.issued", "delivery.imported", "replay.requested", "developer.key_set"} <= named
    assert len(named) == 28
