"""Subscribing is granting, unsubscribing is revoking (delivery protocol, section 3.1)."""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import LedgerError, RejectedError, StoreError
from ledger.gateway.accesses import GrantUnknown
from ledger.gateway.subscriptions import (
    DuplicateSubscription,
    ScopesRefused,
    SubscriptionLimit,
    SubscriptionLimits,
    TokenRevoked,
)
from ledger.gateway.webhooks import WebhookUnknown
from ledger.ports import Permit
from ledger.ports.credentials import Token
from ledger.ports.registry import Subscription, Webhook
from ledger.vault.commitments import commit, salt_of
from tests.support.log_world import draft
from tests.unit.gateway.gateway_world import (
    ALICE,
    BOB,
    EVIDENCE,
    KINDS,
    URL,
    GatewayWorld,
    Kind,
    open_beside,
    open_gateway_world,
)

REVOCATION = ["grant.revoked", "subscription.deleted"]


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


@pytest.fixture
def webhook(world: GatewayWorld) -> Webhook:
    return world.register()


def unsubscribe(world: GatewayWorld, subscription: Subscription, channel: str = "api_account") -> None:
    actor = f"account:{subscription.account}"
    world.subscriptions.unsubscribe(subscription, by=actor, channel=channel)


def together(count: int, call: Callable[[int], Any]) -> list[Any]:
    """What ``call`` returned or raised for each of the first numbers, all called at once."""
    results: list[Any] = [None] * count

    def run(place: int) -> None:
        try:
            results[place] = call(place)
        except LedgerError as error:
            results[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def give_token(
    world: GatewayWorld, text: bytes = b"token", scopes: tuple[str, ...] = ("posts", "direct_messages")
) -> bytes:
    """An access token of Alice's for the app; its hash."""
    token_hash = hashlib.sha256(text).digest()
    world.credentials.put_token(
        Token(token_hash, "access", world.app.app, world.account().tag, b"sealed", scopes, world.clock.ms)
    )
    return token_hash


def permit(world: GatewayWorld, subscription: Subscription, grant: str | None = None) -> Permit:
    """A permit that was decided before everything that is there by now but entry 0."""
    return Permit(
        1,
        bytes(32),
        "d-1",
        1,
        subscription.webhook,
        URL,
        world.clock.ms + 1_000,
        subscription.account,
        "dev-acme",
        subscription.app,
        grant or subscription.grant,
        math.inf,
    )


def test_a_subscription_is_a_grant_and_a_subscription_and_a_row(
    world: GatewayWorld, webhook: Webhook
) -> None:
    made = world.subscribe(webhook)
    issued, created = world.entries("grant.issued", "subscription.created")
    tag = world.account().tag
    assert (issued["grant"], issued["account"], issued["developer"]) == (made.grant, tag, "dev-acme")
    assert (issued["app"], issued["environment"]) == (world.app.app, "prod")
    assert issued["scopes"] == ["direct_messages", "posts"]
    assert (created["subscription"], created["grant"]) == (made.subscription, made.grant)
    assert created["endpoint"] == webhook.webhook
    assert world.registry.load_subscription(webhook.webhook, tag) == made


def test_a_grant_carries_how_it_was_authorized(world: GatewayWorld, webhook: Webhook) -> None:
    world.subscribe(webhook)
    (issued,) = world.entries("grant.issued")
    assert EVIDENCE.request is not None
    expected = commit(salt_of(world.account().key, issued["uid"], "request"), EVIDENCE.request)
    assert issued["evidence"] == {"method": "oauth1", "consent_text": "5" * 64, "request": expected}


def test_a_grant_without_evidence_has_none(world: GatewayWorld, webhook: Webhook) -> None:
    world.subscribe(webhook, evidence=None)
    assert "evidence" not in world.entries("grant.issued")[0]


def test_the_account_says_it_itself(world: GatewayWorld, webhook: Webhook) -> None:
    world.subscribe(webhook)
    actor = f"account:{world.account().tag}"
    assert {entry["actor"] for entry in world.entries("grant.issued", "subscription.created")} == {actor}


def test_the_account_is_told_what_it_granted_to_whom_and_when(world: GatewayWorld, webhook: Webhook) -> None:
    world.subscribe(webhook)
    assert world.notices()[0] == (
        'Since 2017-07-14 02:40 UTC the app "Acme Box" of Acme receives your posts, and posts that mention, quote or '
        "answer you; your direct messages, those that others send you included. This is sent to a.example, until you "
        "end it."
    )


def test_a_second_subscription_at_one_webhook_is_a_duplicate(world: GatewayWorld, webhook: Webhook) -> None:
    world.subscribe(webhook)
    before = world.store.size()
    with pytest.raises(DuplicateSubscription) as caught:
        world.subscribe(webhook)
    assert caught.value.code == "DuplicateSubscriptionFailed"
    assert world.store.size() == before


def test_two_accounts_subscribe_apart(world: GatewayWorld, webhook: Webhook) -> None:
    first, second = world.subscribe(webhook), world.subscribe(webhook, BOB)
    assert first.grant != second.grant
    assert len(world.registry.load_subscriptions(webhook.webhook)) == 2


def test_each_subscription_anew_is_a_grant_of_its_own(world: GatewayWorld, webhook: Webhook) -> None:
    grants = set()
    for _ in range(4):
        made = world.subscribe(webhook)
        grants.add(made.grant)
        unsubscribe(world, made)
    assert len(grants) == 4


def test_no_more_subscriptions_than_the_app_may_have(tmp_path: Path) -> None:
    with open_gateway_world(tmp_path, subscription_limits=SubscriptionLimits(1)) as world:
        webhook = world.register()
        made = world.subscribe(webhook)
        with pytest.raises(SubscriptionLimit):
            world.subscribe(webhook, BOB)
        unsubscribe(world, made)
        assert world.subscribe(webhook, BOB).account == world.account(BOB).tag


@pytest.mark.parametrize("scopes", [[], ["mail"], ["posts", "everything"]])
def test_scopes_that_nobody_can_grant_are_refused(
    world: GatewayWorld, webhook: Webhook, scopes: list[str]
) -> None:
    before = world.store.size()
    with pytest.raises(ScopesRefused):
        world.subscriptions.subscribe(world.app, webhook, world.account(), scopes, None)
    assert [entry["kind"] for entry in world.entries()[before:]] in ([], ["account.registered"])


def test_a_webhook_that_is_gone_or_anothers_takes_no_subscription(
    world: GatewayWorld, webhook: Webhook
) -> None:
    other = world.parties.create_app("dev-acme", "Other", app="2002").app
    with pytest.raises(WebhookUnknown):
        world.subscriptions.subscribe(other, webhook, world.account(), ["posts"], None)
    world.webhooks.delete(world.app, webhook.webhook)
    with pytest.raises(WebhookUnknown):
        world.subscribe(webhook)
    assert world.entries("grant.issued") == []


def test_an_account_that_is_deleted_cannot_subscribe(world: GatewayWorld, webhook: Webhook) -> None:
    tag = world.account().tag
    world.append(draft("account.deleted", tag, account=tag))
    world.clock.ms += 1
    with pytest.raises(RejectedError, match="deleted"):
        world.subscribe(webhook)
    assert world.notices(ALICE) == []


def test_of_many_that_say_the_same_at_once_one_is_made(either_world: GatewayWorld) -> None:
    world, webhook = either_world, either_world.register()
    account = world.account()
    results = together(
        8, lambda _: world.subscriptions.subscribe(world.app, webhook, account, ["posts"], EVIDENCE)
    )
    made = {one.grant for one in results if isinstance(one, Subscription)}
    assert len(made) == 1
    assert all(isinstance(one, Subscription | DuplicateSubscription) for one in results)
    assert len(world.entries("grant.issued")) == len(world.notices()) == 1


def test_of_many_that_say_different_things_at_once_one_is_made(either_world: GatewayWorld) -> None:
    world, webhook = either_world, either_world.register()
    account = world.account()
    scopes = ["posts", "likes", "follows", "deletions"]
    results = together(
        4, lambda place: world.subscriptions.subscribe(world.app, webhook, account, [scopes[place]], None)
    )
    made = [one for one in results if isinstance(one, Subscription)]
    assert len(made) == 1
    assert sum(isinstance(one, DuplicateSubscription) for one in results) == 3
    assert [entry["scopes"] for entry in world.entries("grant.issued")] == [list(made[0].scopes)]


def test_a_subscription_that_is_made_between_two_looks_is_not_made_twice(
    world: GatewayWorld, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = world.registry.load_subscription

    def look_too_early(webhook_id: str, account: str) -> Subscription | None:
        monkeypatch.setattr(world.registry, "load_subscription", load)
        found = load(webhook_id, account)
        world.subscribe(webhook, scopes=["likes"])
        return found

    monkeypatch.setattr(world.registry, "load_subscription", look_too_early)
    with pytest.raises(DuplicateSubscription):
        world.subscribe(webhook)
    assert [entry["scopes"] for entry in world.entries("grant.issued")] == [["likes"]]


def test_subscribing_and_unsubscribing_at_once_never_leaves_one_without_the_other(
    world: GatewayWorld, webhook: Webhook
) -> None:
    account = world.account()

    def go_to_and_fro(place: int) -> None:
        for _ in range(6):
            try:
                made = world.subscriptions.subscribe(world.app, webhook, account, ["posts"], EVIDENCE)
            except DuplicateSubscription:
                continue
            unsubscribe(world, made)

    together(4, go_to_and_fro)
    assert world.registry.load_subscriptions(webhook.webhook) == []
    assert len(world.entries("grant.issued")) == len(world.entries("grant.revoked")) >= 6


def test_two_processes_that_subscribe_and_unsubscribe_at_once_leave_nothing_half_done(
    either_world: GatewayWorld,
) -> None:
    world, webhook = either_world, either_world.register()
    account = world.account()
    with open_beside(world) as other:

        def go_to_and_fro(place: int) -> None:
            here = (world, other)[place % 2]
            for _ in range(4):
                try:
                    made = here.subscriptions.subscribe(here.app, webhook, account, ["posts"], EVIDENCE)
                except DuplicateSubscription:
                    continue
                unsubscribe(here, made)

        together(4, go_to_and_fro)
    assert world.registry.load_subscriptions(webhook.webhook) == []
    assert len(world.entries("grant.issued")) == len(world.entries("grant.revoked")) >= 4


def test_a_webhook_that_is_deleted_in_that_moment_takes_no_subscription_any_more(
    world: GatewayWorld, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = world.registry.count_subscriptions

    def delete_meanwhile(app: str) -> tuple[int, int]:
        monkeypatch.setattr(world.registry, "count_subscriptions", count)
        world.webhooks.delete(world.app, webhook.webhook)
        return count(app)

    monkeypatch.setattr(world.registry, "count_subscriptions", delete_meanwhile)
    with pytest.raises(WebhookUnknown):
        world.subscribe(webhook)
    assert world.registry.load_subscriptions(webhook.webhook) == []
    assert world.entries("grant.issued", "grant.revoked") == []


def test_a_webhook_that_is_deleted_right_after_its_subscription_ends_it_again(
    world: GatewayWorld, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.account()
    append = world.sequencer.append_many

    def delete_then(drafts: Any, **options: Any) -> Any:
        monkeypatch.setattr(world.sequencer, "append_many", append)
        outcomes = append(drafts, **options)
        world.webhooks.delete(world.app, webhook.webhook)
        return outcomes

    monkeypatch.setattr(world.sequencer, "append_many", delete_then)
    with pytest.raises(WebhookUnknown):
        world.subscribe(webhook)
    assert world.registry.load_subscriptions(webhook.webhook) == []
    assert [entry["channel"] for entry in world.entries("grant.revoked")] == ["webhook_deleted"]


def test_what_came_to_a_deleted_webhook_ends_when_it_is_deleted_again(
    world: GatewayWorld, webhook: Webhook
) -> None:
    world.subscribe(webhook)
    # As if the process had died between the subscription and its second look.
    world.registry.apply(
        [world.registry.put_webhook(replace(world.row(webhook), deleted_at_ms=world.clock.ms))]
    )
    world.append(
        draft("endpoint.retired", "x", endpoint=webhook.webhook, app=world.app.app, developer="dev-acme")
    )
    with pytest.raises(WebhookUnknown):
        world.webhooks.delete(world.app, webhook.webhook)
    assert world.registry.load_subscriptions(webhook.webhook) == []


def test_a_token_that_is_revoked_in_that_moment_ends_the_subscription_again(
    world: GatewayWorld, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence = replace(EVIDENCE, token_hash=give_token(world))
    count = world.registry.count_subscriptions

    def revoke_meanwhile(app: str) -> tuple[int, int]:
        monkeypatch.setattr(world.registry, "count_subscriptions", count)
        assert world.accesses.revoke_app(world.account(), app, channel="account_page") == 0
        return count(app)

    monkeypatch.setattr(world.registry, "count_subscriptions", revoke_meanwhile)
    with pytest.raises(TokenRevoked):
        world.subscribe(webhook, evidence=evidence)
    assert world.accesses.list_access(world.account()) == []


def test_a_live_token_is_no_obstacle(world: GatewayWorld, webhook: Webhook) -> None:
    made = world.subscribe(webhook, evidence=replace(EVIDENCE, token_hash=give_token(world)))
    assert world.registry.load_subscriptions(webhook.webhook) == [made]


def test_unsubscribing_revokes_the_grant_and_then_ends_the_subscription(
    world: GatewayWorld, webhook: Webhook
) -> None:
    made = world.subscribe(webhook)
    before = world.store.size()
    world.subscriptions.unsubscribe(made, by="developer:dev-acme", channel="api_developer")
    entries = world.entries()[before:]
    assert [entry["kind"] for entry in entries] == REVOCATION
    assert (entries[0]["grant"], entries[0]["channel"]) == (made.grant, "api_developer")
    assert {entry["actor"] for entry in entries} == {"developer:dev-acme"}
    assert entries[1]["endpoint"] == webhook.webhook
    assert world.registry.load_subscription(webhook.webhook, made.account) is None


def test_unsubscribing_tells_the_account_who_did_it(world: GatewayWorld, webhook: Webhook) -> None:
    made = world.subscribe(webhook, scopes=["likes"])
    world.clock.ms += 60_000
    world.subscriptions.unsubscribe(made, by="developer:dev-acme", channel="api_developer")
    assert world.notices()[-1] == (
        'Since 2017-07-14 02:41 UTC the app "Acme Box" of Acme does not receive your likes, and likes of your posts any '
        "more. Its developer ended this. What it received before, it may still have."
    )


def test_unsubscribing_again_changes_nothing(world: GatewayWorld, webhook: Webhook) -> None:
    made = world.subscribe(webhook)
    unsubscribe(world, made)
    before = world.store.size()
    unsubscribe(world, made)
    assert world.store.size() == before
    assert len(world.notices()) == 2


def test_a_revocation_stands_even_where_the_registry_knows_nothing(
    world: GatewayWorld, webhook: Webhook
) -> None:
    made = world.subscribe(webhook)
    unsubscribe(world, replace(made, subscription="s-unknown", app="404", webhook="0"), "dashboard")
    assert [entry["grant"] for entry in world.entries("grant.revoked")] == [made.grant]
    unsubscribe(world, made)


def test_a_grant_that_the_log_does_not_know_is_refused_and_its_row_ends(
    world: GatewayWorld, webhook: Webhook
) -> None:
    made = world.subscribe(webhook)
    strange = replace(made, subscription="s-0", grant="g-0", account=world.account(BOB).tag)
    world.registry.apply([world.registry.put_subscription(strange)])
    with pytest.raises(RejectedError, match="unknown"):
        unsubscribe(world, strange)
    assert world.registry.load_subscriptions(webhook.webhook) == [made]


def test_nothing_starts_any_more_once_unsubscribing_has_returned(
    world: GatewayWorld, webhook: Webhook
) -> None:
    made = world.subscribe(webhook)
    with world.inflight.enter(permit(world, made)) as flight:
        unsubscribe(world, made)
        assert not flight.may_start()


def test_a_repeated_call_that_finds_nothing_to_end_heeds_what_another_process_ended(
    world: GatewayWorld, webhook: Webhook
) -> None:
    made = world.subscribe(webhook)
    with open_beside(world) as other, other.inflight.enter(permit(world, made)) as flight:
        world.subscriptions.unsubscribe(made, by=f"account:{made.account}", channel="api")
        other.subscriptions.heed_ended(made.account)
        assert flight.is_called_off


def test_a_revocation_whose_answer_was_lost_has_called_off_what_was_permitted(
    world: GatewayWorld, webhook: Webhook
) -> None:
    made = world.subscribe(webhook)
    flight = world.inflight.enter(permit(world, made))
    world.faults.plan("after")
    with pytest.raises(StoreError):
        unsubscribe(world, made)
    assert flight.is_called_off
    late = world.inflight.enter(permit(world, made))
    assert late.may_start() is None, "as long as nobody knows whether it was recorded"
    world.subscriptions.heed_ended(made.account)
    assert world.inflight.enter(permit(world, made)).may_start() is None
    assert world.inflight.enter(permit(world, made, grant="g-other")).may_start() is not None


def test_unsubscribing_waits_for_an_attempt_that_another_grant_backs(
    world: GatewayWorld, webhook: Webhook
) -> None:
    made = world.subscribe(webhook)
    flight = world.inflight.enter(permit(world, made, grant="g-other"))
    started: list[int | None] = []
    timer = threading.Timer(0.2, lambda: started.append(flight.may_start()))
    timer.start()
    unsubscribe(world, made)
    assert started == [world.clock.ms]
    flight.leave()


def test_narrowing_leaves_the_rest_and_tells_the_account(world: GatewayWorld, webhook: Webhook) -> None:
    made = world.subscribe(webhook)
    world.accesses.narrow(made.grant, world.account(), ["posts"])
    (entry,) = world.entries("grant.amended")
    assert (entry["scopes"], entry["actor"]) == (["posts"], f"account:{made.account}")
    row = world.registry.load_subscription(webhook.webhook, made.account)
    assert row is not None
    assert row.scopes == ("posts",)
    assert "does not receive your direct messages" in world.notices()[-1]
    assert "still receives your posts" in world.notices()[-1]


def test_narrowing_calls_off_what_was_permitted_before(world: GatewayWorld, webhook: Webhook) -> None:
    made = world.subscribe(webhook)
    with world.inflight.enter(permit(world, made)) as flight:
        world.accesses.narrow(made.grant, world.account(), ["posts"])
        assert not flight.may_start()


def test_everything_can_be_narrowed_to_something(world: GatewayWorld, webhook: Webhook) -> None:
    made = world.subscribe(webhook, scopes=["all"])
    world.accesses.narrow(made.grant, world.account(), ["posts", "likes"])
    assert world.entries("grant.amended")[0]["scopes"] == ["likes", "posts"]


def test_narrowing_to_the_same_changes_nothing(world: GatewayWorld, webhook: Webhook) -> None:
    made = world.subscribe(webhook)
    for _ in range(3):
        world.accesses.narrow(made.grant, world.account(), ["posts"])
    assert len(world.entries("grant.amended")) == 1


@pytest.mark.parametrize("scopes", [[], ["likes"], ["posts", "likes"], ["all"], ["mail"]])
def test_what_is_no_narrowing_is_refused(world: GatewayWorld, webhook: Webhook, scopes: list[str]) -> None:
    made = world.subscribe(webhook)
    with pytest.raises(ScopesRefused):
        world.accesses.narrow(made.grant, world.account(), scopes)
    assert world.entries("grant.amended") == []


def test_nobody_narrows_anothers_grant(world: GatewayWorld, webhook: Webhook) -> None:
    made = world.subscribe(webhook)
    for account_id, grant in ((BOB, made.grant), (ALICE, "g-unknown")):
        with pytest.raises(GrantUnknown):
            world.accesses.narrow(grant, world.account(account_id), ["posts"])
    assert world.entries("grant.amended") == []


def test_a_grant_that_was_widened_in_between_is_narrowed_again(world: GatewayWorld, webhook: Webhook) -> None:
    made = world.subscribe(webhook)
    for number in range(3):
        world.accesses.narrow(made.grant, world.account(), ["posts"])
        world.clock.ms += 1_000
        widened = draft(
            "grant.amended",
            str(number),
            at=world.clock.ms,
            grant=made.grant,
            account=made.account,
            developer="dev-acme",
            scopes=["direct_messages", "posts"],
        )
        wide = ("direct_messages", "posts")
        change = world.registry.narrow_subscriptions(made.grant, wide)
        members = {name: value for name, value in widened.members.items() if name != "developer"}
        world.append(replace(widened, members=members, changes=(change,)))
        world.clock.ms += 1_000
    world.accesses.narrow(made.grant, world.account(), ["posts"])
    assert world.entries("grant.amended")[-1]["scopes"] == ["posts"]
    assert len(world.entries("grant.amended")) == 7


def test_of_many_that_narrow_alike_at_once_one_is_recorded(either_world: GatewayWorld) -> None:
    world, webhook = either_world, either_world.register()
    made = world.subscribe(webhook)
    account = world.account()
    results = together(6, lambda _: world.accesses.narrow(made.grant, account, ["posts"]))
    assert results == [None] * 6
    assert len(world.entries("grant.amended")) == 1


def test_revoking_an_app_ends_all_its_grants_and_its_tokens(world: GatewayWorld, webhook: Webhook) -> None:
    token_hash = give_token(world)
    second = world.register("https://b.example/hook", "dev")
    grants = {world.subscribe(one).grant for one in (webhook, second)}
    assert world.accesses.revoke_app(world.account(), world.app.app, channel="account_page") == 2
    assert {entry["grant"] for entry in world.entries("grant.revoked")} == grants
    token = world.credentials.load_token(token_hash)
    assert token is not None
    assert token.revoked_at_ms == world.clock.ms
    assert world.accesses.list_access(world.account()) == []


def test_revoking_an_app_leaves_other_apps_and_accounts_alone(world: GatewayWorld, webhook: Webhook) -> None:
    other = world.parties.create_app("dev-acme", "Other", app="2002")
    world.receiving.secrets.add(other.consumer_secret)
    elsewhere = world.webhooks.register(other.app, "prod", "https://b.example/hook")
    kept = [
        world.subscribe(webhook, BOB),
        world.subscriptions.subscribe(other.app, elsewhere, world.account(), ["posts"], None),
    ]
    world.subscribe(webhook)
    assert world.accesses.revoke_app(world.account(), world.app.app, channel="account_page") == 1
    assert [
        *world.registry.load_subscriptions(webhook.webhook),
        *world.registry.load_subscriptions(elsewhere.webhook),
    ] == kept


def test_revoking_an_app_without_grants_revokes_its_tokens(world: GatewayWorld) -> None:
    token_hash = give_token(world)
    assert world.accesses.revoke_app(world.account(), world.app.app, channel="account_page") == 0
    token = world.credentials.load_token(token_hash)
    assert token is not None
    assert token.revoked_at_ms is not None


def test_an_account_sees_what_it_granted_in_words(world: GatewayWorld, webhook: Webhook) -> None:
    made = world.subscribe(webhook, scopes=["likes"])
    (access,) = world.accesses.list_access(world.account())
    assert (access.app_name, access.developer_name, access.environment) == ("Acme Box", "Acme", "prod")
    assert (access.grant, access.webhook_host) == (made.grant, "a.example")
    assert access.data == ("your likes, and likes of your posts",)
    assert access.granted_at_ms == world.clock.ms


def test_everything_is_said_scope_by_scope(world: GatewayWorld, webhook: Webhook) -> None:
    world.subscribe(webhook, scopes=["all"])
    assert len(world.accesses.list_access(world.account())[0].data) == 8


CALLS: dict[str, Callable[[GatewayWorld, Webhook, list[Subscription]], Any]] = {
    "subscribe": lambda world, webhook, made: world.subscribe(webhook, BOB),
    "unsubscribe": lambda world, webhook, made: unsubscribe(world, made[0]),
    "narrow": lambda world, webhook, made: world.accesses.narrow(made[0].grant, world.account(), ["posts"]),
    "revoke_app": lambda world, webhook, made: world.accesses.revoke_app(
        world.account(), world.app.app, channel="account_page"
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", CALLS)
def test_what_failed_is_done_by_the_same_call_again_and_only_once(
    world: GatewayWorld, webhook: Webhook, call: str, kind: Kind
) -> None:
    made = [world.subscribe(webhook)]
    world.account(BOB)
    kinds = {
        "subscribe": ["grant.issued", "subscription.created"],
        "narrow": ["grant.amended"],
    }.get(call, REVOCATION)
    before = world.store.size()
    world.faults.plan(kind)
    with pytest.raises(StoreError):
        CALLS[call](world, webhook, made)
    assert world.faults.hits == 1
    world.check()
    for _ in range(2):
        try:
            CALLS[call](world, webhook, made)
        except DuplicateSubscription:
            assert call == "subscribe"
    after = [entry["kind"] for entry in world.entries()[before:] if entry["kind"] != "index.sealed"]
    assert after == kinds
    assert len(world.notices()) == (1 if call == "subscribe" else 2)
