"""Permits in flight, and restrictions that call them off (ledger format, section 1.5)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

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
    )


def entry(kind: str, seq: int = 11, **members: str) -> Entry:
    return cast(Entry, SimpleNamespace(kind=kind, seq=seq, **{**PARTIES, **members}))


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def inflight(clock: SetClock) -> InFlight:
    return InFlight(clock)


def test_a_flight_starts_once(inflight: InFlight) -> None:
    with inflight.enter(permit()) as flight:
        assert flight.may_start()
        assert not flight.may_start()


def test_a_flight_does_not_start_at_its_end_or_later(inflight: InFlight, clock: SetClock) -> None:
    with inflight.enter(permit()) as flight:
        clock.ms = START_MS + 1000
        assert not flight.may_start()


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


def test_whoever_revokes_waits_for_the_end_of_a_permit_that_was_handed_out(clock: SetClock) -> None:
    slept: list[float] = []
    inflight = InFlight(clock, sleep=slept.append)
    assert inflight.lend(permit())
    clock.ms = START_MS + 400
    inflight.wait_until_clear(grant="someone-else")
    assert slept == []
    inflight.wait_until_clear(grant="g-1")
    assert slept == [0.6]


def test_nobody_waits_for_a_permit_that_has_ended(clock: SetClock) -> None:
    slept: list[float] = []
    inflight = InFlight(clock, sleep=slept.append)
    assert inflight.lend(permit())
    clock.ms = START_MS + 1000
    inflight.wait_until_clear(grant="g-1")
    assert slept == []


def test_a_permit_that_is_called_off_already_is_not_handed_out(inflight: InFlight) -> None:
    inflight.restrict([entry("grant.revoked", seq=11)])
    assert not inflight.lend(permit(10))
    assert inflight.lend(permit(12))
