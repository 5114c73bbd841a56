"""``/v1/incidents`` and ``/v1/policies``: who may read and write, and what everybody may read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.core import canonical
from ledger.gateway.tokens import Issuing
from ledger.incidents.words import opens, sha256_hex
from tests.support.service_world import ServiceWorld

TEXT = "We stopped the faulty workers. Größer als „üblich“ was nothing."


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ServiceWorld]:
    with ServiceWorld(tmp_path) as made:
        made.serve()
        yield made


def client(world: ServiceWorld, role: str) -> httpx.Client:
    service = world.service
    issuing = Issuing(
        credentials=service.credentials,
        sealing=service.sealing,
        clock=service.clock,
        randomness=service.randomness,
    )
    text = issuing.issue_key(role, "").text  # type: ignore[arg-type]
    return world.client(Authorization=f"Bearer {text}")


@pytest.fixture
def operator(world: ServiceWorld) -> httpx.Client:
    return client(world, "operator")


@pytest.fixture
def incident(operator: httpx.Client) -> str:
    made = operator.post("/v1/incidents", json={"cause": "reported", "of": "dev-x"})
    assert made.status_code == 201, made.text
    return str(made.json()["incident"])


def entries(world: ServiceWorld, kind: str) -> list[dict[str, Any]]:
    store = world.service.ledger.store
    members = (canonical.decode(row.data) for row in store.fetch_range(0, store.size()))
    return [each for each in members if each["kind"] == kind]


def test_an_operator_opens_an_incident_once(operator: httpx.Client, incident: str) -> None:
    again = operator.post("/v1/incidents", json={"cause": "reported", "of": "dev-x"})
    assert again.json()["incident"] == incident
    assert [one["incident"] for one in operator.get("/v1/incidents").json()["data"]] == [incident]


def test_auditors_and_regulators_read_and_do_not_write(world: ServiceWorld, incident: str) -> None:
    for role in ("auditor", "regulator"):
        with client(world, role) as reader:
            assert reader.get(f"/v1/incidents/{incident}").json()["cause"] == "reported"
            refused = reader.post(f"/v1/incidents/{incident}/updates", json={"text": TEXT})
            assert refused.status_code == 403


def test_platforms_and_strangers_read_nothing(world: ServiceWorld, incident: str) -> None:
    with client(world, "platform") as platform:
        assert platform.get("/v1/incidents").status_code == 403
        assert platform.get(f"/v1/incidents/{incident}/people").status_code == 403
    assert world.client().get("/v1/incidents").status_code == 401


def test_public_updates_are_everybodys_and_their_hash_stands_in_the_log(
    world: ServiceWorld, operator: httpx.Client, incident: str
) -> None:
    path = f"/v1/incidents/{incident}/updates"
    assert world.client().get(path).status_code == 404
    assert operator.post(path, json={"text": TEXT}).json() == {"number": 1, "created": True}
    assert operator.post(path, json={"text": TEXT}).json() == {"number": 1, "created": False}
    (update,) = world.client().get(path).json()["data"]
    (entry,) = entries(world, "incident.update_published")
    assert update["text"] == TEXT
    assert update["text_sha256"] == sha256_hex(TEXT) == entry["text_sha256"]


def test_words_stand_in_the_log_as_a_commitment_alone(
    world: ServiceWorld, operator: httpx.Client, incident: str
) -> None:
    path = f"/v1/incidents/{incident}/descriptions"
    assert operator.post(path, json={"field": "title", "text": TEXT}).status_code == 200
    (entry,) = entries(world, "incident.described")
    event = next(one for one in world.service.incidents.book.events(incident) if one.kind == "described")
    assert event.text == TEXT
    assert event.salt is not None
    assert opens(entry["text"], TEXT, event.salt)
    assert TEXT[:12] not in str(entry)


def test_an_unknown_field_is_answered_with_those_that_there_are(
    operator: httpx.Client, incident: str
) -> None:
    answer = operator.post(f"/v1/incidents/{incident}/descriptions", json={"field": "x", "text": "y"})
    assert answer.status_code == 400
    assert "root_cause" in answer.text


def test_a_status_that_cannot_follow_is_refused(operator: httpx.Client, incident: str) -> None:
    path = f"/v1/incidents/{incident}/status"
    assert operator.post(path, json={"status": "concluded"}).status_code == 200
    answer = operator.post(path, json={"status": "halted"})
    assert answer.status_code == 400
    assert "an incident of its own" in answer.text


def test_a_late_notification_without_reasons_is_refused(operator: httpx.Client, incident: str) -> None:
    policy = {"policy": "authority_notice", "jurisdiction": "gdpr", "period": "72h"}
    assert operator.post("/v1/policies", json=policy).json()["data"][0]["period"] == "72h"
    moment = {"moment": "reasonable_certainty", "evidence": "seen", "at": "2018-09-10T00:00:00Z"}
    assert operator.post(f"/v1/incidents/{incident}/moments", json=moment).status_code == 200
    told = {"notification": "first", "document": "reference 1"}
    refused = operator.post(f"/v1/incidents/{incident}/authorities", json=told)
    assert refused.status_code == 400
    assert "reasons" in refused.text
    accepted = operator.post(f"/v1/incidents/{incident}/authorities", json={**told, "reasons": "a holiday"})
    assert accepted.status_code == 200
    draft = operator.get(f"/v1/incidents/{incident}/art33").json()
    assert draft["is_late"]
    assert {one["id"]: one["value"] for one in draft["fields"]}["reasons_for_delay"] == "a holiday"


def test_what_is_not_there_is_not_found(operator: httpx.Client) -> None:
    for call in ("", "/people", "/deliveries", "/art33", "/updates"):
        assert operator.get(f"/v1/incidents/i-none{call}").status_code == 404
    assert operator.post("/v1/incidents/i-none/updates", json={"text": "x"}).status_code == 404
