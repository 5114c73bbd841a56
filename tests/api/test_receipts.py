"""POST /v1/receipts: real deliveries over TLS, confirmed with the library for developers, on both databases."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.core.dsse import Envelope, format_envelope, parse_envelope
from ledger.core.receipts import RECEIPT_TYPE
from ledger.errors import SignatureError
from ledger.gateway.offered import OfferedEvent
from ledger.gateway.receipts import Confirmed as Told
from ledger.gateway.receipts import Receipts
from ledger.gateway.tokens import Issuing
from ledger.receiver.receipts import (
    ReceiptSender,
    ReceiptSigner,
    check_webhook,
    hand_in,
    load_receipt_key,
    make_receipt_key,
)
from ledger.vault.ed25519 import is_signed
from tests.support.postgresql import PostgresqlServer
from tests.support.service_world import ORIGIN, ServiceWorld, payload, wait_for

ACCOUNT = "3001969357"


@dataclass
class Confirmed:
    """A developer that got one delivery and can confirm it."""

    world: ServiceWorld
    client: httpx.Client
    developer: str
    signer: ReceiptSigner
    key: str
    webhook: str

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.world.arrivals.all[-1].headers)

    def receipt(self) -> dict[str, Any]:
        return self.signer.sign(self.headers, int(time.time() * 1_000))

    def findings(self) -> list[str]:
        return [finding.code for finding in self.world.verify().findings]


@pytest.fixture(params=["sqlite", "postgresql"])
def confirmed(
    request: pytest.FixtureRequest, tmp_path: Path, postgresql_server: PostgresqlServer
) -> Iterator[Confirmed]:
    if request.param == "sqlite":
        yield from _confirmed(tmp_path, None)
    else:
        with postgresql_server.database(with_tables=False) as url:
            yield from _confirmed(tmp_path, postgresql_server.url(url))


def _confirmed(directory: Path, database: str | None) -> Iterator[Confirmed]:
    with ServiceWorld(directory, database=database) as world:
        world.serve(("api", "dispatch"))
        app = world.new_app()
        developer = app.app.developer
        account = world.new_account(ACCOUNT)
        webhook = world.new_webhook(app)
        world.subscribe(app, webhook, account)
        body = json.dumps(
            {"for_user_id": ACCOUNT, "follow_events": payload("follow_events")["follow_events"]}
        )
        world.service.intake.accept([OfferedEvent(json.loads(body), body.encode())])
        wait_for(lambda: world.arrivals.all)
        key = make_receipt_key(directory / "receipts.key", developer)
        signer = ReceiptSigner(
            developer, load_receipt_key(directory / "receipts.key"), world.service.ledger.vkey
        )
        with client_of(world, developer) as client:
            yield Confirmed(world, client, developer, signer, key, webhook.webhook)


def client_of(world: ServiceWorld, developer: str) -> httpx.Client:
    """A client with an API key of the developer."""
    service = world.service
    issuing = Issuing(
        credentials=service.credentials,
        sealing=service.sealing,
        clock=service.clock,
        randomness=service.randomness,
    )
    key = issuing.issue_key("developer", developer).text
    return world.client(Authorization=f"Bearer {key}")


def changed(receipt: dict[str, Any], **members: Any) -> dict[str, Any]:
    """The receipt with another statement under the old signature."""
    statement = json.loads(base64.b64decode(receipt["payload"])) | members
    text = json.dumps(statement, separators=(",", ":"), sort_keys=True).encode()
    return receipt | {"payload": base64.b64encode(text).decode()}


def test_a_delivery_is_confirmed_once_and_everything_about_it_can_be_checked_again(
    confirmed: Confirmed,
) -> None:
    assert confirmed.client.put("/v1/receipts/key", json={"key": confirmed.key}).status_code == 200
    receipt = confirmed.receipt()
    first, second = hand_in(confirmed.client, [receipt, receipt])
    assert (first["status"], second["status"]) == ("appended", "exists")
    (again,) = hand_in(confirmed.client, [receipt])
    assert again == {**first, "status": "exists"}
    row = next(iter(confirmed.world.service.ledger.store.fetch_range(first["seq"], first["seq"] + 1)))
    entry = json.loads(row.data)
    assert entry["account"] == confirmed.world.new_account(ACCOUNT).tag
    assert entry["attempt"] == 1
    assert ACCOUNT not in row.data.decode()
    assert confirmed.findings() == []


def test_a_webhook_is_verified_by_the_secret_that_the_developer_was_shown(confirmed: Confirmed) -> None:
    secrets = confirmed.world.service.signing.load_secrets(confirmed.webhook)
    arrival = confirmed.world.arrivals.all[-1]
    now_s = int(time.time())
    assert check_webhook(secrets, arrival.headers, arrival.body, now_s) == arrival.delivery
    with pytest.raises(SignatureError):
        check_webhook(secrets, arrival.headers, arrival.body + b" ", now_s)
    with pytest.raises(SignatureError):
        check_webhook(secrets, arrival.headers, arrival.body, now_s + 3_600)


def test_what_is_wrong_with_one_receipt_is_told_and_leaves_no_entry(
    confirmed: Confirmed, tmp_path: Path
) -> None:
    receipt = confirmed.receipt()
    (unregistered,) = hand_in(confirmed.client, [receipt])
    assert unregistered["code"] == "no_key"
    confirmed.client.put("/v1/receipts/key", json={"key": confirmed.key})
    size = confirmed.world.service.ledger.store.size()
    make_receipt_key(tmp_path / "other.key", confirmed.developer)
    vkey = confirmed.world.service.ledger.vkey
    thief = ReceiptSigner(confirmed.developer, load_receipt_key(tmp_path / "other.key"), vkey)
    impostor = ReceiptSigner("dev-other", load_receipt_key(tmp_path / "receipts.key"), vkey)
    headers = confirmed.headers
    without = {name: value for name, value in receipt.items() if name != "ticket"}
    wrong = [
        (thief.sign(headers, 1), "signature"),
        (changed(receipt, host="b.example"), "signature"),
        (changed(receipt, received_at=-1), "malformed"),
        (changed(receipt, body_sha256="0" * 64), "malformed"),
        (changed(receipt, log="ledger.example/other"), "another_log"),
        (impostor.sign(headers, 1), "another_developer"),
        (without, "ticket"),
        (receipt | {"ticket": receipt["ticket"][:-4] + "AAA="}, "ticket"),
        (receipt | {"payloadType": "application/json"}, "malformed"),
        ({}, "malformed"),
        (7, "malformed"),
    ]
    made = hand_in(confirmed.client, [*(one for one, _ in wrong), receipt])  # type: ignore[list-item]
    assert [one.get("code") for one in made] == [code for _, code in wrong] + [None]
    assert confirmed.world.service.ledger.store.size() == size + 1


def test_a_receipt_for_what_the_service_never_sent_is_taken_and_is_an_alarm(confirmed: Confirmed) -> None:
    confirmed.client.put("/v1/receipts/key", json={"key": confirmed.key})
    secret_delivery = confirmed.signer.sign({"webhook-id": "d-secret", "host": "a.example"}, 1)
    assert "ticket" not in secret_delivery
    (made,) = hand_in(confirmed.client, [secret_delivery])
    assert made["status"] == "appended"
    assert confirmed.findings() == ["RECEIPT_WITHOUT_DELIVERY"]


def test_another_developers_receipt_for_the_delivery_is_an_alarm_that_names_the_account(
    confirmed: Confirmed, tmp_path: Path
) -> None:
    other = confirmed.world.new_app("Other").app.developer
    key = make_receipt_key(tmp_path / "theirs.key", other)
    signer = ReceiptSigner(
        other, load_receipt_key(tmp_path / "theirs.key"), confirmed.world.service.ledger.vkey
    )
    with client_of(confirmed.world, other) as client:
        client.put("/v1/receipts/key", json={"key": key})
        (made,) = hand_in(client, [signer.sign(confirmed.headers, 1)])
    assert made["status"] == "appended"
    report = confirmed.world.verify()
    assert [finding.code for finding in report.findings] == ["RECEIPT_WITHOUT_DELIVERY"]
    assert report.exposed.accounts["definite"] == {confirmed.world.new_account(ACCOUNT).tag}


def test_receipts_wait_and_are_handed_in_together(confirmed: Confirmed) -> None:
    confirmed.client.put("/v1/receipts/key", json={"key": confirmed.key})
    results: list[Any] = []
    authorization = confirmed.client.headers["Authorization"].removeprefix("Bearer ")
    sender = ReceiptSender(
        f"http://127.0.0.1:{confirmed.world.port}",
        authorization,
        every_s=60,
        on_result=lambda receipt, result: results.append(result["status"]),
    )
    sender.put(confirmed.receipt())
    sender.put(confirmed.signer.sign(confirmed.headers, 5))
    assert sender.close() == 0
    assert results == ["appended", "appended"]


def test_a_new_key_replaces_the_one_before(confirmed: Confirmed, tmp_path: Path) -> None:
    confirmed.client.put("/v1/receipts/key", json={"key": confirmed.key})
    old = confirmed.receipt()
    key = make_receipt_key(tmp_path / "new.key", confirmed.developer)
    assert confirmed.client.put("/v1/receipts/key", json={"key": key}).json() == {"key": key}
    assert confirmed.client.get("/v1/receipts/key").json() == {"key": key}
    (made,) = hand_in(confirmed.client, [old])
    assert made["code"] == "signature"
    # Back to the first: a statement of its own, and the receipt is good again.
    confirmed.client.put("/v1/receipts/key", json={"key": confirmed.key})
    (made,) = hand_in(confirmed.client, [old])
    assert made["status"] == "appended"
    assert confirmed.findings() == []


def test_only_developers_hand_in_receipts_and_only_their_own(confirmed: Confirmed) -> None:
    assert confirmed.world.client().post("/v1/receipts", json=[confirmed.receipt()]).status_code == 401
    assert confirmed.client.post("/v1/receipts", json=[]).status_code == 400
    assert confirmed.client.post("/v1/receipts", json=[{}] * 1_001).status_code == 413
    assert confirmed.client.put("/v1/receipts/key", json={"key": "0" * 63}).status_code == 422


def test_an_envelope_reads_back_what_was_formatted() -> None:
    made = Envelope(RECEIPT_TYPE, {"log": ORIGIN, "v": 1}, b"\1" * 64)
    assert parse_envelope(format_envelope(made, "00000000")) == made


def test_as_many_receipts_as_one_call_may_hold_are_taken_however_long_they_are(confirmed: Confirmed) -> None:
    confirmed.client.put("/v1/receipts/key", json={"key": confirmed.key})
    headers = confirmed.headers | {"host": "a" * 260}
    receipts = [confirmed.signer.sign(headers, number) for number in range(1_000)]
    assert len(json.dumps(receipts)) > 1 << 20
    assert {result["status"] for result in hand_in(confirmed.client, receipts)} == {"appended"}


def test_receipts_for_a_thousand_deliveries_that_nobody_knows_are_taken_in_one_call(
    confirmed: Confirmed,
) -> None:
    confirmed.client.put("/v1/receipts/key", json={"key": confirmed.key})
    receipts = [confirmed.signer.sign({"webhook-id": f"d-{each}", "host": "a"}, 1) for each in range(1_000)]
    assert {result["status"] for result in hand_in(confirmed.client, receipts)} == {"appended"}


def test_a_receipt_that_is_there_already_is_told_again_because_nobody_knows_who_heard(
    confirmed: Confirmed,
) -> None:
    service = confirmed.world.service
    told: list[Told] = []
    receipts = Receipts(
        sequencer=service.ledger.sequencer,
        store=service.ledger.store,
        tickets=service.tickets,
        origin=ORIGIN,
        check=is_signed,
        on_taken=told.extend,
    )
    receipts.set_key(confirmed.developer, confirmed.key, "test:receipts")
    receipt = confirmed.receipt()
    for _ in range(2):
        receipts.take([receipt], confirmed.developer, "test:receipts")
    one = Told(confirmed.headers["webhook-id"], confirmed.developer, confirmed.world.new_account(ACCOUNT).tag)
    assert told == [one, one]
