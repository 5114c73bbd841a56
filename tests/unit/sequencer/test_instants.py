"""When entries are recorded while the clock stands still (ledger format, section 1.1; verdict rules, section 2.1)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.core import canonical
from ledger.core.history import STATE_KINDS
from ledger.engines.scalar import ScalarEngine
from ledger.ports.permit import Permit, Refused
from ledger.sequencer.draft import Draft, expect
from ledger.sequencer.instants import TURNING, Instants
from ledger.sequencer.state import Head
from ledger.store.database_log import DatabaseLog
from tests.support.forged_logs import verify_source
from tests.support.log_world import START_MS, World, attempt, draft, open_world, opening, settlement, tag


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    opened = open_world(tmp_path)
    opened.sequencer.append_many(opening())
    opened.clock.ms = START_MS + 100
    yield opened
    opened.close()


def now(kind: str, name: str, **members: canonical.JsonValue) -> Draft:
    """A draft that takes effect when it is recorded."""
    stated = draft(kind, name, **members).members
    return Draft({name: value for name, value in stated.items() if name != "at"})


def recorded(world: World, *drafts: Draft) -> list[int]:
    """When ``drafts``, appended as one batch, were recorded, in ms since the world's start."""
    outcomes = world.sequencer.append_many(drafts)
    return [int(str(canonical.decode(expect(one).data)["recorded_at"])) - START_MS - 100 for one in outcomes]


def send(world: World, name: str) -> None:
    """A delivery that is decided, leaves and is settled while the clock stands still."""
    assert isinstance(world.sequencer.request(attempt(name)), Permit)
    sent = settlement(name).members
    observed: dict[str, Any] = {
        "host": "a.example",
        "port": 443,
        "path": "/hook",
        "sni": "a.example",
        "peer_ip": "203.0.113.7",
        "signing_app": "app-a",
    }
    started_at = world.clock.ms
    stated = {
        **sent,
        "via": "gate",
        "started_at": started_at,
        "at": started_at,
        "observed": observed,
        "subjects": [],
    }
    expect(world.sequencer.append(Draft(stated, intended_endpoint="wh-a")))


SUSPENSION = now("developer.suspended", "1", developer="dev-a")


@pytest.mark.parametrize(
    "restriction",
    [
        SUSPENSION,
        now("app.suspended", "1", app="app-a", developer="dev-a"),
        now("account.suspended", "1", account=tag(0)),
        now("grant.suspended", "1", grant="g-0", account=tag(0)),
        now("grant.amended", "1", grant="g-0", account=tag(0), scopes=["likes"]),
        now("endpoint.retired", "1", endpoint="wh-a"),
        now("app.transferred", "1", app="app-a", developer="dev-b"),
    ],
    ids=lambda one: one.members["kind"],
)
def test_a_delivery_is_not_accused_of_what_was_recorded_after_it_in_the_same_millisecond(
    world: World, restriction: Draft
) -> None:
    expect(world.sequencer.append(draft("developer.registered", "dev-b", developer="dev-b")))
    send(world, "d-1")
    assert recorded(world, restriction) == [1]
    assert isinstance(world.sequencer.request(attempt("d-2")), Refused)
    world.sealer.seal()
    source = DatabaseLog(f"sqlite:///{world.directory}/ledger.db")
    try:
        report = verify_source(source, ScalarEngine(), hashes_are_tiles=False).report
    finally:
        source.close()
    assert [one.code for one in report.findings if one.severity in ("X", "I")] == []


def test_of_two_turns_of_one_thing_in_one_millisecond_the_later_one_holds(world: World) -> None:
    reinstatement = now("developer.reinstated", "1", developer="dev-a")
    first, second = recorded(world, SUSPENSION, reinstatement)
    assert second == first + 1
    assert isinstance(world.sequencer.request(attempt("d-1")), Permit)


def test_an_amendment_is_a_version_of_its_own_and_not_one_with_the_issue(world: World) -> None:
    issued = now(
        "grant.issued",
        "g-9",
        grant="g-9",
        account=tag(1),
        developer="dev-a",
        app="app-a",
        environment="prod",
        scopes=["likes"],
    )
    amended = now("grant.amended", "g-9", grant="g-9", account=tag(1), scopes=["likes", "posts"])
    first, second = recorded(world, issued, amended)
    assert second == first + 1


