"""Developers, apps and accounts are made once (delivery protocol, section 3.1)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import ConflictError, RejectedError, StoreError
from ledger.gateway.parties import RETRY_TOTAL_MAX_MS, check_retry_waits
from tests.support.log_world import draft
from tests.unit.gateway.gateway_world import ALICE, KINDS, GatewayWorld, Kind, open_gateway_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[GatewayWorld]:
    with open_gateway_world(tmp_path) as opened:
        yield opened
        opened.check()


def make_app(world: GatewayWorld, **options: Any) -> Any:
    return world.parties.create_app("dev-acme", "Box", **({"app": "2002"} | options))


def test_a_developer_is_an_entry_and_a_row(world: GatewayWorld) -> None:
    made = world.parties.create_developer("Beta", "dev-b")
    assert world.registry.load_developer("dev-b") == made
    assert [entry["developer"] for entry in world.entries("developer.registered")] == ["dev-acme", "dev-b"]


def test_a_developer_without_an_id_is_given_one(world: GatewayWorld) -> None:
    first, second = (world.parties.create_developer("Beta") for _ in range(2))
    assert first.developer.startswith("dev-")
    assert first.developer != second.developer


def test_a_developer_made_again_is_the_same(world: GatewayWorld) -> None:
    made = world.parties.create_developer("Beta", "dev-b")
    world.clock.ms += 1_000
    assert world.parties.create_developer("Beta", "dev-b") == made
    assert len(world.entries("developer.registered")) == 2


def test_a_developer_made_again_with_another_name_is_a_conflict(world: GatewayWorld) -> None:
    with pytest.raises(ConflictError, match="another name"):
        world.parties.create_developer("Beta", "dev-acme")


def test_an_app_is_an_entry_and_a_row(world: GatewayWorld) -> None:
    made = make_app(world, callbacks=("https://box.example/back", "oob"), retry_waits_ms=(3_000, 60_000))
    assert world.registry.load_app("2002") == made.app
    assert world.registry.load_app_of_key(made.app.consumer_key) == made.app
    (entry,) = [entry for entry in world.entries("app.registered") if entry["app"] == "2002"]
    assert entry["developer"] == "dev-acme"


def test_an_app_without_an_id_is_given_a_number(world: GatewayWorld) -> None:
    made = make_app(world, app=None)
    assert made.app.app.isdecimal()
    assert len(made.app.app) == 19


def test_an_app_belongs_to_an_account_where_it_is_said_to_also_later(world: GatewayWorld) -> None:
    made = make_app(world)
    assert made.app.owner_account is None
    tag = world.account().tag
    owned = make_app(world, owner_account=tag)
    assert owned.app == replace(made.app, owner_account=tag)
    assert world.registry.load_app("2002") == owned.app
    assert make_app(world) == make_app(world, owner_account=tag) == owned


def test_an_app_of_one_account_does_not_become_anothers(world: GatewayWorld) -> None:
    owned = make_app(world, owner_account=world.account().tag)
    with pytest.raises(ConflictError, match="other content"):
        make_app(world, owner_account=world.account("5550001").tag)
    with pytest.raises(ConflictError, match="other content"):
        make_app(world, owner_account=owned.app.owner_account, description="another")
    assert world.registry.load_app("2002") == owned.app


def test_an_app_made_again_is_the_same_with_the_same_secret(world: GatewayWorld) -> None:
    made = make_app(world)
    world.clock.ms += 1_000
    assert make_app(world) == made


@pytest.mark.parametrize(
    "other",
    [
        {"description": "another"},
        {"environments": ("prod", "dev")},
        {"callbacks": ("oob",)},
        {"can_write": False},
        {"retry_waits_ms": (5_000,)},
        {"website": "https://box.example"},
    ],
)
def test_an_app_made_again_with_other_content_is_a_conflict(
    world: GatewayWorld, other: dict[str, Any]
) -> None:
    make_app(world)
    with pytest.raises(ConflictError, match="other content"):
        make_app(world, **other)


def test_an_app_made_again_for_another_developer_is_a_conflict(world: GatewayWorld) -> None:
    make_app(world)
    world.parties.create_developer("Beta", "dev-b")
    with pytest.raises(ConflictError):
        world.parties.create_app("dev-b", "Box", app="2002")


def test_an_app_of_an_unknown_developer_is_refused(world: GatewayWorld) -> None:
    with pytest.raises(RejectedError, match="unknown"):
        world.parties.create_app("dev-nobody", "Box")


def test_an_app_that_the_log_has_for_another_developer_is_refused(world: GatewayWorld) -> None:
    world.append(draft("app.registered", "3003", app="3003", developer="dev-b"))
    with pytest.raises(RejectedError, match="another developer"):
        make_app(world, app="3003")
    assert world.registry.load_app("3003") is None


def test_keys_and_secrets_are_long_and_never_twice_the_same(world: GatewayWorld) -> None:
    apps = [make_app(world, app=str(number)) for number in range(3000, 3010)]
    assert len({made.consumer_secret for made in apps} | {made.app.consumer_key for made in apps}) == 20
    assert all(len(made.consumer_secret) >= 43 for made in apps)


def test_the_row_of_an_app_does_not_have_its_secret_in_clear(world: GatewayWorld) -> None:
    made = make_app(world)
    assert made.consumer_secret.encode() not in made.app.secret_sealed
    assert world.parties.consumer_secret(made.app) == made.consumer_secret


def test_a_secret_does_not_open_for_another_app(world: GatewayWorld) -> None:
    made = make_app(world).app
    with pytest.raises(StoreError):
        world.parties.consumer_secret(replace(made, app="9999"))


def test_an_account_is_registered_once(world: GatewayWorld) -> None:
    made = [world.parties.create_account(ALICE) for _ in range(3)]
    assert len({subject.tag for subject in made}) == 1
    assert [entry["account"] for entry in world.entries("account.registered")] == [made[0].tag]


def test_an_account_that_was_erased_gets_no_new_tag(world: GatewayWorld) -> None:
    world.vault.erase([world.parties.create_account(ALICE).tag])
    with pytest.raises(RejectedError, match="erased"):
        world.parties.create_account(ALICE)


def test_many_that_make_the_same_app_at_once_get_one(world: GatewayWorld) -> None:
    made: list[Any] = []
    threads = [threading.Thread(target=lambda: made.append(make_app(world))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len({one.consumer_secret for one in made}) == 1
    assert len(world.entries("app.registered")) == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "make",
    [
        lambda world: world.parties.create_developer("Beta", "dev-b"),
        lambda world: make_app(world).app,
        lambda world: world.parties.create_account(ALICE),
    ],
)
def test_what_failed_is_made_by_the_same_call_again_and_only_once(
    world: GatewayWorld, make: Callable[[GatewayWorld], Any], kind: Kind
) -> None:
    before = world.store.size()
    world.faults.plan(kind)
    with pytest.raises(StoreError):
        make(world)
    made = make(world)
    assert (world.faults.hits, world.store.size()) == (1, before + 1)
    assert make(world) == made


@pytest.mark.parametrize(
    "make",
    [
        lambda parties: parties.create_developer(" "),
        lambda parties: parties.create_developer("x" * 101),
        lambda parties: parties.create_developer("a\0b"),
        lambda parties: parties.create_developer("Beta", "dev b"),
        lambda parties: parties.create_app("dev-acme", ""),
        lambda parties: parties.create_app("dev-acme", "Box", app="a/b"),
        lambda parties: parties.create_app("dev-acme", "Box", description="x" * 1_001),
        lambda parties: parties.create_app("dev-acme", "Box", website="javascript:alert(1)"),
        lambda parties: parties.create_app("dev-acme", "Box", website="box.example"),
        lambda parties: parties.create_app("dev-acme", "Box", environments=()),
        lambda parties: parties.create_app("dev-acme", "Box", environments=("prod", "prod")),
        lambda parties: parties.create_app("dev-acme", "Box", environments=("my env",)),
        lambda parties: parties.create_app("dev-acme", "Box", callbacks=("/back",)),
        lambda parties: parties.create_app("dev-acme", "Box", callbacks=("https://box.example/#x",)),
        lambda parties: parties.create_app("dev-acme", "Box", callbacks=("https://[::1/",)),
        lambda parties: parties.create_app("dev-acme", "Box", retry_waits_ms=(10,)),
        lambda parties: parties.create_account("a b"),
    ],
)
def test_what_is_unusable_is_refused_and_leaves_nothing(
    world: GatewayWorld, make: Callable[[Any], Any]
) -> None:
    before = world.store.size()
    with pytest.raises(RejectedError):
        make(world.parties)
    assert world.store.size() == before


@pytest.mark.parametrize(
    "waits_ms", [(), (1_000,), (3_000, 27_000, 242_000), (RETRY_TOTAL_MAX_MS,), (1_000,) * 20]
)
def test_schedules_that_an_app_may_have(waits_ms: tuple[int, ...]) -> None:
    check_retry_waits(waits_ms)
    assert len(waits_ms) <= 20


@pytest.mark.parametrize("waits_ms", [(999,), (0,), (-1,), (RETRY_TOTAL_MAX_MS, 1_000), (1_000,) * 21])
def test_schedules_that_no_app_may_have(waits_ms: tuple[int, ...]) -> None:
    with pytest.raises(RejectedError, match="retry schedule"):
        check_retry_waits(waits_ms)
