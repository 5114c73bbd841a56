"""What an error looks like: one table from exceptions to problems, and three ways to write a problem down.

==========================  ==================================================================================
paths                       the body of an error
==========================  ==================================================================================
``/1.1/…`` and ``/oauth…``  ``{"errors": [{"code": 34, "message": "…"}]}`` (delivery protocol, section 3.2)
``/2/…``                    ``application/problem+json`` with ``errors`` (delivery protocol, section 3.3)
pages for people            a page that says what happened and what to do
everything else             ``application/problem+json`` (RFC 9457)
==========================  ==================================================================================

No body holds a traceback, an exception's text that was not written for the caller, or anything of the database. The
framework's own errors (no such route, wrong method, a parameter of the wrong type) go through the same table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Literal, NamedTuple

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from api.problem_kinds import GATEWAY, KIND_OF_STATUS, KINDS, GatewayRow, Kind
from ledger.errors import (
    ConflictError,
    FormatError,
    LedgerError,
    RejectedError,
    StoreError,
    UsageError,
)

Dialect = Literal["v1", "v2", "problem", "page"]

TYPE_PREFIX = "urn:grantledger:problem:"
REALM = "grantledger"
ERRORS_MAX = 20
"""How many wrong parameters one problem names."""

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_PAGES = ("/oauth/authorize", "/oauth/authenticate", "/account", "/session", "/sign-in", "/sign-out")


@dataclass(frozen=True, slots=True)
class Problem:
    """One error, before it is written down in a dialect.

    ``kind`` names it (:data:`~api.problem_kinds.KINDS`), ``detail`` says what was wrong with this call, ``reason`` is the
    name that v2 has for it, ``errors`` are wrong parameters (``pointer`` or ``parameter``, ``detail``), ``extra`` members
    of the problem beside the standard ones.
    """

    kind: str
    detail: str
    reason: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    errors: Sequence[Mapping[str, str]] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    code: int | None = None

    @property
    def row(self) -> Kind:
        """The row of its kind: status, title, v1.1 code."""
        return KINDS[self.kind]


class ProblemError(HTTPException):
    """Raised where a call ends in a problem that only the web knows (who called, what a header said).

    It is the framework's own kind of exception, because while a body is read the framework lets no other one pass.
    """

    def __init__(
        self,
        kind: str,
        detail: str | None = None,
        *,
        reason: str | None = None,
        code: int | None = None,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Mapping[str, str]] = (),
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """A problem of ``kind``; without ``detail`` the kind's own words, without ``code`` its own v1.1 code."""
        said = KINDS[kind].message if detail is None else detail
        super().__init__(KINDS[kind].status, said)
        self.problem = Problem(kind, said, reason, headers or {}, errors, extra or {}, code)


class _Row(NamedTuple):
    exception: type[Exception]
    kind: str
    tells_text: bool


EXCEPTIONS: tuple[_Row, ...] = (
    _Row(ConflictError, "conflict", True),
    _Row(RejectedError, "rejected", True),
    _Row(FormatError, "malformed", True),
    _Row(UsageError, "malformed", True),
    # Nothing is known of what was to be written; every call may be repeated (their uid makes it the same entry).
    _Row(StoreError, "unavailable", False),
    _Row(LedgerError, "internal", False),
    _Row(Exception, "internal", False),
)
"""Exception -> kind of problem, the first row that fits; ``tells_text`` where the exception's text is for the caller."""


def problem_of(error: Exception, dialect: Dialect = "problem") -> Problem:
    """The problem that ``error`` is, whatever it is."""
    if isinstance(error, ProblemError):
        return error.problem
    if isinstance(error, HTTPException):
        return _of_framework(error)
    if isinstance(error, RequestValidationError):
        return _of_validation(error, dialect)
    code = getattr(error, "code", None)
    if isinstance(error, RejectedError) and isinstance(code, str) and code in GATEWAY:
        return _of_gateway(GATEWAY[code], error, code, dialect)
    found = next(row for row in EXCEPTIONS if isinstance(error, row.exception))
    said = str(error) if found.tells_text else KINDS[found.kind].message
    return Problem(found.kind, said)


def _of_gateway(row: GatewayRow, error: RejectedError, code: str, dialect: Dialect) -> Problem:
    if dialect == "v1":
        return Problem(row.kind, str(error), code=row.code)
    reason = row.reason or code
    extra = {"reason": reason} if dialect == "problem" else {}
    return Problem(row.kind_v2 or row.kind, str(error), reason, extra=extra)


