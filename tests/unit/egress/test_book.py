"""What an egress proxy counts while clock, disk or clients misbehave."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.core.egress_counts import HOUR_MS, Counted
from ledger.egress import book as books
from ledger.egress.book import CountBook
from ledger.errors import StoreError

NOON = 12 * HOUR_MS
ONE = Counted(1, 300, 200)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[CountBook]:
    made = CountBook(tmp_path / "counts.db", NOON)
    yield made
    made.close()


def hours(book: CountBook, now_ms: int) -> dict[int, dict[str, Counted]]:
    return {hour.hour_ms: dict(hour.names) for hour in book.load_over(now_ms)}


def test_an_hour_is_not_over_while_some_of_it_waits_to_be_written(book: CountBook) -> None:
    book.add("a.example", NOON + 1, ONE)
    assert hours(book, NOON + HOUR_MS) == {}
    book.write(NOON + HOUR_MS)
    assert hours(book, NOON + HOUR_MS) == {NOON: {"a.example": ONE}}


def test_what_passes_after_the_clock_went_back_is_counted_in_an_hour_that_is_still_to_be_handed_in(
    tmp_path: Path, book: CountBook
) -> None:
    book.write(NOON + HOUR_MS)
    book.note_handed_in(NOON)
    book.add("a.example", NOON + 5, ONE)
    book.write(NOON + HOUR_MS)
    assert hours(book, NOON + 2 * HOUR_MS) == {NOON + HOUR_MS: {"a.example": ONE}}
    book.close()
    again = CountBook(tmp_path / "counts.db", NOON + HOUR_MS)
    again.add("a.example", NOON + 5, ONE)
    again.write(NOON + HOUR_MS)
    assert hours(again, NOON + 2 * HOUR_MS) == {NOON + HOUR_MS: {"a.example": ONE.plus(ONE)}}
    again.close()


def test_names_without_end_are_refused_and_not_kept(book: CountBook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "NAMES_MAX", 3)
    for number in range(3):
        book.add(f"{number}.example", NOON, ONE)
    with pytest.raises(StoreError):
        book.add("3.example", NOON, ONE)
    book.add("0.example", NOON, ONE)
    book.write(NOON)
    book.add("3.example", NOON, ONE)
    book.write(NOON + HOUR_MS)
    assert hours(book, NOON + HOUR_MS)[NOON]["0.example"] == ONE.plus(ONE)


def test_a_book_that_cannot_be_read_says_so(book: CountBook) -> None:
    book.close()
    with pytest.raises(StoreError):
        book.load_over(NOON)
    with pytest.raises(StoreError):
        book.note_handed_in(NOON)
