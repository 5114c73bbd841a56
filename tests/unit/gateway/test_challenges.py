"""Challenges over real connections: what is sent, what is kept, and what it makes of a webhook (section 3.4)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from ledger.core.webhook_auth import SIGNATURE_HEADER, is_body_signature
from ledger.errors import StoreError
from ledger.gateway.validity import FAILING_MAX_MS, VALIDATED_FOR_MS
from ledger.ports.registry import Challenge, Webhook
from tests.unit.gateway.gateway_world import (
    HOSTS,
    KINDS,
    TIMEOUT_S,
    URL,
    GatewayWorld,
    Kind,
    open_beside,
    open_gateway_world,
)
from tests.unit.gateway.receiving import Asked, Behaviour

MINUTE_MS, HOUR_MS = 60_000, 3_600_000

WRONG = "Webhook URL does not meet the requirements. Invalid CRC token or json response format."
REFUSED = "Webhook URL does not meet the requirements."
SLOW = "High latency on CRC GET request. Your webhook should respond in less than 3 seconds."
NOT_200 = "Non-200 response code during CRC GET request (i.e. 404, 500, etc)."

FAILURES: list[tuple[Behaviour, str, bool]] = [
    ("wrong", WRONG, False),
    ("no_json", WRONG, False),
    ("huge", WRONG, False),
    ("redirect", NOT_200, False),
    ("no_tls", REFUSED, False),
    ("missing", NOT_200, True),
    ("broken", NOT_200, True),
    ("slow", SLOW, True),
    ("stalling", SLOW, True),
]
"""What a server does -> the reason that its developer reads, and whether it may pass."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[GatewayWorld]:
    with open_gateway_world(tmp_path) as opened:
        yield opened
        opened.check()


def ask(world: GatewayWorld, webhook: Webhook, behaviour: Behaviour) -> Challenge:
    """Ask ``webhook`` a second later, while its server does this."""
    world.clock.ms += 1_000
    world.receiving.behaviours["a.example"] = behaviour
    return world.challenges.ask(world.app, webhook.webhook, webhook.url, "request")


def register_many(world: GatewayWorld, count: int) -> list[Webhook]:
    """Webhooks of as many apps, on all hosts in turn."""
    webhooks = []
    for number in range(count):
        made = world.parties.create_app("dev-acme", f"Box {number}", app=f"77{number:02d}")
        host = HOSTS[number % len(HOSTS)]
        world.receiving.secrets.add(made.consumer_secret)
        webhooks.append(world.webhooks.register(made.app, "prod", f"https://{host}/hook/{number}"))
    return webhooks


def test_what_is_asked_is_a_get_of_the_url_with_token_and_nonce(world: GatewayWorld) -> None:
    world.register()
    (asked,) = world.receiving.of("a.example")
    assert (asked.path, list(asked.parameters)) == ("/hook", ["crc_token", "nonce"])


def test_the_query_is_signed_as_it_is_sent(world: GatewayWorld) -> None:
    world.register()
    (asked,) = world.receiving.of("a.example")
    secret = world.parties.consumer_secret(world.app)
    assert is_body_signature(secret, asked.query.encode(), asked.headers[SIGNATURE_HEADER])


@pytest.mark.parametrize("own", ["?tenant=7&x=%2F", "?", "?crc_token=mine"])
def test_a_query_of_the_urls_own_comes_first_and_is_signed_with_it(world: GatewayWorld, own: str) -> None:
    world.receiving.behaviours["a.example"] = "wrong"
    world.challenges.probe(world.app, "1", URL + own, "registration")
    (asked,) = world.receiving.of("a.example")
    secret = world.parties.consumer_secret(world.app)
    assert asked.query.startswith(f"{own[1:]}&crc_token=")
    assert is_body_signature(secret, asked.query.encode(), asked.headers[SIGNATURE_HEADER])


def test_tokens_and_nonces_are_long_and_never_twice_the_same(world: GatewayWorld) -> None:
    webhook = world.register()
    for _ in range(10):
        ask(world, webhook, "right")
    parameters = [asked.parameters for asked in world.receiving.of("a.example")]
    assert len({one["crc_token"] for one in parameters} | {one["nonce"] for one in parameters}) == 22
    assert all(len(one["crc_token"]) >= 43 for one in parameters)


@pytest.mark.parametrize(("behaviour", "reason", "is_transient"), FAILURES)
def test_each_failure_has_the_reason_that_developers_know(
    world: GatewayWorld, behaviour: Behaviour, reason: str, is_transient: bool
) -> None:
    webhook = world.register()
    challenge = ask(world, webhook, behaviour)
    assert (challenge.is_passed, challenge.reason) == (False, reason)
    assert world.row(webhook).is_valid == is_transient
    assert world.row(webhook).reason == reason


