"""The receivers of ``scripts/bench deliver``: a process of its own that answers over TLS and counts.

``python -m benchmarks.receiving DIR PORT SECRET...``: answers challenges for the secrets, and deliveries with 200. After
``GET /hang`` those to hosts that begin with ``hang`` are answered no more. ``GET /counts`` says what came.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import uvicorn

from ledger.core.webhook_auth import SIGNATURE_HEADER, is_body_signature, response_token
from ledger.receiver.certificates import CERTIFICATE_FILE, KEY_FILE

HANGS = b"hang"
HANG_SECONDS = 60.0

_SIGNATURE = SIGNATURE_HEADER.encode()


class Counting:
    """An ASGI application that counts deliveries."""

    def __init__(self, secrets: list[str]) -> None:
        self._secrets = secrets
        self.arrived: Counter[tuple[str, int]] = Counter()
        self.deliveries: set[bytes] = set()
        self.unsigned = 0
        self.hangs = False

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"")
        if scope["method"] == "GET":
            await _answer(send, 200, self._get(scope))
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if self.hangs and host.startswith(HANGS):
            await asyncio.sleep(HANG_SECONDS)
        self.arrived[host.decode(), int(time.time())] += 1
        self.deliveries.add(headers.get(b"webhook-id", b""))
        # One in a hundred is checked: what is measured is the sender.
        if len(self.deliveries) % 100 == 0 and not self._is_signed(body, headers):
            self.unsigned += 1
        await _answer(send, 200, b"")

    def _get(self, scope: dict[str, Any]) -> bytes:
        if scope["path"] == "/hang":
            self.hangs = True
            return b""
        if scope["path"] == "/counts":
            by_second = [[host, second, count] for (host, second), count in sorted(self.arrived.items())]
            document: dict[str, Any] = {"arrived": by_second, "unsigned": self.unsigned}
            return json.dumps({**document, "distinct": len(self.deliveries)}).encode()
        query: bytes = scope["query_string"]
        token = parse_qs(query.decode("ascii"))["crc_token"][0]
        signature = dict(scope["headers"])[_SIGNATURE].decode("ascii")
        secret = next(one for one in self._secrets if is_body_signature(one, query, signature))
        return json.dumps({"response_token": response_token(secret, token)}).encode()

    def _is_signed(self, body: bytes, headers: dict[bytes, bytes]) -> bool:
        signature = headers.get(_SIGNATURE, b"").decode("ascii")
        return any(is_body_signature(secret, body, signature) for secret in self._secrets)


async def _answer(send: Any, status: int, body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Serve until told to stop."""
    directory, port, *secrets = sys.argv[1:]
    uvicorn.run(
        Counting(secrets),
        host="127.0.0.1",
        port=int(port),
        ssl_certfile=str(Path(directory, CERTIFICATE_FILE)),
        ssl_keyfile=str(Path(directory, KEY_FILE)),
        http="httptools",
        loop="uvloop",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=60,
    )


if __name__ == "__main__":
    main()
