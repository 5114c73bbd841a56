"""Permits in flight, and restrictions that call them off (ledger format, section 1.5)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from ledger.core.canonical import JsonValue
from ledger.core.entries import Entry
from ledger.gateway.inflight import RESTRICTIONS, InFlight
from ledger.ports import Permit
from tests.support.log_world import START_MS, SetClock, tag

PARTIES = {"grant": "g-1", "account": tag(1), "developer": "dev-a", "app": "app-a", "endpoint": "wh-1"}


def permit(seq: int = 10, **parties: str) -> Permit:
    named = {**PARTIES, **parties}
    return Permit(
        seq,
        bytes(32),
        f"d-{seq}",
        1,
        named["endpoint"],
        "https://a.example/hook",
        START_MS + 1000,
        named["account"],
        named["developer"],
        named["app"],
        named["grant"],
        1.0,
    )


def entry(kind: str, seq: int = 11, **members: str) -> Entry:
    return cast(Entry, SimpleNamespace(kind=kind, seq=seq, **{**PARTIES, **members}))


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


class Seconds:
    """A stopwatch that stands where it is set."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def stopwatch() -> Seconds:
    return Seconds()


@pytest.fixture
def inflight(clock: SetClock, stopwatch: Seconds) -> InFlight:
    return InFlight(clock, stopwatch=stopwatch)


def stated(kind: str, **members: str) -> dict[str, JsonValue]:
    return {"kind": kind, **PARTIES, **members}


def test_a_flight_starts_once_at_the_instant_that_it_is_asked(inflight: InFlight, clock: SetClock) -> None:
    with inflight.enter(permit()) as flight:
        clock.ms += 7
        assert flight.may_start() == START_MS + 7
        assert flight.may_start() is None


def test_a_flight_does_not_start_at_its_end_or_later(inflight: InFlight, clock: SetClock) -> None:
    with inflight.enter(permit()) as flight:
        clock.ms = START_MS + 1000
        assert not flight.may_start()


def test_a_clock_that_went_back_does_not_make_a_permit_last(
    inflight: InFlight, clock: SetClock, stopwatch: Seconds
) -> None:
    clock.ms -= 7_200_000
    stopwatch.s = 0.999
    with inflight.enter(permit()) as flight:
        assert flight.may_start() is not None
    stopwatch.s = 1.0
    with inflight.enter(permit()) as flight:
        assert flight.may_start() is None


def test_a_flight_that_left_does_not_start(inflight: InFlight) -> None:
    flight = inflight.enter(permit())
    flight.leave()
    assert not flight.may_start()


@pytest.mark.parametrize("kind", sorted(RESTRICTIONS))
def test_every_restriction_calls_off_the_flights_of_its_party_and_no_other(
    inflight: InFlight, kind: str
) -> None:
    other: dict[str, str] = {RESTRICTIONS[kind]: "someone-else"}
    touched, untouched = inflight.enter(permit()), inflight.enter(permit(10, **other))
    inflight.restrict([entry(kind)])
    assert not touched.may_start()
    assert touched.is_called_off
    assert untouched.may_start()


@pytest.mark.parametrize("kind", sorted(RESTRICTIONS.keys() - {"subscription.deleted"}))
def test_what_is_about_to_be_restricted_does_not_start_before_that_is_recorded(
    inflight: InFlight, kind: str
) -> None:
    other: dict[str, str] = {RESTRICTIONS[kind]: "someone-else"}
    touched, untouched = inflight.enter(permit()), inflight.enter(permit(10, **other))
    assert inflight.announce([stated(kind)]) is not None
    assert touched.may_start() is None
    assert touched.is_called_off
    assert inflight.enter(permit(99)).is_called_off, "however late its holder comes here"
    assert not inflight.lend(permit(99))
    assert untouched.may_start() is not None


def test_what_came_to_nothing_keeps_nobody_back(inflight: InFlight) -> None:
    first = inflight.announce([stated("developer.suspended")])
    second = inflight.announce([stated("developer.suspended"), stated("app.transferred")])
    assert first is not None
    assert second is not None
    first.close()
    assert inflight.enter(permit(99)).is_called_off, "the other one still stands"
    second.close()
    assert inflight.enter(permit(99)).may_start() is not None


def test_an_announcement_says_when_the_last_flight_started(inflight: InFlight, clock: SetClock) -> None:
    clock.ms += 5
    inflight.enter(permit()).may_start()
    clock.ms -= 60_000
    announced = inflight.announce([stated("app.suspended")])
    assert announced is not None
    assert announced.latest_start_ms == START_MS + 5


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"kind": 7},
        {"kind": ["app.suspended"]},
        {"kind": "app.suspended"},
        {"kind": "app.suspended", "app": 7},
    ],
)
def test_what_restricts_nobody_is_no_announcement(inflight: InFlight, members: dict[str, JsonValue]) -> None:
    assert inflight.announce([members, stated("grant.issued"), stated("account.reactivated")]) is None


