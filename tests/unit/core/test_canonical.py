"""Canonical bytes: what has them, and that hostile bytes are refused without harm."""

from __future__ import annotations

import enum
import sys
from typing import Any

import pytest

from ledger.core.canonical import DEPTH_MAX, ENTRY_BYTES_MAX, decode, encode
from ledger.core.strict import INTEGER_MAX
from ledger.errors import FormatError


class Word(enum.StrEnum):
    """A string that is more than a string."""

    ONE = "one"


class Number(enum.IntEnum):
    """An integer that is more than an integer."""

    ONE = 1


def nested(levels: int) -> dict[str, Any]:
    """An object of ``levels`` levels."""
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def test_keys_ascend_and_there_is_no_white_space() -> None:
    assert encode({"b": [1, {"d": True, "c": "x y"}], "a": -5, "": False}) == (
        b'{"":false,"a":-5,"b":[1,{"c":"x y","d":true}]}'
    )


@pytest.mark.parametrize(
    "value",
    [
        None,
        1.0,
        float("nan"),
        INTEGER_MAX + 1,
        -INTEGER_MAX - 1,
        pytest.param(10**5000, id="5001-digits"),
        "ä",
        '"',
        "\\",
        "\n",
        "\x7f",
        "\ud800",
        (1, 2),
        b"x",
        Word.ONE,
        Number.ONE,
        {1: 2},
        {None: 2},
        {"ä": 1},
        {Word.ONE: 1},
    ],
)
def test_a_value_outside_the_subset_has_no_bytes(value: Any) -> None:
    places: list[dict[str, Any]] = [{"a": value}, {"a": [value]}, {"a": {"b": value}}]
    for place in places:
        with pytest.raises(FormatError):
            encode(place)


@pytest.mark.parametrize("value", [[], "x", 1, None, True])
def test_only_an_object_has_bytes(value: Any) -> None:
    with pytest.raises(FormatError):
        encode(value)


def test_sixteen_levels_have_bytes_and_seventeen_have_none() -> None:
    assert decode(encode(nested(DEPTH_MAX))) == nested(DEPTH_MAX)
    with pytest.raises(FormatError):
        encode(nested(DEPTH_MAX + 1))


def test_an_object_that_contains_itself_has_no_bytes() -> None:
    value: dict[str, Any] = {}
    value["a"] = [value]
    with pytest.raises(FormatError):
        encode(value)


def test_a_small_value_that_unfolds_without_end_has_no_bytes() -> None:
    value: list[Any] = []
    for _ in range(DEPTH_MAX - 2):
        value = [value] * 100
    with pytest.raises(FormatError):
        encode({"a": value})


def test_the_longest_entry_has_65535_bytes() -> None:
    text = "x" * (ENTRY_BYTES_MAX - len('{"s":""}'))
    assert len(encode({"s": text})) == ENTRY_BYTES_MAX
    assert decode(encode({"s": text})) == {"s": text}
    with pytest.raises(FormatError):
        encode({"s": text + "x"})


def test_brackets_in_strings_are_not_levels() -> None:
    value: dict[str, Any] = {"a": "[" * 5000 + "{" * 5000, "b": [[], {}] * 100}
    assert decode(encode(value)) == value


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"a":[', b"[]" * 100 + b"["])
def test_a_nesting_bomb_is_refused_whatever_the_recursion_limit(opening: bytes) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)
    try:
        with pytest.raises(FormatError):
            decode((b'{"a":' + opening * 30_000)[:ENTRY_BYTES_MAX])
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":' + b"9" * 60_000 + b"}",
        b'{"a":-' + b"9" * 17 + b"}",
        b'{"a":1e400}',
        b'{"a":NaN}',
        b'{"a":-0}',
        b'{"a":1,"a":1}',
        b'{"a":1}x',
        b"\xef\xbb\xbf{}",
        b"\xef\xbb\xbf",
        b"{}\x00",
        b"\x00{}",
        b'{"a":"\xc3\xa4"}',
        b'{"\\u0061":1}',
        b"[" * 10,
    ],
)
def test_bytes_that_encode_does_not_write_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        decode(data)
