"""A monitor's first, long way through a log: what was read is kept on the way, and it stops when it is told to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ledger.audit import following
from ledger.monitor import log_monitor
from ledger.monitor.log_monitor import LogMonitor, Strictness, Target
from ledger.monitor.metrics import MonitorMetrics
from ledger.monitor.rounds import Rounds
from ledger.monitor.telling import Teller
from ledger.store.monitor_book import MonitorBook
from ledger.verifying import open_published
from tests.support.builders import Log
from tests.support.forged_logs import add_seal, encode_log, open_log, pad, publish, tell_events_apart
from tests.support.log_world import SIGNER
from tests.support.second_sources import add_receipt, set_key

STRETCHES = 5


class Killed(BaseException):
    """Somebody pulled the plug."""


def make_log() -> Log:
    """Entries for some stretches, with receipts, one of them an alarm."""
    log = open_log()
    log.parties()
    log.add("endpoint.verified", 1, endpoint="wh-a")
    log.issue()
    set_key(log, "dev-a", 110)
    for number in range(STRETCHES):
        attempted = log.attempt(f"d-{number}", at=max(200, log.recorded_at))
        log.settle(attempted)
        add_receipt(log, "dev-a", attempted)
        pad(log, 256)
        add_seal(log)
    add_receipt(log, "dev-a", delivery="never-logged")
    add_seal(log)
    return log


ENTRIES = encode_log(tell_events_apart(make_log()))


class Place:
    """A published log, and the state of a monitor of it."""

    def __init__(self, directory: Path) -> None:
        self.public = publish(directory / "public", ENTRIES)
        self.state = directory / "state"
        self.book = MonitorBook(self.state / "monitor.db")

    def monitor(self) -> LogMonitor:
        return LogMonitor(Target("log", SIGNER.vkey(), str(self.public)), Strictness(), self.book, self.state)

    def codes(self, monitor: LogMonitor) -> list[str]:
        return [finding["code"] for finding in monitor.findings().values()]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(following, "STRETCH_ENTRIES", 256)
    monkeypatch.setattr(log_monitor, "CATCH_UP_ENTRIES_MIN", 256)
    with ExitStack() as stack:
        made = Place(tmp_path)
        stack.callback(made.book.close)
        yield made


def test_a_monitor_that_is_killed_on_its_first_way_goes_on_where_the_last_snapshot_was(place: Place) -> None:
    def kill(done: int, total: int) -> None:
        if done >= 3 * 256:
            raise Killed

    with pytest.raises(Killed):
        place.monitor().look(kill)
    again = place.monitor()
    made = again.look(lambda done, total: None)
    assert (made.state, made.size) == ("followed", len(ENTRIES))
    assert made.read == len(ENTRIES) - 2 * 256
    assert place.codes(again) == ["RECEIPT_WITHOUT_DELIVERY"]
    again.close()


def test_what_was_kept_on_the_way_and_is_not_the_logs_is_read_again(place: Place) -> None:
    def kill(done: int, total: int) -> None:
        if done >= 3 * 256:
            raise Killed

    forged = [*ENTRIES]
    forged[300] = ENTRIES[300].replace(b"test:builder", b"test:burglar")
    publish(place.public, forged, (place.public / "checkpoint").read_bytes())
    with pytest.raises(Killed):
        place.monitor().look(kill)
    publish(place.public, ENTRIES)
    again = place.monitor()
    assert again.look(lambda done, total: None).state == "broken"
    assert again.look(lambda done, total: None).state == "followed"
    assert place.codes(again) == ["RECEIPT_WITHOUT_DELIVERY"]
    again.close()


def test_a_monitor_that_is_told_to_stop_ends_between_two_stretches_and_keeps_what_it_has(
    place: Place,
) -> None:
    monitor = place.monitor()
    metrics = MonitorMetrics(["log"])
    rounds = Rounds(
        [monitor],
        Teller(place.book, None, lambda data: None),
        metrics,
        on_progress=lambda name, done, total: rounds.stop(),
        on_round=lambda one, made: None,
    )
    thread = threading.Thread(target=rounds.run, args=(10.0,))
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    monitor.close()
    again = place.monitor()
    again.look(lambda done, total: None)
    assert open_published(str(place.public), None).size_available() == again.size
    assert place.codes(again) == ["RECEIPT_WITHOUT_DELIVERY"]
    again.close()
