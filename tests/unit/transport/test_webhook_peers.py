"""Peers that fail or mean harm: what is said of the attempt, and that its time and memory are bounded."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ledger.transport.connection import ANSWER_BYTES_MAX
from tests.unit.transport.tls_server import (
    Responder,
    Server,
    ShortAuthority,
    Visit,
    answering,
    closing,
    dripping,
    flooding,
    odd_leaf,
    reset,
    resetting,
    saying,
    silent,
)
from tests.unit.transport.webhook_world import AUTHORITY, Asked, World, leaf_of

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def world() -> Iterator[World]:
    with World(timeout_s=20.0) as made:
        yield made


def hurried(is_timeout: bool) -> World:
    """A world in which the time is soon over where that is meant, and never where it is not, however slow the machine."""
    return World(timeout_s=0.6 if is_timeout else 20.0)


@contextmanager
def within(limit_s: float) -> Iterator[None]:
    began_s = time.monotonic()
    yield
    assert time.monotonic() - began_s < limit_s


@pytest.mark.parametrize(
    ("respond", "is_timeout"),
    [
        (closing, False),
        (resetting, False),
        (silent, True),
        (dripping(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"), True),
        (dripping(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early\r\n\r\n"), True),
        (flooding(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 1_000), False),
        (flooding(b"HTTP/1.1 ", b"2" * 10_000), False),
        (saying(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), False),
        (saying(b"\x00\x01\x02\x03" * 100), False),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"), False),
        (saying(b"HTTP/1.1 200"), False),
    ],
    ids=[
        "closes",
        "resets",
        "silent",
        "slow headers",
        "only interim answers",
        "endless headers",
        "endless status line",
        "another protocol",
        "garbage",
        "two lengths",
        "half a status line",
    ],
)
def test_without_a_status_a_body_that_left_is_a_possible_disclosure(
    respond: Responder, is_timeout: bool
) -> None:
    with hurried(is_timeout) as world, within(10.0):
        server = world.serve(respond=respond)
        seen = world.post(b"secret").observed
    assert (seen.status, seen.disclosure, seen.is_timeout) == (None, "possible", is_timeout)
    assert seen.error
    assert seen.spki_sha256 == leaf_of("a.example").spki_sha256
    assert server.requests[0][1] == b"secret"


@pytest.mark.parametrize(
    ("respond", "is_timeout"),
    [
        (dripping(HEAD, b"x"), True),
        (saying(HEAD + b"x", pause_s=1.0), True),
        (saying(HEAD + b"x"), False),
        (flooding(CHUNKED, b"400\r\n" + b"x" * 1_024 + b"\r\n"), False),
        (flooding(CHUNKED, b"1\r\nx\r\n" * 1_000), False),
        (saying(CHUNKED + b"zz\r\n"), False),
    ],
    ids=["slow body", "stuck body", "half a body", "endless body", "endless small chunks", "bad chunk"],
)
def test_whatever_follows_a_status_the_disclosure_is_confirmed(respond: Responder, is_timeout: bool) -> None:
    with hurried(is_timeout) as world, within(10.0):
        world.serve(respond=respond)
        answer = world.post(b"secret")
    seen = answer.observed
    assert (seen.status, seen.disclosure, seen.is_timeout) == (200, "confirmed", is_timeout)
    assert seen.error
    assert len(answer.body) < ANSWER_BYTES_MAX + 16_384


@pytest.mark.parametrize("respond", [saying(HEAD + b"x"), flooding(CHUNKED, b"1\r\nx\r\n" * 1_000)])
def test_a_connection_whose_answer_was_not_read_to_its_end_is_not_used_again(
    world: World, respond: Responder
) -> None:
    server = world.serve(respond=respond)
    world.post()
    server.respond = answering()
    assert world.post().observed.error is None
    assert server.connections == 2


def test_an_answer_that_was_there_before_the_request_proves_nothing(world: World) -> None:
    two = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * 2
    server = world.serve(respond=answering(two))
    assert world.post().observed.status == 200
    seen = world.post(b"secret").observed
    assert (seen.status, seen.disclosure) == (None, "possible")
    server.respond = answering()
    assert world.post().observed.status == 200
    assert server.connections == 2


@pytest.mark.parametrize("answer", [b"secret", b"HTTP/1.1 200 OK\r\nsecret\r\n", CHUNKED + b"secret\r\n"])
def test_an_error_does_not_repeat_what_the_peer_sent_back(world: World, answer: bytes) -> None:
    world.serve(respond=saying(answer + b"\r\n\r\n"))
    error = world.post(b"secret").observed.error
    assert error
    assert "secret" not in error


def test_a_reset_in_the_middle_of_the_body_is_a_possible_disclosure(world: World) -> None:
    def takes(visit: Visit) -> bool:
        while len(visit.raw) < 100_000:
            visit.read()
        visit.reset()
        return False

    server = world.serve(takes=takes)
    seen = world.post(b"x" * 20_000_000).observed
    assert (seen.status, seen.disclosure, seen.is_timeout) == (None, "possible", False)
    assert server.bytes_read() >= 100_000


def test_an_answer_in_the_middle_of_the_body_confirms_it(world: World) -> None:
    def takes(visit: Visit) -> bool:
        while len(visit.raw) < 100_000:
            visit.read()
        visit.tls.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        while visit.read():
            pass
        return False

    world.serve(takes=takes)
    seen = world.post(b"x" * 2_000_000).observed
    assert (seen.status, seen.disclosure) == (413, "confirmed")


def test_a_peer_that_reads_nothing_takes_no_more_than_the_time_of_one_request() -> None:
    def takes(visit: Visit) -> bool:
        visit.read()
        time.sleep(6.0)
        return False

    with hurried(is_timeout=True) as world, within(5.0):
        world.serve(takes=takes)
        seen = world.post(b"x" * 50_000_000).observed
    assert (seen.disclosure, seen.is_timeout) == ("possible", True)


def test_a_peer_that_reads_slowly_takes_no_more_than_the_time_of_one_request() -> None:
    def takes(visit: Visit) -> bool:
        while visit.read():
            time.sleep(0.05)
        return False

    with hurried(is_timeout=True) as world, within(5.0):
        world.serve(takes=takes)
        seen = world.post(b"x" * 50_000_000).observed
    assert (seen.disclosure, seen.is_timeout) == ("possible", True)


def fail(world: World, server: Server) -> None:
    """The attempt failed before the first byte, and nobody was asked whether it may start."""
    asked = Asked()
    seen = world.post(b"secret", may_start=asked).observed
    assert (seen.status, seen.disclosure, seen.sni, seen.peer_ip, seen.spki_sha256) == (
        None,
        "none",
        None,
        None,
        None,
    )
    assert seen.error
    assert not seen.is_refused_egress
    assert not seen.is_called_off
    assert (asked.times, server.bytes_read()) == (0, 0)


def test_a_closed_port_discloses_nothing(world: World) -> None:
    server = world.serve()
    server.close()
    time.sleep(0.05)
    fail(world, server)


def speak(plain: socket.socket) -> None:
    plain.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")


@pytest.mark.parametrize("greet", [reset, socket.socket.close, speak])
def test_a_peer_that_fails_before_tls_discloses_nothing(
    world: World, greet: Callable[[socket.socket], None]
) -> None:
    fail(world, world.serve(greet=greet))


def test_a_peer_that_never_answers_in_tls_takes_no_more_than_the_time_of_one_request() -> None:
    with hurried(is_timeout=True) as world, within(5.0):
        fail(world, world.serve(greet=lambda plain: time.sleep(6.0)))


def test_a_certificate_for_another_name_discloses_nothing(world: World) -> None:
    fail(world, world.place(["a.example"], Server({"b.example": leaf_of("b.example")})))


def test_a_self_signed_certificate_discloses_nothing(world: World) -> None:
    fail(world, world.place(["a.example"], Server({"a.example": odd_leaf("a.example")})))


@pytest.mark.parametrize("is_expired", [False, True])
def test_a_certificate_discloses_nothing_once_it_is_expired(is_expired: bool) -> None:
    authority = ShortAuthority()
    with World(ca_pem=authority.certificate_pem) as world:
        server = world.place(
            ["a.example"], Server({"a.example": authority.issue("a.example", is_expired=is_expired)})
        )
        if is_expired:
            fail(world, server)
        else:
            assert world.post().observed.status == 200


def test_a_name_that_stands_only_in_the_common_name_is_not_the_certificates(world: World) -> None:
    leaf = AUTHORITY.issue("a.example", ["b.example"])
    fail(world, world.place(["a.example"], Server({"b.example": leaf})))


def test_an_authority_that_is_not_trusted_discloses_nothing() -> None:
    with World(ca_pem=ShortAuthority().certificate_pem) as world:
        fail(world, world.serve())
