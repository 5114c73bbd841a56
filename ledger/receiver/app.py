"""What a webhook's server does: answer challenges, check signatures, take deliveries (delivery protocol, 3.4 and 3.5)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ledger.core.note import Verifier
from ledger.core.ticket import TICKET_HEADER, check_ticket
from ledger.core.webhook_auth import SIGNATURE_HEADER, is_body_signature, response_token
from ledger.errors import LedgerError

DELIVERY_HEADER = "webhook-id"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One delivery as it arrived. ``ticket`` is None without a ticket that the ledger's key signed.

    ``headers`` has their names in lower case.
    """

    host: str
    path: str
    delivery: str | None
    is_signed: bool
    ticket: str | None
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def payload(self) -> Any:
        """The body as JSON, None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Receiver:
    """A receiver of the apps whose consumer secrets are ``secrets``; tells ``on_arrival`` of every delivery.

    With ``verifiers`` (the ledger's key) it checks the tickets, too. ``status`` is what deliveries are answered with.
    """

    def __init__(
        self,
        secrets: Sequence[str],
        on_arrival: Callable[[Arrival], None],
        *,
        verifiers: Sequence[Verifier] = (),
        status: int = 200,
    ) -> None:
        self._secrets = tuple(secrets)
        self._on_arrival = on_arrival
        self._verifiers = tuple(verifiers)
        self.status = status

    def trust(self, secret: str) -> None:
        """Take what the app with this consumer secret signs, too."""
        self._secrets = (*self._secrets, secret)

    def application(self) -> Starlette:
        """The receiver as an ASGI application, the same at every path."""
        return Starlette(
            routes=[
                Route("/{path:path}", self._challenge, methods=["GET"]),
                Route("/{path:path}", self._deliver, methods=["POST"]),
            ]
        )

    async def _challenge(self, request: Request) -> Response:
        token = request.query_params.get("crc_token")
        if token is None:
            return JSONResponse({"error": "a challenge has a crc_token"}, 400)
        secret = self._secret_of(request.headers, request.url.query.encode("ascii"))
        if secret is None:
            return JSONResponse({"error": "the challenge is not signed by an app of ours"}, 403)
        return JSONResponse({"response_token": response_token(secret, token)})

    async def _deliver(self, request: Request) -> Response:
        body = await request.body()
        is_signed = self._secret_of(request.headers, body) is not None
        self._on_arrival(
            Arrival(
                request.headers.get("host", ""),
                request.url.path,
                request.headers.get(DELIVERY_HEADER),
                is_signed,
                self._ticket_of(request.headers),
                body,
                dict(request.headers),
            )
        )
        # What nobody of ours signed is not taken: whoever sends it holds no secret of ours.
        return Response(status_code=self.status if is_signed else 403)

    def _secret_of(self, headers: Mapping[str, str], signed: bytes) -> str | None:
        signature = headers.get(SIGNATURE_HEADER, "")
        return next((one for one in self._secrets if is_body_signature(one, signed, signature)), None)

    def _ticket_of(self, headers: Mapping[str, str]) -> str | None:
        text = headers.get(TICKET_HEADER)
        if text is None or not self._verifiers:
            return None
        try:
            ticket = check_ticket(text, self._verifiers)
        except LedgerError:
            return None
        return f"{ticket.origin}/{ticket.seq}"
