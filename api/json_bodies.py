"""JSON bodies, read strictly: one object, in UTF-8, that means the same to every reader.

RFC 8259 leaves open what a repeated name, a lone surrogate or a number beyond all bounds means, and parsers differ. A
ledger that recorded one reading while somebody else acted on another would be wrong twice, so such bodies are refused:
repeated names, NaN and infinities, lone surrogates, bytes that are not UTF-8, a byte order mark, nesting deeper than
:data:`DEPTH_MAX`. The bound on the size is :mod:`api.body_limits`' matter. No message repeats what was sent.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Never

from starlette.requests import Request

from api.problems import ProblemError
from ledger.errors import FormatError

DEPTH_MAX = 32
"""The outermost object is level 1."""

_JSON_TYPES = ("application/json", "application/cloudevents+json", "application/cloudevents-batch+json")
_surrogate_escape = re.compile(rb"\\u[dD][89a-fA-F]")


def parse_object(data: bytes) -> dict[str, Any]:
    """The JSON object that ``data`` is; raises FormatError as :func:`parse_json`, and where it is no object."""
    value = parse_json(data)
    if not isinstance(value, dict):
        raise FormatError("the body is not a JSON object")
    return value


def parse_json(data: bytes) -> Any:
    """The JSON value that ``data`` is; raises FormatError, whose text says what is wrong and repeats nothing of it."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"the body is not UTF-8 at byte {error.start}") from None
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite
        )
    except FormatError:
        raise
    except json.JSONDecodeError as error:
        raise FormatError(f"the body is not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise FormatError(f"the body is nested deeper than {DEPTH_MAX} levels") from None
    except ValueError:
        raise FormatError("the body holds a number of too many digits") from None
    if data.count(b"{") + data.count(b"[") > DEPTH_MAX:
        _check_depth(value)
    if _surrogate_escape.search(data):
        _check_characters(value)
    return value


async def json_object(request: Request) -> dict[str, Any]:
    """The object in the body of ``request``; raises ProblemError (415) for another content type, else as above."""
    check_json_type(request)
    return parse_object(await request.body())


def check_json_type(request: Request) -> None:
    """Raise ProblemError (415) unless ``request`` says that its body is JSON."""
    stated = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if stated not in _JSON_TYPES:
        raise ProblemError("unsupported-media-type", "This call takes a body of type application/json.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise FormatError("the body has an object with a repeated name")
    return members


def _refuse_constant(_name: str) -> Never:
    raise FormatError("the body holds a number that is not finite")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise FormatError("the body holds a number that is not finite")
    return number


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEPTH_MAX):
        level = [
            child
            for container in level
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise FormatError(f"the body is nested deeper than {DEPTH_MAX} levels")


def _check_characters(value: Any) -> None:
    try:
        # Writes every string of the value, and a lone surrogate is the one character that UTF-8 cannot say.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise FormatError("the body holds half of a surrogate pair") from None
