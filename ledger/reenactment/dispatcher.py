"""Workers that deliver, rightly or with the fault of 2018 (delivery protocol, section 3.7).

Each worker has private caches and connections, as one backend process has. What they are keyed by is the fault:

- ``webhook``: nothing is shared between webhooks. The right dispatcher, which resolves anew at every attempt.
- ``ip+path``: the whole prepared destination is cached by (resolved address, port, path). The first writer wins
  while the entry lives, so another developer's events with the same three go to the first one's host: the
  published fault.
- ``ip``: the same, by (resolved address, port) alone.
- ``connection``: destinations are right, but TLS connections are pooled by (address, port): the Host header names
  the right developer and the key that ends the connection is another's.

An entry lives while its age is at most the TTL (360 s of virtual time), counted from its writing or, with
``sliding``, from its last use. With signing *after* routing the cached destination brings its own app's
secret along; *before*, the body is signed for the app that was meant.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from ledger.core.webhook_auth import SIGNATURE_HEADER, sign_body
from ledger.errors import UsageError
from ledger.ports.sending import Answer
from ledger.reenactment.receivers import ATTEMPT_HEADER, DELIVERY_HEADER, Receivers
from ledger.reenactment.world import Webhook, World
from ledger.transport.https import Destination, HttpsTransport
from ledger.transport.tls import client_context

TTL_MS = 360_000
"""How long a cached destination lived in 2018: six minutes."""

_REAL_TIMEOUT_S = 60.0
"""Of real time, so long that a busy machine changes nothing: what fails in a reenactment fails by plan."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Which dispatcher: its cache key and the switches of the faulty ones."""

    key: Literal["webhook", "ip+path", "ip", "connection"] = "webhook"
    ttl_ms: int = TTL_MS
    sliding: bool = False
    signing: Literal["before", "after"] = "after"
    workers: int = 4


FAULTS: dict[str, Fault] = {
    "none": Fault("webhook"),
    "ip+path": Fault("ip+path"),
    "ip": Fault("ip"),
    "reused-connection": Fault("connection"),
}
"""The dispatchers by the names that the command line gives them."""


def fault_named(name: str) -> Fault:
    """The fault of this name; UsageError for any other."""
    if name not in FAULTS:
        raise UsageError(f"unknown fault {name!r}: one of {', '.join(FAULTS)}")
    return FAULTS[name]


@dataclass(frozen=True, slots=True)
class Sending:
    """One attempt as it was meant: which delivery, which webhook, what bytes, which worker's turn."""

    delivery: str
    attempt: int
    webhook: Webhook
    body: bytes
    shard: str


@dataclass(frozen=True, slots=True)
class Sent:
    """One attempt as it went: by which worker, to which address of the *meant* host, signed by which app."""

    answer: Answer
    worker: str
    resolved_ip: str
    signing_app: str


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A destination ready for use, with the secret's owner and the connection it goes by."""

    destination: Destination
    app: str
    pool_key: str


_T = TypeVar("_T")


@dataclass(slots=True)
class _Aged(Generic[_T]):
    value: _T
    since_ms: int


class _Worker:
    def __init__(self, name: str, transport: HttpsTransport, fault: Fault) -> None:
        self.name = name
        self.transport = transport
        self._fault = fault
        self._prepared: dict[tuple[str | int, ...], _Aged[_Prepared]] = {}
        self._opened: dict[str, _Aged[None]] = {}

    def restart(self) -> None:
        self._prepared.clear()
        self._opened.clear()
        self.transport.close()

    def route(self, right: _Prepared, now_ms: int) -> _Prepared:
        """Where this worker sends what should go to ``right``: the same unless a cache says otherwise."""
        to = right.destination
        if self._fault.key == "ip+path":
            return self._cached((to.address, to.port, to.path), right, now_ms)
        if self._fault.key == "ip":
            return self._cached((to.address, to.port), right, now_ms)
        if self._fault.key == "connection":
            return self._with_shared_connection(right, now_ms)
        return right

    def _cached(self, key: tuple[str | int, ...], right: _Prepared, now_ms: int) -> _Prepared:
        entry = self._prepared.get(key)
        if entry is None or now_ms - entry.since_ms > self._fault.ttl_ms:
            entry = self._prepared[key] = _Aged(right, now_ms)
        elif self._fault.sliding:
            entry.since_ms = now_ms
        return entry.value

    def _with_shared_connection(self, right: _Prepared, now_ms: int) -> _Prepared:
        to = right.destination
        pool_key = f"{to.address} {to.port}"
        opened = self._opened.get(pool_key)
        if opened is None or now_ms - opened.since_ms > self._fault.ttl_ms:
            self.transport.forget(pool_key)
            self._opened[pool_key] = _Aged(None, now_ms)
        elif self._fault.sliding:
            opened.since_ms = now_ms
        return _Prepared(to, right.app, pool_key)