def _of_framework(error: HTTPException) -> Problem:
    kind = KIND_OF_STATUS.get(error.status_code, "internal" if error.status_code >= 500 else "malformed")
    return Problem(kind, KINDS[kind].message, headers=dict(error.headers or {}))


def _of_validation(error: RequestValidationError, dialect: Dialect) -> Problem:
    """Where the parameters are wrong and why, never what they were."""
    named = [
        {_PLACES.get(str(one["loc"][0]), "parameter"): _pointer(one["loc"]), "detail": str(one["msg"])}
        for one in error.errors()[:ERRORS_MAX]
    ]
    kind = "invalid-parameters" if dialect == "problem" else "malformed"
    said = "; ".join(f"{next(iter(one.values()))}: {one['detail']}" for one in named[:1])
    return Problem(kind, said or KINDS[kind].message, reason="QueryParamInvalid", errors=named)


_PLACES = {"body": "pointer", "query": "parameter", "path": "parameter", "header": "header"}


def _pointer(location: Sequence[str | int]) -> str:
    place, *steps = location
    if place == "body":
        return "#" + "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)
    return ".".join(str(step) for step in steps)


def dialect_of(path: str) -> Dialect:
    """How errors are written under ``path``."""
    if any(path == page or path.startswith(f"{page}/") for page in _PAGES):
        return "page"
    if path.startswith(("/1.1/", "/oauth/", "/oauth2/")) or path in ("/1.1", "/oauth", "/oauth2"):
        return "v1"
    return "v2" if path.startswith("/2/") or path == "/2" else "problem"


def body_of(problem: Problem, dialect: Dialect, request_id: str) -> dict[str, Any]:
    """The JSON that ``problem`` is in ``dialect`` (``page`` counts as ``problem``)."""
    row = problem.row
    if dialect == "v1":
        return {"errors": [{"code": problem.code or row.code, "message": problem.detail}]}
    said = problem.detail if problem.reason is None else f"{problem.reason}: {problem.detail}"
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + problem.kind,
        "title": row.title,
        "status": row.status,
        "detail": said if dialect == "v2" else problem.detail,
        "request_id": request_id,
    }
    errors: list[Mapping[str, str]] = list(problem.errors)
    if dialect == "v2":
        # Clients of the public API look for the name in any of these.
        named = {"title": problem.reason or row.title, "message": said, "detail": said}
        errors = [named, *errors]
    if errors:
        body["errors"] = errors
    return {**problem.extra, **body}


def respond(request: Request, problem: Problem) -> Response:
    """The answer that tells ``problem`` in the dialect of the request's path."""
    dialect = dialect_of(request.url.path)
    headers = dict(problem.headers)
    if problem.row.status == HTTPStatus.UNAUTHORIZED and dialect != "page":
        scheme = "OAuth" if dialect == "v1" else "Bearer"
        headers.setdefault("WWW-Authenticate", f'{scheme} realm="{REALM}"')
    request_id = getattr(request.state, "request_id", "")
    if dialect == "page":
        # The pages' templates; imported here, as most processes' first error is no page's.
        from api.pages import render_problem  # noqa: PLC0415

        return render_problem(problem, request_id, headers)
    media = "application/json" if dialect == "v1" else "application/problem+json"
    content = json.dumps(body_of(problem, dialect, request_id), ensure_ascii=False, separators=(",", ":"))
    return Response(content.encode(), problem.row.status, headers, media)


async def handle(request: Request, error: Exception) -> Response:
    """The exception handler of every exception that the table knows."""
    problem = problem_of(error, dialect_of(request.url.path))
    if problem.row.status == HTTPStatus.METHOD_NOT_ALLOWED:
        problem = replace(problem, headers={"Allow": ", ".join(_allowed_at(request))})
    return respond(request, problem)


def _allowed_at(request: Request) -> list[str]:
    """Every method that the path of ``request`` has; the framework names those of the first route that it met."""
    scopes = {method: {**request.scope, "method": method} for method in _METHODS}
    routes = request.app.routes
    return [
        method
        for method, scope in scopes.items()
        if any(route.matches(scope)[0] is Match.FULL for route in routes)
    ]
