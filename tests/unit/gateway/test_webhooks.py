"""Registering and deleting webhooks (delivery protocol, sections 3.1 to 3.4)."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import LedgerError, StoreError
from ledger.gateway import revocation, webhooks
from ledger.gateway.webhooks import EnvironmentUnknown, WebhookLimits, WebhookRefused, WebhookUnknown
from ledger.ports import Permit
from ledger.ports.registry import Webhook
from tests.support.log_world import draft
from tests.unit.gateway.gateway_world import (
    BOB,
    KINDS,
    URL,
    GatewayWorld,
    Kind,
    open_beside,
    open_gateway_world,
)
from tests.unit.gateway.receiving import Asked, Behaviour

TOO_MANY = "Too many resources already created."
REFUSED = "Webhook URL does not meet the requirements."


@pytest.fixture
def world(tmp_path: Path) -> Iterator[GatewayWorld]:
    with open_gateway_world(tmp_path) as opened:
        yield opened
        opened.check()


@pytest.fixture(params=["sqlite", "postgresql"])
def either_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GatewayWorld]:
    """A world on each of the databases: for what depends on who is faster."""
    database = request.getfixturevalue("service_postgresql_url") if request.param == "postgresql" else None
    with open_gateway_world(tmp_path, database=database) as opened:
        yield opened
        opened.check()


def refusal(world: GatewayWorld, url: str = URL, **options: Any) -> tuple[str, str]:
    """Code and text with which registering ``url`` is refused; nothing may have been recorded."""
    before = world.store.size()
    with pytest.raises(WebhookRefused) as caught:
        world.register(url, **options)
    assert world.store.size() == before
    return caught.value.code, caught.value.reason


def together(*calls: Any) -> list[Any]:
    """What each of ``calls`` returned or raised, all made at once."""
    results: list[Any] = [None] * len(calls)

    def run(place: int, call: Any) -> None:
        try:
            results[place] = call()
        except LedgerError as error:
            results[place] = error

    threads = [threading.Thread(target=run, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def subscribe_many(world: GatewayWorld, webhook: Webhook, count: int) -> None:
    for number in range(count):
        world.subscribe(webhook, str(9_000 + number))


def test_a_webhook_is_registered_after_a_challenge(world: GatewayWorld) -> None:
    made = world.register()
    assert world.row(made) == made
    assert made.is_valid
    assert len(world.receiving.of("a.example")) == 1


def test_a_webhooks_id_is_a_number_of_at_most_19_digits(world: GatewayWorld) -> None:
    made = world.register()
    assert made.webhook.isdecimal()
    assert len(made.webhook) == 19


def test_the_entries_say_what_the_connection_was(world: GatewayWorld) -> None:
    made = world.register()
    registered, verified = world.entries("endpoint.registered", "endpoint.verified")
    assert (registered["endpoint"], registered["url"], registered["environment"]) == (
        made.webhook,
        URL,
        "prod",
    )
    assert (registered["developer"], registered["actor"]) == ("dev-acme", "developer:dev-acme")
    assert verified["addresses"] == ["127.0.0.1"]
    assert verified["spki_sha256"] == world.receiving.keys["a.example"]
    assert verified["latency_ms"] == 0


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://a.example/hook",
        "https://a.example:443/hook",
        "https://user@a.example/hook",
        "https://a.example/hook#x",
        "https://localhost/hook",
        "https://127.0.0.1/hook",
        "https://a.example/" + "x" * 3_000,
    ],
)
def test_a_url_that_no_webhook_may_have_is_refused_before_anything_is_sent(
    world: GatewayWorld, url: str
) -> None:
    assert refusal(world, url) == ("UrlValidationFailed", REFUSED)
    assert world.receiving.asked == []


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("wrong", "Webhook URL does not meet the requirements. Invalid CRC token or json response format."),
        ("no_json", "Webhook URL does not meet the requirements. Invalid CRC token or json response format."),
        ("broken", "Non-200 response code during CRC GET request (i.e. 404, 500, etc)."),
        ("redirect", "Non-200 response code during CRC GET request (i.e. 404, 500, etc)."),
        ("slow", "High latency on CRC GET request. Your webhook should respond in less than 3 seconds."),
        ("no_tls", "Webhook URL does not meet the requirements."),
        ("closing", "Webhook URL does not meet the requirements."),
    ],
)
def test_a_webhook_that_does_not_pass_is_not_registered(
    world: GatewayWorld, behaviour: Behaviour, reason: str
) -> None:
    world.receiving.behaviours["a.example"] = behaviour
    assert refusal(world) == ("CrcValidationFailed", reason)


def test_a_host_with_a_private_address_is_refused_as_a_url(world: GatewayWorld) -> None:
    assert refusal(world, "https://inside.example/hook") == ("UrlValidationFailed", REFUSED)


def test_an_unknown_environment_is_refused_and_capitals_count(world: GatewayWorld) -> None:
    for name in ("Prod", "staging", ""):
        with pytest.raises(EnvironmentUnknown):
            world.register(environment=name)
    assert world.receiving.asked == []


def test_a_premium_environment_has_one_webhook(world: GatewayWorld) -> None:
    world.register()
    assert refusal(world, "https://b.example/hook") == ("WebhookLimitExceeded", TOO_MANY)
    assert world.register("https://b.example/hook", "dev").environment == "dev"


def test_enterprise_apps_have_five(world: GatewayWorld) -> None:
    for number in range(5):
        world.register(f"{URL}/{number}", product="enterprise")
    assert refusal(world, f"{URL}/5", product="enterprise") == ("WebhookLimitExceeded", TOO_MANY)


def test_limits_are_settings(tmp_path: Path) -> None:
    with open_gateway_world(tmp_path, WebhookLimits(2, 3)) as world:
        world.register(f"{URL}/1")
        world.register(f"{URL}/2")
        assert refusal(world, f"{URL}/3") == ("WebhookLimitExceeded", TOO_MANY)
        world.register(f"{URL}/3", product="enterprise")
        assert refusal(world, f"{URL}/4", product="enterprise") == ("WebhookLimitExceeded", TOO_MANY)


@pytest.mark.parametrize("same", [URL, "https://A.EXAMPLE/hook", "https://a.example./hook"])
def test_one_url_is_registered_once_in_an_environment(world: GatewayWorld, same: str) -> None:
    world.register(product="enterprise")
    assert refusal(world, same, product="enterprise") == ("DuplicateUrlFailed", TOO_MANY)


@pytest.mark.parametrize("other", [f"{URL}/", f"{URL}?x", "https://a.example/Hook"])
def test_another_path_is_another_url(world: GatewayWorld, other: str) -> None:
    first = world.register(product="enterprise")
    assert world.register(other, product="enterprise").webhook != first.webhook


def test_one_url_may_be_registered_in_two_environments(world: GatewayWorld) -> None:
    assert world.register().webhook != world.register(environment="dev").webhook


def test_a_repeatable_registration_returns_the_one_that_is_there(world: GatewayWorld) -> None:
    made = world.register(is_repeatable=True)
    before = world.store.size()
    assert world.register(is_repeatable=True) == made
    assert world.store.size() == before
    assert len(world.receiving.asked) == 1


def test_a_url_can_be_registered_again_once_it_was_deleted(world: GatewayWorld) -> None:
    made = set()
    for _ in range(5):
        webhook = world.register()
        made.add(webhook.webhook)
        world.webhooks.delete(world.app, webhook.webhook)
        world.clock.ms += 10
    assert len(made) == 5


@pytest.mark.parametrize("is_repeatable", [False, True])
def test_of_many_registrations_at_once_one_stands(world: GatewayWorld, is_repeatable: bool) -> None:
    def register() -> Webhook:
        return world.register(is_repeatable=is_repeatable)

    results = together(*[register] * 8)
    made = {one.webhook for one in results if isinstance(one, Webhook)}
    refused = [one.code for one in results if isinstance(one, WebhookRefused)]
    assert len(made) == 1
    assert refused == ([] if is_repeatable else ["WebhookLimitExceeded"] * 7)
    assert len(world.entries("endpoint.registered")) == 1


def test_many_registrations_at_once_keep_to_the_limit(either_world: GatewayWorld) -> None:
    world = either_world
    results = together(
        *[
            lambda number=number: world.register(f"{URL}/{number}", product="enterprise")
            for number in range(12)
        ]
    )
    assert sum(isinstance(one, Webhook) for one in results) == 5
    assert len(world.registry.load_webhooks(world.app.app)) == 5


def test_registrations_of_two_processes_at_once_keep_to_the_limit(either_world: GatewayWorld) -> None:
    world = either_world
    with open_beside(world) as other:
        results = together(
            *[
                lambda number=number: (world, other)[number % 2].register(
                    f"{URL}/{number}", product="enterprise"
                )
                for number in range(10)
            ]
        )
    assert sum(isinstance(one, Webhook) for one in results) == 5
    assert len(world.registry.load_webhooks(world.app.app)) == 5


def test_whoever_was_faster_while_a_server_was_asked_keeps_the_place(world: GatewayWorld) -> None:
    def overtake(asked: Asked) -> None:
        world.receiving.on_asked = lambda asked: None
        world.register("https://b.example/hook")

    world.receiving.on_asked = overtake
    with pytest.raises(WebhookRefused) as caught:
        world.register()
    assert caught.value.code == "WebhookLimitExceeded"
    assert [one.url for one in world.registry.load_webhooks(world.app.app)] == ["https://b.example/hook"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_registration_that_failed_is_made_once_by_the_same_call_again(
    world: GatewayWorld, kind: Kind
) -> None:
    world.faults.plan(kind)
    with pytest.raises(StoreError):
        world.register(is_repeatable=True)
    made = world.register(is_repeatable=True)
    assert world.faults.hits == 1
    assert [entry["endpoint"] for entry in world.entries("endpoint.registered")] == [made.webhook]
    assert world.row(made) == made


def test_a_webhook_of_an_app_that_the_log_does_not_know_leaves_nothing(world: GatewayWorld) -> None:
    secret = world.parties.consumer_secret(world.app)
    sealed = world.sealing.seal_secret("app/404/consumer-secret", secret)
    stranger = replace(world.app, app="404", secret_sealed=sealed)
    with pytest.raises(LedgerError, match="unknown"):
        world.webhooks.register(stranger, "prod", URL)
    assert world.registry.load_webhooks("404") == []


def test_revalidating_asks_now_and_says_what_came_of_it(world: GatewayWorld) -> None:
    webhook = world.register()
    world.clock.ms += 1_000
    world.receiving.behaviours["a.example"] = "wrong"
    challenge = world.webhooks.revalidate(world.app, webhook.webhook)
    assert (challenge.is_passed, challenge.trigger) == (False, "request")
    assert not world.row(webhook).is_valid


def test_a_webhook_of_another_app_is_unknown(world: GatewayWorld) -> None:
    other = world.parties.create_app("dev-acme", "Other", app="2002").app
    webhook = world.register().webhook
    for call in (world.webhooks.revalidate, world.webhooks.delete):
        for app, name in ((other, webhook), (world.app, "12345")):
            with pytest.raises(WebhookUnknown) as caught:
                call(app, name)
            assert caught.value.code == "WebhookIdInvalid"


def test_a_deleted_webhook_is_unknown(world: GatewayWorld) -> None:
    webhook = world.register().webhook
    world.webhooks.delete(world.app, webhook)
    for call in (world.webhooks.revalidate, world.webhooks.delete):
        with pytest.raises(WebhookUnknown):
            call(world.app, webhook)


def test_deleting_ends_its_subscriptions_and_their_grants_and_then_itself(world: GatewayWorld) -> None:
    webhook = world.register()
    subscribe_many(world, webhook, 3)
    before = world.store.size()
    world.webhooks.delete(world.app, webhook.webhook)
    assert [entry["kind"] for entry in world.entries()[before:]] == [
        *["grant.revoked"] * 3,
        *["subscription.deleted"] * 3,
        "endpoint.retired",
    ]
    assert {entry["channel"] for entry in world.entries("grant.revoked")} == {"webhook_deleted"}
    assert world.row(webhook).deleted_at_ms == world.clock.ms


def test_deleting_tells_each_account(world: GatewayWorld) -> None:
    webhook = world.register()
    subscribe_many(world, webhook, 2)
    world.webhooks.delete(world.app, webhook.webhook)
    told = [world.notices(str(9_000 + number))[-1] for number in range(2)]
    assert all("Acme Box" in text and "developer removed" in text for text in told)


def test_deleting_leaves_the_other_webhooks_alone(world: GatewayWorld) -> None:
    first, second = world.register(), world.register("https://b.example/hook", "dev")
    world.subscribe(first)
    kept = world.subscribe(second)
    world.webhooks.delete(world.app, first.webhook)
    assert world.registry.load_subscriptions(second.webhook) == [kept]


def permit(world: GatewayWorld, webhook: Webhook, seq: int, ends_at_s: float = math.inf) -> Permit:
    """A permit of somebody for ``webhook``, decided as entry ``seq``."""
    until_ms = world.clock.ms + 1_000
    return Permit(
        seq,
        bytes(32),
        "d-1",
        1,
        webhook.webhook,
        URL,
        until_ms,
        "a_" + "0" * 32,
        "dev-x",
        "x",
        "g-x",
        ends_at_s,
    )


def test_deleting_calls_off_what_was_permitted_before(world: GatewayWorld) -> None:
    webhook = world.register()
    with world.inflight.enter(permit(world, webhook, 1)) as flight:
        world.webhooks.delete(world.app, webhook.webhook)
        assert not flight.may_start()


def test_deleting_again_heeds_what_another_process_deleted(world: GatewayWorld) -> None:
    webhook = world.register()
    with open_beside(world) as other, other.inflight.enter(permit(world, webhook, 1)) as flight:
        world.webhooks.delete(world.app, webhook.webhook)
        with pytest.raises(WebhookUnknown):
            other.webhooks.delete(world.app, webhook.webhook)
        assert flight.is_called_off


def test_deleting_waits_for_the_end_of_what_it_cannot_call_off(world: GatewayWorld) -> None:
    webhook = world.register()
    began_s = time.monotonic()
    assert world.inflight.lend(permit(world, webhook, 1_000_000, ends_at_s=began_s + 0.5))
    world.webhooks.delete(world.app, webhook.webhook)
    assert time.monotonic() >= began_s + 0.5


def test_whoever_subscribes_while_a_webhook_is_deleted_is_ended_with_the_others(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = world.register()
    world.subscribe(webhook)
    load = world.registry.load_subscriptions

    def subscribe_behind_it(*asked: Any) -> Any:
        monkeypatch.setattr(world.registry, "load_subscriptions", load)
        page = load(*asked)
        world.subscribe(webhook, BOB)
        return page

    monkeypatch.setattr(world.registry, "load_subscriptions", subscribe_behind_it)
    world.webhooks.delete(world.app, webhook.webhook)
    assert len(world.entries("grant.revoked")) == 2
    assert world.registry.load_subscriptions(webhook.webhook) == []


def test_more_subscriptions_than_go_in_one_transaction_end_too(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "ENDED_AT_ONCE", 2)
    monkeypatch.setattr(revocation, "ENDED_AT_ONCE", 2)
    webhook = world.register()
    subscribe_many(world, webhook, 4)
    world.webhooks.delete(world.app, webhook.webhook)
    assert world.registry.load_subscriptions(webhook.webhook) == []
    assert len(world.entries("grant.revoked")) == 4
    assert world.entries()[-1]["kind"] == "endpoint.retired"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_deletion_that_failed_half_way_is_finished_by_the_same_call_again(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch, kind: Kind, after: int
) -> None:
    monkeypatch.setattr(webhooks, "ENDED_AT_ONCE", 2)
    monkeypatch.setattr(revocation, "ENDED_AT_ONCE", 2)
    webhook = world.register()
    subscribe_many(world, webhook, 5)
    world.faults.plan(kind, after)
    with pytest.raises(StoreError):
        world.webhooks.delete(world.app, webhook.webhook)
    world.check()
    if world.row(webhook).deleted_at_ms is None:
        world.webhooks.delete(world.app, webhook.webhook)
    assert len(world.entries("grant.revoked")) == 5
    assert len(world.entries("subscription.deleted")) == 5
    assert len(world.entries("endpoint.retired")) == 1


def test_a_row_of_which_the_log_knows_nothing_does_not_stop_a_deletion(world: GatewayWorld) -> None:
    webhook = world.register()
    real = world.subscribe(webhook)
    tag = world.account(BOB).tag
    strange = replace(real, subscription="s-0", grant="g-0", account=tag)
    world.registry.apply([world.registry.put_subscription(strange)])
    world.webhooks.delete(world.app, webhook.webhook)
    assert [entry["grant"] for entry in world.entries("grant.revoked")] == [real.grant]
    assert world.registry.load_subscriptions(webhook.webhook) == []


def test_an_end_that_the_log_has_from_elsewhere_is_the_rows_end(world: GatewayWorld) -> None:
    webhook = world.register()
    uid = "endpoint.retired/" + webhook.webhook
    world.append(
        draft("endpoint.retired", uid, endpoint=webhook.webhook, app=world.app.app, developer="dev-acme")
    )
    world.webhooks.delete(world.app, webhook.webhook)
    assert world.row(webhook).deleted_at_ms is not None
