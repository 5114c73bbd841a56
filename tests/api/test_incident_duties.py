"""The routes of notices and obligations on a served ledger: who may see what, and what they answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ledger.gateway.tokens import Issuing
from ledger.ports.credentials import Role
from ledger.receiver.receipts import public_key_of
from tests.api.callers import Bearer, Caller
from tests.support.duties_world import GRANTING, INCIDENT, OPERATOR, OTHERS, DutiesWorld
from tests.unit.incidents.attesting import KEY, OTHER_KEY, signed


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DutiesWorld]:
    with DutiesWorld(tmp_path_factory.mktemp("duties")) as made:
        made.world.serve()
        made.duties.notices.queue(INCIDENT, actor=OPERATOR)
        made.duties.sender.run_once()
        made.duties.obligations.open(INCIDENT, actor=OPERATOR)
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


def person(world: DutiesWorld, account_id: str, role: Role = "person") -> Bearer:
    return caller(world, role, world.service.vault.find([account_id])[account_id].tag)


def obligation(world: DutiesWorld) -> str:
    return world.duties.obligations.load_all()[0].obligation


def ok(response: httpx.Response) -> Any:
    assert response.status_code == 200, response.text
    return response.json()


def test_a_person_reads_its_own_inbox_and_says_so(world: DutiesWorld) -> None:
    bob = person(world, OTHERS[0])
    (told,) = ok(bob("GET", "/v1/account/notices"))["notices"]
    assert told["incident"] == INCIDENT
    assert "OtherDesk Ltd" in told["text"]
    assert told["deletion"][0].startswith("OtherDesk Ltd was asked on ")
    assert told["read_at"] is None
    read = ok(bob("POST", f"/v1/account/notices/{told['notice']}/read"))
    assert read["read_at"] is not None
    cy = person(world, OTHERS[1])
    assert cy("POST", f"/v1/account/notices/{told['notice']}/read").status_code == 422
    assert ok(bob("GET", f"/v1/account/notices?after={told['notice']}"))["notices"] == []


def test_changes_of_grants_are_in_the_same_inbox(world: DutiesWorld) -> None:
    mine = ok(person(world, GRANTING)("GET", "/v1/account/notices"))
    assert [one["kind"] for one in mine["changes"]] == ["grant.issued"]


def test_nobody_reads_an_inbox_without_a_persons_key(world: DutiesWorld) -> None:
    assert world.world.client().get("/v1/account/notices").status_code == 401
    assert caller(world, "operator")("GET", "/v1/account/notices").status_code == 403


def test_a_person_is_reached_where_it_says_and_a_webhook_is_for_a_business(world: DutiesWorld) -> None:
    bob = person(world, OTHERS[0])
    kept = ok(bob("PUT", "/v1/account/contact", json={"email": "bob@a.example"}))
    assert kept == {"email": True, "webhook": False, "webhook_secret": None}
    assert bob("PUT", "/v1/account/contact", json={"webhook": "https://b.example/x"}).status_code == 403
    assert bob("PUT", "/v1/account/contact", json={"email": "no"}).status_code == 422
    assert ok(bob("PUT", "/v1/account/contact", json={"email": ""}))["email"] is False
    shop = person(world, GRANTING, "business")
    kept = ok(shop("PUT", "/v1/account/contact", json={"webhook": "https://c.example/x"}))
    assert kept["webhook_secret"].startswith("whsec_")
    assert ok(shop("PUT", "/v1/account/contact", json={"webhook": ""}))["webhook"] is False


def test_the_platform_hands_over_addresses_of_those_that_are_known(world: DutiesWorld) -> None:
    platform = caller(world, "platform")
    contacts = [{"account": name, "email": f"u{name}@a.example"} for name in (OTHERS[1], "never-seen")]
    assert ok(platform("PUT", "/v1/contacts", json={"contacts": contacts})) == {"kept": 1, "unknown": 1}


def test_one_address_that_is_none_keeps_none_of_the_call(world: DutiesWorld) -> None:
    platform, other = caller(world, "platform"), world.service.vault.find([OTHERS[0]])[OTHERS[0]].tag
    world.duties.contacts.forget(other, "email")
    contacts = [
        {"account": OTHERS[0], "email": "a@a.example"},
        {"account": OTHERS[1], "email": "secret-word"},
    ]
    refused = platform("PUT", "/v1/contacts", json={"contacts": contacts})
    assert (refused.status_code, "contacts[1]" in refused.text) == (422, True)
    assert "secret-word" not in refused.text
    assert world.duties.contacts.media_of([other]) == {}


def test_operators_queue_and_onlookers_count(world: DutiesWorld) -> None:
    done = ok(caller(world, "operator")("POST", f"/v1/incidents/{INCIDENT}/notices"))
    assert done["people"] == 3
    counts = ok(caller(world, "regulator")("GET", f"/v1/incidents/{INCIDENT}/notices"))
    assert {one["medium"] for one in counts} >= {"inbox"}
    assert caller(world, "auditor")("POST", f"/v1/incidents/{INCIDENT}/notices").status_code == 403
    assert caller(world, "operator")("POST", "/v1/incidents/i-9/notices").status_code == 404


def test_a_developer_sees_its_own_obligations_and_nobody_elses(world: DutiesWorld) -> None:
    name = obligation(world)
    other = caller(world, "developer", world.right.app.developer)
    assert ok(other("GET", "/v1/obligations")) == {"obligations": []}
    assert other("GET", f"/v1/obligations/{name}").status_code == 404
    assert other("POST", f"/v1/obligations/{name}/acknowledge", json={}).status_code == 404
    assert ok(caller(world, "auditor")("GET", f"/v1/obligations/{name}"))["developer"] == world.developer
    assert caller(world, "person", world.people[0])("GET", "/v1/obligations").status_code == 403
    assert (
        caller(world, "operator")("POST", f"/v1/obligations/{name}/acknowledge", json={}).status_code == 403
    )


def test_an_app_sees_them_by_its_bearer_token(world: DutiesWorld) -> None:
    app = Caller(world.world, world.world.client(), world.wrong)
    (shown,) = ok(app.bearer("GET", "/v1/obligations"))["obligations"]
    assert shown["obligation"] == obligation(world)


def test_a_developer_answers_and_attests(world: DutiesWorld) -> None:
    name, own = obligation(world), caller(world, "developer", world.developer)
    shown = ok(own("GET", f"/v1/obligations/{name}"))
    assert shown["state"] == "NOTIFIED"
    lines = ok(own("GET", f"/v1/obligations/{name}/deliveries?first=1&limit=2"))
    assert [one["place"] for one in lines["lines"]] == [1, 2]
    assert lines["next"] == 3
    proof = ok(own("GET", f"/v1/obligations/{name}/deliveries/3/proof"))
    assert (proof["count"], proof["list_root"]) == (4, shown["list_root"])
    assert own("GET", f"/v1/obligations/{name}/deliveries/4/proof").status_code == 404
    answer = ok(own("POST", f"/v1/obligations/{name}/acknowledge", json={"text": "we are on it"}))
    assert answer["state"] == "ACKNOWLEDGED"
    answer = ok(own("POST", f"/v1/obligations/{name}/progress", json={"is_done": True}))
    assert answer["state"] == "IN_PROGRESS"
    kept = world.duties.obligations.load(name)
    path = f"/v1/obligations/{name}/attestations"
    assert own("POST", path, json=signed(kept)).status_code == 422
    assert own("GET", "/v1/obligations/key").status_code == 404
    ok(own("PUT", "/v1/obligations/key", json={"key": public_key_of(KEY)}))
    assert ok(own("GET", "/v1/obligations/key"))["key"] == public_key_of(KEY)
    assert own("POST", path, json=signed(kept, key=OTHER_KEY)).status_code == 422
    assert own("POST", path, json=signed(kept, list_root="0" * 64)).status_code == 422
    assert own("POST", path, json={"payload": "x"}).status_code == 400
    answer = ok(own("POST", path, json=signed(kept)))
    assert (answer["state"], answer["claims"]) == ("ATTESTED", {"deleted": 4})
    assert [one.code for one in world.entries("finding.recorded")] == ["ATTESTATION_INVALID"]