@pytest.mark.parametrize(
    "kind", ["grant.issued", "grant.resumed", "account.reactivated", "endpoint.verified"]
)
def test_what_permits_calls_nothing_off(inflight: InFlight, kind: str) -> None:
    flight = inflight.enter(permit())
    inflight.restrict([entry(kind)])
    assert flight.may_start()


def test_a_permit_that_enters_after_a_later_restriction_is_called_off(inflight: InFlight) -> None:
    inflight.restrict([entry("grant.revoked", seq=11)])
    assert not inflight.enter(permit(10)).may_start()


def test_a_permit_decided_after_a_restriction_is_not_touched_by_it(inflight: InFlight) -> None:
    inflight.restrict([entry("grant.suspended", seq=11)])
    assert inflight.enter(permit(12)).may_start()


def test_waiting_ends_at_once_where_nothing_is_in_flight(inflight: InFlight) -> None:
    assert inflight.wait_until_clear(grant="g-1", timeout_s=0)


def test_waiting_ends_when_the_flight_has_started(inflight: InFlight) -> None:
    flight = inflight.enter(permit())
    assert not inflight.wait_until_clear(grant="g-1", timeout_s=0)
    assert flight.may_start()
    assert inflight.wait_until_clear(grant="g-1", timeout_s=0)


def test_waiting_ends_when_the_flight_is_called_off(inflight: InFlight) -> None:
    inflight.enter(permit())
    inflight.restrict([entry("grant.revoked")])
    assert inflight.wait_until_clear(account=PARTIES["account"], timeout_s=0)


@pytest.mark.parametrize("party", sorted(PARTIES))
def test_waiting_is_for_the_party_that_is_named(inflight: InFlight, party: str) -> None:
    flight = inflight.enter(permit())
    wait: Callable[..., bool] = inflight.wait_until_clear
    assert not wait(**{party: PARTIES[party]}, timeout_s=0)
    assert wait(**{party: "someone-else"}, timeout_s=0)
    flight.leave()
    assert wait(**{party: PARTIES[party]}, timeout_s=0)


def test_whoever_waits_is_woken_by_the_start(inflight: InFlight) -> None:
    flight = inflight.enter(permit())
    thread = threading.Timer(0.05, flight.may_start)
    thread.start()
    assert inflight.wait_until_clear(grant="g-1", timeout_s=10)
    assert flight.is_decided
    thread.join()


def test_with_other_processes_waiting_takes_as_long_as_a_permit_lasts(clock: SetClock) -> None:
    slept: list[float] = []
    shared = InFlight(clock, is_alone=False, sleep=slept.append)
    assert shared.wait_until_clear(grant="g-1")
    assert slept == [1.0]


def test_under_many_threads_nothing_starts_once_a_restriction_has_been_told(inflight: InFlight) -> None:
    told = threading.Event()
    started_late: list[int] = []

    def send(start: int) -> None:
        for seq in range(start, start + 200):
            with inflight.enter(permit(seq)) as flight:
                was_told = told.is_set()
                if flight.may_start() and was_told:
                    started_late.append(seq)

    threads = [threading.Thread(target=send, args=(number * 1000,)) for number in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.005)
    inflight.restrict([entry("grant.revoked", seq=1_000_000)])
    told.set()
    for thread in threads:
        thread.join()
    assert started_late == []
    assert inflight.wait_until_clear(grant="g-1", timeout_s=0)


def test_whoever_revokes_waits_for_the_end_of_a_permit_that_was_handed_out(
    clock: SetClock, stopwatch: Seconds
) -> None:
    slept: list[float] = []
    inflight = InFlight(clock, sleep=slept.append, stopwatch=stopwatch)
    assert inflight.lend(permit())
    stopwatch.s = 0.4
    inflight.wait_until_clear(grant="someone-else")
    assert slept == []
    inflight.wait_until_clear(grant="g-1")
    assert slept == [0.6]


def test_nobody_waits_for_a_permit_that_has_ended(clock: SetClock, stopwatch: Seconds) -> None:
    slept: list[float] = []
    inflight = InFlight(clock, sleep=slept.append, stopwatch=stopwatch)
    assert inflight.lend(permit())
    clock.ms -= 60_000
    stopwatch.s = 1.0
    inflight.wait_until_clear(grant="g-1")
    assert slept == []


def test_a_permit_that_is_called_off_already_is_not_handed_out(inflight: InFlight) -> None:
    inflight.restrict([entry("grant.revoked", seq=11)])
    assert not inflight.lend(permit(10))
    assert inflight.lend(permit(12))
