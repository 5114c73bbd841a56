"""A call's parameters, wherever they stand: query, form or JSON object (delivery protocol, section 3.1).

The body is read here and nowhere else before a signature is checked, because a form's body is part of what is signed: a
route whose callers sign declares no body of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request

from api.json_bodies import parse_object
from api.oauth_signature import FORM, Pairs, Wire, parse_form
from api.problems import ProblemError
from ledger.errors import FormatError


async def parameters_of(request: Request) -> Mapping[str, str]:
    """Every parameter of ``request`` but OAuth's own: query, form, and strings and integers of a JSON object.

    A name with two values raises ProblemError (400), FormatError where the body is not what its type says, and
    ProblemError (415) for a body of another type.
    """
    pairs = parse_form(request.url.query)
    body = await request.body()
    media = media_type_of(request)
    if media == FORM:
        pairs += parse_form(_ascii(body))
    elif media.endswith("json"):
        pairs += _members(parse_object(body)) if body else []
    elif body:
        raise ProblemError("unsupported-media-type", "This call takes a form or a JSON object.")
    found: dict[str, str] = {}
    for name, value in pairs:
        if name.startswith("oauth_"):
            continue
        if found.setdefault(name, value) != value:
            # The name is the caller's own text, and so not told back.
            raise ProblemError("malformed", "A parameter is there twice, with different values.")
    return found


async def wire_of(request: Request) -> Wire:
    """``request`` as OAuth 1.0a signs it."""
    raw_path = request.scope.get("raw_path") or request.scope["path"].encode()
    form = await request.body() if media_type_of(request) == FORM else b""
    return Wire(
        method=request.method,
        path=raw_path.decode("latin-1"),
        query=request.scope["query_string"].decode("latin-1"),
        form=form,
        authorization=request.headers.get("authorization"),
    )


def media_type_of(request: Request) -> str:
    """The type of the body as stated, without parameters, in lower case; empty where none is stated."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _members(members: Mapping[str, object]) -> Pairs:
    wrong = [
        value for value in members.values() if not isinstance(value, str | int) or isinstance(value, bool)
    ]
    if wrong:
        raise ProblemError("malformed", "Parameters in JSON are strings or integers.")
    return [(name, str(value)) for name, value in members.items()]


def _ascii(body: bytes) -> str:
    try:
        return body.decode("ascii")
    except UnicodeDecodeError:
        raise FormatError("a form holds ASCII only, and everything else percent-encoded") from None
