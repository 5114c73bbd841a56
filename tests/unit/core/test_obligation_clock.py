"""Deadlines of obligations as a function of entries: what meets them, what puts them off, what does not (section 5.3)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ledger.core.holds import Holds
from ledger.core.obligation_clock import OBLIGATION_KINDS, ObligationClocks

DAY = 86_400_000
T0 = 1_536_537_600_000


class Log:
    """Entries one after the other, recorded at the day that the test says."""

    def __init__(self) -> None:
        self.clocks, self.holds, self.seq = ObligationClocks(), Holds(), 0
        self.add(
            "obligation.opened", 0, acknowledge_by=T0 + DAY, delete_by=T0 + 7 * DAY, attest_by=T0 + 10 * DAY
        )

    def add(self, kind: str, day: float, **members: Any) -> None:
        at_ms = T0 + int(day * DAY)
        told = {"obligation": "o-1", "incident": "i-1", "developer": "dev-b", "code": None, "hold": None}
        entry = SimpleNamespace(kind=kind, seq=self.seq, recorded_at=at_ms, at=at_ms, **(told | members))
        self.clocks.add(entry)
        self.seq += 1

    def place(self, hold: str, day: float, until: int | None = None) -> None:
        self._hold("hold.placed", hold, day, account=None, incident="i-1", until=until, actor="operator:a")

    def lift(self, hold: str, day: float) -> None:
        self._hold("hold.lifted", hold, day, actor="operator:a")

    def _hold(self, kind: str, hold: str, day: float, **members: Any) -> None:
        at_ms = T0 + int(day * DAY)
        self.holds.add(SimpleNamespace(kind=kind, seq=self.seq, at=at_ms, hold=hold, **members))
        self.seq += 1

    def overdue(self, day: float) -> list[str]:
        return [one.name for one in self.clocks.overdue(T0 + int(day * DAY), self.holds)]


@pytest.fixture
def log() -> Log:
    return Log()


def test_deadlines_pass_one_after_the_other_and_a_millisecond_decides(log: Log) -> None:
    assert log.overdue(1) == []
    assert [one.code for one in log.clocks.overdue(T0 + DAY + 1, log.holds)] == ["DELETION_ACK_OVERDUE"]
    assert log.overdue(8) == ["acknowledge", "delete"]
    assert log.overdue(11) == ["acknowledge", "delete", "attest"]


@pytest.mark.parametrize(
    ("kind", "members", "left"),
    [
        ("obligation.acknowledged", {}, ["delete", "attest"]),
        ("obligation.in_progress", {}, ["delete", "attest"]),
        ("obligation.in_progress", {"code": "reported_deleted"}, ["attest"]),
        ("obligation.attested", {}, []),
        ("obligation.waived", {}, []),
        ("obligation.closed", {}, []),
    ],
)
def test_what_is_answered_in_time_is_not_overdue(
    log: Log, kind: str, members: dict[str, str], left: list[str]
) -> None:
    log.add(kind, 1, **members)
    assert log.overdue(99) == left


def test_what_is_answered_late_stays_overdue(log: Log) -> None:
    log.add("obligation.attested", 8)
    assert log.overdue(99) == ["acknowledge", "delete"]


def test_waiving_ends_what_has_not_passed_and_nothing_else(log: Log) -> None:
    log.add("obligation.waived", 2)
    assert log.overdue(99) == ["acknowledge"]


def test_a_hold_puts_off_what_has_not_passed_by_as_long_as_it_lasts(log: Log) -> None:
    log.place("h-1", 0)
    log.add("obligation.held", 2, hold="h-1")
    assert log.overdue(50) == ["acknowledge"]
    log.add("obligation.resumed", 5)
    assert log.overdue(10) == ["acknowledge"]
    assert log.overdue(10.5) == ["acknowledge", "delete"]


def test_a_hold_that_nobody_has_placed_puts_nothing_off(log: Log) -> None:
    log.add("obligation.held", 0, hold="h-made-up")
    log.place("h-made-up", 3)
    assert log.overdue(99) == ["acknowledge", "delete", "attest"]


@pytest.mark.parametrize("way", ["lifted", "until"])
def test_holding_on_after_the_hold_has_ended_puts_nothing_off(log: Log, way: str) -> None:
    log.place("h-1", 0, T0 + DAY // 2 if way == "until" else None)
    log.add("obligation.held", 0, hold="h-1")
    if way == "lifted":
        log.lift("h-1", 0.5)
    assert log.overdue(1.4) == []
    assert log.overdue(1.6) == ["acknowledge"]


def test_what_nobody_has_opened_owes_nothing() -> None:
    log = Log()
    log.add("obligation.held", 0, obligation="o-2", hold="h-1")
    log.add("delivery.imported", 0)
    assert [one.obligation for one in log.clocks.overdue(T0 + 2 * DAY, log.holds)] == ["o-1"]
    assert "obligation.verified" not in OBLIGATION_KINDS
