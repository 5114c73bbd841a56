"""The order of a reenactment's traffic, and what has to come of each event."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.reenactment.casting import cast
from ledger.reenactment.scale import SCALES
from ledger.reenactment.service_schedule import (
    Book,
    HandIn,
    NamesMove,
    OutageBegins,
    OutageEnds,
    Step,
    Subscribe,
    Unsubscribe,
    plan_steps,
)
from ledger.reenactment.traffic import Traffic, plan_traffic
from ledger.reenactment.world import DAY_MS, OPENED_AT_MS, Amendment, World
from tests.support.service_play import GRANTS, MOVED_AT_MS, A, B, event, week, world

G_A, G_AB, G_B, G_C = GRANTS


def steps_of(world_: World, traffic: Traffic | None = None) -> list[Step]:
    return list(plan_steps(world_, traffic or Traffic(())))


def of(steps: list[Step], grant: str) -> list[tuple[str, int]]:
    """Beginnings and ends of one grant's subscriptions, each with its version."""
    named = [
        step for step in steps if isinstance(step, Subscribe | Unsubscribe) and step.grant.grant == grant
    ]
    return [(f"by {step.by}" if isinstance(step, Unsubscribe) else "new", step.version) for step in named]


def with_grant(**members: object) -> World:
    return replace(world(), grants=(replace(G_C, **members),))  # type: ignore[arg-type]


def test_every_event_is_handed_in_once_and_in_order() -> None:
    scale = SCALES["small"]
    company = cast(1, scale)
    traffic = plan_traffic(company, 1, scale)
    handed_in = [step.event for step in plan_steps(company.world, traffic) if isinstance(step, HandIn)]
    assert handed_in == list(traffic.events)


def test_at_one_instant_the_world_changes_before_anything_is_sent() -> None:
    at_once = event(A, 1)
    steps = steps_of(world(), Traffic((at_once,)))
    assert steps.index(Subscribe(G_A, 0)) < steps.index(HandIn(at_once))


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        ("g-a", [("new", 0), ("by account", 0)]),
        ("g-ab", [("new", 0)]),
        ("g-b", [("new", 0), ("by account", 0), ("new", 1)]),
        ("g-c", [("new", 0), ("by developer", 0)]),
    ],
)
def test_a_grant_becomes_the_subscriptions_that_it_needs(grant: str, expected: list[tuple[str, int]]) -> None:
    assert of(steps_of(world()), grant) == expected


def test_a_longer_life_moves_the_end() -> None:
    longer = Amendment(OPENED_AT_MS + 2 * DAY_MS, expires_at_ms=OPENED_AT_MS + 9_999 * DAY_MS)
    assert of(steps_of(with_grant(amendments=(longer,))), "g-c") == [("new", 0)]


def test_what_would_change_after_the_end_does_not() -> None:
    late = Amendment(OPENED_AT_MS + 6 * DAY_MS, scopes=("posts",))
    assert of(steps_of(with_grant(amendments=(late,))), "g-c") == [("new", 0), ("by developer", 0)]


def test_a_move_of_names_and_the_outages_have_their_places() -> None:
    steps = steps_of(world(), week())
    assert [step for step in steps if isinstance(step, NamesMove)] == [NamesMove(MOVED_AT_MS)]
    began = [step.outage for step in steps if isinstance(step, OutageBegins)]
    ended = [step.outage for step in steps if isinstance(step, OutageEnds)]
    assert sorted(began, key=lambda one: one.developer) == sorted(ended, key=lambda one: one.developer)


def test_an_event_arrives_where_a_subscription_covers_it_and_is_refused_where_one_does_not() -> None:
    book = Book(world())
    book.subscribe(G_A, 0)
    book.subscribe(G_AB, 0)
    routed = book.route(event(A, 2))
    assert (set(routed.arrives), routed.refused, routed.parcels) == ({"wh-a"}, 1, 2)


def test_an_event_goes_nowhere_where_nobody_ever_subscribed() -> None:
    assert Book(world()).route(event(A, 2)).parcels == 0


def test_after_the_end_an_event_is_refused() -> None:
    book = Book(world())
    book.subscribe(G_A, 0)
    book.unsubscribe(G_A)
    routed = book.route(event(A, 2))
    assert (len(routed.arrives), routed.refused) == (0, 1)


def test_other_scopes_cover_other_events() -> None:
    book = Book(world())
    book.subscribe(G_B, 0)
    assert book.route(event(B, 2)).arrives == {"wh-b"}
    book.unsubscribe(G_B)
    book.subscribe(G_B, 1)
    assert book.route(event(B, 2)).arrives == set()
    assert book.route(event(B, 2, "tweet_create_events_mention")).arrives == {"wh-b"}


def test_the_news_of_a_revocation_revokes_that_app_alone_and_arrives_nowhere() -> None:
    book = Book(world())
    book.subscribe(G_A, 0)
    book.subscribe(G_AB, 0)
    routed = book.route(event(A, 2, "user_event_revoke", app="11"))
    assert (len(routed.arrives), routed.refused) == (0, 1)
    assert (book.is_live(G_A), book.is_live(G_AB)) == (False, True)
