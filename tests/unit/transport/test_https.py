"""One HTTPS request at a time against a real TLS server: what is observed, and what counts as disclosed."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from ledger.reenactment.pki import Authority, Leaf, server_context
from ledger.transport.https import ANSWER_BYTES_MAX, HttpsTransport, client_context
from ledger.transport.observed import Destination

NOW_MS = 1_500_000_000_000
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

Responder = Callable[[ssl.SSLSocket], bool]
"""Answers one request on a connection; False closes it."""


def answering(answer: bytes) -> Responder:
    def respond(connection: ssl.SSLSocket) -> bool:
        connection.sendall(answer)
        return True

    return respond


def closing(connection: ssl.SSLSocket) -> bool:
    return False


def silent(connection: ssl.SSLSocket) -> bool:
    time.sleep(1.0)
    return False


def dripping(connection: ssl.SSLSocket) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    with contextlib.suppress(OSError):
        for _ in range(40):
            connection.sendall(b"x")
            time.sleep(0.1)
    return False


@dataclass
class Server:
    """A TLS server for one leaf that keeps what it reads and answers as told."""

    leaf: Leaf
    respond: Responder
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        context = server_context(self.leaf)
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(context, plain), daemon=True).start()

    def _serve(self, context: ssl.SSLContext, plain: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as connection:
            self.connections += 1
            while request := self._read(connection):
                self.requests.append(request)
                if not self.respond(connection):
                    return

    def _read(self, connection: ssl.SSLSocket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = connection.recv(65536)
            if not chunk:
                return b""
            data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
        )
        while len(body) < length:
            body += connection.recv(65536)
        return head + b"\r\n\r\n" + body

    def close(self) -> None:
        self._listener.close()


AUTHORITY = Authority("transport tests")
LEAF = AUTHORITY.issue("dev-a", ["a.example", "b.example"])


@pytest.fixture
def serve() -> Iterator[Callable[[Responder], Server]]:
    servers: list[Server] = []

    def start(respond: Responder) -> Server:
        servers.append(Server(LEAF, respond))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def transport() -> Iterator[HttpsTransport]:
    made = HttpsTransport(client_context(AUTHORITY.certificate_pem), lambda: NOW_MS, timeout_s=0.5)
    yield made
    made.close()


def to(server: Server, host: str = "a.example", path: str = "/hook", port: int = 443) -> Destination:
    return Destination(host, port, path, "127.0.0.1", server.port)


Serve = Callable[[Responder], Server]


def test_an_answered_request_is_confirmed_and_read_off_the_connection(
    serve: Serve, transport: HttpsTransport
) -> None:
    server = serve(answering(OK))
    answer = transport.send("wh-1", to(server), "POST", {"X-Own": "1"}, b'{"a":1}')
    seen = answer.observed
    assert answer.body == b"hi"
    assert (seen.status, seen.disclosure, seen.error) == (200, "confirmed", None)
    assert (seen.host, seen.port, seen.path) == ("a.example", 443, "/hook")
    assert (seen.sni, seen.peer_ip) == ("a.example", "127.0.0.1")
    assert seen.spki_sha256 == LEAF.spki_sha256
    assert (seen.started_at_ms, seen.ended_at_ms) == (NOW_MS, NOW_MS)


def test_the_request_carries_host_headers_and_body(serve: Serve, transport: HttpsTransport) -> None:
    server = serve(answering(OK))
    transport.send("wh-1", to(server), "POST", {"X-Own": "1"}, b'{"a":1}')
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert body == b'{"a":1}'
    assert {b"Host: a.example", b"X-Own: 1", b"Content-Length: 7"} <= set(head.split(b"\r\n"))


@pytest.mark.parametrize("path", ["/", "/a/", "//a", "/A/../b", "/%7ea?x=1&&y=%2f", "/?"])
def test_the_path_goes_out_byte_for_byte(serve: Serve, transport: HttpsTransport, path: str) -> None:
    server = serve(answering(OK))
    transport.send("wh-1", to(server, path=path), "POST", {})
    assert server.requests[0].split(b"\r\n")[0] == f"POST {path} HTTP/1.1".encode()


def test_another_port_than_443_stands_in_the_host_header(serve: Serve, transport: HttpsTransport) -> None:
    server = serve(answering(OK))
    seen = transport.send("wh-1", to(server, port=8443), "POST", {}).observed
    assert b"Host: a.example:8443" in server.requests[0]
    assert seen.port == 8443


def test_a_closed_port_discloses_nothing(serve: Serve, transport: HttpsTransport) -> None:
    server = serve(answering(OK))
    server.close()
    time.sleep(0.05)
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    seen = transport.send("wh-1", Destination("a.example", 443, "/", "127.0.0.1", port), "POST", {}).observed
    assert (seen.status, seen.disclosure, seen.sni, seen.spki_sha256) == (None, "none", None, None)
    assert seen.error


def test_a_certificate_for_another_name_discloses_nothing(serve: Serve, transport: HttpsTransport) -> None:
    server = serve(answering(OK))
    seen = transport.send("wh-1", to(server, host="c.example"), "POST", {}, b"secret").observed
    assert (seen.status, seen.disclosure) == (None, "none")
    assert server.requests == []


def test_an_unknown_authority_discloses_nothing(serve: Serve) -> None:
    server = serve(answering(OK))
    stranger = HttpsTransport(client_context(Authority("other").certificate_pem), lambda: NOW_MS)
    seen = stranger.send("wh-1", to(server), "POST", {}, b"secret").observed
    assert (seen.status, seen.disclosure) == (None, "none")
    assert server.requests == []


def test_a_connection_closed_after_the_body_is_a_possible_disclosure(
    serve: Serve, transport: HttpsTransport
) -> None:
    server = serve(closing)
    seen = transport.send("wh-1", to(server), "POST", {}, b"secret").observed
    assert (seen.status, seen.disclosure, seen.is_timeout) == (None, "possible", False)
    assert seen.spki_sha256 == LEAF.spki_sha256
    assert server.requests[0].endswith(b"secret")


def test_silence_after_the_body_is_a_possible_disclosure_within_the_time(
    serve: Serve, transport: HttpsTransport
) -> None:
    began = time.monotonic()
    seen = transport.send("wh-1", to(serve(silent)), "POST", {}, b"secret").observed
    assert (seen.status, seen.disclosure, seen.is_timeout) == (None, "possible", True)
    assert time.monotonic() - began < 0.9


def test_a_dripping_answer_ends_at_the_deadline_with_its_status(
    serve: Serve, transport: HttpsTransport
) -> None:
    began = time.monotonic()
    seen = transport.send("wh-1", to(serve(dripping)), "POST", {}, b"x").observed
    assert (seen.status, seen.disclosure, seen.is_timeout) == (200, "confirmed", True)
    assert time.monotonic() - began < 0.9


def test_an_endless_answer_is_cut_off(serve: Serve, transport: HttpsTransport) -> None:
    size = ANSWER_BYTES_MAX * 4
    server = serve(answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size))
    answer = transport.send("wh-1", to(server), "POST", {})
    assert len(answer.body) == ANSWER_BYTES_MAX
    assert answer.observed.status == 200
    assert answer.observed.error


def test_a_redirect_is_an_answer_and_not_followed(serve: Serve, transport: HttpsTransport) -> None:
    server = serve(answering(b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n"))
    assert transport.send("wh-1", to(server), "POST", {}).observed.status == 302
    assert len(server.requests) == 1


def test_a_cookie_is_not_sent_back(serve: Serve, transport: HttpsTransport) -> None:
    server = serve(answering(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n"))
    for _ in range(2):
        transport.send("wh-1", to(server), "POST", {})
    assert b"cookie" not in server.requests[1].lower()


def test_one_key_keeps_one_connection(serve: Serve, transport: HttpsTransport) -> None:
    server = serve(answering(OK))
    for _ in range(3):
        transport.send("wh-1", to(server), "POST", {})
    assert (server.connections, len(server.requests)) == (1, 3)


def test_two_keys_never_share_a_connection(serve: Serve, transport: HttpsTransport) -> None:
    server = serve(answering(OK))
    first = transport.send("wh-1", to(server), "POST", {}).observed
    second = transport.send("wh-2", to(server, host="b.example"), "POST", {}).observed
    assert server.connections == 2
    assert (first.sni, second.sni) == ("a.example", "b.example")


def test_a_connection_reused_for_another_name_is_seen_as_what_it_was_opened_for(
    serve: Serve, transport: HttpsTransport
) -> None:
    server = serve(answering(OK))
    transport.send("by address", to(server), "POST", {})
    seen = transport.send("by address", to(server, host="b.example"), "POST", {}).observed
    assert server.connections == 1
    assert (seen.host, seen.sni) == ("b.example", "a.example")


def test_a_forgotten_key_opens_anew(serve: Serve, transport: HttpsTransport) -> None:
    server = serve(answering(OK))
    transport.send("wh-1", to(server), "POST", {})
    transport.forget("wh-1")
    transport.forget("wh-1")
    transport.send("wh-1", to(server), "POST", {})
    assert server.connections == 2


def test_a_failure_after_a_success_is_not_seen_on_the_old_connection(
    serve: Serve, transport: HttpsTransport
) -> None:
    server = serve(answering(OK))
    transport.send("wh-1", to(server), "POST", {})
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    moved = Destination("a.example", 443, "/", "127.0.0.1", port)
    seen = transport.send("wh-1", moved, "POST", {}).observed
    assert (seen.disclosure, seen.sni, seen.peer_ip, seen.spki_sha256) == ("none", None, None, None)


def test_the_key_unused_longest_is_closed_first(serve: Serve) -> None:
    server = serve(answering(OK))
    small = HttpsTransport(client_context(AUTHORITY.certificate_pem), lambda: NOW_MS, pools_max=2)
    for key in ("wh-1", "wh-2", "wh-1", "wh-3", "wh-1", "wh-2"):
        small.send(key, to(server), "POST", {})
    small.close()
    assert server.connections == 4
