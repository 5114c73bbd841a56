"""One HTTPS request to an address and under a pool key that the caller names: the bare mechanism, right or wrong.

This is what a dispatcher is made of that decides itself where connections go and who shares them, as the one of 2018
did (delivery protocol, section 3.7), and it is here for showing what that leads to. What really delivers is
:mod:`ledger.transport.webhooks`, which leaves its callers no such choice.

Rules kept here: connections are pooled under the caller's ``pool_key`` alone (the right key is the webhook id; an
address is the fault of 2018); what is reported as seen is read from the connection that carried the request. Left to
callers: resolving and vetting addresses, permits, retries.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpcore

from ledger.core.destinations import HTTPS_PORT
from ledger.ports.sending import Answer
from ledger.transport.connection import NETWORK_ERRORS, Connection, Deadline, Exchange, Seen, describe
from ledger.transport.observing import observe
from ledger.transport.slots import Slot, Slots

TIMEOUT_S = 3.0
"""Longest time for one whole request, connecting included, in seconds of the monotonic clock."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a request is to go.

    ``host`` (A-label, lower case), ``port`` and ``path`` (with its query, byte for byte) are what the endpoint's URL says;
    ``address`` is the one IP address to connect to, and ``connect_port`` the port there where it is another.
    """

    host: str
    port: int
    path: str
    address: str
    connect_port: int | None = None


class HttpsTransport:
    """Sends requests over connections pooled by the caller's key; safe to call from several threads.

    ``clock_ms`` gives the times that are reported. At most ``pools_max`` keys keep a connection, as long as the peer lets
    them; the one unused longest is closed first.
    """

    def __init__(
        self,
        trust: ssl.SSLContext,
        clock_ms: Callable[[], int],
        timeout_s: float = TIMEOUT_S,
        pools_max: int = 64,
    ) -> None:
        """Trust the authorities of ``trust``; nothing is opened before the first request."""
        self._trust = trust
        self._clock_ms = clock_ms
        self._timeout_s = timeout_s
        self._slots = Slots(per_key_max=1, idle_max=pools_max, idle_s=None)

    def send(
        self,
        pool_key: str,
        destination: Destination,
        method: str,
        headers: Mapping[str, str],
        body: bytes = b"",
    ) -> Answer:
        """Send one request to ``destination`` on a connection of ``pool_key``, opened if need be.

        ``headers`` are added to Host and Content-Length. A failure of the network or the peer is an answer
        without status, not an exception. A kept connection to the same address and port is reused even where
        it was opened for another name: keeping such requests apart is the meaning of ``pool_key``.
        """
        slot = self._slots.acquire(pool_key)
        assert slot is not None, "waiting without a limit came to an end"
        with slot:
            return self._exchange(slot, destination, method, headers, body)

    def forget(self, pool_key: str) -> None:
        """Close the connection of ``pool_key``, if any; one in use closes behind its request."""
        self._slots.forget(pool_key)

    def close(self) -> None:
        """Close every connection; the transport can be used again afterwards."""
        self._slots.close()

    def _exchange(
        self, slot: Slot, to: Destination, method: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        began_at_ms = self._clock_ms()
        deadline = Deadline(self._timeout_s)
        host = to.host if to.port == HTTPS_PORT else f"{to.host}:{to.port}"
        fields = {"Host": host, **headers, "Content-Length": str(len(body))}
        seen: Seen | None = None
        try:
            connection = self._connection(slot, to, deadline)
            seen = connection.seen
            exchange = connection.exchange(
                method, to.path, list(fields.items()), body, deadline, self._clock_ms
            )
        except NETWORK_ERRORS as error:
            is_timeout = isinstance(error, httpcore.TimeoutException)
            exchange = Exchange(error=describe(error), is_timeout=is_timeout)
        return observe(to.host, to.port, to.path, exchange, seen, began_at_ms, self._clock_ms())

    def _connection(self, slot: Slot, to: Destination, deadline: Deadline) -> Connection:
        port = to.connect_port or to.port
        kept = slot.reuse(lambda kept: (kept.seen.peer_ip, kept.seen.peer_port) == (to.address, port))
        if kept is None:
            kept = slot.connection = Connection.open(to.host, (to.address,), port, self._trust, deadline)
        return kept
