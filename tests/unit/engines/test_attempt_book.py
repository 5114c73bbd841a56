"""The book of attempts of a log that grows: which of them are in doubt, and when they are again."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.engines.growth import LogGrowth
from ledger.engines.receipted_book import ReceiptedBook
from tests.support.builders import Log, tag
from tests.support.forged_logs import encode_log, open_log, tell_events_apart

Kept = frozenset({("endpoints", "wh-a")})


def new_log() -> Log:
    log = open_log()
    log.parties()
    log.add("endpoint.verified", 1, endpoint="wh-a")
    log.issue()
    return log


def deliver(log: Log, *deliveries: str, at: int = 150, **attempted: Any) -> None:
    for delivery in deliveries:
        log.settle(log.attempt(delivery, at=max(at, log.recorded_at), **attempted))


def read(log: Log, *, apart: bool = True) -> ReceiptedBook:
    growth = LogGrowth(with_index=False, group_entries=1)
    growth.read(0, encode_log(tell_events_apart(log) if apart else log))
    return growth.book


def doubtful(book: ReceiptedBook, log: Log) -> list[list[tuple[int, ...]]]:
    """Where the entries of the attempts stand that the scalar rule is asked for, group by group; all are filed then."""
    groups = list(book.take_doubtful(log.history))
    for doubt in (doubt for group in groups for doubt in group):
        book.file_plain(doubt.row, tag("ann"), 150, Kept)
    return [[doubt.positions for doubt in group] for group in groups]


def test_attempts_that_are_surely_clean_are_in_no_doubt_and_counted() -> None:
    log = new_log()
    deliver(log, "d-1", "d-2")
    book = read(log)
    assert doubtful(book, log) == []
    assert book.plain_count() == 2


def test_an_attempt_that_is_told_of_by_more_entries_than_two_is_in_doubt() -> None:
    log = new_log()
    attempted = log.attempt("d-1")
    first, second = log.settle(attempted), log.settle(attempted)
    assert doubtful(read(log), log) == [[(attempted.seq, first.seq, second.seq)]]


def test_attempts_that_deliver_the_same_event_are_in_doubt_together() -> None:
    log = new_log()
    deliver(log, "d-1", "d-2")
    ((*group,),) = doubtful(read(log, apart=False), log)
    assert len(group) == 2


def test_an_attempt_that_forged_entries_let_deliver_two_events_joins_the_copies_of_both() -> None:
    log = new_log()
    deliver(log, "d-1", "d-2", "d-3")
    members = tell_events_apart(log)
    events = {each["delivery"]: each["event"] for each in members if "event" in each}
    again = dict(next(each for each in members if each.get("delivery") == "d-1"))
    members += [again | {"seq": len(members), "uid": "again", "event": events["d-2"]}]
    members[[each.get("delivery") for each in members].index("d-3")]["event"] = events["d-1"]
    growth = LogGrowth(with_index=False, group_entries=1)
    growth.read(0, encode_log(members))
    ((*group,),) = doubtful(growth.book, log)
    assert len(group) == 3


@pytest.mark.parametrize(("from_ms", "is_touched"), [(0, True), (150, True), (151, False)])
def test_what_takes_effect_after_its_start_leaves_a_plain_attempt_alone(
    from_ms: int, is_touched: bool
) -> None:
    log = new_log()
    deliver(log, "d-1")
    book = read(log)
    doubtful(book, log)
    book.touch_accounts({tag("ann"): from_ms})
    assert (book.plain_count() == 0) is is_touched
    doubtful(book, log)
    book.touch_parties({("endpoints", "wh-a"): from_ms})
    assert (book.plain_count() == 0) is is_touched


def test_an_attempt_that_was_doubted_is_never_called_surely_clean_again() -> None:
    log = new_log()
    deliver(log, "d-1")
    book = read(log)
    assert doubtful(book, log) == []
    row = book.row_of("d-1", 1)
    assert row is not None
    book.doubt([row])
    assert doubtful(book, log) == [[book.positions(row)]]


def test_attempts_are_found_by_the_name_of_their_delivery() -> None:
    log = new_log()
    deliver(log, "d-1", "d-2")
    deliver(log, "d-1", attempt=2)
    book = read(log)
    assert set(book.rows_of("d-1")) == {book.row_of("d-1", 1), book.row_of("d-1", 2)}
    assert len(book.rows_of("d-1")) == 2
    assert (book.rows_of("d-3"), book.row_of("d-1", 3)) == ([], None)


def test_a_delivery_that_is_watched_is_named_when_more_is_told_of_it() -> None:
    growth = LogGrowth(with_index=False, group_entries=1)
    growth.book.watch_delivery("d-2")
    log = new_log()
    deliver(log, "d-1", "d-2")
    growth.read(0, encode_log(log))
    assert growth.book.take_told() == {"d-2"}
    assert growth.book.take_told() == set()


def test_attempts_are_asked_for_their_receipts_once_they_are_due_and_once_only() -> None:
    log = new_log()
    deliver(log, "d-1")
    deliver(log, "d-2", at=300)
    book = read(log)
    doubtful(book, log)

    def doubted(until_ms: int, first: int | None = 0) -> bool:
        return book.doubt_unasked(until_ms, lambda rests_on: first, lambda places: [False] * len(places))

    assert not doubted(149)
    assert not doubted(150, None)
    assert doubted(300)
    assert len(doubtful(book, log)) == 1
    assert not doubted(300)


def test_what_is_receipted_is_not_asked_for() -> None:
    log = new_log()
    deliver(log, "d-1")
    book = read(log)
    doubtful(book, log)
    assert not book.doubt_unasked(150, lambda rests_on: 0, lambda places: [True] * len(places))
