"""Developers' servers for tests: real TLS on loopback, one certificate and key for each host, and what they do wrong."""

from __future__ import annotations

import json
import ssl
import threading
import urllib.parse
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal, Self

from ledger.core.webhook_auth import SIGNATURE_HEADER, is_body_signature, response_token
from ledger.reenactment.pki import Authority, server_context

Behaviour = Literal[
    "right",
    "wrong",
    "no_json",
    "redirect",
    "missing",
    "broken",
    "slow",
    "stalling",
    "closing",
    "no_tls",
    "huge",
]
LATE_SECONDS = 5.0


@dataclass(frozen=True)
class Asked:
    """One request as a server saw it."""

    host: str
    path: str
    query: str
    headers: dict[str, str]

    @property
    def parameters(self) -> dict[str, str]:
        return dict(urllib.parse.parse_qsl(self.query))


class Receiving:
    """Servers for ``hosts`` on one port of loopback; ``secrets`` are the consumer secrets of the apps that they serve."""

    def __init__(self, hosts: Iterable[str]) -> None:
        self.authority = Authority("gateway tests")
        self.behaviours: dict[str, Behaviour] = dict.fromkeys(hosts, "right")
        self.secrets: set[str] = set()
        self.asked: list[Asked] = []
        self.released = threading.Event()
        self.at_once_max = 0
        self.on_asked: Callable[[Asked], None] = lambda asked: None
        self._at_once = 0
        self._lock = threading.Lock()
        self._contexts: dict[str, ssl.SSLContext] = {}
        self.keys: dict[str, str] = {}
        for host in self.behaviours:
            self.change_key(host, host)
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))
        doorman = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        doorman.sni_callback = self._pick
        self._server.tls = doorman
        self.port = self._server.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.released.set()
        self.stop_listening()

    def stop_listening(self) -> None:
        """From now on no connection is taken; may be called twice."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def overrides(self) -> str:
        """Where the hosts are, as the development setting says it."""
        return ",".join(f"{host}=127.0.0.1:{self.port}" for host in self.behaviours)

    def change_key(self, host: str, name: str) -> None:
        """From now on ``host`` shows the key of this name."""
        leaf = self.authority.issue(name, [host])
        self._contexts[host] = server_context(leaf)
        self.keys[host] = leaf.spki_sha256

    def of(self, host: str) -> list[Asked]:
        """The requests for ``host``, in order."""
        return [asked for asked in self.asked if asked.host == host]

    def _pick(
        self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, doorman: ssl.SSLContext
    ) -> int | None:
        if name is None or self.behaviours.get(name, "no_tls") == "no_tls":
            return int(ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)
        connection.context = self._contexts[name]
        return None

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        host = handler.headers["Host"]
        path, _, query = handler.path.partition("?")
        asked = Asked(host, path, query, {name.lower(): value for name, value in handler.headers.items()})
        with self._lock:
            self.asked.append(asked)
            self._at_once += 1
            self.at_once_max = max(self.at_once_max, self._at_once)
        try:
            self.on_asked(asked)
            self._answer(handler, asked, self.behaviours[host])
        finally:
            with self._lock:
                self._at_once -= 1

    def _secret_of(self, asked: Asked) -> str:
        """The secret that the request was signed with: whoever serves many apps tells them apart by it."""
        signature = asked.headers.get(SIGNATURE_HEADER, "")
        signed = [
            secret for secret in self.secrets if is_body_signature(secret, asked.query.encode(), signature)
        ]
        return signed[0] if signed else ""

    def _answer(self, handler: BaseHTTPRequestHandler, asked: Asked, behaviour: Behaviour) -> None:
        token = asked.parameters.get("crc_token", "")
        answer = json.dumps({"response_token": response_token(self._secret_of(asked), token)}).encode()
        status = {"redirect": 302, "missing": 404, "broken": 500}.get(behaviour, 200)
        if behaviour == "wrong":
            answer = json.dumps({"response_token": response_token("another secret", token)}).encode()
        elif behaviour == "no_json":
            answer = b"ok"
        elif behaviour == "huge":
            answer = b" " * 300_000
        elif behaviour == "closing":
            return
        elif behaviour == "slow":
            self.released.wait(LATE_SECONDS)
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(answer)))
        if behaviour == "redirect":
            handler.send_header("Location", "https://b.example/hook")
        handler.end_headers()
        if behaviour == "stalling":
            handler.wfile.flush()
            self.released.wait(LATE_SECONDS)
        handler.wfile.write(answer)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    tls: ssl.SSLContext

    def finish_request(self, request: object, client_address: object) -> None:
        """Shake hands in the connection's own thread, so that a slow one holds up no other."""
        with (
            suppress(OSError),  # who breaks off leaves nothing behind
            self.tls.wrap_socket(request, server_side=True) as secured,  # type: ignore[arg-type]
        ):
            super().finish_request(secured, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: whoever breaks off is part of the test."""


def _handler_of(receiving: Receiving) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            receiving.answer(self)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    return Handler
