"""The developers' receiving servers: real TLS on loopback, many names on few addresses.

One listening socket per address and port, as on a hosting platform; the TLS server name picks the developer,
whose own key then ends the connection. Each developer keeps its own receiving log, and that log is the
reenactment's ground truth: it names the developer by the TLS context that stood after the handshake, never by
the Host header. Challenges are answered with the app's own consumer secret, deliveries with 200, and the
signature that came is checked and noted.

The servers run in a thread of their own (asyncio and h11). Real ports are the operating system's choice;
`Receivers.real_port` maps the port that a URL says to it. Outages come from outside, as a behaviour per
developer.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import ssl
import threading
import urllib.parse
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, Self

import h11

from ledger.core.webhook_auth import SIGNATURE_HEADER, is_body_signature, response_token
from ledger.reenactment.pki import Authority, server_context
from ledger.reenactment.world import World

DELIVERY_HEADER = "x-delivery-id"
ATTEMPT_HEADER = "x-delivery-attempt"
SERVICE_HEADER = "webhook-id"
"""What the delivery service calls a delivery in (Standard Webhooks); it says nothing of attempts."""

Behaviour = Literal["answer", "unavailable", "drop", "refuse"]
"""200; 503; the body read and the connection closed without an answer; or no TLS handshake at all."""

_BODY_BYTES_MAX = 1_048_576
_READ_BYTES = 65_536
_START_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Received:
    """One request in a developer's receiving log, as that developer saw it.

    ``spki_sha256`` is the key that ended the connection, ``sni`` the name that picked it. ``signed_by`` is
    the app of this developer whose secret verifies the body's signature, None where none does. ``status`` is
    None for a request that was read but not answered.
    """

    developer: str
    at_ms: int
    address: str
    sni: str
    spki_sha256: str
    host_header: str
    method: str
    target: str
    delivery: str | None
    attempt: int | None
    body: bytes
    signed_by: str | None
    status: int | None

    @property
    def body_sha256(self) -> str:
        """SHA-256 of the body in hex, to match it with what was sent."""
        return hashlib.sha256(self.body).hexdigest()


def is_bindable(address: str) -> bool:
    """Whether this machine can listen on ``address``: not every one has IPv6."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


