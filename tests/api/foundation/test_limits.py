"""How often and how much: rate limits, and bounds on bodies, headers and addresses."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from api.body_limits import BATCH_BYTES_MAX, BODY_BYTES_MAX, HEADER_COUNT_MAX
from api.rate_limits import WINDOW_MS
from tests.api.foundation.test_signed_calls import put_access
from tests.api.foundation.test_tokens import as_bearer, ask_bearer, codes
from tests.api.foundation.world import BOB, WebWorld

LIMITED = "/1.1/probe/limited"


def bearer(world: WebWorld, app: str = "a") -> str:
    return str(ask_bearer(world, world.app_a if app == "a" else world.app_b).json()["access_token"])


def rate_of(answer: httpx.Response) -> tuple[int, int, int]:
    limit, remaining, reset = (
        int(answer.headers[f"x-rate-limit-{name}"]) for name in ("limit", "remaining", "reset")
    )
    return limit, remaining, reset


def to_a_new_window(world: WebWorld) -> None:
    now_ms = world.clock.now_ms()
    world.clock.move((WINDOW_MS - now_ms % WINDOW_MS) / 1_000 + 1)


def test_every_answer_says_where_the_caller_stands(world: WebWorld) -> None:
    to_a_new_window(world)
    token = bearer(world)
    now_s = world.clock.now_ms() // 1_000
    first, second = (rate_of(as_bearer(world, token, LIMITED)) for _ in range(2))
    assert (first[:2], second[:2]) == ((15, 14), (15, 13))
    assert now_s < first[2] <= now_s + 900


def test_answers_that_fail_say_so_too(world: WebWorld) -> None:
    answer = as_bearer(world, bearer(world), "/1.1/probe/limited_failing")
    assert answer.status_code == 404
    assert rate_of(answer)[0] == 15


def test_one_call_too_many_is_refused_until_the_window_ends(world: WebWorld) -> None:
    to_a_new_window(world)
    token = bearer(world)
    answers = [as_bearer(world, token, LIMITED) for _ in range(17)]
    assert [answer.status_code for answer in answers] == [200] * 15 + [429] * 2
    assert codes(answers[-1]) == (429, 88)
    assert rate_of(answers[-1])[1] == 0
    assert 0 < int(answers[-1].headers["retry-after"]) <= 900
    to_a_new_window(world)
    assert as_bearer(world, token, LIMITED).status_code == 200


def test_apps_do_not_share_a_window(world: WebWorld) -> None:
    to_a_new_window(world)
    token = bearer(world)
    for _ in range(16):
        as_bearer(world, token, LIMITED)
    assert as_bearer(world, bearer(world, "b"), LIMITED).status_code == 200


def test_accounts_do_not_share_a_window(world: WebWorld) -> None:
    to_a_new_window(world)
    alice, bob = put_access(world), put_access(world, account=BOB)
    statuses = [
        world.signed("GET", "/1.1/probe/limited_user", world.client(None, *token)).status_code
        for token in [alice] * 6 + [bob]
    ]
    assert statuses == [200] * 5 + [429, 200]


def test_calls_of_nobody_count_for_nobody(world: WebWorld) -> None:
    to_a_new_window(world)
    for _ in range(20):
        assert "x-rate-limit-limit" not in world.http.get(LIMITED).headers
    assert rate_of(as_bearer(world, bearer(world), LIMITED))[1] == 14


def post(world: WebWorld, content: object, path: str = "/v1/probe/bytes", **headers: str) -> httpx.Response:
    return world.http.post(path, content=content, headers=headers)  # type: ignore[arg-type]


def test_a_body_at_the_bound_is_taken_and_one_byte_more_is_not(world: WebWorld) -> None:
    assert post(world, b"x" * BODY_BYTES_MAX).json() == {"bytes": BODY_BYTES_MAX}
    answer = post(world, b"x" * (BODY_BYTES_MAX + 1))
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:grantledger:problem:too-large")


def test_a_body_without_a_length_is_cut_off_at_the_bound(world: WebWorld) -> None:
    def pieces(count: int) -> Iterator[bytes]:
        for _ in range(count):
            yield b"x" * 65_536

    assert post(world, pieces(16)).json() == {"bytes": 16 * 65_536}
    assert post(world, pieces(17)).status_code == 413


def test_batches_may_be_larger(world: WebWorld) -> None:
    from api.body_limits import BATCH_PATHS

    assert set(BATCH_PATHS) == {
        "/v1/records",
        "/v1/events",
        "/v1/authorizations",
        "/v1/receipts",
        "/v1/egress",
    }
    assert set(BATCH_PATHS.values()) == {BATCH_BYTES_MAX}


def test_a_false_length_changes_nothing(world: WebWorld) -> None:
    head = b"POST /v1/probe/bytes HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n"
    assert b" 413 " in raw(world, head).split(b"\r\n")[0]


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "zstd", "identity, gzip"])
def test_compressed_bodies_are_refused(world: WebWorld, coding: str) -> None:
    assert post(world, b"x", **{"Content-Encoding": coding}).status_code == 415


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", '"utf-7"', ""])
def test_another_charset_is_refused(world: WebWorld, charset: str) -> None:
    answer = post(world, b"{}", "/v1/probe/json", **{"Content-Type": f"application/json; charset={charset}"})
    assert answer.status_code == 415


@pytest.mark.parametrize("charset", ["utf-8", '"UTF-8"', "US-ASCII"])
def test_utf8_may_be_stated(world: WebWorld, charset: str) -> None:
    answer = post(world, b"{}", "/v1/probe/json", **{"Content-Type": f"application/json; charset={charset}"})
    assert answer.json() == {"members": 0}


def test_a_body_that_is_not_json_or_says_it_is_not_is_refused(world: WebWorld) -> None:
    kinds = {"text/plain": 415, "application/x-www-form-urlencoded": 415, "application/json": 400}
    answers = {kind: post(world, b"x", "/v1/probe/json", **{"Content-Type": kind}) for kind in kinds}
    assert {kind: answer.status_code for kind, answer in answers.items()} == kinds


def test_too_many_and_too_large_headers_are_refused(world: WebWorld) -> None:
    many = world.http.get("/healthz", headers=[("X-A", "1")] * (HEADER_COUNT_MAX + 1))
    large = world.http.get("/healthz", headers={"X-A": "x" * 33_000})
    assert (many.status_code, large.status_code) == (431, 431)


def test_a_long_address_is_refused(world: WebWorld) -> None:
    assert world.http.get("/healthz?a=" + "x" * 9_000).status_code == 414


def test_a_header_that_may_be_there_once_is_refused_twice(world: WebWorld) -> None:
    twice = [("Content-Type", "application/json"), ("Content-Type", "text/plain")]
    assert world.http.post("/v1/probe/json", content=b"{}", headers=twice).status_code == 400


def raw(world: WebWorld, data: bytes, wait_s: float = 10.0) -> bytes:
    """What the server answers to ``data`` on a connection of its own."""
    port = int(world.base_url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=wait_s) as connection:
        connection.sendall(data)
        received = b""
        give_up_at = time.monotonic() + wait_s
        while b"\r\n\r\n" not in received and time.monotonic() < give_up_at:
            piece = connection.recv(65_536)
            if not piece:
                break
            received += piece
        return received
