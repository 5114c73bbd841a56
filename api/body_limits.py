"""Bounds on what a request may be before anybody reads it: headers, address, size and pace of the body.

The size is counted as the body arrives, so that a missing or false Content-Length changes nothing, and nothing beyond the
bound is kept. Compressed bodies are refused: their size says nothing about what they become. A body in another charset than
UTF-8 is refused rather than guessed at. How long a connection may idle is the server's own setting; how long a body may take
to arrive is bounded here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, ProblemError, respond

BODY_BYTES_MAX: Final = 1 << 20
BATCH_BYTES_MAX: Final = 16 << 20
BATCH_PATHS: Final[Mapping[str, int]] = MappingProxyType(
    dict.fromkeys(
        ("/v1/records", "/v1/events", "/v1/authorizations", "/v1/receipts", "/v1/egress"), BATCH_BYTES_MAX
    )
)
"""Path -> bound of its body, where it is not :data:`BODY_BYTES_MAX`."""

HEADER_COUNT_MAX: Final = 100
HEADER_BYTES_MAX: Final = 32 << 10
TARGET_BYTES_MAX: Final = 8 << 10
BODY_SECONDS_MAX: Final = 30.0

_ONCE = frozenset({"authorization", "content-type", "content-length", "content-encoding", "cookie"})
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


class BodyLimits:
    """ASGI middleware that refuses what is beyond the bounds of this module, and cuts off what grows beyond them."""

    def __init__(self, app: ASGIApp, *, body_seconds_max: float = BODY_SECONDS_MAX) -> None:
        """Wrap ``app``."""
        self._app = app
        self._body_seconds_max = body_seconds_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        bytes_max = BATCH_PATHS.get(scope["path"], BODY_BYTES_MAX)
        try:
            _check(scope, bytes_max)
        except ProblemError as error:
            await _refuse(error.problem, scope, receive, send)
            return
        bounded = _Bounded(receive, bytes_max, self._body_seconds_max)
        await self._app(scope, bounded.receive, send)


class _Bounded:
    """A request's body as it arrives, up to a size and within a time."""

    def __init__(self, receive: Receive, bytes_max: int, seconds_max: float) -> None:
        self._receive = receive
        self._bytes_max = bytes_max
        self._seconds_left = seconds_max
        self._count = 0
        self._is_complete = False

    async def receive(self) -> Message:
        """The next message; raises ProblemError (413, 408), which the table of problems tells."""
        if self._is_complete:
            # From here on the only message to come is that the caller hung up, and that may take for ever.
            return await self._receive()
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        try:
            async with asyncio.timeout(self._seconds_left):
                message = await self._receive()
        except TimeoutError:
            raise ProblemError("timeout", headers={"connection": "close"}) from None
        self._seconds_left -= loop.time() - asked_at
        if message["type"] == "http.request":
            self._count += len(message.get("body", b""))
            self._is_complete = not message.get("more_body", False)
            if self._count > self._bytes_max:
                raise _too_large(self._bytes_max)
        return message


def _check(scope: Scope, bytes_max: int) -> None:
    raw: list[tuple[bytes, bytes]] = scope["headers"]
    if len(raw) > HEADER_COUNT_MAX or sum(len(name) + len(value) for name, value in raw) > HEADER_BYTES_MAX:
        raise ProblemError("headers-too-large")
    target_bytes = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    if target_bytes > TARGET_BYTES_MAX:
        raise ProblemError("uri-too-long")
    names = Counter(name.lower().decode("latin-1") for name, _ in raw)
    repeated = next((name for name in sorted(_ONCE) if names[name] > 1), None)
    if repeated is not None:
        kind = "authentication-malformed" if repeated == "authorization" else "malformed"
        raise ProblemError(kind, f"The header {repeated} is there more than once.")
    headers = Headers(raw=raw)
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise ProblemError("unsupported-media-type", "Compressed bodies are not taken.")
    _check_charset(headers.get("content-type", ""))
    length = headers.get("content-length")
    if length is not None and length.isascii() and length.isdigit() and int(length) > bytes_max:
        raise _too_large(bytes_max)


def _check_charset(content_type: str) -> None:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in _CHARSETS:
            raise ProblemError("unsupported-media-type", "Bodies are taken in UTF-8 only.")


def _too_large(bytes_max: int) -> ProblemError:
    return ProblemError(
        "too-large", f"The body may have at most {bytes_max:,} bytes.", headers={"connection": "close"}
    )


async def _refuse(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    await respond(Request(scope), problem)(scope, receive, send)
