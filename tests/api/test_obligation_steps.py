"""The operators' routes of obligations on a served ledger: each is a step of the command line's, by the key's own name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.gateway.tokens import Issuing
from ledger.incidents.policies import DAY_MS
from ledger.ports.credentials import Role
from tests.api.callers import Bearer
from tests.support.duties_world import INCIDENT, DutiesWorld
from tests.unit.incidents.attesting import register, signed


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DutiesWorld]:
    with DutiesWorld(tmp_path) as made:
        made.world.serve()
        yield made


def caller(world: DutiesWorld, role: Role, subject: str = "") -> Bearer:
    service = world.service
    issuing = Issuing(
        credentials=service.credentials,
        sealing=service.sealing,
        clock=service.clock,
        randomness=service.randomness,
    )
    return Bearer(world.world.client(), issuing.issue_key(role, subject).text)


@pytest.fixture
def operator(world: DutiesWorld) -> Bearer:
    return caller(world, "operator")


def ok(answer: Any) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


def open_one(operator: Bearer) -> str:
    (opened,) = ok(operator("POST", f"/v1/incidents/{INCIDENT}/obligations"))["obligations"]
    return str(opened["obligation"]["obligation"])


def test_an_operator_opens_by_its_own_name_and_finds_the_same_again(
    world: DutiesWorld, operator: Bearer
) -> None:
    (opened,) = ok(operator("POST", f"/v1/incidents/{INCIDENT}/obligations"))["obligations"]
    assert (opened["is_new"], opened["unlisted"], opened["obligation"]["deliveries"]) == (True, 0, 4)
    (again,) = ok(operator("POST", f"/v1/incidents/{INCIDENT}/obligations"))["obligations"]
    assert (again["is_new"], again["obligation"]) == (False, opened["obligation"])
    (entry,) = world.entries("obligation.opened")
    assert entry.actor.startswith("operator:")
    assert operator("POST", "/v1/incidents/i-9/obligations").status_code == 404
    assert operator("POST", f"/v1/incidents/{INCIDENT}/obligations?revision=7").status_code == 400


def test_what_was_attested_is_shown_verified_and_closed(world: DutiesWorld, operator: Bearer) -> None:
    name = open_one(operator)
    path = f"/v1/obligations/{name}"
    assert operator("GET", f"{path}/attestation").status_code == 404
    assert operator("POST", f"{path}/verify", json={"text": "seen"}).status_code == 422
    assert operator("POST", f"{path}/close", json={}).status_code == 422
    register(world)
    found = world.duties.obligations.load(name)
    world.duties.attestations.take(found, signed(found), "developer:key")
    envelope = ok(caller(world, "regulator")("GET", f"{path}/attestation"))
    assert envelope["payload"] == signed(found)["payload"]
    assert ok(operator("POST", f"{path}/verify", json={"text": "report 7"}))["state"] == "VERIFIED"
    assert ok(operator("POST", f"{path}/close", json={"text": "done"}))["state"] == "CLOSED"
    remarks = ok(caller(world, "auditor")("GET", f"{path}/remarks"))["remarks"]
    assert [one["text"] for one in remarks] == ["report 7", "done"]


def test_who_is_late_is_escalated_step_by_step(world: DutiesWorld, operator: Bearer) -> None:
    path = f"/v1/obligations/{open_one(operator)}/escalate"
    assert operator("POST", path, json={}).status_code == 422
    world.clock.later_ms = 2 * DAY_MS
    world.duties.escalation.run_once()
    assert operator("POST", path, json={"step": "suspend_app"}).status_code == 422
    assert ok(operator("POST", path, json={}))["steps"] == ["remind"]
    assert ok(operator("POST", path, json={"step": "suspend_deliveries"}))["state"] == "ESCALATED"
    (suspended,) = world.entries("developer.suspended")
    assert suspended.developer == world.developer
    closed = ok(operator("POST", path.replace("escalate", "close"), json={"reinstate": True}))
    assert closed["state"] == "CLOSED"
    assert len(world.entries("developer.reinstated")) == 1


def test_a_hold_goes_first_where_it_stands(world: DutiesWorld, operator: Bearer) -> None:
    path = f"/v1/obligations/{open_one(operator)}"
    refused = operator("POST", f"{path}/hold", json={"hold": "h-1"})
    assert (refused.status_code, "hold place" in refused.text) == (422, True)
    world.service.privacy.holds.place(placed_by="operator:ada", incident=INCIDENT, hold="h-1")
    assert ok(operator("POST", f"{path}/hold", json={"hold": "h-1"}))["state"] == "HELD"
    assert ok(operator("POST", f"{path}/resume"))["state"] == "OPENED"


@pytest.mark.parametrize("role", ["auditor", "regulator", "developer", "platform"])
def test_nobody_else_takes_these_steps(world: DutiesWorld, operator: Bearer, role: Role) -> None:
    name = open_one(operator)
    other = caller(world, role, world.developer if role == "developer" else "")
    bodies = {"verify": {"text": "x"}, "escalate": {}, "close": {}, "hold": {"hold": "h-1"}, "resume": {}}
    for step, body in bodies.items():
        assert other("POST", f"/v1/obligations/{name}/{step}", json=body).status_code == 403
    assert other("POST", f"/v1/incidents/{INCIDENT}/obligations").status_code == 403


def test_a_developer_sees_no_other_ones_attestation_and_no_remarks(
    world: DutiesWorld, operator: Bearer
) -> None:
    name = open_one(operator)
    other = caller(world, "developer", world.right.app.developer)
    assert other("GET", f"/v1/obligations/{name}/attestation").status_code == 404
    own = caller(world, "developer", world.developer)
    assert own("GET", f"/v1/obligations/{name}/remarks").status_code == 403
    assert operator("POST", "/v1/obligations/o-9/verify", json={"text": "x"}).status_code == 404


def test_each_page_of_people_that_is_looked_at_is_an_entry(world: DutiesWorld, operator: Bearer) -> None:
    assert len(ok(operator("GET", f"/v1/incidents/{INCIDENT}/people"))["data"]) == 3
    assert len(ok(caller(world, "auditor")("GET", f"/v1/incidents/{INCIDENT}/deliveries"))["data"]) == 4
    assert operator("GET", "/v1/incidents/i-9/people").status_code == 404
    looks = world.entries("access.viewed")
    assert [(one.actor.partition(":")[0], one.purpose) for one in looks] == [
        ("operator", INCIDENT),
        ("auditor", INCIDENT),
    ]
