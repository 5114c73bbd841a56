"""The service's own audit loop over the live log: what is wrong is counted within seconds of its entry."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.live_audit import LiveAudit
from api.loops import Loop
from api.metrics import Metrics
from ledger.gateway.offered import OfferedEvent
from ledger.receiver.receipts import ReceiptSigner, hand_in, load_receipt_key, make_receipt_key
from ledger.sequencer.draft import Draft, Rejection
from tests.api.test_receipts import ACCOUNT, client_of
from tests.support.service_world import HOSTS, ServiceWorld, payload, wait_for

DETECTED_SECONDS_MAX = 2.0
SLACK = 4.0
"""How much slower a machine that runs other tests beside may be."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ServiceWorld]:
    with ServiceWorld(tmp_path) as made:
        yield made


@pytest.fixture
def followed(world: ServiceWorld) -> Iterator[tuple[Metrics, list[str]]]:
    """The metrics of a live audit that has read all there is, and what it called for."""
    metrics = Metrics(world.service)
    called: list[str] = []
    live = LiveAudit(world.service.ledger.settings, 0.5, metrics, lambda: called.append("verify"))
    loop = Loop("follow", live.follow, 0.01, metrics)
    loop.start()
    try:
        wait_for(lambda: size_of(metrics) == world.service.ledger.store.size(), 60)
        yield metrics, called
    finally:
        loop.stop()
        live.close()
        assert loop.join(20)


def value_of(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0.0


def size_of(metrics: Metrics) -> float:
    return value_of(metrics, "grantledger_followed_size")


def send_astray(world: ServiceWorld) -> None:
    """Have the log say that a delivery for one app's webhook was observed at another developer's."""
    app, other, account = world.new_app(), world.new_app("Other"), world.new_account()
    webhook, wrong = world.new_webhook(app), world.new_webhook(other, HOSTS[1])
    world.subscribe(app, webhook, account)
    now_ms = world.service.clock.now_ms()
    told: dict[str, Any] = {
        "kind": "delivery.imported",
        "uid": "delivery.imported/astray/1",
        "at": now_ms,
        "actor": "system:import",
        "via": "api",
        "delivery": "astray",
        "attempt": 1,
        "event": "e_" + "0" * 32,
        "event_type": "direct_message_events",
        "private": True,
        "channel": "push",
        "account": account.tag,
        "subjects": [],
        "endpoint": webhook.webhook,
        "started_at": now_ms,
        "observed": {
            "host": HOSTS[1],
            "sni": HOSTS[1],
            "port": 443,
            "path": wrong.url.rpartition(HOSTS[1])[2],
        },
        "disclosure": "confirmed",
    }
    (appended,) = world.service.ledger.sequencer.submit([Draft(told)]).result()
    assert not isinstance(appended, Rejection)


def test_a_misdelivery_is_counted_within_two_seconds_of_its_settlement(
    world: ServiceWorld, followed: tuple[Metrics, list[str]]
) -> None:
    metrics, called = followed
    send_astray(world)
    started_s = time.monotonic()
    wait_for(lambda: value_of(metrics, "grantledger_findings", code="WRONG_DEVELOPER", severity="X") == 1, 60)
    assert time.monotonic() - started_s < DETECTED_SECONDS_MAX * SLACK
    assert called == []


def test_a_receipt_of_the_wrong_developer_is_counted_within_two_seconds_of_its_coming_in(
    world: ServiceWorld, followed: tuple[Metrics, list[str]], tmp_path: Path
) -> None:
    metrics, called = followed
    world.serve(("api", "dispatch"))
    app, other, account = world.new_app(), world.new_app("Other"), world.new_account()
    world.subscribe(app, world.new_webhook(app), account)
    event = {"for_user_id": ACCOUNT, "follow_events": payload("follow_events")["follow_events"]}
    world.service.intake.accept([OfferedEvent(event, json.dumps(event).encode())])
    wait_for(lambda: world.arrivals.all)
    key = make_receipt_key(tmp_path / "theirs.key", other.app.developer)
    signer = ReceiptSigner(
        other.app.developer, load_receipt_key(tmp_path / "theirs.key"), world.service.ledger.vkey
    )
    with client_of(world, other.app.developer) as client:
        client.put("/v1/receipts/key", json={"key": key})
        (made,) = hand_in(client, [signer.sign(world.arrivals.all[-1].headers, 1)])
    assert made["status"] == "appended"
    started_s = time.monotonic()
    wait_for(
        lambda: value_of(metrics, "grantledger_findings", code="RECEIPT_WITHOUT_DELIVERY", severity="X") == 1,
        60,
    )
    assert time.monotonic() - started_s < DETECTED_SECONDS_MAX * SLACK
    assert called == []
