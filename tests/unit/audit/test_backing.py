"""Entries become deliveries, one an attempt, and copies are told from retries."""

from __future__ import annotations

from typing import Any

from ledger.audit.backing import find_copies, load_deliveries
from ledger.audit.entry_reader import EntryReader
from ledger.engines.codec import MsgspecCodec
from ledger.ports import Attempt
from tests.support.builders import Log, seen
from tests.support.forged_logs import MemoryLog, encode_log, open_log


def begin() -> Log:
    log = open_log()
    log.parties()
    log.issue()
    return log


def reader_of(log: Log) -> EntryReader:
    return EntryReader(MemoryLog(encode_log(log)), MsgspecCodec())


def load(log: Log, *told: Any) -> list[tuple[int, ...]]:
    attempt = Attempt(tuple(entry.seq for entry in told))
    return [positions for positions, _ in load_deliveries(attempt, reader_of(log))]


def copies(log: Log, *told: Any) -> set[int]:
    """Which of the deliveries that begin at ``told`` repeat an earlier one."""
    group = [Attempt((entry.seq,)) for entry in told]
    found = find_copies([group], reader_of(log), log.history, log.size, log.recorded_at)
    return {positions[0] for positions in found}


def test_an_attempt_and_its_settlements_are_one_delivery() -> None:
    log = begin()
    attempted = log.attempt("d-1")
    settled, again = log.settle(attempted), log.settle(attempted, by="rescuer")
    assert load(log, attempted, settled, again) == [(attempted.seq, settled.seq, again.seq)]


def test_an_attempt_told_twice_is_two_deliveries_and_the_first_was_settled() -> None:
    log = begin()
    first, second = log.attempt("d-1"), log.attempt("d-1")
    settled = log.settle(first)
    assert load(log, first, second, settled) == [(first.seq, settled.seq), (second.seq,)]


def test_different_attempts_that_came_together_are_told_apart() -> None:
    log = begin()
    told = [log.imported("d-1"), log.imported("d-1", attempt=2), log.imported("d-2")]
    assert load(log, *told) == [(entry.seq,) for entry in told]


def test_the_delivery_that_started_first_is_the_original_wherever_it_stands() -> None:
    log = begin()
    later, first = log.imported("d-1", at=160), log.imported("d-2", at=150)
    assert copies(log, later, first) == {later.seq}


def test_of_two_that_started_together_the_later_entry_is_the_copy() -> None:
    log = begin()
    told = [log.imported("d-1"), log.imported("d-2")]
    assert copies(log, *told) == {told[1].seq}


def test_retries_of_one_delivery_are_no_copies() -> None:
    log = begin()
    assert copies(log, log.imported("d-1"), log.imported("d-1", at=160, attempt=2)) == set()


def test_what_was_not_disclosed_is_no_copy_and_no_original() -> None:
    log = begin()
    told = [
        log.imported("d-1", disclosure="none"),
        log.imported("d-2"),
        log.imported("d-3", disclosure="none"),
    ]
    assert copies(log, *told) == set()


def test_the_same_event_at_another_endpoint_is_no_copy() -> None:
    log = begin()
    assert copies(log, log.imported("d-1"), log.imported("d-2", observed=seen("b.example"))) == set()


def test_a_copy_outside_a_live_grant_is_judged_by_itself() -> None:
    log = begin()
    assert copies(log, log.imported("d-1"), log.imported("d-2", at=99), log.imported("d-3", at=98)) == {
        log.entries[-3].seq
    }
