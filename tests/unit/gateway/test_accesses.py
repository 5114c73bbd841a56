"""What accounts have granted is shown, narrowed and revoked, be it a subscription or a record (section 3.1)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import StoreError
from ledger.gateway.accesses import GrantUnknown
from ledger.gateway.subscriptions import ScopesRefused
from ledger.ports import Permit
from ledger.sequencer.draft import AttemptDraft
from tests.support.log_world import attempt, draft
from tests.unit.gateway.gateway_world import (
    ALICE,
    APP,
    BOB,
    KINDS,
    GatewayWorld,
    Kind,
    open_beside,
    open_gateway_world,
)

HERE = {"actor": "platform:k1", "channel": "platform"}


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GatewayWorld]:
    database = request.getfixturevalue("service_postgresql_url") if request.param == "postgresql" else None
    with open_gateway_world(tmp_path, database=database) as opened:
        yield opened
        opened.check()


def record(world: GatewayWorld, grant: str = "g-recorded", account_id: str = ALICE, **members: Any) -> str:
    """A grant of the account's posts and likes that came in as a record."""
    stated: dict[str, Any] = {
        "grant": grant,
        "account": world.account(account_id).tag,
        "developer": "dev-acme",
        "app": APP,
        "environment": "prod",
        "scopes": ["likes", "posts"],
    }
    world.append(draft("grant.issued", grant, **(stated | members)))
    return grant


def request_of(world: GatewayWorld, endpoint: str, delivery: str = "d-1", **members: Any) -> AttemptDraft:
    """A request to send Alice's post to ``endpoint``, for no subscription."""
    tag = world.account().tag
    parties = {"developer": "dev-acme", "app": APP, "endpoint": endpoint, "account": tag}
    return attempt(delivery, **(parties | members))


def test_a_grant_without_a_subscription_is_seen_by_its_account(world: GatewayWorld) -> None:
    record(world)
    (access,) = world.accesses.list_access(world.account())
    assert (access.grant, access.app_name, access.developer_name) == ("g-recorded", "Acme Box", "Acme")
    assert (access.scopes, access.webhook_host) == (("posts", "likes"), "")
    assert access.data[1] == "your likes, and likes of your posts"


def test_a_grant_to_an_app_that_is_not_registered_here_is_told_by_ids(world: GatewayWorld) -> None:
    record(world, app="app-elsewhere", developer="dev-elsewhere")
    (access,) = world.accesses.list_access(world.account())
    assert (access.app_name, access.developer_name) == ("app-elsewhere", "dev-elsewhere")


def test_grants_of_both_sorts_are_seen_once_each_by_age(world: GatewayWorld) -> None:
    webhook = world.register()
    record(world)
    world.clock.ms += 1_000
    made = world.subscribe(webhook)
    record(world, "g-bobs", BOB)
    seen = [access.grant for access in world.accesses.list_access(world.account())]
    assert seen == ["g-recorded", made.grant]


def test_what_is_dead_is_not_seen(world: GatewayWorld) -> None:
    record(world, expires_at=world.clock.ms + 1_000)
    world.clock.ms += 1_000
    assert world.accesses.list_access(world.account()) == []


def test_revoking_an_app_reaches_grants_without_subscriptions(world: GatewayWorld) -> None:
    made = world.subscribe(world.register())
    record(world)
    record(world, "g-later", at=world.clock.ms + 60_000)
    record(world, "g-other", app="app-elsewhere")
    record(world, "g-bobs", BOB)
    assert world.accesses.revoke_app(world.account(), APP, channel="account_page") == 3
    revoked = {entry["grant"] for entry in world.entries("grant.revoked")}
    assert revoked == {made.grant, "g-recorded", "g-later"}
    assert [access.grant for access in world.accesses.list_access(world.account())] == ["g-other"]
    assert world.accesses.revoke_app(world.account(), APP, channel="account_page") == 0


def test_revoking_an_app_reaches_what_another_process_recorded(world: GatewayWorld) -> None:
    with open_beside(world) as other:
        record(other)
    assert world.accesses.revoke_app(world.account(), APP, channel="account_page") == 1


def test_the_account_is_told_of_the_end_of_a_recorded_grant(world: GatewayWorld) -> None:
    record(world)
    world.accesses.revoke_app(world.account(), APP, channel="account_page")
    (told,) = world.notices()
    assert 'the app "Acme Box" of Acme does not receive your posts' in told
    assert "You ended its access on your page." in told