def test_a_failure_for_good_is_an_entry_with_its_reason(world: GatewayWorld) -> None:
    webhook = world.register()
    ask(world, webhook, "wrong")
    (entry,) = world.entries("endpoint.failed")
    assert (entry["endpoint"], entry["reason"], entry["actor"]) == (
        webhook.webhook,
        "CRC_WRONG_ANSWER",
        "developer:dev-acme",
    )
    assert entry["spki_sha256"] == world.receiving.keys["a.example"]


def test_each_result_is_kept_the_newest_first(world: GatewayWorld) -> None:
    webhook = world.register()
    ask(world, webhook, "missing")
    ask(world, webhook, "right")
    kept = world.registry.load_challenges(webhook.webhook)
    assert [(one.trigger, one.is_passed, one.status) for one in kept] == [
        ("request", True, 200),
        ("request", False, 404),
        ("registration", True, 200),
    ]


def test_a_pass_makes_valid_again_and_is_an_entry(world: GatewayWorld) -> None:
    webhook = world.register()
    ask(world, webhook, "wrong")
    ask(world, webhook, "right")
    assert world.row(webhook).is_valid
    kinds = [entry["kind"] for entry in world.entries("endpoint.verified", "endpoint.failed")]
    assert kinds == ["endpoint.verified", "endpoint.failed", "endpoint.verified"]


def test_failing_and_passing_over_and_over_makes_an_entry_of_each_turn(world: GatewayWorld) -> None:
    webhook = world.register()
    for behaviour in ("wrong", "wrong", "right", "redirect", "missing", "right", "right"):
        ask(world, webhook, behaviour)
    kinds = [entry["kind"].split(".")[1] for entry in world.entries("endpoint.verified", "endpoint.failed")]
    assert kinds == ["verified", "failed", "verified", "failed", "verified"]


def test_a_routine_pass_is_no_entry(world: GatewayWorld) -> None:
    webhook = world.register()
    before = world.store.size()
    for _ in range(3):
        ask(world, webhook, "right")
    assert world.store.size() == before


def test_a_pass_with_another_key_is_an_entry_once(world: GatewayWorld) -> None:
    webhook = world.register()
    for name in ("new", "new", "a.example", "a.example"):
        world.receiving.change_key("a.example", name)
        ask(world, webhook, "right")
    keys = [entry["spki_sha256"] for entry in world.entries("endpoint.verified")]
    assert len(keys) == 3
    assert keys[0] == keys[2] != keys[1]


def test_a_failing_webhook_stays_valid_until_its_28_hours_are_over(world: GatewayWorld) -> None:
    webhook = world.register()
    ask(world, webhook, "broken")
    world.clock.ms += FAILING_MAX_MS - 2_000
    ask(world, webhook, "broken")
    assert world.row(webhook).is_valid
    ask(world, webhook, "broken")
    assert not world.row(webhook).is_valid
    assert [entry["reason"] for entry in world.entries("endpoint.failed")] == ["CRC_STATUS_500"]


def test_a_webhook_that_is_gone_is_asked_and_nothing_is_kept(world: GatewayWorld) -> None:
    webhook = world.register()
    world.webhooks.delete(world.app, webhook.webhook)
    before = world.store.size()
    assert not ask(world, webhook, "wrong").is_passed
    assert world.store.size() == before
    assert len(world.registry.load_challenges(webhook.webhook)) == 1


def test_a_webhook_that_is_deleted_while_it_is_asked_stays_deleted(world: GatewayWorld) -> None:
    webhook = world.register()

    def delete(asked: Asked) -> None:
        world.receiving.on_asked = lambda asked: None
        world.webhooks.delete(world.app, webhook.webhook)

    world.receiving.on_asked = delete
    ask(world, webhook, "wrong")
    assert world.row(webhook).deleted_at_ms is not None
    assert world.entries("endpoint.failed") == []


def test_nobody_is_asked_before_it_is_due(world: GatewayWorld) -> None:
    world.register()
    world.clock.ms += VALIDATED_FOR_MS - 1
    assert world.challenges.run_due() == 0


def test_whoever_is_due_is_asked_by_the_schedule(world: GatewayWorld) -> None:
    webhook = world.register()
    world.clock.ms += VALIDATED_FOR_MS
    assert (world.challenges.run_due(), world.challenges.run_due()) == (1, 0)
    assert world.registry.load_challenges(webhook.webhook)[0].trigger == "schedule"
    assert world.row(webhook).validated_at_ms == world.clock.ms


