"""What is sent under a permit: to whom, when not, and what is said of it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from tests.unit.transport.tls_server import OK, Visit, answering, closing, until
from tests.unit.transport.webhook_world import NOW_MS, PATH, Asked, World, leaf_of


@pytest.fixture
def world() -> Iterator[World]:
    with World() as made:
        yield made


def test_a_permitted_body_arrives_and_is_observed_on_its_connection(world: World) -> None:
    server = world.serve()
    answer = world.post(b'{"a":1}', headers={"Content-Type": "application/json"})
    seen = answer.observed
    assert (answer.body, seen.status, seen.disclosure, seen.error) == (b"hi", 200, "confirmed", None)
    assert (seen.host, seen.port, seen.path, seen.sni) == ("a.example", 443, PATH, "a.example")
    assert (seen.peer_ip, seen.spki_sha256) == ("127.0.0.1", leaf_of("a.example").spki_sha256)
    assert (seen.started_at_ms, seen.ended_at_ms, seen.vetted_addresses) == (NOW_MS, NOW_MS, ("127.0.0.1",))
    assert server.requests == [
        (
            b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: a.example\r\n"
            b"Content-Type: application/json\r\nContent-Length: 7",
            b'{"a":1}',
        )
    ]


def test_an_empty_body_is_sent_as_such(world: World) -> None:
    server = world.serve()
    assert world.post(b"").observed.disclosure == "confirmed"
    assert server.requests[0][1] == b""


def test_a_large_body_arrives_whole(world: World) -> None:
    server = world.serve()
    body = bytes(range(256)) * 4_000
    assert world.post(body).observed.status == 200
    assert server.requests[0][1] == body


@pytest.mark.parametrize("path", ["/", "//a", "/A/../b", "/%7ea?x=1&&y=%2f", "/?"])
def test_the_path_goes_out_byte_for_byte(world: World, path: str) -> None:
    server = world.serve()
    seen = world.post(url=f"https://a.example{path}").observed
    assert server.requests[0][0].startswith(f"POST {path} HTTP/1.1\r\n".encode())
    assert seen.path == path


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "Expect"])
def test_callers_cannot_say_how_a_body_is_framed_or_where_it_goes(world: World, name: str) -> None:
    world.serve()
    with pytest.raises(AssertionError):
        world.post(headers={name: "x"})


def test_may_start_is_asked_exactly_once(world: World) -> None:
    world.serve()
    asked = Asked()
    world.post(may_start=asked)
    assert asked.times == 1


def test_may_start_is_asked_on_a_connection_that_stands_with_nothing_sent_on_it(world: World) -> None:
    server = world.serve()
    found: list[tuple[int, int]] = []

    def look() -> None:
        found.append((server.connections, server.bytes_read()))

    world.post(may_start=Asked(before=look))
    world.post(may_start=Asked(before=look))
    assert [bytes_read for _, bytes_read in found] == [0, len(server.visits[0].raw) // 2]


def test_what_is_called_off_leaves_not_one_byte_at_the_receiver(world: World) -> None:
    server = world.serve()
    asked = Asked(answer=False)
    seen = world.post(b"secret", may_start=asked).observed
    server.wait_until_over()
    assert (seen.status, seen.disclosure, seen.is_called_off, seen.is_timeout) == (None, "none", True, False)
    assert seen.error
    assert (seen.sni, seen.peer_ip) == ("a.example", "127.0.0.1")
    assert (asked.times, server.accepted, server.bytes_read()) == (1, 1, 0)


def test_after_a_call_off_the_next_body_goes_by_a_new_connection(world: World) -> None:
    server = world.serve()
    world.post(may_start=Asked(answer=False))
    assert world.post().observed.status == 200
    assert until(lambda: sorted(len(visit.requests) for visit in server.visits) == [0, 1])


def test_a_call_off_on_a_kept_connection_leaves_nothing_of_the_second_request(world: World) -> None:
    server = world.serve()
    world.post(b"first")
    seen = world.post(b"second", may_start=Asked(answer=False)).observed
    server.wait_until_over()
    assert (seen.disclosure, server.connections) == ("none", 1)
    assert bytes(server.visits[0].raw).endswith(b"\r\n\r\nfirst")


@pytest.mark.parametrize("early_ms", [0, -1, -60_000])
def test_a_permit_that_is_over_opens_no_connection_and_asks_nobody(world: World, early_ms: int) -> None:
    server = world.serve()
    asked = Asked()
    seen = world.post(send_before_ms=NOW_MS + early_ms, may_start=asked).observed
    assert (seen.status, seen.disclosure, seen.is_called_off) == (None, "none", True)
    assert (asked.times, server.accepted) == (0, 0)


def test_a_permit_that_ends_while_it_is_asked_about_leaves_not_one_byte(world: World) -> None:
    server = world.serve()

    def wait() -> None:
        world.clock.at_ms = NOW_MS + 1_000

    seen = world.post(b"secret", may_start=Asked(before=wait)).observed
    server.wait_until_over()
    assert (seen.disclosure, seen.is_called_off, server.accepted, server.bytes_read()) == ("none", True, 1, 0)


@pytest.mark.parametrize("is_asked", [False, True], ids=["before", "while it is asked about"])
def test_a_clock_that_went_back_does_not_make_a_permit_last(is_asked: bool) -> None:
    seconds = [4.0]
    with World(stopwatch=lambda: seconds[0]) as world:
        server = world.serve()
        world.clock.at_ms = NOW_MS - 7_200_000
        asked = Asked(before=lambda: seconds.__setitem__(0, 5.0))
        seconds[0] = 4.9 if is_asked else 5.0
        seen = world.post(b"secret", may_start=asked, ends_at_s=5.0).observed
        assert (seen.disclosure, seen.is_called_off, asked.times) == ("none", True, int(is_asked))
        assert server.bytes_read() == 0


def test_a_permit_lasts_to_its_last_millisecond(world: World) -> None:
    server = world.serve()
    asked = Asked(before=lambda: setattr(world.clock, "at_ms", NOW_MS + 999))
    assert world.post(may_start=asked).observed.started_at_ms == NOW_MS + 999
    assert len(server.requests) == 1


def test_nothing_is_waited_for_longer_than_the_permit_lasts() -> None:
    with World(timeout_s=30.0) as world:
        world.serve(greet=lambda plain: time.sleep(6.0))
        began_s = time.monotonic()
        seen = world.post(send_before_ms=NOW_MS + 100).observed
        assert (seen.disclosure, seen.is_timeout, seen.sni) == ("none", True, None)
        assert time.monotonic() - began_s < 5.0


def test_a_permit_that_ends_during_the_handshake_is_over(world: World) -> None:
    def stall(plain: socket.socket) -> None:
        world.clock.at_ms = NOW_MS + 1_000
        time.sleep(6.0)

    server = world.serve(greet=stall)
    asked = Asked()
    seen = world.post(may_start=asked, send_before_ms=NOW_MS + 300).observed
    assert (seen.disclosure, seen.is_timeout, seen.is_called_off) == ("none", True, True)
    assert (asked.times, server.bytes_read()) == (0, 0)


def test_an_answer_may_come_when_the_permit_is_over(world: World) -> None:
    def respond(visit: Visit) -> bool:
        world.clock.at_ms = NOW_MS + 2_000
        visit.tls.sendall(OK)
        return True

    world.serve(respond=respond)
    seen = world.post().observed
    assert (seen.status, seen.disclosure, seen.is_called_off) == (200, "confirmed", False)
    assert (seen.started_at_ms, seen.ended_at_ms) == (NOW_MS, NOW_MS + 2_000)


def test_an_error_of_may_start_is_the_callers_and_sends_nothing(world: World) -> None:
    server = world.serve()

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        world.post(may_start=Asked(before=fail))
    server.wait_until_over()
    assert server.bytes_read() == 0
    assert world.post().observed.status == 200


def test_a_redirect_is_an_answer_and_not_followed(world: World) -> None:
    server = world.serve(
        respond=answering(
            b"HTTP/1.1 307 Go\r\nLocation: https://a.example/other\r\nContent-Length: 0\r\n\r\n"
        )
    )
    assert world.post().observed.status == 307
    assert len(server.requests) == 1


def test_a_cookie_is_not_sent_back(world: World) -> None:
    server = world.serve(
        respond=answering(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n")
    )
    world.post()
    world.post()
    assert b"cookie" not in server.requests[1][0].lower()


def test_a_challenge_appends_its_query_and_returns_the_answer(world: World) -> None:
    server = world.serve()
    answer = world.webhooks.challenge(
        "wh-1",
        f"https://a.example{PATH}",
        "crc_token=x&nonce=y",
        {"x-twitter-webhooks-signature": "sha256=z"},
    )
    head = server.requests[0][0].split(b"\r\n")
    assert head == [
        f"GET {PATH}?crc_token=x&nonce=y HTTP/1.1".encode(),
        b"Host: a.example",
        b"x-twitter-webhooks-signature: sha256=z",
    ]
    assert (answer.body, answer.observed.status, answer.observed.path) == (
        b"hi",
        200,
        f"{PATH}?crc_token=x&nonce=y",
    )
    assert answer.observed.spki_sha256 == leaf_of("a.example").spki_sha256
    assert answer.observed.vetted_addresses == ("127.0.0.1",)


def test_a_challenge_keeps_the_query_of_the_url(world: World) -> None:
    server = world.serve()
    world.webhooks.challenge("wh-1", "https://a.example/hook?x=1", "crc_token=x", {})
    assert server.requests[0][0].startswith(b"GET /hook?x=1&crc_token=x HTTP/1.1\r\n")


def test_challenges_and_deliveries_never_share_a_connection(world: World) -> None:
    server = world.serve()
    world.post()
    world.webhooks.challenge("wh-1", f"https://a.example{PATH}", "crc_token=x", {})
    world.webhooks.challenge("wh-1", f"https://a.example{PATH}", "crc_token=y", {})
    world.post()
    methods = [[head.split()[0] for head, _ in visit.requests] for visit in server.visits]
    assert methods == [[b"POST", b"POST"], [b"GET"], [b"GET"]]


def test_a_challenge_that_fails_is_an_answer_without_status(world: World) -> None:
    world.serve(respond=closing)
    seen = world.webhooks.challenge("wh-1", f"https://a.example{PATH}", "crc_token=x", {}).observed
    assert (seen.status, seen.is_timeout) == (None, False)
    assert seen.error


def test_a_message_goes_by_a_connection_of_its_own(world: World) -> None:
    server = world.serve()
    world.post()
    answer = world.webhooks.tell("wh-1", f"https://a.example{PATH}", {"webhook-id": "m-1"}, b"told")
    world.post()
    assert (answer.body, answer.observed.status, answer.observed.path) == (b"hi", 200, PATH)
    assert [[body for _, body in visit.requests] for visit in server.visits] == [[b'{"a":1}'] * 2, [b"told"]]
    assert server.visits[1].requests[0][0].split(b"\r\n")[1:] == [
        b"Host: a.example",
        b"webhook-id: m-1",
        b"Content-Length: 4",
    ]
    assert until(server.visits[1].is_over.is_set)
