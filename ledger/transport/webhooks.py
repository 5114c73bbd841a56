"""The webhook transport: an account's data leaves for a permit and for nothing else (delivery protocol, section 3.5).

For each attempt anew: a slot of the permit's endpoint; the URL's host resolved and every address vetted; a connection
to a vetted address, kept for this endpoint or opened; the permit asked for a last time; then head and body in one
write. What carries no account's data, a challenge or a message of the service's own, needs no permit and goes by a
connection of its own that is closed behind it.

Rules kept here:

- Connections belong to an endpoint, never to an address: two hosts on one address share nothing. That was the bug.
- A kept connection is used again only where it was opened for the same host and its peer is among the addresses vetted
  for *this* attempt, and only while it is younger than its limits. Those limits are below the usual ones of servers, so
  that a connection is rarely closed under a request: such a request is a possible disclosure and is not sent again
  under the same permit.
- A permit is asked once, after everything else is ready. It ends the time for getting ready, too: behind
  ``send_before_ms`` nothing may leave, so nothing is waited for. A clock that goes back does not make it last: it ends by the
  stopwatch as well.
- Certificates are verified for the URL's host, redirects are answers, answers are bounded.
- URLs with a port, or without TLS, are refused: a webhook has neither (delivery protocol, section 3.1).
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import httpcore

from ledger.ports.permit import Permit
from ledger.ports.sending import Answer, MayStart
from ledger.ports.surroundings import Clock, Stopwatch
from ledger.transport.connection import (
    NETWORK_ERRORS,
    CalledOff,
    Connection,
    Deadline,
    Exchange,
    NotReachedError,
    Seen,
    describe,
)
from ledger.transport.egress import Egress, NotVetted, Vetted
from ledger.transport.observing import observe
from ledger.transport.slots import Slot, Slots
from ledger.transport.targets import Target, take_apart, with_query
from ledger.transport.tunnel import Dial, dial_directly

TIMEOUT_S = 3.0
"""Longest time for one whole request, waiting for a slot, resolving and connecting included, in real seconds."""

CONNECTIONS_PER_ENDPOINT = 8
"""Most connections to one endpoint at once."""

IDLE_S = 4.0
"""How long a connection is kept without use: most servers close theirs after 5 s or more."""

IDLE_MAX = 1024
"""Most connections kept without use, of all endpoints."""

AGE_MAX_S = 600.0
"""How long a connection is used again: its certificate was verified when it was opened."""

_TOO_LATE = "the permit was over before the first byte"
_FRAMING = frozenset({"host", "content-length", "transfer-encoding", "connection", "expect", "upgrade"})


@dataclass(slots=True)
class _Run:
    """One request on its way; ``ready_by`` ends the time for getting ready, ``deadline`` all of it."""

    target: Target
    path: str
    began_at_ms: int
    deadline: Deadline
    ready_by: Deadline
    vetted: tuple[str, ...] = ()
    seen: Seen | None = None


class HttpsWebhooks:
    """A ``WebhookTransport`` over HTTPS; safe to call from several threads.

    ``egress`` says where a host may be connected to, ``trust`` whose certificates count, ``clock`` and ``stopwatch`` when a
    permit ends; the times that are reported are the clock's as well. ``dial`` is the way out, directly or through a proxy.
    """

    def __init__(
        self,
        egress: Egress,
        trust: ssl.SSLContext,
        clock: Clock,
        *,
        timeout_s: float = TIMEOUT_S,
        connections_per_endpoint: int = CONNECTIONS_PER_ENDPOINT,
        idle_s: float = IDLE_S,
        idle_max: int = IDLE_MAX,
        stopwatch: Stopwatch = time.monotonic,
        dial: Dial = dial_directly,
    ) -> None:
        """Nothing is resolved or opened before the first request."""
        self._egress = egress
        self._trust = trust
        self._clock = clock
        self._stopwatch = stopwatch
        self._dial = dial
        self._timeout_s = timeout_s
        self._slots = Slots(connections_per_endpoint, idle_max, idle_s)

    def post(self, permit: Permit, headers: Mapping[str, str], body: bytes, may_start: MayStart) -> Answer:
        """POST ``body`` to ``permit.url``; see ``WebhookTransport``."""
        target = take_apart(permit.url)
        now_ms = self._clock.now_ms()
        left_s = min((permit.send_before_ms - now_ms) / 1_000, permit.ends_at_s - self._stopwatch())
        deadline, ready_by = Deadline(self._timeout_s), Deadline(min(self._timeout_s, left_s))
        run = _Run(target, target.path, now_ms, deadline, ready_by)
        if target.refusal is not None:
            return self._answer(run, _refused(target.refusal))
        if left_s <= 0:
            return self._answer(run, Exchange(error=_TOO_LATE, is_called_off=True))
        fields = _fields(target, headers, body)

        def start() -> int:
            started_at_ms = may_start()
            if started_at_ms is None:
                raise CalledOff("called off before the first byte")
            # The clocks are looked at last: whatever was waited for, nothing leaves behind the permit's end.
            if self._is_over(permit):
                raise CalledOff(_TOO_LATE)
            return started_at_ms

        exchange = self._guarded(lambda: self._post(run, permit.endpoint, fields, body, start))
        if exchange.started_at_ms is None and not exchange.is_refused_egress:
            exchange.is_called_off |= self._is_over(permit)
        return self._answer(run, exchange)

    def _is_over(self, permit: Permit) -> bool:
        return self._clock.now_ms() >= permit.send_before_ms or self._stopwatch() >= permit.ends_at_s

    def challenge(self, endpoint: str, url: str, query: str, headers: Mapping[str, str]) -> Answer:
        """GET ``url`` with ``query``; see ``WebhookTransport``. ``endpoint`` plays no part: nothing is kept."""
        target = take_apart(url)
        return self._once("GET", target, with_query(target.path, query), _fields(target, headers), b"")

    def tell(self, endpoint: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """POST ``body``, which is nobody's data, to ``url``; see ``MessageTransport``. Nothing is kept."""
        target = take_apart(url)
        return self._once("POST", target, target.path, _fields(target, headers, body), body)

    def forget(self, endpoint: str) -> None:
        """Close the endpoint's connections; one in use closes behind its request."""
        self._slots.forget(endpoint)

    def close(self) -> None:
        """Close every connection, those in use behind their requests; the transport can be used again afterwards."""
        self._slots.close()

    def _post(
        self,
        run: _Run,
        endpoint: str,
        fields: Sequence[tuple[str, str]],
        body: bytes,
        start: Callable[[], int],
    ) -> Exchange:
        slot = self._slots.acquire(endpoint, run.ready_by.left_s(httpcore.PoolTimeout))
        if slot is None:
            return Exchange(error="every connection of the endpoint was in use", is_timeout=True)
        with slot:
            found = self._vet(run)
            if isinstance(found, NotVetted):
                return _not_vetted(found)
            connection = self._connection(slot, run, found)
            run.seen = connection.seen
            return connection.exchange("POST", run.path, fields, body, run.deadline, start)

    def _once(
        self, method: str, target: Target, path: str, fields: Sequence[tuple[str, str]], body: bytes
    ) -> Answer:
        """A request without a permit, on a connection of its own that is closed behind it."""
        deadline = Deadline(self._timeout_s)
        run = _Run(target, path, self._clock.now_ms(), deadline, deadline)
        if target.refusal is not None:
            return self._answer(run, _refused(target.refusal))

        def send() -> Exchange:
            found = self._vet(run)
            if isinstance(found, NotVetted):
                return _not_vetted(found)
            connection = self._open(run, found)
            try:
                run.seen = connection.seen
                return connection.exchange(method, path, fields, body, deadline, self._clock.now_ms)
            finally:
                connection.close()

        return self._answer(run, self._guarded(send))

    def _vet(self, run: _Run) -> Vetted | NotVetted:
        found = self._egress.vet(run.target.host, run.ready_by.left_s(httpcore.ConnectTimeout))
        if isinstance(found, Vetted):
            run.vetted = found.addresses
        return found

    def _connection(self, slot: Slot, run: _Run, found: Vetted) -> Connection:
        youngest_s = time.monotonic() - AGE_MAX_S
        kept = slot.reuse(
            lambda kept: (
                kept.host == run.target.host
                and kept.seen.peer_ip in found.addresses
                and kept.seen.peer_port == found.port
                and kept.opened_at_s > youngest_s
            )
        )
        if kept is None:
            kept = slot.connection = self._open(run, found)
        return kept

    def _open(self, run: _Run, found: Vetted) -> Connection:
        return Connection.open(
            run.target.host, found.addresses, found.port, self._trust, run.ready_by, self._dial
        )

    def _answer(self, run: _Run, exchange: Exchange) -> Answer:
        return observe(
            run.target.host,
            run.target.port,
            run.path,
            exchange,
            run.seen,
            run.began_at_ms,
            self._clock.now_ms(),
            run.vetted,
        )

    def _guarded(self, send: Callable[[], Exchange]) -> Exchange:
        try:
            return send()
        except NETWORK_ERRORS as error:
            return Exchange(
                error=describe(error),
                is_timeout=isinstance(error, httpcore.TimeoutException),
                is_unreached=isinstance(error, NotReachedError),
            )


def _refused(reason: str) -> Exchange:
    return Exchange(error=reason, is_refused_egress=True)


def _not_vetted(found: NotVetted) -> Exchange:
    return Exchange(
        error=found.reason,
        is_refused_egress=found.is_refused,
        is_timeout=found.is_timeout,
        is_unreached=not found.is_refused,
    )


def _fields(target: Target, headers: Mapping[str, str], body: bytes | None = None) -> list[tuple[str, str]]:
    assert not any(name.lower() in _FRAMING for name in headers), (
        "headers do not say where or how a body goes"
    )
    fields = [("Host", target.host_header), *headers.items()]
    if body is not None:
        fields.append(("Content-Length", str(len(body))))
    return fields
