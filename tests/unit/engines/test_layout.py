"""Where members lie in an entry's bytes, and what its bytes may be in another entry that is laid out the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ledger.core import canonical
from ledger.core.canonical import JsonValue
from ledger.core.entries import KINDS, decode_entry
from ledger.engines.layout import NUMBER_DIGITS_MAX, Layout, layout_of
from tests.support.builders import tag
from tests.support.odd_entries import GOOD

each_kind = pytest.mark.parametrize("kind", sorted(KINDS))


def encode(kind: str, **members: Any) -> bytes:
    """An entry of ``kind`` with all the members that it can have."""
    names = KINDS[kind].__dataclass_fields__
    data = canonical.encode({name: GOOD[name] for name in names if name in GOOD} | {"kind": kind} | members)
    decode_entry(data)
    return data


def lay_out(kind: str, **members: Any) -> Layout:
    layout = layout_of(kind, encode(kind, **members))
    assert layout is not None
    return layout


def at(layout: Layout, span: tuple[int, int]) -> bytes:
    return layout.template[slice(*span)].tobytes()


@each_kind
def test_every_member_is_found_with_its_value(kind: str) -> None:
    layout = lay_out(kind)
    members = canonical.decode(encode(kind))
    values = {name: canonical.encode({"x": value})[5:-1].strip(b'"') for name, value in members.items()}
    assert {name: at(layout, span) for name, span in layout.members.items()} == values


@each_kind
def test_every_byte_that_is_not_fixed_recurs_or_is_checked_for_its_characters(kind: str) -> None:
    layout = lay_out(kind)
    digits = [(start, end) for start, end, _ in layout.digit_spans]
    spans = (*layout.recurring_spans, *layout.hex_spans, *layout.id_spans, *layout.uid_spans, *digits)
    how_often = np.zeros(layout.width, int)
    for start, end in spans:
        how_often[start:end] += 1
    varies = layout.fixed[: layout.length] == 0
    assert how_often[: layout.length][varies].tolist() == [1] * int(varies.sum())
    assert how_often.max() == 1
    assert not how_often[layout.length :].any()


@each_kind
def test_a_row_is_as_wide_as_whole_words_and_filled_with_zeros(kind: str) -> None:
    layout = lay_out(kind)
    assert layout.width % 8 == 0
    assert layout.length <= layout.width < layout.length + 8
    assert not np.concatenate([layout.template[layout.length :], layout.fixed[layout.length :]]).any()


def test_kinds_and_truth_values_and_names_are_fixed() -> None:
    layout = lay_out("delivery.attempted")
    for name in ("kind", "private"):
        assert layout.fixed[slice(*layout.members[name])].all()
    start, _ = layout.members["channel"]
    assert layout.fixed[start - len('"channel":"') : start].all()


def test_texts_and_objects_that_hold_punctuation_end_where_they_end() -> None:
    observed: dict[str, JsonValue] = {"host": "x},{y", "path": "/}]", "port": 443}
    layout = lay_out("delivery.imported", observed=observed, ticket="},[{")
    assert at(layout, layout.members["observed"]) == canonical.encode(observed)
    assert at(layout, layout.members["ticket"]) == b"},[{"
    assert at(layout, layout.members["via"]) == b"file"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_digits_of_each_tag_in_a_list_are_found(count: int) -> None:
    tags = sorted(tag(f"person {number}") for number in range(count))
    layout = lay_out("delivery.settled", subjects=tags)
    assert [at(layout, span).decode() for span in layout.tag_lists["subjects"]] == [each[2:] for each in tags]


def test_the_digits_of_a_tag_are_found() -> None:
    layout = lay_out("account.suspended")
    assert at(layout, layout.tag_span("account")).decode() == tag("ann")[2:]


@pytest.mark.parametrize(("name", "value", "low"), [("attempt", 1, 1), ("body_bytes", 1, 0), ("seq", 10, 1)])
def test_the_least_first_digit_of_a_number_keeps_zero_out_where_it_may_not_stand(
    name: str, value: int, low: int
) -> None:
    layout = lay_out("delivery.attempted", **{name: value})
    assert layout.digit_spans[layout.number_columns[name]][2] == low


def test_numbers_with_other_bounds_than_their_digits_recur() -> None:
    layout = lay_out("delivery.imported")
    for name in ("v", "status"):
        assert name not in layout.number_columns
        start, end = layout.members[name]
        assert any(first <= start and end <= last for first, last in layout.recurring_spans)


def test_an_entry_with_a_number_that_sums_of_digits_cannot_hold_has_no_layout() -> None:
    longest = 10**NUMBER_DIGITS_MAX - 1
    assert layout_of("account.suspended", encode("account.suspended", at=longest)) is not None
    assert layout_of("account.suspended", encode("account.suspended", at=longest + 1)) is None


def test_weights_turn_the_digits_of_all_numbers_into_numbers() -> None:
    layout = lay_out("delivery.attempted", seq=10**15 - 1, body_bytes=0, at=12_345)
    digits = [byte - 48 for start, end, _ in layout.digit_spans for byte in at(layout, (start, end))]
    numbers = np.array(digits, np.float64) @ layout.weights
    columns = {name: int(numbers[column]) for name, column in layout.number_columns.items()}
    assert (columns["seq"], columns["body_bytes"], columns["at"]) == (10**15 - 1, 0, 12_345)


def test_an_entry_with_a_member_more_is_laid_out_otherwise_though_it_is_as_long() -> None:
    layout = lay_out("app.transferred", actor="test:" + "x" * 31, previous_developer="b")
    shorter = "test:" + "x" * 7
    other = encode("app.transferred", actor=shorter, previous_developer="b" * 25)
    assert len(other) == layout.length
    assert not layout.is_of("app.transferred", other)
    assert layout.is_of("app.transferred", layout.template[: layout.length].tobytes())
