"""JSON objects as files: RFC 8785, and nothing else is read (ledger format, section 1.4).

Members ascend by name, there is no white space, characters stand as themselves in UTF-8 and are escaped only where JSON
must. Unlike in an entry any text is possible, but numbers are integers below 2^53 here too. What is read has to be just
what would be written, so that one object has one file and no byte of it can be changed unnoticed.
"""

from __future__ import annotations

import json

from ledger.core.canonical import JsonValue, parse_integer, refuse_number
from ledger.core.strict import decode_utf8, encode_utf8, shown
from ledger.errors import FormatError


def encode_file(value: dict[str, JsonValue]) -> bytes:
    """The bytes of the file that holds the object ``value``; FormatError where a text of it has no UTF-8 form."""
    return encode_utf8(json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")))


def decode_file(data: bytes) -> dict[str, JsonValue]:
    """The object whose file is exactly ``data``; FormatError for any other bytes, however deep or long they are."""
    text = decode_utf8(data)
    try:
        value = json.loads(
            text, parse_int=parse_integer, parse_float=refuse_number, parse_constant=refuse_number
        )
    except (ValueError, RecursionError) as error:  # FormatError is a ValueError, too
        raise FormatError(f"the file is not JSON: {shown(str(error))}") from None
    if type(value) is not dict:
        raise FormatError("the file is not a JSON object")
    if encode_file(value) != data:
        raise FormatError("the JSON is not in canonical form (RFC 8785): some byte of the file was changed")
    return value
