"""Canaries through the service, on both databases: planted, delivered, and found where they should not be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.core import canonical
from ledger.errors import UsageError
from ledger.gateway.canaries import Sighting
from ledger.gateway.tokens import Issuing
from ledger.receiver.receipts import ReceiptSigner, hand_in, load_receipt_key, make_receipt_key
from tests.support.postgresql import PostgresqlServer
from tests.support.service_world import ServiceWorld, wait_for

ACCOUNT = "990000000000000001"


@dataclass
class Aviary:
    """A served service with one app, and clients of several roles."""

    world: ServiceWorld
    app: str
    developer: str

    def client(self, role: str, subject: str = "") -> httpx.Client:
        service = self.world.service
        issuing = Issuing(
            credentials=service.credentials,
            sealing=service.sealing,
            clock=service.clock,
            randomness=service.randomness,
        )
        text = issuing.issue_key(role, subject).text  # type: ignore[arg-type]
        return self.world.client(Authorization=f"Bearer {text}")

    def entries(self, kind: str) -> list[dict[str, Any]]:
        store = self.world.service.ledger.store
        members = (canonical.decode(row.data) for row in store.fetch_range(0, store.size()))
        return [each for each in members if each["kind"] == kind]

    def findings(self) -> list[str]:
        return [finding.code for finding in self.world.verify().findings]


@pytest.fixture(params=["sqlite", "postgresql"])
def aviary(
    request: pytest.FixtureRequest, tmp_path: Path, postgresql_server: PostgresqlServer
) -> Iterator[Aviary]:
    if request.param == "sqlite":
        yield from _aviary(tmp_path, None)
    else:
        with postgresql_server.database(with_tables=False) as name:
            yield from _aviary(tmp_path, postgresql_server.url(name))


def _aviary(directory: Path, database: str | None) -> Iterator[Aviary]:
    with ServiceWorld(directory, database=database) as world:
        world.serve(("api", "dispatch"))
        app = world.new_app()
        world.new_webhook(app)
        yield Aviary(world, app.app.app, app.app.developer)


def plant(aviary: Aviary, **members: object) -> dict[str, Any]:
    with aviary.client("operator") as client:
        answer = client.post("/v1/canaries", json={"account": ACCOUNT, "app": aviary.app} | members)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_a_canarys_event_reaches_its_developer_with_the_marker_in_it(aviary: Aviary) -> None:
    made = plant(aviary)
    wait_for(lambda: aviary.world.arrivals.all)
    assert made["link"] in aviary.world.arrivals.all[0].body.decode()
    assert aviary.findings() == []


def test_nothing_in_the_log_says_which_account_is_a_canary_before_it_is_seen(aviary: Aviary) -> None:
    made = plant(aviary)
    (planted,) = aviary.entries("canary.planted")
    named = json.dumps(planted)
    assert aviary.developer not in named
    assert all(str(each["account"]) not in named for each in aviary.entries("account.registered"))
    assert made["canary"] not in json.dumps(aviary.entries("grant.issued"))
    assert planted["seq"] < min(each["seq"] for each in aviary.entries("account.registered"))


def test_a_canary_that_is_only_committed_to_is_registered_and_granted_later(aviary: Aviary) -> None:
    made = plant(aviary, later=True)
    assert (made["released_at"], aviary.entries("account.registered")) == (None, [])
    with aviary.client("operator") as client:
        released = client.post(f"/v1/canaries/{made['canary']}/release").json()
        assert client.get("/v1/canaries").json()["data"] == [released]
    assert released["released_at"] is not None
    wait_for(lambda: aviary.world.arrivals.all)


def test_a_canary_found_elsewhere_has_leaked_and_one_at_its_developer_has_not(aviary: Aviary) -> None:
    made = plant(aviary)
    with aviary.client("auditor") as client:
        body = {"marker": made["link"], "seen_by": aviary.developer}
        assert client.post("/v1/canaries/sightings", json=body).json()["status"] == "appended"
        assert aviary.findings() == []
        body = {"marker": made["link"], "seen_by": "dev-other", "evidence": "in their search index"}
        first = client.post("/v1/canaries/sightings", json=body).json()
        again = client.post("/v1/canaries/sightings", json=body).json()
    assert again == first | {"status": "exists"}
    assert aviary.findings() == ["CANARY_LEAKED"]
    assert "search index" not in json.dumps(aviary.entries("canary.seen"))


def test_another_developers_receipt_for_a_canarys_delivery_is_a_sighting(
    aviary: Aviary, tmp_path: Path
) -> None:
    plant(aviary)
    wait_for(lambda: aviary.world.arrivals.all)
    other = aviary.world.new_app("Other").app.developer
    key = make_receipt_key(tmp_path / "their.key", other)
    signer = ReceiptSigner(other, load_receipt_key(tmp_path / "their.key"), aviary.world.service.ledger.vkey)
    with aviary.client("developer", other) as client:
        client.put("/v1/receipts/key", json={"key": key})
        hand_in(client, [signer.sign(aviary.world.arrivals.all[0].headers, 1)])
    assert sorted(aviary.findings()) == ["CANARY_LEAKED", "RECEIPT_WITHOUT_DELIVERY"]


def test_a_link_that_is_followed_looks_like_no_page_at_all_and_is_counted(aviary: Aviary) -> None:
    made = plant(aviary)
    path = made["link"].removeprefix(f"http://127.0.0.1:{aviary.world.port}")
    with aviary.world.client() as client:
        real, made_up = client.get(path), client.get("/c/" + "0" * 64)
    real_body, made_up_body = real.json(), made_up.json()
    assert (real.status_code, made_up.status_code) == (404, 404)
    assert real_body.keys() == made_up_body.keys()
    assert real_body["detail"] == made_up_body["detail"]
    with aviary.client("operator") as client:
        assert client.get("/v1/canaries").json()["data"][0]["fetches"] == 1
    assert aviary.entries("canary.seen") == []


def test_only_an_unknown_account_becomes_a_canary(aviary: Aviary) -> None:
    aviary.world.new_account(ACCOUNT)
    with pytest.raises(UsageError, match="known already"):
        aviary.world.service.canaries.plant(ACCOUNT, aviary.app)
    with aviary.client("operator") as client:
        body = {"account": ACCOUNT, "app": aviary.app}
        assert client.post("/v1/canaries", json=body).status_code == 422
        assert client.post("/v1/canaries/sightings", json={"marker": "x"}).status_code == 404


def test_only_operators_see_canaries_and_no_platform_or_developer_reports_any(aviary: Aviary) -> None:
    with aviary.client("developer", aviary.developer) as client:
        assert client.get("/v1/canaries").status_code == 403
        assert client.post("/v1/canaries/sightings", json={"marker": "x"}).status_code == 403


def test_what_opens_a_commitment_is_sealed_in_the_database(aviary: Aviary) -> None:
    made = plant(aviary, later=True)
    keeper = aviary.world.service.canaries
    canary = keeper.find(made["canary"])
    assert canary is not None
    opened = keeper.open(canary)
    assert all(text.encode() not in canary.sealed for text in (opened.marker, opened.salt, ACCOUNT))
    assert keeper.see(canary, Sighting("fetch"), "operator:test").created
    (registered,), (seen,) = aviary.entries("account.registered"), aviary.entries("canary.seen")
    assert (registered["account"], registered["seq"]) == (seen["account"], seen["seq"] - 1)