class Dispatcher:
    """The worker pool of one reenactment; ``clock_ms`` is the virtual clock, ``requests`` counts what was sent."""

    def __init__(self, world: World, receivers: Receivers, fault: Fault, clock_ms: Callable[[], int]) -> None:
        """Start ``fault.workers`` workers with empty caches."""
        trust = client_context(receivers.ca_pem)
        self._world = world
        self._receivers = receivers
        self._fault = fault
        self._clock_ms = clock_ms
        self._workers = [
            _Worker(f"w{index + 1}", HttpsTransport(trust, clock_ms, _REAL_TIMEOUT_S), fault)
            for index in range(fault.workers)
        ]
        self._registrar = HttpsTransport(trust, clock_ms, _REAL_TIMEOUT_S, pools_max=1)
        self.requests = 0

    def send(self, sending: Sending) -> Sent:
        """Send one attempt now, by the worker of its shard."""
        now_ms = self._clock_ms()
        worker = self._workers[self._turn(sending.shard)]
        meant = self._prepare(sending.webhook, now_ms)
        route = worker.route(meant, now_ms)
        app = meant.app if self._fault.signing == "before" else route.app
        headers = {
            "Content-Type": "application/json",
            SIGNATURE_HEADER: sign_body(self._world.app(app).consumer_secret, sending.body),
            DELIVERY_HEADER: sending.delivery,
            ATTEMPT_HEADER: str(sending.attempt),
        }
        self.requests += 1
        answer = worker.transport.send(route.pool_key, route.destination, "POST", headers, sending.body)
        return Sent(answer, worker.name, meant.destination.address, app)

    def challenge(self, webhook: Webhook, query: str) -> tuple[Answer, str]:
        """The answer to a challenge with ``query``, sent by the registrar, which caches nothing; and the address."""
        right = self._prepare(webhook, self._clock_ms())
        to = right.destination
        path = f"{to.path}{'&' if '?' in to.path else '?'}{query}"
        signed = path.partition("?")[2].encode("ascii")
        headers: Mapping[str, str] = {
            SIGNATURE_HEADER: sign_body(self._world.app(webhook.app).consumer_secret, signed)
        }
        self.requests += 1
        asked = Destination(to.host, to.port, path, to.address, to.connect_port)
        return self._registrar.send(right.pool_key, asked, "GET", headers), to.address

    def notify(self, webhook: Webhook, body: bytes) -> Answer:
        """Tell the webhook something that is no account's data, by the registrar."""
        right = self._prepare(webhook, self._clock_ms())
        headers = {
            "Content-Type": "application/json",
            SIGNATURE_HEADER: sign_body(self._world.app(right.app).consumer_secret, body),
        }
        self.requests += 1
        return self._registrar.send(right.pool_key, right.destination, "POST", headers, body)

    def restart(self, worker: int) -> None:
        """Empty the caches of the worker of this number and close its connections."""
        self._workers[worker % len(self._workers)].restart()

    def close(self) -> None:
        """Close every connection."""
        for worker in self._workers:
            worker.restart()
        self._registrar.close()

    def _turn(self, shard: str) -> int:
        return int.from_bytes(hashlib.sha256(shard.encode()).digest()[:8]) % len(self._workers)

    def _prepare(self, webhook: Webhook, now_ms: int) -> _Prepared:
        address = self._world.resolve(webhook.host, now_ms)
        port = self._receivers.real_port(address, webhook.port)
        destination = Destination(webhook.host, webhook.port, webhook.path, address, port)
        return _Prepared(destination, webhook.app, webhook.endpoint)