class Receivers:
    """All receiving servers of ``world``; a context manager that starts and stops them.

    ``clock_ms`` is the clock for the logs. ``behaviour`` is asked per developer at every handshake and request.
    ``on_received`` is told of each request, in the servers' thread, before it is answered.
    """

    def __init__(
        self,
        world: World,
        clock_ms: Callable[[], int],
        behaviour: Callable[[str], Behaviour] = lambda developer: "answer",
        on_received: Callable[[Received], None] = lambda received: None,
    ) -> None:
        """Make every developer's key and context; listen only once entered."""
        authority = Authority(world.seed)
        self.ca_pem = authority.certificate_pem
        self._world = world
        self._clock_ms = clock_ms
        self._behaviour = behaviour
        self._on_received = on_received
        self._logs: dict[str, list[Received]] = {}
        self._spki: dict[str, str] = {}
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._developers: dict[ssl.SSLContext, str] = {}
        self._names: weakref.WeakKeyDictionary[ssl.SSLObject, str] = weakref.WeakKeyDictionary()
        self._secrets: dict[str, dict[str, str]] = {}
        self._sites: dict[tuple[str, str], str] = {}
        for developer in world.developers:
            self._cast(developer.developer, authority)
        self._ports: dict[tuple[str, int], int] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="receivers", daemon=True)
        self._servers: list[asyncio.Server] = []

    def _cast(self, developer: str, authority: Authority) -> None:
        self._logs[developer] = []
        apps = [app for app in self._world.apps if app.developer == developer]
        self._secrets[developer] = {app.app: app.consumer_secret for app in apps}
        hooks = [hook for hook in self._world.webhooks if hook.app in self._secrets[developer]]
        if not hooks:
            return
        hosts = list(dict.fromkeys(hook.host for hook in hooks))
        leaf = authority.issue(developer, hosts)
        context = server_context(leaf)
        self._spki[developer] = leaf.spki_sha256
        self._developers[context] = developer
        self._contexts.update(dict.fromkeys(hosts, context))
        self._sites.update({(hook.host, hook.path): hook.app for hook in hooks})

    def __enter__(self) -> Self:
        """Listen on every address and port of the world."""
        self._thread.start()
        places = {
            (address, hook.port)
            for hook in self._world.webhooks
            for address in self._world.addresses_of(hook.host)
        }
        asyncio.run_coroutine_threadsafe(self._listen(sorted(places)), self._loop).result(_START_TIMEOUT_S)
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close every connection and socket, and end the thread."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(_START_TIMEOUT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_START_TIMEOUT_S)
        self._loop.close()

    def real_port(self, address: str, port: int) -> int:
        """Where the server that stands for ``port`` of ``address`` really listens."""
        return self._ports[address, port]

    def spki_of(self, developer: str) -> str:
        """SHA-256 of the developer's public key, in hex."""
        return self._spki[developer]

    def log_of(self, developer: str) -> tuple[Received, ...]:
        """What ``developer`` received so far, in order."""
        return tuple(self._logs[developer])

    def logs(self) -> tuple[Received, ...]:
        """All developers' logs, one after the other."""
        return tuple(received for log in self._logs.values() for received in log)

    async def _listen(self, places: Iterable[tuple[str, int]]) -> None:
        for address, port in places:
            # Without a certificate it ends no handshake: a name that nobody here owns gets no further.
            doorman = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            doorman.num_tickets = 0
            doorman.sni_callback = self._pick
            server = await asyncio.start_server(self._serve, address, 0, ssl=doorman, backlog=256)
            self._servers.append(server)
            self._ports[address, port] = server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        serving = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    def _pick(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, doorman: ssl.SSLContext
    ) -> int | None:
        context = self._contexts.get(name.lower()) if name else None
        if name is None or context is None or isinstance(connection, ssl.SSLSocket):
            return int(ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)
        if self._behaviour(self._developers[context]) == "refuse":
            return int(ssl.AlertDescription.ALERT_DESCRIPTION_INTERNAL_ERROR)
        connection.context = context
        self._names[connection] = name.lower()
        return None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        visit = _Visit(
            developer=self._developers[tls.context],
            sni=self._names[tls],
            address=writer.get_extra_info("sockname")[0],
        )
        protocol = h11.Connection(h11.SERVER)
        try:
            while await self._serve_one(protocol, reader, writer, visit):
                protocol.start_next_cycle()
        except (h11.RemoteProtocolError, ConnectionError, ssl.SSLError, asyncio.CancelledError):
            # A peer that breaks off leaves nothing behind but what is in the log already.
            pass
        finally:
            writer.close()

    async def _serve_one(
        self,
        protocol: h11.Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        visit: _Visit,
    ) -> bool:
        request: h11.Request | None = None
        body = bytearray()
        while True:
            event = protocol.next_event()
            if event is h11.NEED_DATA:
                protocol.receive_data(await reader.read(_READ_BYTES))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > _BODY_BYTES_MAX:
                    return False
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                return False
        assert request is not None
        status, answer = self._receive(visit, request, bytes(body))
        if status is None:
            return False
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))]
        parts = (
            protocol.send(h11.Response(status_code=status, headers=headers)),
            protocol.send(h11.Data(data=answer)) if answer else b"",
            protocol.send(h11.EndOfMessage()),
        )
        writer.write(b"".join(part for part in parts if part))
        await writer.drain()
        return protocol.our_state is h11.DONE

    def _receive(self, visit: _Visit, request: h11.Request, body: bytes) -> tuple[int | None, bytes]:
        headers = {name.decode("ascii"): value.decode("latin-1") for name, value in request.headers}
        target = request.target.decode("latin-1")
        method = request.method.decode("ascii")
        behaviour = self._behaviour(visit.developer)
        status: int | None = {"answer": 200, "unavailable": 503}.get(behaviour)
        answer = b""
        if method == "GET" and status == 200:
            status, answer = self._answer_challenge(visit, target)
        attempt = headers.get(ATTEMPT_HEADER)
        received = Received(
            developer=visit.developer,
            at_ms=self._clock_ms(),
            address=visit.address,
            sni=visit.sni,
            spki_sha256=self._spki[visit.developer],
            host_header=headers.get("host", ""),
            method=method,
            target=target,
            delivery=headers.get(DELIVERY_HEADER) or headers.get(SERVICE_HEADER),
            attempt=int(attempt) if attempt is not None else None,
            body=body,
            signed_by=self._signer(visit.developer, method, target, body, headers.get(SIGNATURE_HEADER, "")),
            status=status,
        )
        self._logs[visit.developer].append(received)
        self._on_received(received)
        return status, answer

    def _signer(self, developer: str, method: str, target: str, body: bytes, signature: str) -> str | None:
        signed = target.partition("?")[2].encode("latin-1") if method == "GET" else body
        for app, secret in self._secrets[developer].items():
            if is_body_signature(secret, signed, signature):
                return app
        return None

    def _answer_challenge(self, visit: _Visit, target: str) -> tuple[int, bytes]:
        # The challenge's own parameters come last, behind whatever query the webhook's URL has.
        path = target.partition("crc_token=")[0][:-1]
        token = dict(urllib.parse.parse_qsl(target.partition("?")[2])).get("crc_token")
        app = self._sites.get((visit.sni, path))
        if app is None or token is None:
            return 404, b"{}"
        secret = self._secrets[visit.developer][app]
        return 200, json.dumps({"response_token": response_token(secret, token)}).encode()


@dataclass(frozen=True, slots=True)
class _Visit:
    developer: str
    sni: str
    address: str
