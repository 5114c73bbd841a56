"""The dispatcher's pool of threads: everything once, within bounds, and whoever hangs holds up nobody else."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ledger.gateway.dispatch import Dispatcher, DispatchLimits
from ledger.ports import Permit
from ledger.ports.sending import Answer, MayStart, ObservedDelivery
from tests.simulation.network import PATH, SimulatedTransport
from tests.unit.gateway.delivery_desk import ANN, BEN, Desk, message, open_desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_desk(tmp_path) as opened:
        yield opened


class RealClock:
    """The system's."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def seconds(self) -> float:
        return time.monotonic()


class ThreadedTransport(SimulatedTransport):
    """Answers in real time; ``hanging`` hosts never do. Counts how many bodies each host has at once."""

    def __init__(self, *given: Any, hanging: frozenset[str] = frozenset(), hangs_s: float = 0.5) -> None:
        super().__init__(*given)
        self._hanging = hanging
        self._hangs_s = hangs_s
        self._lock = threading.Lock()
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.bodies: Counter[str] = Counter()

    def post(self, permit: Permit, headers: Mapping[str, str], body: bytes, may_start: MayStart) -> Answer:
        host = self.host_of(permit)
        with self._lock:
            self.now[host] += 1
            self.most[host] = max(self.most[host], self.now[host])
        started_ms = time.time_ns() // 1_000_000
        assert may_start()
        is_hanging = host in self._hanging
        time.sleep(self._hangs_s if is_hanging else 0.002)
        with self._lock:
            self.now[host] -= 1
            self.bodies[host] += 1
        status = None if is_hanging else 200
        seen = ObservedDelivery(
            started_ms,
            time.time_ns() // 1_000_000,
            host,
            443,
            PATH,
            host,
            "203.0.113.7",
            None,
            status,
            "possible" if is_hanging else "confirmed",
            "ReadTimeout" if is_hanging else None,
            is_timeout=is_hanging,
        )
        return Answer(seen, b"")


def run_until(desk: Desk, is_done: Callable[[], bool], limits: DispatchLimits) -> Dispatcher:
    """Run a dispatcher in a thread of its own until ``is_done``, then stop it."""
    dispatcher = desk.process.dispatcher
    dispatcher._limits = limits
    stop = threading.Event()
    running = threading.Thread(target=dispatcher.run, args=(stop,))
    running.start()
    deadline_s = time.monotonic() + 60
    while not is_done() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    stop.set()
    desk.process.wake.set()
    running.join(30)
    assert not running.is_alive()
    return dispatcher


@pytest.fixture
def busy_desk(desk: Desk) -> Desk:
    """Everybody is subscribed everywhere, and time is real."""
    for app in ("1001", "1002", "1003"):
        for account in (ANN, BEN):
            desk.subscribe(account, app)
    desk.place.clock = RealClock()  # type: ignore[assignment]
    return desk


def test_a_pool_delivers_everything_once_and_within_the_bound_of_each_webhook(busy_desk: Desk) -> None:
    transport = ThreadedTransport(busy_desk.network)
    busy_desk.place.transport = transport
    busy_desk.restart()
    busy_desk.offer(*(message(number, account) for number in range(60) for account in (ANN, BEN)))
    run_until(
        busy_desk,
        lambda: set(busy_desk.states()) == {"delivered"},
        DispatchLimits(threads=8, per_webhook=3),
    )
    assert busy_desk.states() == ["delivered"] * 360
    assert sum(transport.bodies.values()) == 360
    assert max(transport.most.values()) <= 3
    busy_desk.check()


def test_a_hanging_webhook_holds_up_nobody_else(busy_desk: Desk) -> None:
    transport = ThreadedTransport(busy_desk.network, hanging=frozenset({"a.example"}))
    busy_desk.place.transport = transport
    busy_desk.restart()
    busy_desk.offer(*(message(number, account) for number in range(40) for account in (ANN, BEN)))
    run_until(
        busy_desk,
        lambda: busy_desk.states().count("delivered") >= 160,
        DispatchLimits(threads=4, per_webhook=4),
    )
    assert sum(transport.bodies.values()) - transport.bodies["a.example"] == 160
    assert transport.bodies["a.example"] < 20


def test_stopping_finishes_what_was_begun_and_leaves_nothing_leased(busy_desk: Desk) -> None:
    transport = ThreadedTransport(busy_desk.network)
    busy_desk.place.transport = transport
    busy_desk.restart()
    busy_desk.offer(*(message(number, account) for number in range(100) for account in (ANN, BEN)))
    dispatcher = run_until(
        busy_desk, lambda: sum(transport.bodies.values()) > 20, DispatchLimits(threads=4, per_webhook=4)
    )
    assert dispatcher.count_busy() == 0
    assert busy_desk.query("SELECT COUNT(*) FROM service_parcels WHERE lease_owner <> ''") == [(0,)]
    attempted = len(busy_desk.entries("delivery.attempted"))
    assert attempted == len(busy_desk.entries("delivery.settled")) == sum(transport.bodies.values())
    busy_desk.check()


def test_an_event_that_comes_in_is_delivered_without_waiting_for_the_next_look(busy_desk: Desk) -> None:
    transport = ThreadedTransport(busy_desk.network)
    busy_desk.place.transport = transport
    busy_desk.restart()
    limits = DispatchLimits(threads=2, per_webhook=2, idle_s=30.0)
    offering = threading.Timer(0.5, lambda: busy_desk.offer(message()))
    offering.start()
    began_s = time.monotonic()
    run_until(busy_desk, lambda: busy_desk.states() == ["delivered"] * 3, limits)
    offering.join()
    assert time.monotonic() - began_s < 20
