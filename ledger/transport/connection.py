"""One TLS connection to one address: opened, looked at once, used for one request after the other.

TLS verifies the certificate for the URL's host while the socket goes to the address it is given. HTTP is httpcore's,
the connection layer of httpx, because it sends the path byte for byte, keeps no cookies, follows no redirects and takes
a stream of one's own.

Rules kept here: what is reported as seen is read from the connection itself; every socket call ends by the request's
deadline; **the head of a request waits for the first byte of its body**, and both go in one write behind the last
check, because the head carries a signature over the body and a ticket: what is called off leaves nothing at all. So
``none`` is said only while nothing was handed to the socket, and a write that fails is already ``possible``: how much
of a TLS record got out cannot be known. Left to callers: which address, which connection may be used again.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import httpcore

from ledger.core.addresses import parse_address
from ledger.core.destinations import HTTPS_PORT
from ledger.transport.tls import spki_sha256
from ledger.transport.tunnel import Dial, dial_directly

ANSWER_BYTES_MAX = 32_768
"""After how many bytes of an answer no more are read, head, framing and interim answers included.

The connection is then closed. It may be passed by one TLS record, so that none is left in parts. It bounds work as much
as memory: an answer can be cut into pieces that cost thousands of times their size to parse.
"""

ADDRESSES_TRIED_MAX = 4
"""How many addresses of a host are tried, one after the other, until one takes the connection."""

NETWORK_ERRORS = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, OSError)
"""What goes wrong between two machines, and is an outcome rather than an error of this program."""


class NotReachedError(httpcore.ConnectError):
    """No address took the connection: nobody was there who could have failed at anything."""


class CalledOff(Exception):  # noqa: N818 - nothing is broken: the answer was no
    """The request may not leave after all; nothing of it has."""


class Deadline:
    """The end of a request's time, on the monotonic clock."""

    __slots__ = ("_end_s",)

    def __init__(self, timeout_s: float) -> None:
        self._end_s = time.monotonic() + timeout_s

    def left_s(self, late: type[httpcore.TimeoutException]) -> float:
        """Seconds until the end; raises ``late`` when none are left."""
        left_s = self._end_s - time.monotonic()
        if left_s <= 0:
            raise late("the request's time was over")
        return left_s


@dataclass(frozen=True, slots=True)
class Seen:
    """What a connection itself says of its peer; ``sni`` is None where no name was sent (the host is an address)."""

    sni: str | None
    peer_ip: str
    peer_port: int
    spki_sha256: str | None


@dataclass(slots=True)
class Exchange:
    """One request as far as it came: filled while it goes, valid whenever it is looked at.

    ``started_at_ms`` is None as long as nothing of it was handed to the socket.
    """

    started_at_ms: int | None = None
    status: int | None = None
    body: bytearray = field(default_factory=bytearray)
    error: str | None = None
    is_timeout: bool = False
    is_called_off: bool = False
    is_refused_egress: bool = False
    is_unreached: bool = False


