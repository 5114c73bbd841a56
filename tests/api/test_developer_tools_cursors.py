"""Cursors: what is handed back is the place that was given, and nothing else is taken."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.problems import ProblemError
from api.routes.pages_of_lists import format_cursor, parse_cursor

TIMES = st.integers(0, 2**53 - 1)
IDS = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)


@given(at_ms=TIMES, name=IDS, number=TIMES)
def test_a_cursor_says_the_place_that_it_was_made_of(at_ms: int, name: str, number: int) -> None:
    assert parse_cursor(format_cursor(at_ms, name, number), int, str, int) == (at_ms, name, number)


@given(cursor=st.text(max_size=80))
def test_only_what_was_made_is_taken(cursor: str) -> None:
    place = None
    with contextlib.suppress(ProblemError):
        place = parse_cursor(cursor, int, str)
    assert place is None or format_cursor(*place) == cursor


@pytest.mark.parametrize(
    "place", [(1,), (1, "a", 2), (-1, "a"), (2**53, "a"), (1, ""), (1, "a\0"), (1, "x" * 65)]
)
def test_a_cursor_of_another_list_is_refused(place: tuple[int | str, ...]) -> None:
    with pytest.raises(ProblemError):
        parse_cursor(format_cursor(*place), int, str)


def test_without_a_cursor_a_list_begins_at_its_beginning() -> None:
    assert parse_cursor(None, int, str) is None
