"""The OpenAPI text: tags, and errors in the dialect of their path.

The framework documents its own form of errors; what is really sent (:mod:`api.problems`) is put in its place, so that a
client made from the text understands every answer.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.problem_kinds import KIND_OF_STATUS, KINDS
from api.problems import Dialect, Problem, body_of, dialect_of

Responses = dict[int | str, dict[str, Any]]

TAGS: Final = [
    {"name": "oauth", "description": "Tokens for apps and for accounts."},
    {"name": "account", "description": "What an account has allowed, and how it takes that back."},
    {"name": "canaries", "description": "Made-up accounts, and where they turned up."},
    {"name": "egress", "description": "What egress proxies counted."},
    {"name": "exports", "description": "Parts of the log for regulators, and the log as events."},
    {"name": "obligations", "description": "What developers have to delete, and what they say about it."},
    {"name": "receipts", "description": "What developers confirm to have received."},
    {"name": "incidents", "description": "What went wrong, what is said of it, and what is due by when."},
    {"name": "log", "description": "The published log, for readers of tlog-tiles."},
    {"name": "service", "description": "The service itself."},
]

DESCRIPTION: Final = (
    "Which data went to which developer, and under which grant. Under `/1.1` and `/2` the Account Activity API as "
    "developers know it; under `/v1` the ledger's own."
)

_V1: Final = {
    "type": "object",
    "required": ["errors"],
    "properties": {
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
            },
        }
    },
}
_PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "string"}}},
    },
}
_EXAMPLE_REQUEST: Final = "23829adba619d549aa49814c"
_SCHEMAS: Final = {"ErrorsV1": _V1, "Problem": _PROBLEM}


def responses(*statuses: int, dialect: Dialect = "problem") -> Responses:
    """For the ``responses`` of a route: errors of ``statuses`` as they are written in ``dialect``."""
    return {status: _error(HTTPStatus(status).phrase, dialect, status) for status in statuses}


def install(app: FastAPI) -> None:
    """Have ``app`` answer ``/openapi.json`` with the text that this module makes, once for all."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _make(app)
        return app.openapi_schema

    # The framework's documented way to put another text in place of its own.
    app.openapi = openapi  # type: ignore[method-assign]


def _make(app: FastAPI) -> dict[str, Any]:
    text = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
    )
    components = text.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        components.pop(name, None)
    components.update(_SCHEMAS)
    for path, operations in text["paths"].items():
        for operation in operations.values():
            _document_errors(operation, dialect_of(path))
    return text


def _document_errors(operation: dict[str, Any], dialect: Dialect) -> None:
    documented: dict[str, Any] = operation["responses"]
    if "HTTPValidationError" in str(documented.get("422")):
        del documented["422"]
    if dialect != "page":
        documented.setdefault("default", _error("Every other error", dialect))


def _error(description: str, dialect: Dialect, status: int | None = None) -> dict[str, Any]:
    if dialect == "page":
        return {"description": description, "content": {"text/html": {"schema": {"type": "string"}}}}
    name, media = (
        ("ErrorsV1", "application/json") if dialect == "v1" else ("Problem", "application/problem+json")
    )
    content: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{name}"}}
    if status is not None and status in KIND_OF_STATUS:
        kind = KIND_OF_STATUS[status]
        content["example"] = body_of(Problem(kind, KINDS[kind].message), dialect, _EXAMPLE_REQUEST)
    return {"description": description, "content": {media: content}}
