"""Real TLS servers on loopback: many names on one address and port, and every way to behave badly.

A ``Server`` picks the certificate by the TLS name, as a hosting platform does, and keeps what it read by connection: not
only requests, but every decrypted byte.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from ledger.reenactment.pki import Leaf, server_context

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
READ_BYTES = 65_536


@dataclass
class Visit:
    """One TLS connection as the server saw it: by which name, with whose key, and every byte that came."""

    sni: str | None
    spki_sha256: str
    tls: ssl.SSLSocket
    raw: bytearray = field(default_factory=bytearray)
    requests: list[tuple[bytes, bytes]] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def read(self) -> bytes:
        chunk = self.tls.recv(READ_BYTES)
        self.raw += chunk
        return chunk

    def reset(self) -> None:
        """Close with an RST in place of a goodbye."""
        reset(self.tls)


Responder = Callable[[Visit], bool]
"""Answers the last request of a visit; False closes the connection."""


def until(is_so: Callable[[], bool]) -> bool:
    end_s = time.monotonic() + 10.0
    while time.monotonic() < end_s:
        if is_so():
            return True
        time.sleep(0.01)
    return False


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def answering(answer: bytes = OK) -> Responder:
    def respond(visit: Visit) -> bool:
        visit.tls.sendall(answer)
        return True

    return respond


GOOD = answering()


def saying(answer: bytes, pause_s: float = 0.0) -> Responder:
    """Answers, waits for ``pause_s``, and closes."""

    def respond(visit: Visit) -> bool:
        visit.tls.sendall(answer)
        time.sleep(pause_s)
        return False

    return respond


def closing(visit: Visit) -> bool:
    return False


def resetting(visit: Visit) -> bool:
    visit.reset()
    return False


def silent(visit: Visit) -> bool:
    time.sleep(6.0)
    return False


def dripping(start: bytes, drop: bytes) -> Responder:
    """Answers with ``start`` and then ``drop`` again and again, slowly, for as long as somebody listens."""

    def respond(visit: Visit) -> bool:
        with contextlib.suppress(OSError):
            visit.tls.sendall(start)
            for _ in range(40):
                visit.tls.sendall(drop)
                time.sleep(0.1)
        return False

    return respond


def flooding(start: bytes, wave: bytes) -> Responder:
    """Answers with ``start`` and then ``wave`` without an end, as fast as it goes."""

    def respond(visit: Visit) -> bool:
        with contextlib.suppress(OSError):
            visit.tls.sendall(start)
            while True:
                visit.tls.sendall(wave)
        return False

    return respond


class Server:
    """Serves the names of ``leaves`` on one port of ``address`` until it is closed.

    ``greet`` is run with each accepted socket before TLS; ``takes`` reads one request (or not all of it).
    """

    def __init__(
        self,
        leaves: Mapping[str, Leaf],
        respond: Responder = GOOD,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        greet: Callable[[socket.socket], None] = lambda plain: None,
        takes: Callable[[Visit], bool] | None = None,
    ) -> None:
        self.respond = respond
        self.visits: list[Visit] = []
        self.accepted = 0
        self._greet = greet
        self._takes = takes or read_request
        self._contexts = {host: server_context(leaf) for host, leaf in leaves.items()}
        self._spki = {self._contexts[host]: (host, leaf.spki_sha256) for host, leaf in leaves.items()}
        self._front = server_context(next(iter(leaves.values())))
        self._front.sni_callback = self._pick
        self._listener = socket.create_server((address, port), backlog=256)
        self.address = address
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def requests(self) -> list[tuple[bytes, bytes]]:
        """Head and body of every whole request."""
        return [request for visit in self.visits for request in visit.requests]

    @property
    def connections(self) -> int:
        return len(self.visits)

    def bytes_read(self) -> int:
        """How many decrypted bytes came in all, once every connection is over."""
        return sum(len(visit.raw) for visit in self.visits)

    def wait_until_over(self, count: int = 1) -> None:
        """Wait until there were ``count`` connections and all of them are over."""
        # A client may be through with the handshake, and with the connection, before the server is.
        assert until(lambda: len(self.visits) >= count), "a connection never came"
        for visit in list(self.visits):
            assert visit.is_over.wait(10.0), "a connection stays open"

    def close(self) -> None:
        # Without the shutdown a thread that waits in accept would keep the port open.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _pick(
        self, tls: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext
    ) -> int | None:
        if name in self._contexts:
            tls.context = self._contexts[name]
        return None

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self._greet(plain)
            tls = self._front.wrap_socket(plain, server_side=True)
            name, spki = self._spki.get(tls.context, (None, ""))
            visit = Visit(name, spki, tls)
            self.visits.append(visit)
            try:
                while self._takes(visit) and self.respond(visit):
                    pass
            finally:
                # Said only when it is so: whoever waits for it goes on to use a connection that is closed.
                tls.close()
                visit.is_over.set()


def read_request(visit: Visit) -> bool:
    """Read one whole request; False where the client closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = visit.read()
        if not chunk:
            return False
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    length = int(fields.get(b"content-length", b"0"))
    while len(body) < length:
        body += visit.read()
    visit.requests.append((head, body))
    return True


def odd_leaf(host: str, *, is_expired: bool = False) -> Leaf:
    """A certificate for ``host`` that no authority signed, or that is expired as well."""
    return _sign(host, None, None, is_expired)


class ShortAuthority:
    """An authority whose certificates are over."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "short authority")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=9))
            .not_valid_after(now + datetime.timedelta(days=9))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate_pem = certificate.public_bytes(Encoding.PEM).decode()

    def issue(self, host: str, *, is_expired: bool) -> Leaf:
        return _sign(host, self._key, self._name, is_expired)


def _sign(
    host: str, by: ec.EllipticCurvePrivateKey | None, issuer: x509.Name | None, is_expired: bool
) -> Leaf:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=-1 if is_expired else 1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer or name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - datetime.timedelta(days=5))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(by or key, hashes.SHA256())
    )
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Leaf(
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        hashlib.sha256(spki).hexdigest(),
    )
