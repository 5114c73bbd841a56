"""Around every request: an id, headers that every answer has, and the end of every exception.

The outermost middleware, so that nothing gets out past it: an exception that no handler knew becomes a problem (500) and
one line in the log, which says where it was raised and never with what, since messages of databases and parsers repeat
values, and values are personal data. The id of the request is in both, so that a person's report can be found.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problem_kinds import KINDS
from api.problems import Problem, respond
from ledger.errors import places_of
from ledger.ports import Randomness

REQUEST_ID_BYTES = 12

_SAFE_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""What every answer has unless the route said otherwise."""

_STRICT_TRANSPORT = "max-age=31536000; includeSubDomains"

log = structlog.get_logger()


class RequestFrame:
    """ASGI middleware; ``is_https`` tells whether the outside world speaks TLS to this service."""

    def __init__(self, app: ASGIApp, *, randomness: Randomness, is_https: bool) -> None:
        """Wrap ``app``."""
        self._app = app
        self._randomness = randomness
        self._headers = _SAFE_HEADERS | ({"strict-transport-security": _STRICT_TRANSPORT} if is_https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._randomness.token(REQUEST_ID_BYTES).hex()
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id
        has_begun = False

        async def begin(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                self._add_headers(MutableHeaders(scope=message), state, request_id)
            await send(message)

        with structlog.contextvars.bound_contextvars(request=request_id):
            try:
                await self._app(scope, receive, begin)
            except ClientDisconnect:
                return
            except Exception as error:  # noqa: BLE001 - the last one who can answer
                log.error("request failed", error=type(error).__name__, at=places_of(error))
                if not has_begun:
                    problem = Problem("internal", KINDS["internal"].message)
                    await respond(Request(scope), problem)(scope, receive, begin)

    def _add_headers(self, headers: MutableHeaders, state: Mapping[str, Any], request_id: str) -> None:
        headers["x-request-id"] = request_id
        for name, value in self._headers.items():
            headers.setdefault(name, value)
        for name, value in state.get("rate_headers", {}).items():
            headers[name] = value