def test_a_failing_webhook_is_asked_again_when_the_schedule_says_so(world: GatewayWorld) -> None:
    webhook = world.register()
    world.receiving.behaviours["a.example"] = "broken"
    world.clock.ms += VALIDATED_FOR_MS
    asked_at_ms = []
    for _ in range(120):
        if world.challenges.run_due():
            asked_at_ms.append(world.clock.ms)
        world.clock.ms += MINUTE_MS
    waits = [(later - earlier) // MINUTE_MS for earlier, later in pairwise(asked_at_ms)]
    assert waits == [1, 1, 2, 4, 8, 16, 30, 30]
    assert world.row(webhook).is_valid


def test_what_the_schedule_finds_is_the_systems_word(world: GatewayWorld) -> None:
    world.register()
    world.receiving.behaviours["a.example"] = "wrong"
    world.clock.ms += VALIDATED_FOR_MS
    world.challenges.run_due()
    (entry,) = world.entries("endpoint.failed")
    assert (entry["actor"], entry["via"]) == ("system:gateway", "system")


def test_many_are_asked_at_once_and_a_slow_one_takes_one_place_of_them(world: GatewayWorld) -> None:
    webhooks = register_many(world, 30)
    world.receiving.behaviours["b.example"] = "slow"
    world.receiving.asked.clear()
    world.clock.ms += VALIDATED_FOR_MS
    began_s = time.monotonic()
    assert world.challenges.run_due() == 30
    # Ten slow ones on sixteen places: all of them in one time-out, and the others meanwhile. One by one takes ten.
    assert time.monotonic() - began_s < 5 * TIMEOUT_S
    assert world.receiving.at_once_max > 1
    failing = {one.url for one in map(world.row, webhooks) if one.failing_since_ms is not None}
    assert failing == {one.url for one in webhooks if "b.example" in one.url}


def test_one_whose_result_cannot_be_kept_holds_up_no_other(world: GatewayWorld) -> None:
    webhooks = register_many(world, 6)
    world.clock.ms += VALIDATED_FOR_MS
    world.faults.plan("before")
    assert world.challenges.run_due() == 6
    assert world.faults.hits == 1
    due = [one for one in webhooks if world.row(one).next_check_at_ms <= world.clock.ms]
    assert len(due) == 1
    assert world.challenges.run_due() == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("behaviour", ["wrong", "broken", "right"])
def test_a_result_that_could_not_be_kept_is_kept_once_when_asked_again(
    world: GatewayWorld, behaviour: Behaviour, kind: Kind
) -> None:
    webhook = world.register()
    ask(world, webhook, "missing")
    world.faults.plan(kind)
    with pytest.raises(StoreError):
        ask(world, webhook, behaviour)
    ask(world, webhook, behaviour)
    turns = world.entries("endpoint.failed")
    assert len(turns) == (1 if behaviour == "wrong" else 0)
    assert world.row(webhook).is_valid == (behaviour != "wrong")


def test_many_that_ask_one_webhook_at_once_record_one_turn(world: GatewayWorld) -> None:
    webhook = world.register()
    world.receiving.behaviours["a.example"] = "wrong"
    world.clock.ms += 1_000
    threads = [
        threading.Thread(target=lambda: world.challenges.ask(world.app, webhook.webhook, URL, "replay"))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(world.entries("endpoint.failed")) == 1


def test_two_processes_that_see_one_turn_record_it_once(world: GatewayWorld) -> None:
    webhook = world.register()
    world.receiving.behaviours["a.example"] = "wrong"
    world.clock.ms += VALIDATED_FOR_MS
    with open_beside(world) as other:
        threads = [threading.Thread(target=one.challenges.run_due) for one in (world, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(world.entries("endpoint.failed")) == 1
    assert not world.row(webhook).is_valid


def test_a_turn_that_another_process_judged_on_an_older_row_is_recorded_once(world: GatewayWorld) -> None:
    webhook = world.register()
    stale = world.row(webhook)
    ask(world, webhook, "wrong")
    turned = world.row(webhook)
    world.registry.apply([world.registry.put_webhook(stale)])
    ask(world, webhook, "wrong")
    assert len(world.entries("endpoint.failed")) == 1
    assert (world.row(webhook).is_valid, world.row(webhook).reason) == (False, turned.reason)


def test_a_server_that_is_restarted_is_not_disabled_for_that(world: GatewayWorld) -> None:
    webhook = world.register()
    world.receiving.stop_listening()
    challenge = world.challenges.ask(world.app, webhook.webhook, webhook.url, "request")
    assert (challenge.is_passed, challenge.status, challenge.reason) == (False, None, REFUSED)
    assert world.row(webhook).is_valid
    assert world.entries("endpoint.failed") == []
