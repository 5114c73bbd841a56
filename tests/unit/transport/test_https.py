"""One HTTPS request at a time against a real TLS server: what is observed, and what counts as disclosed."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import pytest

from ledger.reenactment.pki import Authority
from ledger.transport.connection import ANSWER_BYTES_MAX
from ledger.transport.https import Destination, HttpsTransport
from ledger.transport.tls import client_context
from tests.unit.transport.tls_server import Responder, Server, answering, closing, dripping, silent

NOW_MS = 1_500_000_000_000

AUTHORITY = Authority("transport tests")
LEAF = AUTHORITY.issue("dev-a", ["a.example", "b.example"])


@pytest.fixture
def serve() -> Iterator[Callable[[Responder], Server]]:
    servers: list[Server] = []

    def start(respond: Responder) -> Server:
        servers.append(Server({"a.example": LEAF, "b.example": LEAF}, respond))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def transport() -> Iterator[HttpsTransport]:
    made = HttpsTransport(client_context(AUTHORITY.certificate_pem), lambda: NOW_MS, timeout_s=20.0)
    yield made
    made.close()


@pytest.fixture
def hurried() -> Iterator[HttpsTransport]:
    """A transport whose time is soon over."""
    made = HttpsTransport(client_context(AUTHORITY.certificate_pem), lambda: NOW_MS, timeout_s=0.5)
    yield made
    made.close()


def to(server: Server, host: str = "a.example", path: str = "/hook", port: int = 443) -> Destination:
    return Destination(host, port, path, "127.0.0.1", server.port)


Serve = Callable[[Responder], Server]


def test_an_answered_request_is_confirmed_and_read_off_the_connection(
    serve: Serve, transport: HttpsTransport
) -> None:
    server = serve(answering())
    answer = transport.send("wh-1", to(server), "POST", {"X-Own": "1"}, b'{"a":1}')
    seen = answer.observed
    assert answer.body == b"hi"
    assert (seen.status, seen.disclosure, seen.error) == (200, "confirmed", None)
    assert (seen.host, seen.port, seen.path) == ("a.example", 443, "/hook")
    assert (seen.sni, seen.peer_ip) == ("a.example", "127.0.0.1")
    assert seen.spki_sha256 == LEAF.spki_sha256
    assert (seen.started_at_ms, seen.ended_at_ms) == (NOW_MS, NOW_MS)


def test_the_request_carries_host_headers_and_body(serve: Serve, transport: HttpsTransport) -> None:
    server = serve(answering())
    transport.send("wh-1", to(server), "POST", {"X-Own": "1"}, b'{"a":1}')
    head, body = server.requests[0]
    assert body == b'{"a":1}'
    assert {b"Host: a.example", b"X-Own: 1", b"Content-Length: 7"} <= set(head.split(b"\r\n"))


@pytest.mark.parametrize("path", ["/", "/a/", "//a", "/A/../b", "/%7ea?x=1&&y=%2f", "/?"])
def test_the_path_goes_out_byte_for_byte(serve: Serve, transport: HttpsTransport, path: str) -> None:
    server = serve(answering())
    transport.send("wh-1", to(server, path=path), "POST", {})
    assert server.requests[0][0].split(b"\r\n")[0] == f"POST {path} HTTP/1.1".encode()


def test_another_port_than_443_stands_in_the_host_header(serve: Serve, transport: HttpsTransport) -> None:
    server = serve(answering())
    seen = transport.send("wh-1", to(server, port=8443), "POST", {}).observed
    assert b"Host: a.example:8443" in server.requests[0][0]
    assert seen.port == 8443


def test_a_closed_port_discloses_nothing(serve: Serve, transport: HttpsTransport) -> None:
    server = serve(answering())
    server.close()
    time.sleep(0.05)
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    seen = transport.send("wh-1", Destination("a.example", 443, "/", "127.0.0.1", port), "POST", {}).observed
    assert (seen.status, seen.disclosure, seen.sni, seen.spki_sha256) == (None, "none", None, None)
    assert seen.error


def test_a_certificate_for_another_name_discloses_nothing(serve: Serve, transport: HttpsTransport) -> None:
    server = serve(answering())
    seen = transport.send("wh-1", to(server, host="c.example"), "POST", {}, b"secret").observed
    assert (seen.status, seen.disclosure) == (None, "none")
    assert server.requests == []


def test_an_unknown_authority_discloses_nothing(serve: Serve) -> None:
    server = serve(answering())
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
    assert server.requests[0][1] == b"secret"


def test_silence_after_the_body_is_a_possible_disclosure_within_the_time(
    serve: Serve, hurried: HttpsTransport
) -> None:
    began = time.monotonic()
    seen = hurried.send("wh-1", to(serve(silent)), "POST", {}, b"secret").observed
    assert (seen.status, seen.disclosure, seen.is_timeout) == (None, "possible", True)
    assert time.monotonic() - began < 3.5


def test_a_dripping_answer_ends_at_the_deadline_with_its_status(
    serve: Serve, hurried: HttpsTransport
) -> None:
    server = serve(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"))
    began = time.monotonic()
    seen = hurried.send("wh-1", to(server), "POST", {}, b"x").observed
    assert (seen.status, seen.disclosure, seen.is_timeout) == (200, "confirmed", True)
    assert time.monotonic() - began < 3.5


def test_an_endless_answer_is_cut_off(serve: Serve, transport: HttpsTransport) -> None:
    size = ANSWER_BYTES_MAX * 4
    server = serve(answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size))
    answer = transport.send("wh-1", to(server), "POST", {})
    assert ANSWER_BYTES_MAX / 2 < len(answer.body) < ANSWER_BYTES_MAX + 16_384
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
    assert b"cookie" not in server.requests[1][0].lower()


def test_one_key_keeps_one_connection(serve: Serve, transport: HttpsTransport) -> None:
    server = serve(answering())
    for _ in range(3):
        transport.send("wh-1", to(server), "POST", {})
    assert (server.connections, len(server.requests)) == (1, 3)


def test_two_keys_never_share_a_connection(serve: Serve, transport: HttpsTransport) -> None:
    server = serve(answering())
    first = transport.send("wh-1", to(server), "POST", {}).observed
    second = transport.send("wh-2", to(server, host="b.example"), "POST", {}).observed
    assert server.connections == 2
    assert (first.sni, second.sni) == ("a.example", "b.example")


def test_a_connection_reused_for_another_name_is_seen_as_what_it_was_opened_for(
    serve: Serve, transport: HttpsTransport
) -> None:
    server = serve(answering())
    transport.send("by address", to(server), "POST", {})
    seen = transport.send("by address", to(server, host="b.example"), "POST", {}).observed
    assert server.connections == 1
    assert (seen.host, seen.sni) == ("b.example", "a.example")


def test_a_forgotten_key_opens_anew(serve: Serve, transport: HttpsTransport) -> None:
    server = serve(answering())
    transport.send("wh-1", to(server), "POST", {})
    transport.forget("wh-1")
    transport.forget("wh-1")
    transport.send("wh-1", to(server), "POST", {})
    assert server.connections == 2


def test_a_failure_after_a_success_is_not_seen_on_the_old_connection(
    serve: Serve, transport: HttpsTransport
) -> None:
    server = serve(answering())
    transport.send("wh-1", to(server), "POST", {})
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    moved = Destination("a.example", 443, "/", "127.0.0.1", port)
    seen = transport.send("wh-1", moved, "POST", {}).observed
    assert (seen.disclosure, seen.sni, seen.peer_ip, seen.spki_sha256) == ("none", None, None, None)


def test_the_key_unused_longest_is_closed_first(serve: Serve) -> None:
    server = serve(answering())
    small = HttpsTransport(client_context(AUTHORITY.certificate_pem), lambda: NOW_MS, pools_max=2)
    for key in ("wh-1", "wh-2", "wh-1", "wh-3", "wh-1", "wh-2"):
        small.send(key, to(server), "POST", {})
    small.close()
    assert server.connections == 4