class _Stream(httpcore.NetworkStream):
    """A TLS stream whose calls end by the deadline of the request that is using it, and that holds its head back."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner
        self._deadline = Deadline(0.0)
        self._start: Callable[[], int] | None = None
        self._head: bytes | None = None
        self._exchange = Exchange()
        self.read_bytes = 0

    def begin(self, exchange: Exchange, deadline: Deadline, start: Callable[[], int]) -> None:
        self._exchange = exchange
        self._deadline = deadline
        self._start = start
        self._head = None
        self.read_bytes = 0

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._head is None:
            self._head = buffer
            return
        left_s = self._deadline.left_s(httpcore.WriteTimeout)
        if self._exchange.started_at_ms is None:
            assert self._start is not None, "nobody began a request"
            self._exchange.started_at_ms = self._start()
            buffer = self._head + buffer
        self._inner.write(buffer, left_s)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        assert self._exchange.started_at_ms is not None, "an answer is awaited to a request that has not left"
        if self.read_bytes >= ANSWER_BYTES_MAX:
            raise httpcore.RemoteProtocolError(f"answer longer than {ANSWER_BYTES_MAX} bytes")
        data = self._inner.read(max_bytes, self._deadline.left_s(httpcore.ReadTimeout))
        self.read_bytes += len(data)
        return data

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class Connection:
    """A verified TLS connection that was opened for ``host``; for one thread at a time."""

    def __init__(
        self, host: str, inner: httpcore.NetworkStream, tunnelled_to: tuple[str, int] | None = None
    ) -> None:
        """Take over the TLS stream ``inner``, and look at its peer; raises ConnectError or OSError where it is gone.

        ``tunnelled_to`` is where a tunnel was asked to go: the peer of its socket is the proxy.
        """
        self.host = host
        self.seen = _look(inner, tunnelled_to)
        self.opened_at_s = time.monotonic()
        self._stream = _Stream(inner)
        self._origin = httpcore.Origin(b"https", host.encode("ascii"), HTTPS_PORT)
        self._http = httpcore.HTTP11Connection(self._origin, self._stream)

    @classmethod
    def open(
        cls,
        host: str,
        addresses: Sequence[str],
        port: int,
        trust: ssl.SSLContext,
        deadline: Deadline,
        dial: Dial = dial_directly,
    ) -> Self:
        """Connect by ``dial`` to the first of ``addresses`` that answers at ``port``, and agree on TLS as ``host``.

        Raises one of :data:`NETWORK_ERRORS`. A peer that answers but fails in TLS is final: no other address is tried.
        """
        try:
            stream, address = _connect(addresses[:ADDRESSES_TRIED_MAX], port, deadline, dial)
        except httpcore.TimeoutException:
            raise
        except NETWORK_ERRORS as error:
            raise NotReachedError(describe(error)) from error
        try:
            stream = stream.start_tls(trust, host, deadline.left_s(httpcore.ConnectTimeout))
            return cls(host, stream, None if dial is dial_directly else (address, port))
        except BaseException:
            stream.close()
            raise

    def exchange(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        deadline: Deadline,
        start: Callable[[], int],
    ) -> Exchange:
        """Send one request and read its answer; no trouble with the peer is raised.

        ``target`` goes out byte for byte. ``headers`` are all there are, framing included. ``start`` is called once, when
        everything is ready and nothing has left: it gives the time, or raises :class:`CalledOff`, and then nothing leaves.
        """
        exchange = Exchange()
        self._stream.begin(exchange, deadline, start)
        try:
            self._send_and_read(exchange, self._request(method, target, headers, body))
        except CalledOff as no:
            exchange.error = str(no)
            exchange.is_called_off = True
        except NETWORK_ERRORS as error:
            exchange.error = describe(error)
            exchange.is_timeout = isinstance(error, httpcore.TimeoutException)
        return exchange

    def _request(
        self, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes
    ) -> httpcore.Request:
        scheme, host, port = self._origin.scheme, self._origin.host, self._origin.port
        return httpcore.Request(
            method,
            httpcore.URL(scheme=scheme, host=host, port=port, target=target),
            headers=headers,
            content=body,
        )

    def _send_and_read(self, exchange: Exchange, request: httpcore.Request) -> None:
        response = self._http.handle_request(request)
        try:
            if not self._stream.read_bytes:
                # It lay there before the request went out: it answers nothing and proves nothing received.
                self.close()
                raise httpcore.RemoteProtocolError("the answer came before the request")
            exchange.status = response.status
            for chunk in response.iter_stream():
                exchange.body += chunk
        finally:
            response.close()

    def is_reusable(self) -> bool:
        """Whether the last answer was read to its end and the peer has neither closed nor said anything since."""
        return self._http.is_idle() and not self._http.has_expired()

    def is_idle(self) -> bool:
        """Whether the last answer was read to its end and this side has not closed."""
        return self._http.is_idle()

    def close(self) -> None:
        """Close the socket; without effect where it is closed."""
        self._http.close()


def describe(error: Exception) -> str:
    """One line about a network error, without what was sent or received.

    A parser quotes what it stumbled over, and a peer may send back what it was sent.
    """
    if isinstance(error, httpcore.ProtocolError) and error.__cause__ is not None:
        return f"{type(error).__name__}: what was said is not HTTP"
    return f"{type(error).__name__}: {error}"


def _connect(
    addresses: Sequence[str], port: int, deadline: Deadline, dial: Dial
) -> tuple[httpcore.NetworkStream, str]:
    *others, last = addresses
    for position, address in enumerate(others):
        share_s = deadline.left_s(httpcore.ConnectTimeout) / (len(addresses) - position)
        try:
            return dial(address, port, share_s), address
        except (httpcore.ConnectError, httpcore.ConnectTimeout):
            # Nothing was said to this address, so another one of the same host may be asked.
            continue
    return dial(last, port, deadline.left_s(httpcore.ConnectTimeout)), last


def _look(stream: httpcore.NetworkStream, tunnelled_to: tuple[str, int] | None) -> Seen:
    tls = stream.get_extra_info("ssl_object")
    if tls is None:
        # The peer was gone before the handshake, and the socket is a plain one that nothing may be said on.
        raise httpcore.ConnectError("the peer closed before TLS")
    peer = tunnelled_to or stream.get_extra_info("server_addr")
    certificate = tls.getpeercert(True)
    # Python checks a certificate against an address, too, but TLS has no way to name one.
    name: str = tls.server_hostname
    sni = name if parse_address(name) is None else None
    return Seen(sni, peer[0], peer[1], spki_sha256(certificate) if certificate else None)
