"""One HTTPS request to a vetted address, its destination observed on the connection (delivery protocol, 3.5).

TLS verifies the certificate against the given trust for the name in the request's URL while the socket goes
to the vetted address; Host and TLS name are the URL's. Requests leave by httpcore, the connection layer of
httpx, because it sends the path byte for byte, keeps no cookies and follows no redirects, and lets a deadline
stand on every socket call.

Rules kept here: connections are pooled under the caller's ``pool_key`` alone (the right key is the webhook
id; an address is the fault of 2018); what is reported as seen is read from the connection that carried the
request; disclosure is ``none`` only while no body byte can have left. Left to callers: resolving and vetting
addresses, permits, retries.
"""

from __future__ import annotations

import hashlib
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import httpcore
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger.transport.observed import Answer, Destination, Disclosure, ObservedDelivery

TIMEOUT_S = 3.0
"""Longest time for one whole request, connecting included, in seconds of the monotonic clock."""

ANSWER_BYTES_MAX = 65_536
"""Most bytes of an answer's body that are read; the connection is then closed."""


def client_context(trusted_ca_pem: str | None = None) -> ssl.SSLContext:
    """A verifying client context: the system's authorities, or only those in ``trusted_ca_pem``."""
    context = ssl.create_default_context(cadata=trusted_ca_pem)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@lru_cache(maxsize=4096)
def spki_sha256(certificate_der: bytes) -> str:
    """SHA-256 over the SubjectPublicKeyInfo of a DER certificate, as 64 lower-case hex digits."""
    key = x509.load_der_x509_certificate(certificate_der).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


class _Stream(httpcore.NetworkStream):
    """A socket whose every call ends by its pool's deadline, and that the pool can look at."""

    def __init__(self, inner: httpcore.NetworkStream, pool: _Pool) -> None:
        self._inner = inner
        self._pool = pool

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._pool.time_left_s(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._pool.time_left_s(httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left_s = self._pool.time_left_s(httpcore.ConnectTimeout)
        secured = _Stream(self._inner.start_tls(ssl_context, server_hostname, left_s), self._pool)
        self._pool.connection = _seen_on(secured)
        return secured

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Seen:
    """What the connection itself says of its peer."""

    __slots__ = ("peer_ip", "peer_port", "sni", "spki_sha256")

    def __init__(self, sni: str | None, peer_ip: str, peer_port: int, spki: str | None) -> None:
        self.sni = sni
        self.peer_ip = peer_ip
        self.peer_port = peer_port
        self.spki_sha256 = spki


def _seen_on(stream: httpcore.NetworkStream) -> _Seen:
    tls = stream.get_extra_info("ssl_object")
    peer = stream.get_extra_info("server_addr")
    certificate = tls.getpeercert(True)
    return _Seen(tls.server_hostname, peer[0], peer[1], spki_sha256(certificate) if certificate else None)


class _Pool(httpcore.NetworkBackend):
    """The one kept-alive connection of a pool key, with the deadline of the request that is using it."""

    def __init__(self, trust: ssl.SSLContext) -> None:
        self.lock = threading.Lock()
        self.connection: _Seen | None = None
        self.http = httpcore.ConnectionPool(ssl_context=trust, max_connections=1, network_backend=self)
        self._sockets = httpcore.SyncBackend()
        self._deadline_s = 0.0

    def begin(self, timeout_s: float) -> None:
        self._deadline_s = time.monotonic() + timeout_s
        # A failed connect must not be reported with the peer of the connection before it.
        if not any(connection.is_idle() for connection in self.http.connections):
            self.connection = None

    def time_left_s(self, late: type[httpcore.TimeoutException]) -> float:
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise late("the request's time was over")
        return left_s

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        self.connection = None
        left_s = self.time_left_s(httpcore.ConnectTimeout)
        return _Stream(self._sockets.connect_tcp(host, port, left_s, local_address, socket_options), self)


class HttpsTransport:
    """Sends requests over connections pooled by the caller's key; safe to call from several threads.

    ``clock_ms`` gives the times that are reported. At most ``pools_max`` keys keep a connection; the one
    unused longest is closed first.
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
        self._pools_max = pools_max
        self._pools: OrderedDict[str, _Pool] = OrderedDict()
        self._lock = threading.Lock()

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
        pool = self._pool(pool_key)
        with pool.lock:
            return self._exchange(pool, destination, method, headers, body)

    def forget(self, pool_key: str) -> None:
        """Close the connection of ``pool_key``, if any."""
        with self._lock:
            pool = self._pools.pop(pool_key, None)
        if pool is not None:
            with pool.lock:
                pool.http.close()

    def close(self) -> None:
        """Close every connection; the transport can be used again afterwards."""
        for pool_key in list(self._pools):
            self.forget(pool_key)

    def _pool(self, pool_key: str) -> _Pool:
        with self._lock:
            pool = self._pools.pop(pool_key, None) or _Pool(self._trust)
            self._pools[pool_key] = pool
            surplus = [self._pools.popitem(last=False)[1] for _ in range(len(self._pools) - self._pools_max)]
        for old in surplus:
            with old.lock:
                old.http.close()
        return pool

    def _exchange(
        self, pool: _Pool, to: Destination, method: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        pool.begin(self._timeout_s)
        began = _Progress(self._clock_ms)
        status: int | None = None
        error: str | None = None
        is_timeout = False
        received = bytearray()
        try:
            request = _request(to, method, headers, body, began)
            with pool.http.stream(**request) as response:
                status = response.status
                for chunk in response.iter_stream():
                    received += chunk
                    if len(received) > ANSWER_BYTES_MAX:
                        error = f"answer longer than {ANSWER_BYTES_MAX} bytes"
                        break
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, OSError) as exc:
            error = f"{type(exc).__name__}: {exc}"
            is_timeout = isinstance(exc, httpcore.TimeoutException)
        seen = pool.connection
        observed = ObservedDelivery(
            started_at_ms=began.at_ms,
            ended_at_ms=self._clock_ms(),
            host=to.host,
            port=to.port if seen is None or seen.peer_port == to.connect_port else seen.peer_port,
            path=to.path,
            sni=seen.sni if seen else None,
            peer_ip=seen.peer_ip if seen else None,
            spki_sha256=seen.spki_sha256 if seen else None,
            status=status,
            disclosure=_disclosure(status, began.is_body_begun),
            error=error,
            is_timeout=is_timeout,
        )
        return Answer(observed, bytes(received[:ANSWER_BYTES_MAX]))


class _Progress:
    """Follows a request to the point where body bytes begin to leave."""

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        self._clock_ms = clock_ms
        self.at_ms = clock_ms()
        self.is_body_begun = False

    def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        if event == "http11.send_request_body.started":
            self.is_body_begun = True
            self.at_ms = self._clock_ms()


def _disclosure(status: int | None, is_body_begun: bool) -> Disclosure:
    if status is not None:
        return "confirmed"
    return "possible" if is_body_begun else "none"


def _request(
    to: Destination, method: str, headers: Mapping[str, str], body: bytes, progress: _Progress
) -> dict[str, Any]:
    host = to.host if to.port == 443 else f"{to.host}:{to.port}"
    fields = {"Host": host, **headers, "Content-Length": str(len(body))}
    return {
        "method": method,
        "url": httpcore.URL(
            scheme=b"https",
            host=to.address.encode("ascii"),
            port=to.connect_port or to.port,
            target=to.path.encode("ascii"),
        ),
        "headers": [(name.encode("ascii"), value.encode("ascii")) for name, value in fields.items()],
        "content": body,
        "extensions": {"sni_hostname": to.host, "trace": progress},
    }
