"""Strict text forms: decimal numbers, base64, hex, lines and ids (ledger format, section 1.1; transparency
formats, section 4).

Every value has exactly one text, and anything else is refused: Python's own primitives are too lenient for
signed formats (``int`` takes ``4_2``, ``+42`` and Arabic digits; ``b64decode(validate=True)`` takes ``AAB=``;
``splitlines`` splits on U+2028). This is the one module that turns such text into values; the formats only
say where it stands.
"""

from __future__ import annotations

import binascii
import re

from ledger.errors import FormatError

INTEGER_MAX = 2**53 - 1
"""The largest integer of every format here: what all JSON readers hold exactly."""

ID_REGEX = r"[A-Za-z0-9._-]{1,64}"
TAG_REGEX = r"a_[0-9a-f]{32}"
EVENT_TAG_REGEX = r"e_[0-9a-f]{32}"

_SHOWN_CHARACTERS = 80

_match_decimal = re.compile(r"0|[1-9][0-9]*", re.ASCII).fullmatch
_match_hex = re.compile(r"(?:[0-9a-f]{2})*", re.ASCII).fullmatch
_match_id = re.compile(ID_REGEX, re.ASCII).fullmatch
_match_tag = re.compile(TAG_REGEX, re.ASCII).fullmatch
_match_event_tag = re.compile(EVENT_TAG_REGEX, re.ASCII).fullmatch


def shown(text: str) -> str:
    """``text`` quoted for an error message: escaped, and cut at 80 characters."""
    return ascii(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "...")


def parse_decimal(text: str, maximum: int = INTEGER_MAX) -> int:
    """The number that ``text`` writes in ASCII digits without sign, space or leading zero.

    Raises FormatError for any other text and for a number above ``maximum``.
    """
    # The length goes first: int() refuses, or takes quadratic time for, thousands of digits.
    if len(text) > len(str(maximum)) or not _match_decimal(text):
        raise FormatError(f"{shown(text)} is not a decimal number up to {maximum}")
    number = int(text)
    if number > maximum:
        raise FormatError(f"{text} is above {maximum}")
    return number


def format_decimal(number: int) -> str:
    """``number`` as :func:`parse_decimal` reads it; FormatError when it is not within 0 and 2^53 - 1."""
    if type(number) is not int or not 0 <= number <= INTEGER_MAX:
        raise FormatError("a number is not an integer between 0 and 2^53 - 1")
    return str(number)


def decode_base64(text: str) -> bytes:
    """The bytes of ``text`` in RFC 4648 section 4 base64: padded, no white space, unused bits zero.

    Raises FormatError for any text that :func:`encode_base64` does not write.
    """
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise FormatError(f"{shown(text)} is not base64") from None
    if encode_base64(data) != text:
        raise FormatError(f"{shown(text)} is not canonical base64")
    return data


def encode_base64(data: bytes) -> str:
    """``data`` in RFC 4648 section 4 base64, padded."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def parse_hex(text: str, size_bytes: int) -> bytes:
    """The ``size_bytes`` bytes that ``text`` writes in lower-case hex; FormatError for any other text."""
    if len(text) != 2 * size_bytes or not _match_hex(text):
        raise FormatError(f"{shown(text)} is not {2 * size_bytes} lower-case hex digits")
    return bytes.fromhex(text)


def parse_lines(text: str) -> list[str]:
    """The lines of ``text``, each ended by U+000A and by nothing else; FormatError when the last one is not ended.

    The lines come without their newline; an empty text has no lines.
    """
    *lines, rest = text.split("\n")
    if rest:
        raise FormatError("the last line does not end in a newline")
    return lines


def decode_utf8(data: bytes) -> str:
    """The text of ``data``; FormatError when it is not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise FormatError("the bytes are not UTF-8") from None


def encode_utf8(text: str) -> bytes:
    """``text`` in UTF-8; FormatError when it holds a lone surrogate."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise FormatError(f"{shown(text)} has no UTF-8 form") from None


def is_id(text: str) -> bool:
    """Whether ``text`` is 1 to 64 of ``A-Z a-z 0-9 . _ -``."""
    return _match_id(text) is not None


def check_id(text: str, what: str) -> str:
    """``text`` if it is an id; else FormatError, naming it as ``what``."""
    if not is_id(text):
        raise FormatError(f"{what} {shown(text)} is not 1 to 64 of A-Z a-z 0-9 . _ -")
    return text


def is_tag(text: str) -> bool:
    """Whether ``text`` is the tag of a person: ``a_`` and 32 lower-case hex digits."""
    return _match_tag(text) is not None


def is_event_tag(text: str) -> bool:
    """Whether ``text`` is the tag of an event: ``e_`` and 32 lower-case hex digits."""
    return _match_event_tag(text) is not None
