"""A small play through a real service: three developers behind one address, and a week in which everything happens once.

Run as a program, ``python -m tests.support.service_play DIR EVENTS``, it plays so many events of one account, and takes its
time: somebody is going to interrupt it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ledger.core.scopes import ALL
from ledger.reenactment.books import Tell
from ledger.reenactment.dispatcher import fault_named
from ledger.reenactment.places import Places, claim
from ledger.reenactment.receivers import Behaviour
from ledger.reenactment.run import TrafficRun
from ledger.reenactment.templates import fill
from ledger.reenactment.through_service import Tells, play_through_service
from ledger.reenactment.traffic import Event, Outage, Traffic, make_event
from ledger.reenactment.world import (
    DAY_MS,
    OPENED_AT_MS,
    Amendment,
    App,
    Developer,
    DnsChange,
    Grant,
    Person,
    Webhook,
    World,
)

A, B, C = Person("101", "A", "a"), Person("102", "B", "b"), Person("103", "C", "c")
FRIEND = Person("900", "Friend", "friend")
MOVED_AT_MS = OPENED_AT_MS + 3 * DAY_MS
WEBHOOKS = (
    Webhook("wh-a", "11", "prod", "a.example", "/hook"),
    Webhook("wh-b", "12", "prod", "b.example", "/hook"),
    Webhook("wh-c", "13", "prod", "c.example", "/hook?v=2", port=8443),
)
GRANTS = (
    Grant(
        "g-a", A.person, "11", "prod", (ALL,), OPENED_AT_MS + DAY_MS, revoked_at_ms=OPENED_AT_MS + 5 * DAY_MS
    ),
    Grant("g-ab", A.person, "12", "prod", ("posts",), OPENED_AT_MS + DAY_MS),
    Grant(
        "g-b",
        B.person,
        "12",
        "prod",
        ("direct_messages",),
        OPENED_AT_MS + DAY_MS,
        amendments=(Amendment(OPENED_AT_MS + 4 * DAY_MS, scopes=("posts",)),),
    ),
    Grant(
        "g-c", C.person, "13", "prod", (ALL,), OPENED_AT_MS + DAY_MS, expires_at_ms=OPENED_AT_MS + 5 * DAY_MS
    ),
)


def world() -> World:
    """Everybody; ``b.example`` moves to the address of ``a.example`` on the third day."""
    return World(
        "through a service",
        tuple(Developer(f"dev-{name}", f"Developer {name.upper()}") for name in "abc"),
        tuple(
            App(str(11 + index), f"dev-{name}", "drawn by the service") for index, name in enumerate("abc")
        ),
        WEBHOOKS,
        (A, B, C),
        GRANTS,
        (
            DnsChange(OPENED_AT_MS, "a.example", "127.0.0.2"),
            DnsChange(OPENED_AT_MS, "b.example", "127.0.0.3"),
            DnsChange(MOVED_AT_MS, "b.example", "127.0.0.2"),
            DnsChange(OPENED_AT_MS, "c.example", "127.0.0.2"),
        ),
    )


def event(account: Person, day: float, template: str = "direct_message_events", **members: Any) -> Event:
    """Something that happens to ``account`` on that day."""
    at_ms = OPENED_AT_MS + round(day * DAY_MS)
    return make_event(fill(template, account, FRIEND, at_ms, 1, **members), at_ms, app=members.get("app"))


def week() -> Traffic:
    """A burst of A and B at the same address after a move, outages of each kind, and everything that ends a subscription."""
    burst = [event(who, 3.5 + number / 1_000) for number in range(10) for who in (A, B)]
    return Traffic(
        (
            event(A, 2.0),  # g-ab covers posts only: arrives at a, refused for b
            event(C, 2.1),
            *burst,
            event(B, 4.5),  # g-b covers posts only by now
            event(B, 4.6, "tweet_create_events_mention"),
            event(A, 4.9, "user_event_revoke", app="11"),  # takes g-a away itself
            event(A, 5.5),
            event(A, 5.6, "tweet_create_events_mention"),
            event(C, 5.7),
        ),
        outages=(
            _outage("dev-c", 1.0, 2.2, "drop"),
            _outage("dev-a", 3.4, 3.502, "unavailable"),
            _outage("dev-b", 3.4, 3.502, "refuse"),
        ),
    )


def _outage(developer: str, from_day: float, until_day: float, behaviour: Behaviour) -> Outage:
    from_ms, until_ms = (OPENED_AT_MS + round(day * DAY_MS) for day in (from_day, until_day))
    return Outage(developer, from_ms, until_ms, behaviour)


def run_of(traffic: Traffic) -> TrafficRun:
    """What a play through a service needs of a run: the world, and what happens in it."""
    return TrafficRun(world(), traffic, fault_named("none"), (), (), (), ())


def ignore(done: int, total: int) -> None:
    """Show no progress."""


def play(
    places: Places, traffic: Traffic, database: str | None = None, playing: Tell = ignore
) -> dict[str, Any]:
    """Play ``traffic`` through a service; its section of the report."""
    return play_through_service(run_of(traffic), places, "test", database, Tells(ignore, playing, ignore))


if __name__ == "__main__":
    directory, count = Path(sys.argv[1]), int(sys.argv[2])
    messages = tuple(event(A, 2 + number / count) for number in range(count))
    outages = tuple(Outage("dev-c", one.at_ms, one.at_ms + 1, "refuse") for one in messages)
    play(claim(directory, {}), Traffic(messages, outages))
