"""Strict text forms: every value has one text."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ledger.core import strict
from ledger.core.strict import INTEGER_MAX
from ledger.errors import FormatError


@pytest.mark.parametrize("number", [0, 1, 9, 10, 42, INTEGER_MAX])
def test_a_decimal_parses_to_the_number_that_formats_to_it(number: int) -> None:
    assert strict.parse_decimal(strict.format_decimal(number)) == number


@pytest.mark.parametrize(
    "text",
    ["", "+42", "-1", "4_2", " 42", "42 ", "42\n", "042", "00", "0x1", "1e3", "1.0", "٤٢", "²", "9" * 5000],
)
def test_what_python_would_read_as_a_number_is_no_decimal(text: str) -> None:
    with pytest.raises(FormatError):
        strict.parse_decimal(text)


def test_a_decimal_is_at_most_the_maximum() -> None:
    assert strict.parse_decimal("63", 63) == 63
    with pytest.raises(FormatError):
        strict.parse_decimal("64", 63)


@pytest.mark.parametrize("number", [-1, INTEGER_MAX + 1, True])
def test_a_number_out_of_range_has_no_decimal(number: int) -> None:
    with pytest.raises(FormatError):
        strict.format_decimal(number)


@pytest.mark.parametrize("size", range(7))
def test_base64_decodes_to_the_bytes_that_encode_to_it(size: int) -> None:
    data = bytes(range(0xFA, 0xFA + size)) if size < 6 else bytes(6)
    assert strict.decode_base64(strict.encode_base64(data)) == data


@pytest.mark.parametrize(
    "text",
    [
        "AAB=",
        "AA",
        "AA=",
        "AAA",
        "A===",
        "=",
        "AA==AA==",
        "AAAA\n",
        " AAAA",
        "AA\nAA",
        "__-_",
        "AAAÄ",
        "AA===",
    ],
)
def test_loose_base64_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        strict.decode_base64(text)


def test_hex_parses_to_the_bytes_that_it_writes() -> None:
    assert strict.parse_hex("00ff10", 3) == b"\x00\xff\x10"


@pytest.mark.parametrize("text", ["", "0", "00FF", "00f", "00ff00", "0x00", "00 f", "\u0660\u0660ff"])
def test_hex_of_another_length_or_case_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        strict.parse_hex(text, 2)


def test_lines_end_in_a_newline_and_in_nothing_else() -> None:
    assert strict.parse_lines("a\n\nb\u2028c\r\n") == ["a", "", "b\u2028c\r"]
    assert strict.parse_lines("") == []


def test_a_last_line_without_newline_is_refused() -> None:
    with pytest.raises(FormatError):
        strict.parse_lines("a\nb")


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    with pytest.raises(FormatError):
        strict.decode_utf8(b"\xff")


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(FormatError):
        strict.encode_utf8("\ud800")


@pytest.mark.parametrize("text", ["a", "A-z_0.9", "x" * 64])
def test_an_id_is_returned_as_it_is(text: str) -> None:
    assert strict.check_id(text, "the grant") == text


@pytest.mark.parametrize("text", ["", "x" * 65, "a b", "a/b", "ä", "a\n", "٤"])
def test_what_is_not_an_id_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(FormatError, match="the grant"):
        strict.check_id(text, "the grant")


@pytest.mark.parametrize(("is_one", "letter"), [(strict.is_tag, "a"), (strict.is_event_tag, "e")])
def test_a_tag_is_its_letter_and_32_lower_case_hex_digits(is_one: Callable[[str], bool], letter: str) -> None:
    digits = "0123456789abcdef" * 2
    assert is_one(f"{letter}_{digits}")
    refused = [f"x_{digits}", f"{letter}_{digits[:-1]}", f"{letter}_{digits}0", f"{letter}_{digits.upper()}"]
    assert not any(is_one(text) for text in [*refused, f"{letter}_{digits}\n", digits, ""])


def test_an_error_shows_hostile_text_escaped_and_cut() -> None:
    assert strict.shown("ä\n") == "'\\xe4\\n'"
    assert len(strict.shown("x" * 10_000)) < 100
