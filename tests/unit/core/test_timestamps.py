"""Instants: one text form, cut off at milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.timestamps import format_rfc3339, parse_instant, parse_rfc3339
from ledger.errors import FormatError

LAST_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2017-05-01T00:00:00Z", 1_493_596_800_000),
        ("2017-06-01T12:00:00.120Z", 1_496_318_400_120),
        ("2016-02-29T23:59:59Z", 1_456_790_399_000),
        ("9999-12-31T23:59:59.999Z", LAST_MS),
    ],
)
def test_a_text_is_the_instant_that_it_writes(text: str, ms: int) -> None:
    assert parse_rfc3339(text) == ms


@pytest.mark.parametrize(
    ("fraction", "ms"),
    [("1", 100), ("12", 120), ("120", 120), ("1209", 120), ("9999999", 999), ("0009", 0), ("9" * 400, 999)],
)
def test_digits_beyond_milliseconds_are_cut_off(fraction: str, ms: int) -> None:
    assert parse_rfc3339(f"1970-01-01T00:00:00.{fraction}Z") == ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2017-05-01",
        "2017-05-01T00:00Z",
        "2017-05-01T00:00:00",
        "2017-05-01T00:00:00z",
        "2017-05-01t00:00:00Z",
        "2017-05-01 00:00:00Z",
        "2017-05-01T00:00:00+00:00",
        "2017-05-01T00:00:00-00:00",
        "2017-05-01T00:00:00.Z",
        "2017-05-01T00:00:00,5Z",
        "2017-05-01T00:00:00Z ",
        "2017-05-01T00:00:00Z\n",
        " 2017-05-01T00:00:00Z",
        "2017-05-01T24:00:00Z",
        "2017-05-01T00:60:00Z",
        "2017-05-01T23:59:60Z",
        "2016-12-31T23:59:60Z",
        "2017-02-29T00:00:00Z",
        "2017-13-01T00:00:00Z",
        "2017-00-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "17-05-01T00:00:00Z",
        "1969-12-31T23:59:59.999Z",
        "12017-05-01T00:00:00Z",
        "\u0662\u0660\u0661\u0667-05-01T00:00:00Z",
        "2017-05-01T00:00:0\u0660Z",
        "1493596800000",
    ],
)
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_rfc3339(text)


@given(st.integers(0, LAST_MS))
def test_what_is_formatted_is_parsed_back(ms: int) -> None:
    assert parse_rfc3339(format_rfc3339(ms)) == ms


@given(st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_parsing_agrees_with_the_standard_library(moment: datetime) -> None:
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    text = moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert (
        parse_rfc3339(text) == since.days * 86_400_000 + since.seconds * 1_000 + since.microseconds // 1_000
    )


@pytest.mark.parametrize("ms", [0, 1, 1_493_596_800_000, 2**53 - 1])
def test_integer_milliseconds_are_taken_as_they_are(ms: int) -> None:
    assert parse_instant(ms) == ms


@pytest.mark.parametrize("value", [-1, 2**53, True, 1.0, None, b"1", [], "yesterday"])
def test_an_instant_of_another_type_or_range_is_refused(value: object) -> None:
    with pytest.raises(FormatError):
        parse_instant(value)


@pytest.mark.parametrize("ms", [-1, LAST_MS + 1])
def test_an_instant_that_has_no_text_is_refused(ms: int) -> None:
    with pytest.raises(FormatError):
        format_rfc3339(ms)
