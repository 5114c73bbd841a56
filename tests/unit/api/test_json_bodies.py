"""JSON bodies mean the same to every reader, or are refused without repeating what was sent."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.json_bodies import DEPTH_MAX, parse_json, parse_object
from ledger.errors import FormatError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), values, max_size=5))
def test_an_object_of_ordinary_values_is_read_as_it_was_written(members: dict[str, object]) -> None:
    for is_ascii in (True, False):
        text = json.dumps(members, ensure_ascii=is_ascii)
        try:
            data = text.encode()
        except UnicodeEncodeError:
            continue
        assert parse_object(data) == members


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":[{"b":1,"b":1}]}',
        b'{"a":1,"\\u0061":2}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":"\\ud800"}',
        b'{"\\udc00":1}',
        b'{"a":["\\ud83d x \\ude00"]}',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"a":1}',
        b"\xff\xfe{\x00}\x00",
        b'{"a":1} {"b":2}',
        b'{"a":1,}',
        b"{'a':1}",
        b'{"a":01}',
        b'{"a":"\n"}',
        b'{"a":' + b"9" * 5_000 + b"}",
        b"[1]",
        b'"a"',
        b"null",
        b"",
        b"{",
    ],
)
def test_what_readers_would_disagree_on_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        parse_object(data)


@pytest.mark.parametrize("open_close", [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_is_bounded_to_the_level(open_close: tuple[bytes, bytes]) -> None:
    opening, closing = open_close
    inner = b"[]" if opening == b"[" else b"{}"
    assert parse_json(opening * (DEPTH_MAX - 1) + inner + closing * (DEPTH_MAX - 1))
    for depth in (DEPTH_MAX, 2_000, 200_000):
        with pytest.raises(FormatError, match="deeper"):
            parse_json(opening * depth + inner + closing * depth)


def test_many_objects_side_by_side_are_not_deep() -> None:
    assert len(parse_json(b"[" + b",".join([b"{}"] * 1_000) + b"]")) == 1_000


def test_a_whole_surrogate_pair_is_a_character() -> None:
    assert parse_object(b'{"a":"\\ud83d\\ude00"}') == {"a": "\N{GRINNING FACE}"}


def test_no_message_repeats_what_was_sent() -> None:
    for data in (
        b'{"secret4711":1,"secret4711":2}',
        b'{"secret4711":NaN}',
        b"secret4711",
        b'{"a":"secret4711',
    ):
        with pytest.raises(FormatError) as caught:
            parse_object(data)
        assert "4711" not in str(caught.value)
