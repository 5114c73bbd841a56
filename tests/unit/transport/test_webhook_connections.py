"""Whose connection a body goes by: one endpoint's alone, to an address vetted for this attempt, and not for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from ledger.ports.sending import Answer
from ledger.transport import slots, webhooks
from ledger.transport.egress import Egress, NotVetted, Vetted
from ledger.transport.webhooks import AGE_MAX_S
from tests.unit.transport.tls_server import OK, Server, Visit, answering, saying, until
from tests.unit.transport.webhook_world import NOW_MS, Asked, World, leaf_of


@pytest.fixture
def world() -> Iterator[World]:
    with World() as made:
        yield made


class WithDeadAddress(Egress):
    """Every host has an address in front of its own that no server may be listening on."""

    def vet(self, host: str, timeout_s: float) -> Vetted | NotVetted:
        found = super().vet(host, timeout_s)
        assert isinstance(found, Vetted)
        return Vetted(("127.0.0.9", *found.addresses), found.port)


def pausing(visit: Visit) -> bool:
    time.sleep(0.2)
    visit.tls.sendall(OK)
    return True


def hanging(visit: Visit) -> bool:
    time.sleep(1.0)
    return False


def at_once(count: int, post: Callable[[int], Answer]) -> list[Answer]:
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(post, range(count)))


def test_one_endpoint_keeps_one_connection_for_one_body_after_the_other(world: World) -> None:
    server = world.serve()
    for _ in range(3):
        world.post()
    assert (server.connections, len(server.requests)) == (1, 3)


def test_two_hosts_on_one_address_port_and_path_never_share_a_connection(world: World) -> None:
    server = world.serve(["a.example", "b.example"])
    for _ in range(2):
        for endpoint, host in (("wh-a", "a.example"), ("wh-b", "b.example")):
            seen = world.post(host.encode(), endpoint=endpoint, host=host).observed
            assert (seen.sni, seen.peer_ip) == (host, "127.0.0.1")
            assert seen.spki_sha256 == leaf_of(host).spki_sha256
    assert [(visit.sni, [body for _, body in visit.requests]) for visit in server.visits] == [
        ("a.example", [b"a.example"] * 2),
        ("b.example", [b"b.example"] * 2),
    ]


def test_two_endpoints_of_one_url_never_share_a_connection(world: World) -> None:
    server = world.serve()
    world.post(endpoint="wh-1")
    world.post(endpoint="wh-2")
    assert server.connections == 2


def test_an_endpoint_that_changes_its_host_gets_a_new_connection(world: World) -> None:
    server = world.serve(["a.example", "b.example"])
    world.post(host="a.example")
    seen = world.post(host="b.example").observed
    assert (seen.sni, seen.spki_sha256) == ("b.example", leaf_of("b.example").spki_sha256)
    assert [visit.sni for visit in server.visits] == ["a.example", "b.example"]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"])
def test_a_host_that_has_moved_is_not_reached_by_the_old_connection(world: World, address: str) -> None:
    old = world.serve()
    world.post(b"first")
    new = world.serve(address=address, port=0 if address == old.address else old.port)
    seen = world.post(b"second").observed
    assert (seen.peer_ip, seen.vetted_addresses) == (address, (address,))
    assert [[body for _, body in server.requests] for server in (old, new)] == [[b"first"], [b"second"]]
    old.wait_until_over()


def test_a_kept_connection_is_of_no_use_once_the_name_points_inside() -> None:
    with World(lookup=lambda host: ("93.184.215.14", "10.0.0.1")) as world:
        server = world.serve()
        world.post(b"first")
        del world.places["a.example"]
        asked = Asked()
        seen = world.post(b"second", may_start=asked).observed
        assert (seen.status, seen.disclosure, seen.is_refused_egress) == (None, "none", True)
        assert (seen.peer_ip, seen.vetted_addresses, asked.times) == (None, (), 0)
        assert [body for _, body in server.requests] == [b"first"]


def test_the_host_is_resolved_at_each_attempt() -> None:
    asked: list[str] = []

    def lookup(host: str) -> tuple[str, ...]:
        asked.append(host)
        return ("127.0.0.1",)

    with World(lookup=lookup) as world:
        outcomes = [world.post(host="c.example").observed.is_refused_egress for _ in range(3)]
        assert (outcomes, asked) == ([True] * 3, ["c.example"] * 3)


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example/",
        "https://a.example:8443/",
        "https://a..example/",
        "https://a%2eexample/",
        "https://",
    ],
)
def test_a_url_that_no_webhook_has_is_refused_without_a_connection(world: World, url: str) -> None:
    server = world.serve()
    for seen in (
        world.post(url=url).observed,
        world.webhooks.challenge("wh-1", url, "q=1", {}).observed,
        world.webhooks.tell("wh-1", url, {}, b"told").observed,
    ):
        assert (seen.status, seen.disclosure, seen.is_refused_egress) == (None, "none", True)
        assert seen.error
    assert server.accepted == 0


def test_a_name_that_is_not_resolved_in_time_takes_no_more_than_the_time_of_one_request() -> None:
    stuck = threading.Event()

    def lookup(host: str) -> tuple[str, ...]:
        stuck.wait(10.0)
        return ()

    with World(lookup=lookup, timeout_s=0.2) as world:
        began_s = time.monotonic()
        seen = world.post(host="c.example").observed
        assert (seen.disclosure, seen.is_timeout, seen.is_refused_egress) == ("none", True, False)
        assert time.monotonic() - began_s < 2.0
        stuck.set()


def test_the_next_address_of_a_host_is_tried_where_the_first_takes_no_connection() -> None:
    with World(egress=WithDeadAddress) as world:
        world.serve()
        seen = world.post().observed
        assert (seen.status, seen.peer_ip) == (200, "127.0.0.1")
        assert seen.vetted_addresses == ("127.0.0.9", "127.0.0.1")


def test_a_peer_that_fails_in_tls_is_not_passed_over_for_the_next_address() -> None:
    with World(egress=WithDeadAddress) as world:
        server = world.serve()
        wrong = Server({"b.example": leaf_of("b.example")}, address="127.0.0.9", port=server.port)
        seen = world.post().observed
        wrong.close()
        assert (seen.status, seen.disclosure) == (None, "none")
        assert (wrong.accepted, server.accepted) == (1, 0)


def test_a_connection_that_the_peer_closed_while_idle_is_replaced(world: World) -> None:
    server = world.serve(respond=saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
    world.post(b"first")
    server.wait_until_over()
    asked = Asked()
    seen = world.post(b"second", may_start=asked).observed
    assert (seen.status, seen.disclosure, asked.times) == (200, "confirmed", 1)
    assert [[body for _, body in visit.requests] for visit in server.visits] == [[b"first"], [b"second"]]


def test_a_connection_that_the_peer_reset_while_idle_is_replaced(world: World) -> None:
    def respond(visit: Visit) -> bool:
        visit.tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        time.sleep(0.1)
        visit.reset()
        return False

    server = world.serve(respond=respond)
    world.post()
    server.wait_until_over()
    assert world.post().observed.status == 200
    assert server.connections == 2


def test_a_connection_on_which_the_peer_spoke_unasked_is_replaced(world: World) -> None:
    spoken = threading.Event()

    def respond(visit: Visit) -> bool:
        visit.tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        time.sleep(0.1)
        visit.tls.sendall(b"HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n")
        spoken.set()
        return True

    server = world.serve(respond=respond)
    world.post()
    assert spoken.wait(5.0)
    server.respond = answering()
    assert world.post().observed.status == 200
    assert server.connections == 2


def test_a_connection_that_the_answer_ends_is_not_used_again(world: World) -> None:
    server = world.serve(
        respond=answering(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    )
    world.post()
    world.post()
    assert server.connections == 2


def test_an_idle_connection_is_closed_after_a_while() -> None:
    with World(idle_s=0.1) as world:
        server = world.serve()
        world.post()
        server.wait_until_over()
        assert world.post().observed.status == 200
        assert server.connections == 2


def test_a_connection_idle_too_long_is_not_used_even_before_it_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with World(idle_s=100.0) as world:
        server = world.serve()
        world.post()
        later_s = time.monotonic() + 100.0
        monkeypatch.setattr(slots, "time", SimpleNamespace(monotonic=lambda: later_s, sleep=time.sleep))
        world.post()
        assert server.connections == 2


def test_a_connection_is_not_used_for_ever(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    server = world.serve()
    world.post()
    later_s = time.monotonic() + AGE_MAX_S
    monkeypatch.setattr(webhooks, "time", SimpleNamespace(monotonic=lambda: later_s))
    world.post()
    assert server.connections == 2


def test_the_connection_used_last_is_used_first(world: World) -> None:
    server = world.serve(respond=pausing)
    at_once(3, lambda _: world.post())
    server.respond = answering()
    for _ in range(5):
        world.post()
    assert sorted(len(visit.requests) for visit in server.visits) == [1, 1, 6]


def test_no_more_than_the_limit_of_connections_are_used_at_once() -> None:
    with World(connections_per_endpoint=2, timeout_s=5.0) as world:
        server = world.serve(respond=pausing)
        answers = at_once(6, lambda _: world.post())
        assert {answer.observed.status for answer in answers} == {200}
        assert server.connections == 2


def test_waiting_for_a_free_connection_is_part_of_the_time() -> None:
    with World(connections_per_endpoint=1) as world, ThreadPoolExecutor(1) as thread:
        server = world.serve(respond=hanging)
        has_begun = threading.Event()
        first = thread.submit(world.post, may_start=Asked(before=has_begun.set))
        assert has_begun.wait(5.0)
        asked = Asked()
        second = world.post(may_start=asked, send_before_ms=NOW_MS + 100).observed
        assert (second.disclosure, second.is_timeout, asked.times) == ("none", True, 0)
        assert (first.result().observed.disclosure, server.accepted) == ("possible", 1)


def test_other_endpoints_do_not_wait(world: World) -> None:
    world.serve(respond=hanging)
    other = world.serve(["b.example"])
    with ThreadPoolExecutor(8) as threads:
        for _ in range(8):
            threads.submit(world.post)
        assert world.post(endpoint="wh-2", host="b.example").observed.status == 200
    assert len(other.requests) == 1


def test_a_forgotten_endpoint_has_its_connections_closed(world: World) -> None:
    server = world.serve()
    world.post()
    world.webhooks.forget("wh-1")
    world.webhooks.forget("wh-1")
    server.wait_until_over()
    world.post()
    assert server.connections == 2


def test_forgetting_leaves_other_endpoints_alone(world: World) -> None:
    server = world.serve()
    world.post(endpoint="wh-1")
    world.webhooks.forget("wh-2")
    world.post(endpoint="wh-1")
    assert server.connections == 1


def test_a_connection_in_use_closes_behind_its_request_when_its_endpoint_is_forgotten(world: World) -> None:
    server = world.serve()
    seen = world.post(may_start=Asked(before=lambda: world.webhooks.forget("wh-1"))).observed
    assert seen.status == 200
    server.wait_until_over()
    world.post()
    assert server.connections == 2


def test_closing_closes_every_connection_and_the_next_opens_anew(world: World) -> None:
    server = world.serve()
    world.post(endpoint="wh-1")
    world.post(endpoint="wh-2")
    world.webhooks.close()
    server.wait_until_over(2)
    assert world.post().observed.status == 200


def test_of_all_idle_connections_the_oldest_are_closed_first() -> None:
    with World(idle_max=2) as world:
        server = world.serve()
        for endpoint in ("wh-1", "wh-2", "wh-1", "wh-3", "wh-1", "wh-2"):
            world.post(endpoint=endpoint)
        assert server.connections == 4


def test_a_connection_in_use_is_never_closed_to_make_room() -> None:
    with World(idle_max=1, timeout_s=5.0) as world:
        server = world.serve(respond=pausing)
        answers = at_once(8, lambda index: world.post(endpoint=f"wh-{index}"))
        assert {answer.observed.status for answer in answers} == {200}
        assert until(lambda: sum(not visit.is_over.is_set() for visit in server.visits) == 1)


def test_64_threads_over_16_endpoints_each_reach_their_own_receiver() -> None:
    hosts = [f"h{index}.example" for index in range(16)]
    with World(timeout_s=30.0) as world:
        server = world.serve(hosts)

        def post(index: int) -> Answer:
            host = hosts[index % len(hosts)]
            return world.post(f"{host} {index}".encode(), endpoint=f"wh-{host}", host=host)

        for _ in range(5):
            for index, answer in enumerate(at_once(64, post)):
                host, seen = hosts[index % len(hosts)], answer.observed
                assert (seen.status, seen.sni, seen.spki_sha256) == (200, host, leaf_of(host).spki_sha256)
        assert len(server.requests) == 64 * 5
        for visit in server.visits:
            assert {body.split()[0].decode() for _, body in visit.requests} <= {visit.sni}
        for host in hosts:
            assert 1 <= sum(visit.sni == host for visit in server.visits) <= 8