def test_after_a_grant_was_revoked_nothing_is_permitted_under_it(world: GatewayWorld) -> None:
    webhook = world.register()
    record(world)
    before = world.sequencer.request(request_of(world, webhook.webhook))
    assert isinstance(before, Permit)
    ended = world.accesses.revoke_grant("g-recorded", account=world.account().tag, **HERE)
    assert ended.is_dead
    assert not isinstance(world.sequencer.request(request_of(world, webhook.webhook, "d-2")), Permit)
    assert not world.inflight.enter(before).may_start()
    (revoked,) = world.entries("grant.revoked")
    assert ended.died_ms == revoked["at"]
    assert (revoked["actor"], revoked["channel"], revoked["grant"]) == (
        "platform:k1",
        "platform",
        "g-recorded",
    )


def test_a_revocation_waits_for_a_delivery_that_has_not_started_or_given_up(world: GatewayWorld) -> None:
    webhook = world.register()
    record(world)
    permit = world.sequencer.request(request_of(world, webhook.webhook))
    assert isinstance(permit, Permit)
    flight = world.inflight.enter(permit)
    assert flight.may_start()
    done = threading.Event()

    def revoke() -> None:
        world.accesses.revoke_grant("g-recorded", account=None, **HERE)
        done.set()

    thread = threading.Thread(target=revoke)
    thread.start()
    thread.join(10)
    # It has started, and there is nothing to wait for; nothing starts after the answer.
    assert done.is_set()
    assert not world.inflight.enter(permit).may_start()


def test_revoking_the_grant_of_a_subscription_ends_the_subscription(world: GatewayWorld) -> None:
    webhook = world.register()
    made = world.subscribe(webhook)
    world.accesses.revoke_grant(made.grant, account=made.account, **HERE)
    kinds = [entry["kind"] for entry in world.entries("grant.revoked", "subscription.deleted")]
    assert kinds == ["grant.revoked", "subscription.deleted"]
    assert world.registry.load_subscription(webhook.webhook, made.account) is None


def test_a_grant_is_revoked_once_however_often_it_is_asked_for(world: GatewayWorld) -> None:
    record(world)
    first = world.accesses.revoke_grant("g-recorded", account=None, **HERE)
    world.clock.ms += 60_000
    again = world.accesses.revoke_grant("g-recorded", account=None, actor="account:x", channel="account_api")
    assert again == first
    assert len(world.entries("grant.revoked")) == len(world.notices()) == 1


def test_a_grant_that_expired_stays_as_it_is(world: GatewayWorld) -> None:
    record(world, expires_at=world.clock.ms + 1_000)
    world.clock.ms += 5_000
    ended = world.accesses.revoke_grant("g-recorded", account=None, **HERE)
    assert ended.died_ms == world.clock.ms - 4_000
    assert world.entries("grant.revoked") == []


def test_a_grant_that_is_unknown_or_anothers_is_not_told_apart(world: GatewayWorld) -> None:
    record(world)
    bob = world.account(BOB).tag
    for grant in ("g-recorded", "g-none"):
        with pytest.raises(GrantUnknown) as caught:
            world.accesses.revoke_grant(grant, account=bob, **HERE)
        assert caught.value.code == "GrantNotFound"
    assert world.entries("grant.revoked") == []


def test_a_recorded_grant_is_narrowed_like_any_other(world: GatewayWorld) -> None:
    record(world)
    for _ in range(2):
        world.accesses.narrow("g-recorded", world.account(), ["posts"])
        world.clock.ms += 1_000
    assert [entry["scopes"] for entry in world.entries("grant.amended")] == [["posts"]]
    (access,) = world.accesses.list_access(world.account())
    assert access.scopes == ("posts",)
    with pytest.raises(ScopesRefused):
        world.accesses.narrow("g-recorded", world.account(), ["likes"])


def test_a_recorded_grant_that_is_dead_or_anothers_cannot_be_narrowed(world: GatewayWorld) -> None:
    record(world)
    with pytest.raises(GrantUnknown):
        world.accesses.narrow("g-recorded", world.account(BOB), ["posts"])
    world.accesses.revoke_grant("g-recorded", account=None, **HERE)
    with pytest.raises(GrantUnknown):
        world.accesses.narrow("g-recorded", world.account(), ["posts"])


CALLS: dict[str, Callable[[GatewayWorld], Any]] = {
    "revoke_grant": lambda world: world.accesses.revoke_grant("g-recorded", account=None, **HERE),
    "revoke_app": lambda world: world.accesses.revoke_app(world.account(), APP, channel="account_page"),
    "narrow": lambda world: world.accesses.narrow("g-recorded", world.account(), ["posts"]),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", CALLS)
def test_what_failed_is_done_by_the_same_call_again_and_only_once(
    tmp_path: Path, call: str, kind: Kind
) -> None:
    with open_gateway_world(tmp_path) as world:
        record(world)
        world.faults.plan(kind)
        with pytest.raises(StoreError):
            CALLS[call](world)
        assert world.faults.hits == 1
        world.faults.clear()
        for _ in range(2):
            CALLS[call](world)
        made = world.entries("grant.revoked", "grant.amended")
        assert len(made) == len(world.notices()) == 1
        world.check()
