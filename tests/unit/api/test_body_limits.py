"""A body that stops arriving is answered and not waited for."""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Message

from api.body_limits import BodyLimits
from api.problems import ProblemError, handle


async def read(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


def statuses(messages: list[Message | float]) -> list[int]:
    """The statuses of the answer to a request whose body arrives as ``messages``; a number is a pause in seconds."""
    app = Starlette(routes=[Route("/", read, methods=["POST"])])
    app.add_exception_handler(ProblemError, handle)
    app.add_middleware(BodyLimits, body_seconds_max=0.2)
    told: list[int] = []

    async def receive() -> Message:
        while messages:
            message = messages.pop(0)
            if not isinstance(message, float):
                return message
            await asyncio.sleep(message)
        return await asyncio.Future()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            told.append(message["status"])

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [],
        "root_path": "",
        "scheme": "http",
        "server": ("127.0.0.1", 80),
    }
    asyncio.run(app(scope, receive, send))
    return told


def piece(*, more: bool) -> Message:
    return {"type": "http.request", "body": b"x", "more_body": more}


def test_a_body_that_arrives_in_time_is_read() -> None:
    assert statuses([piece(more=True), 0.05, piece(more=False)]) == [200]


def test_a_body_that_stops_is_answered_with_a_timeout() -> None:
    assert statuses([piece(more=True)]) == [408]


def test_a_body_that_trickles_is_answered_with_a_timeout() -> None:
    trickle: list[Message | float] = []
    for _ in range(10):
        trickle += [piece(more=True), 0.05]
    assert statuses([*trickle, piece(more=False)]) == [408]
