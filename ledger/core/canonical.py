"""Canonical bytes of a JSON object (ledger format, section 1.1): RFC 8785 restricted until nothing is left to choose.

::

    {"a":[],"b":{"x":"y z"},"c":true,"d":-5}

Objects, arrays, strings, booleans and integers with ``|n| < 2**53``; no floats, no nulls. Strings (and keys)
hold printable ASCII without ``"`` and ``\\``, so that nothing is ever escaped and one string has one form.
Keys ascend in byte order, there is no white space, at most 16 levels (the outermost object is 1) and 65,535
bytes.

``decode`` accepts only what ``encode`` writes: it re-encodes and compares, which is what catches duplicate
keys, ``-0``, leading zeros and every other second spelling. What the members mean is
:mod:`ledger.core.entries`'s business.
"""

from __future__ import annotations

import json
from typing import NoReturn, TypeAlias

from ledger.core.strict import INTEGER_MAX, shown
from ledger.errors import FormatError

JsonValue: TypeAlias = "bool | int | str | list[JsonValue] | dict[str, JsonValue]"

ENTRY_BYTES_MAX = 65_535
DEPTH_MAX = 16

# The one pass that checks depth has run before: a value that contains itself never gets here.
_ENCODER = json.JSONEncoder(check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
_CONTROL_CHARACTERS = bytes([*range(0x20), 0x7F])
# What may stand outside of strings: no float, no null.
_TOKEN_CHARACTERS = b"[]{},:-0123456789truefals"


def encode(value: dict[str, JsonValue]) -> bytes:
    """The canonical bytes of the object ``value``.

    Raises FormatError when it has none: a member of another type (subclasses included: an enumeration member
    is not a string here), an integer or a character out of range, more than 16 levels or 65,535 bytes.
    """
    if type(value) is not dict:
        raise FormatError("the outermost value is not an object")
    _check_values(value)
    text = _ENCODER.encode(value)
    # The encoder escapes everything that a string may not hold, except U+007F.
    if "\\" in text or "\x7f" in text:
        raise FormatError('a string holds a character that is not printable ASCII, or is " or \\')
    if len(text) > ENTRY_BYTES_MAX:
        raise FormatError(f"the object has {len(text)} bytes; {ENTRY_BYTES_MAX} are allowed")
    return text.encode("ascii")


def decode(data: bytes) -> dict[str, JsonValue]:
    """The object whose canonical bytes are ``data``; FormatError when they are not exactly what ``encode`` writes.

    Safe on hostile input: length, characters and nesting are checked before anything is parsed.
    """
    if len(data) > ENTRY_BYTES_MAX:
        raise FormatError(f"there are {len(data)} bytes; {ENTRY_BYTES_MAX} are allowed")
    if not data.isascii() or b"\\" in data or len(data.translate(None, _CONTROL_CHARACTERS)) != len(data):
        raise FormatError("there is a byte that is not printable ASCII, or is \\")
    # There are no escapes, so every second piece between quotation marks is outside of strings.
    outside = b"".join(data.split(b'"')[::2])
    if outside.translate(None, _TOKEN_CHARACTERS):
        raise FormatError("there is a value that has no canonical form, or no JSON")
    if _depth(outside) > DEPTH_MAX:
        raise FormatError(f"there are more than {DEPTH_MAX} levels")
    text = data.decode("ascii")
    try:
        value = _DECODER.raw_decode(text)[0]
    except json.JSONDecodeError as error:
        raise FormatError(f"the bytes are not JSON: {shown(str(error))}") from None
    if type(value) is not dict:
        raise FormatError("the outermost value is not an object")
    if _ENCODER.encode(value) != text:
        raise FormatError("the JSON is not in canonical form")
    return value


def parse_integer(text: str) -> int:
    """The integer that JSON writes as ``text``; FormatError where it is not within 2^53, however long it is."""
    if len(text) > len(str(-INTEGER_MAX)) or abs(int(text)) > INTEGER_MAX:
        raise FormatError("an integer is not within 2^53")
    return int(text)


def refuse_number(text: str) -> NoReturn:
    """Raise FormatError for what JSON, or Python, reads as a number that is no integer."""
    raise FormatError(f"{shown(text)} is not an integer")


_DECODER = json.JSONDecoder(parse_int=parse_integer, parse_float=refuse_number, parse_constant=refuse_number)


def _depth(outside: bytes) -> int:
    """How deep the brackets of ``outside``, what stands outside of strings, nest, or at most that; without recursion."""
    if outside.count(b"{") + outside.count(b"[") <= DEPTH_MAX:
        return 0
    deepest = level = 0
    for byte in outside:
        level += (byte in b"{[") - (byte in b"}]")
        deepest = max(deepest, level)
    return deepest


def _check_values(value: dict[str, JsonValue]) -> None:
    """Raise FormatError where a value's type, range or depth has no canonical form; strings are left to the caller."""
    level: list[JsonValue] = [value]
    for _ in range(DEPTH_MAX):
        deeper: list[JsonValue] = []
        for container in level:
            if type(container) is dict:
                for key in container:
                    if type(key) is not str:
                        raise FormatError("a key is not a string")
                items: list[JsonValue] = list(container.values())
            else:
                assert type(container) is list
                items = container
            for item in items:
                if type(item) is str or type(item) is bool:
                    continue
                if type(item) is int:
                    if not -INTEGER_MAX <= item <= INTEGER_MAX:
                        raise FormatError("an integer is not within 2^53")
                elif type(item) is dict or type(item) is list:
                    deeper.append(item)
                else:
                    raise FormatError(
                        f"a value is of type {type(item).__name__}, which has no canonical form"
                    )
        if not deeper:
            return
        if len(deeper) > ENTRY_BYTES_MAX:
            raise FormatError(f"there are more than {ENTRY_BYTES_MAX} objects and arrays")
        level = deeper
    raise FormatError(f"there are more than {DEPTH_MAX} levels")