def test_many_grants_revoked_in_a_row_share_a_millisecond(world: World) -> None:
    grants = [draft("grant.issued", f"n-{n}", **_granted(n)) for n in range(300)]
    world.sequencer.append_many(grants)
    send(world, "d-1")
    revoked = [now("grant.revoked", f"n-{n}", grant=f"n-{n}", account=tag(0)) for n in range(300)]
    assert set(recorded(world, *revoked)) == {1}


def _granted(number: int) -> dict[str, canonical.JsonValue]:
    return {
        "grant": f"n-{number}",
        "account": tag(0),
        "developer": "dev-a",
        "app": "app-a",
        "environment": "prod",
        "scopes": ["posts"],
    }


def test_what_alternates_runs_ahead_by_a_millisecond_a_change_and_waits_for_the_clock(world: World) -> None:
    turns = [
        now(f"developer.{verb}", str(n), developer="dev-a")
        for n in range(50)
        for verb in ("suspended", "reinstated")
    ]
    assert recorded(world, *turns)[-1] <= len(turns)
    world.clock.ms += 10
    late = expect(world.sequencer.append(settlement("d-1")))
    assert canonical.decode(late.data)["recorded_at"] == START_MS + 100 + len(turns) - 1
    world.clock.ms += 1_000
    assert recorded(world, settlement("d-2")) == [1_010]


@pytest.mark.parametrize("live", [True, False])
def test_what_states_its_own_time_moves_nothing(world: World, live: bool) -> None:
    send(world, "d-1")
    suspended = draft("developer.suspended", "1", developer="dev-a")
    reinstated = draft("developer.reinstated", "1", developer="dev-a", at=START_MS + 1)
    imported = [Draft(one.members, live=live) for one in (suspended, reinstated)]
    assert recorded(world, *imported) == [0, 0]


def test_after_a_restart_nobody_knows_what_shares_the_millisecond(world: World, tmp_path: Path) -> None:
    send(world, "d-1")
    world.close()
    again = open_world(tmp_path)
    again.clock.ms = START_MS - 7_200_000
    assert recorded(again, SUSPENSION) == [1]
    again.close()


def test_a_settlement_is_not_recorded_before_the_byte_that_it_tells_of(world: World) -> None:
    assert isinstance(world.sequencer.request(attempt("d-1")), Permit)
    sent = {**settlement("d-1").members, "via": "gate", "started_at": START_MS + 100 + 700}
    assert recorded(world, Draft(sent, intended_endpoint="wh-a")) == [700]


def test_no_settlement_moves_the_ledgers_time_by_more_than_a_permit_lasts(world: World) -> None:
    sent = {**settlement("d-1").members, "via": "gate", "started_at": START_MS + 3_600_000}
    assert recorded(world, Draft(sent, intended_endpoint="wh-a")) == [1_000]


def test_the_time_that_another_system_reports_moves_nothing(world: World) -> None:
    sent = {**settlement("d-1").members, "started_at": START_MS + 3_600_000}
    assert recorded(world, Draft(sent, intended_endpoint="wh-a")) == [0]


def test_a_turn_comes_after_a_byte_that_left_and_is_not_settled_yet() -> None:
    instants = Instants(Head(7, b"", 1_000, False), 1_400, 1_400)
    assert instants.of("app.suspended", {"app": "a"}) == 1_401
    assert instants.of("grant.issued", {"grant": "g"}) == 1_400


def test_every_kind_that_changes_what_stood_is_a_turn() -> None:
    assert STATE_KINDS - TURNING.keys() >= {
        "account.registered",
        "developer.registered",
        "app.registered",
        "endpoint.registered",
        "endpoint.verified",
        "endpoint.failed",
        "grant.issued",
        "subscription.created",
        "subscription.deleted",
        "replay.requested",
    }
    families = {"account", "developer", "app", "endpoint", "grant", "processor"}
    neutral = ("registered", "verified", "failed", "issued", "key_set")
    changing = {
        kind for kind in STATE_KINDS if kind.split(".")[0] in families and kind.split(".")[1] not in neutral
    }
    assert changing == TURNING.keys()
