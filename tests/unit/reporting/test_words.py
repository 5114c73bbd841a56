"""Numbers, shares, times and lists read as a person would write them."""

from __future__ import annotations

import pytest

from ledger.reporting import words


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (None, "–"),
        (0.0, "0%"),
        (1.0, "100%"),
        (0.00001, "under 0.01%"),
        (0.0025, "0.25%"),
        (0.0171, "1.7%"),
        (0.5, "50%"),
        (0.9995, "over 99.9%"),
    ],
)
def test_a_share_is_none_or_all_only_when_it_is_exactly_that(part: float | None, text: str) -> None:
    assert words.share(part) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 seconds"),
        (1.0, "1 second"),
        (2.25, "2.25 seconds"),
        (59.999, "1 minute"),
        (60.0, "1 minute"),
        (3_661.0, "1 hour 1 minute"),
        (86_400.0, "1 day"),
        (86_460.0, "1 day 1 minute"),
        (5_356_800.0, "62 days"),
    ],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        ("2017-07-04T09:12:44.120Z", "4 July 2017, 09:12:44.120 UTC"),
        (1_499_159_564_120, "4 July 2017, 09:12:44.120 UTC"),
        ("2018-09-10T00:00:00.000Z", "10 September 2018, 00:00:00 UTC"),
    ],
)
def test_an_instant_keeps_its_milliseconds_and_says_that_it_is_utc(instant: str | int, text: str) -> None:
    assert words.moment(instant) == text


def test_a_count_has_commas_and_the_plural_that_it_needs() -> None:
    assert words.counted(0, "delivery") == "no deliveries"
    assert words.counted(1, "delivery") == "1 delivery"
    assert words.counted(1_204, "delivery") == "1,204 deliveries"
    assert words.counted(2, "other person") == "2 other people"
    assert words.counted(2, "address", "addresses") == "2 addresses"
    assert words.counted(3, "day") == "3 days"


def test_a_number_has_at_most_two_decimals() -> None:
    assert [words.number(value) for value in (1_234_567, 2.0, 2.5, 61.967)] == [
        "1,234,567",
        "2",
        "2.5",
        "61.97",
    ]


def test_a_list_in_a_sentence_ends_with_and() -> None:
    assert [words.listed(["a", "b", "c"][:count]) for count in range(4)] == ["", "a", "a and b", "a, b and c"]


def test_characters_that_do_not_show_or_turn_text_around_are_written_out() -> None:
    assert words.visible("a\u202eb\x1b\u200bc\nd – é") == "a\\u202eb\\x1b\\u200bc\nd – é"
