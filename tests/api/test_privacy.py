"""Erasure through the API: a person asks, sees and takes back; an operator approves; a hold stands in the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.routes.privacy import PAGE_ROWS
from ledger.gateway.tokens import Issuing
from ledger.ports.vault import Subject
from tests.support.service_world import ServiceWorld

ERASURE = "/v1/account/erasure"
WORDS = "please delete everything about Evelyn"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceWorld]:
    with ServiceWorld(tmp_path_factory.mktemp("privacy")) as made:
        made.serve()
        yield made


@pytest.fixture
def person(world: ServiceWorld, request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    return world.new_account(str(abs(hash(tmp_path)) % 10**15))


def client(world: ServiceWorld, role: str, subject: str = "") -> httpx.Client:
    service = world.service
    issuing = Issuing(
        credentials=service.credentials,
        sealing=service.sealing,
        clock=service.clock,
        randomness=service.randomness,
    )
    text = issuing.issue_key(role, subject).text  # type: ignore[arg-type]
    return world.client(Authorization=f"Bearer {text}")


def test_a_person_asks_and_an_operator_carries_it_out(world: ServiceWorld, person: Subject) -> None:
    own, operator = client(world, "person", person.tag), client(world, "operator")
    asked = own.post(ERASURE, json={"words": WORDS})
    assert asked.status_code == 202
    assert asked.json()["is_held"] is False
    assert own.get(ERASURE).json() == asked.json()
    erasure = asked.json()["erasure"]
    (shown,) = [one for one in pages(operator) if one["erasure"] == erasure]
    assert (shown["account"], shown["requested_by"]) == (person.tag, f"account:{person.tag}")
    done = operator.post(f"/v1/erasures/{erasure}/approve")
    assert done.status_code == 200, done.text
    assert done.json()["account"] == person.tag
    assert done.json()["destroyed"]["API keys"] == 1
    assert own.get(ERASURE).status_code == 401
    again = operator.post(f"/v1/erasures/{erasure}/approve")
    assert (again.status_code, again.json()["entry"]) == (200, done.json()["entry"])
    assert not world.service.vault.account_of([person.tag])


def test_an_operator_reads_what_the_person_wrote_and_nobody_else_does(
    world: ServiceWorld, person: Subject
) -> None:
    own, operator = client(world, "person", person.tag), client(world, "operator")
    erasure = own.post(ERASURE, json={"words": WORDS}).json()["erasure"]
    read = operator.get(f"/v1/erasures/{erasure}")
    assert (read.status_code, read.json()["words"]) == (200, WORDS)
    assert all("words" not in one for one in pages(operator))
    for role in ("platform", "auditor", "regulator"):
        assert client(world, role).get(f"/v1/erasures/{erasure}").status_code == 403
    assert own.get(f"/v1/erasures/{erasure}").status_code == 403
    assert operator.get("/v1/erasures/er-none").status_code == 404
    own.delete(ERASURE)
    assert operator.get(f"/v1/erasures/{erasure}").json()["words"] is None


def test_a_request_that_is_being_carried_out_is_not_taken_back(world: ServiceWorld, person: Subject) -> None:
    own = client(world, "person", person.tag)
    erasure = own.post(ERASURE).json()["erasure"]
    world.service.privacy.book.claim(erasure, "operator:grace", world.service.clock.now_ms())
    refused = own.delete(ERASURE)
    assert (refused.status_code, "cannot be withdrawn" in refused.json()["detail"]) == (409, True)
    assert own.get(ERASURE).json()["state"] == "requested"


def test_asked_without_a_body_and_twice_it_is_one_request(world: ServiceWorld, person: Subject) -> None:
    own = client(world, "business", person.tag)
    assert own.post(ERASURE).json() == own.post(ERASURE, json={}).json()


def test_a_person_takes_a_request_back(world: ServiceWorld, person: Subject) -> None:
    own = client(world, "person", person.tag)
    assert own.delete(ERASURE).status_code == 404
    own.post(ERASURE, json={"words": WORDS})
    assert own.delete(ERASURE).json()["state"] == "withdrawn"
    assert own.get(ERASURE).status_code == 404


def test_under_a_legal_hold_the_request_is_kept_and_the_approval_refused_by_name(
    world: ServiceWorld, person: Subject
) -> None:
    placed = world.service.privacy.holds.place(placed_by="operator:ada", account=person.tag)
    own, operator = client(world, "person", person.tag), client(world, "operator")
    asked = own.post(ERASURE)
    assert (asked.status_code, asked.json()["is_held"]) == (202, True)
    assert placed.hold not in asked.text
    refused = operator.post(f"/v1/erasures/{asked.json()['erasure']}/approve")
    assert refused.status_code == 422
    assert placed.hold in refused.json()["detail"]
    assert world.service.vault.account_of([person.tag])


def test_only_whose_account_it_is_asks_and_only_operators_decide(
    world: ServiceWorld, person: Subject
) -> None:
    for role in ("platform", "auditor", "regulator", "operator"):
        assert client(world, role).post(ERASURE).status_code == 403
    own = client(world, "person", person.tag)
    erasure = own.post(ERASURE).json()["erasure"]
    for role in ("platform", "auditor", "regulator"):
        other = client(world, role)
        assert other.get("/v1/erasures").status_code == 403
        assert other.post(f"/v1/erasures/{erasure}/approve").status_code == 403
    assert own.post(f"/v1/erasures/{erasure}/approve").status_code == 403
    assert world.client().post(ERASURE).status_code == 401


@pytest.mark.parametrize("body", [{"words": 1}, {"words": "x" * 5_000}, {"other": "member"}, []])
def test_an_unusable_body_is_refused(world: ServiceWorld, person: Subject, body: object) -> None:
    own = client(world, "person", person.tag)
    assert own.post(ERASURE, json=body).status_code in (400, 422)
    assert own.get(ERASURE).status_code == 404


def test_an_unknown_request_is_not_found(world: ServiceWorld) -> None:
    assert client(world, "operator").post("/v1/erasures/er-none/approve").status_code == 404


def test_requests_come_in_pages(world: ServiceWorld) -> None:
    operator = client(world, "operator")
    before = {one["erasure"] for one in pages(operator)}
    made = [
        world.service.privacy.erasures.request(
            world.new_account(str(7_000_000 + number)), basis="request", requested_by="operator:ada"
        ).erasure
        for number in range(PAGE_ROWS + 3)
    ]
    seen = [one["erasure"] for one in pages(operator)]
    assert len(seen) == len(set(seen))
    assert set(seen) == before | set(made)
    assert operator.get("/v1/erasures", params={"after": "er-none"}).json() == {"data": [], "next": None}
    assert operator.get("/v1/erasures", params={"after": "../"}).status_code in (400, 422)


def pages(operator: httpx.Client) -> list[dict[str, object]]:
    """Everything that the list has."""
    found: list[dict[str, object]] = []
    after = None
    while True:
        page = operator.get("/v1/erasures", params={} if after is None else {"after": after}).json()
        assert len(page["data"]) <= PAGE_ROWS
        found += page["data"]
        after = page["next"]
        if after is None:
            return found
