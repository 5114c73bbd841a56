"""Taking back, beside others that take back, revoke again, or use what was given a moment ago (section 3.1)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from ledger.core.granted import Granted
from ledger.errors import RejectedError
from ledger.gateway.accesses import CLOCKS_APART_MS, Accesses, AppRevoked
from ledger.gateway.inflight import InFlight
from ledger.gateway.subscriptions import ScopesRefused, Subscriptions, TokenRevoked
from ledger.ports import Permit
from ledger.ports.registry import Subscription
from ledger.vault.commitments import SubjectCommitments
from tests.support.log_world import draft
from tests.unit.gateway.gateway_world import (
    ALICE,
    APP,
    BOB,
    EVIDENCE,
    GatewayWorld,
    open_beside,
    open_gateway_world,
)
from tests.unit.gateway.test_accesses import HERE, record, request_of
from tests.unit.gateway.test_subscriptions import give_token


@pytest.fixture(params=["sqlite", "postgresql"])
def late_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GatewayWorld]:
    """One in which revocations come late, which the verifier has to say."""
    database = request.getfixturevalue("service_postgresql_url") if request.param == "postgresql" else None
    with open_gateway_world(tmp_path, database=database) as opened:
        yield opened


@pytest.fixture
def world(late_world: GatewayWorld) -> Iterator[GatewayWorld]:
    yield late_world
    late_world.check()


def accesses_with(world: GatewayWorld, inflight: InFlight) -> Accesses:
    return Accesses(
        sequencer=world.sequencer,
        registry=world.registry,
        credentials=world.credentials,
        inflight=inflight,
        clock=world.clock,
    )


def subscriptions_with(world: GatewayWorld, inflight: InFlight) -> Subscriptions:
    return Subscriptions(
        sequencer=world.sequencer,
        registry=world.registry,
        commitments=SubjectCommitments(),
        inflight=inflight,
        credentials=world.credentials,
        clock=world.clock,
    )


def expire(world: GatewayWorld, made: Subscription) -> None:
    """Let the grant of ``made`` expire, a second from now, and let that pass."""
    stated: dict[str, Any] = {"grant": made.grant, "account": made.account, "scopes": list(made.scopes)}
    world.append(draft("grant.amended", made.grant, **stated, expires_at=world.clock.ms + 1_000))
    world.clock.ms += 2_000


def do_meanwhile(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch, something: Callable[[], None]) -> None:
    """Do ``something`` between the next look at a grant and what is made of it."""
    find = world.accesses.find

    def look_too_early(grant: str) -> Granted | None:
        monkeypatch.setattr(world.accesses, "find", find)
        found = find(grant)
        something()
        return found

    monkeypatch.setattr(world.accesses, "find", look_too_early)


def test_of_two_narrowings_at_once_none_gives_back_what_the_other_took_away(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.subscribe(world.register(), scopes=("posts", "likes", "direct_messages"))
    account = world.account()
    do_meanwhile(world, monkeypatch, lambda: world.accesses.narrow(made.grant, account, ["posts", "likes"]))
    with pytest.raises(ScopesRefused):
        world.accesses.narrow(made.grant, account, ["posts", "direct_messages"])
    (access,) = world.accesses.list_access(account)
    assert set(access.scopes) == {"posts", "likes"}


def test_a_narrowing_that_is_still_one_after_another_goes_in_behind_it(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.subscribe(world.register(), scopes=("posts", "likes", "direct_messages"))
    account = world.account()
    do_meanwhile(world, monkeypatch, lambda: world.accesses.narrow(made.grant, account, ["posts", "likes"]))
    world.accesses.narrow(made.grant, account, ["posts"])
    assert [one["scopes"] for one in world.entries("grant.amended")] == [["likes", "posts"], ["posts"]]


def test_a_narrowing_gives_back_nothing_that_a_record_took_away_meanwhile(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(world, scopes=["direct_messages", "likes", "posts"])
    account = world.account()

    def amend() -> None:
        stated: dict[str, Any] = {"grant": "g-recorded", "account": account.tag, "scopes": ["posts"]}
        world.append(draft("grant.amended", "by-record", **stated))
        world.clock.ms += 1

    do_meanwhile(world, monkeypatch, amend)
    with pytest.raises(ScopesRefused):
        world.accesses.narrow("g-recorded", account, ["likes", "posts"])
    assert [one["scopes"] for one in world.entries("grant.amended")] == [["posts"]]


def test_what_another_process_narrowed_is_heeded_here_by_the_same_call(world: GatewayWorld) -> None:
    webhook = world.register()
    made = world.subscribe(webhook)
    permit = world.sequencer.request(request_of(world, webhook.webhook))
    assert isinstance(permit, Permit)
    with open_beside(world) as other:
        other.accesses.narrow(made.grant, world.account(), ["posts"])
    world.accesses.narrow(made.grant, world.account(), ["posts"])
    assert not world.inflight.enter(permit).may_start()


TAKING_BACK: dict[str, Callable[[Accesses, GatewayWorld], Any]] = {
    "revoke_grant": lambda accesses, world: accesses.revoke_grant("g-recorded", account=None, **HERE),
    "revoke_app": lambda accesses, world: accesses.revoke_app(world.account(), APP, channel="account_page"),
    "narrow": lambda accesses, world: accesses.narrow("g-recorded", world.account(), ["likes"]),
}


@pytest.mark.parametrize("call", TAKING_BACK)
def test_whoever_takes_back_waits_for_permits_that_were_handed_out(world: GatewayWorld, call: str) -> None:
    record(world)
    slept: list[float] = []
    inflight = InFlight(world.clock, sleep=slept.append)
    permit = world.sequencer.request(request_of(world, world.register().webhook))
    assert isinstance(permit, Permit)
    # Until a minute from now, however slow this machine is.
    assert inflight.lend(structs.replace(permit, ends_at_s=time.monotonic() + 60))
    TAKING_BACK[call](accesses_with(world, inflight), world)
    assert slept == [1.0]


@pytest.mark.parametrize("call", TAKING_BACK)
def test_whoever_takes_back_waits_for_other_processes(world: GatewayWorld, call: str) -> None:
    record(world)
    slept: list[float] = []
    inflight = InFlight(world.clock, is_alone=False, sleep=slept.append)
    TAKING_BACK[call](accesses_with(world, inflight), world)
    assert slept == [1.0]


def test_a_revocation_that_the_log_refuses_is_told(world: GatewayWorld) -> None:
    record(world)
    strange = Subscription(
        "s-strange", "1", APP, "prod", world.account(BOB).tag, "g-recorded", ("posts",), world.clock.ms
    )
    world.registry.apply([world.registry.put_subscription(strange)])
    with pytest.raises(RejectedError):
        world.accesses.revoke_grant("g-recorded", account=None, **HERE)


def test_several_revocations_are_waited_for_together(world: GatewayWorld) -> None:
    webhook = world.register()
    for account_id in (ALICE, BOB):
        world.subscribe(webhook, account_id)
    slept: list[float] = []
    accesses = accesses_with(world, InFlight(world.clock, is_alone=False, sleep=slept.append))
    revoked = [AppRevoked(world.account(account_id), APP) for account_id in (ALICE, BOB)]
    assert accesses.revoke_apps(revoked, channel="platform") == 2
    assert slept == [1.0]


def test_ending_several_subscriptions_is_waited_for_once(world: GatewayWorld) -> None:
    webhooks = [
        world.register(url, product="enterprise")
        for url in ("https://a.example/hook", "https://b.example/hook")
    ]
    made = [world.subscribe(webhook) for webhook in webhooks]
    slept: list[float] = []
    subscriptions = subscriptions_with(world, InFlight(world.clock, is_alone=False, sleep=slept.append))
    subscriptions.unsubscribe_all(made, by=f"account:{made[0].account}", channel="api_account")
    assert slept == [1.0]
    assert world.registry.load_subscriptions_of(made[0].account) == []


def test_a_revocation_that_is_told_again_leaves_what_was_granted_since(late_world: GatewayWorld) -> None:
    webhook = late_world.register()
    late_world.subscribe(webhook)
    late_world.clock.ms += 60_000
    told = AppRevoked(late_world.account(), APP, late_world.clock.ms - 1_000)
    assert late_world.accesses.revoke_apps([told], channel="platform") == 1
    late_world.clock.ms += CLOCKS_APART_MS
    again = late_world.subscribe(webhook)
    recorded = record(late_world, at=late_world.clock.ms)
    token_hash = give_token(late_world)
    assert late_world.accesses.revoke_apps([told], channel="platform") == 0
    standing = {access.grant for access in late_world.accesses.list_access(late_world.account())}
    assert standing == {again.grant, recorded}
    token = late_world.credentials.load_token(token_hash)
    assert token is not None
    assert token.revoked_at_ms is None


def test_a_revocation_takes_effect_when_it_happened_and_no_grant_before_it_began(
    late_world: GatewayWorld,
) -> None:
    late_world.clock.ms += 60_000
    made = late_world.subscribe(late_world.register())
    record(late_world, at=late_world.clock.ms - 30_000)
    happened_ms = late_world.clock.ms - 1_000
    late_world.clock.ms += 4_000
    told = AppRevoked(late_world.account(), APP, happened_ms)
    assert late_world.accesses.revoke_apps([told], channel="platform") == 2
    ended = {entry["grant"]: entry["at"] for entry in late_world.entries("grant.revoked")}
    assert ended == {made.grant: made.created_at_ms, "g-recorded": happened_ms}


def test_a_revocation_reaches_a_grant_that_was_made_before_it_and_begins_later(world: GatewayWorld) -> None:
    record(world, at=world.clock.ms + 3_600_000)
    told = AppRevoked(world.account(), APP, world.clock.ms)
    assert world.accesses.revoke_apps([told], channel="platform") == 1
    assert world.accesses.list_access(world.account()) == []


def test_a_revocation_by_a_clock_that_is_ahead_of_ours_is_of_now(world: GatewayWorld) -> None:
    world.subscribe(world.register())
    told = AppRevoked(world.account(), APP, world.clock.ms + 3_600_000)
    assert world.accesses.revoke_apps([told], channel="platform") == 1
    (revoked,) = world.entries("grant.revoked")
    assert revoked["at"] == revoked["recorded_at"]


def test_a_subscription_with_what_its_token_has_lost_since_ends_itself(world: GatewayWorld) -> None:
    webhook = world.register()
    token_hash = give_token(world, scopes=("posts", "direct_messages"))
    token = world.credentials.load_token(token_hash)
    assert token is not None
    assert world.credentials.narrow_token(token, ("posts",))
    with pytest.raises(TokenRevoked):
        world.subscribe(webhook, scopes=token.scopes, evidence=replace(EVIDENCE, token_hash=token_hash))
    assert world.accesses.list_access(world.account()) == []
    assert len(world.entries("grant.revoked")) == 1


def test_a_subscription_whose_grant_expired_is_not_shown_and_its_row_ends(world: GatewayWorld) -> None:
    webhook = world.register()
    made = world.subscribe(webhook)
    expire(world, made)
    assert world.accesses.list_access(world.account()) == []
    assert world.registry.load_subscription(webhook.webhook, made.account) is None
    assert len(world.entries("subscription.deleted")) == 1


def test_after_its_grant_expired_an_account_can_subscribe_again(world: GatewayWorld) -> None:
    webhook = world.register()
    made = world.subscribe(webhook)
    expire(world, made)
    again = world.subscribe(webhook)
    assert again.grant != made.grant
    assert world.registry.load_subscriptions(webhook.webhook) == [again]


def test_a_subscription_whose_end_is_yet_to_come_is_found_until_then(world: GatewayWorld) -> None:
    webhook = world.register()
    made = world.subscribe(webhook)
    world.registry.apply([world.registry.end_subscription(made.subscription, world.clock.ms + 1_000)])
    found = world.subscriptions.find_live(webhook.webhook, made.account)
    assert found is not None
    assert found.subscription == made.subscription
    world.clock.ms += 1_000
    assert world.subscriptions.find_live(webhook.webhook, made.account) is None
    world.subscriptions.unsubscribe(made, by=f"account:{made.account}", channel="api_account")
