"""The egress proxy: real tunnels, real TLS, the service behind it, and a process that is killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from ledger.core.egress_counts import HOUR_MS, Counted
from ledger.egress.book import CountBook, hour_of
from ledger.egress.handing_in import hand_in_hours
from ledger.egress.proxy import EgressProxy
from ledger.errors import StoreError
from ledger.gateway.offered import OfferedEvent
from ledger.gateway.tokens import Issuing
from ledger.receiver.certificates import CA_FILE
from ledger.vault.ed25519 import Ed25519Signer, generate
from ledger.wiring import SYSTEM_RANDOMNESS
from tests.support.postgresql import PostgresqlServer
from tests.support.service_world import ORIGIN, ServiceWorld, free_port, payload, wait_for

ACCOUNT = "3001969357"
ANY_PORT = frozenset(range(1, 65_536))


def now_ms() -> int:
    return int(time.time() * 1_000)


class RunningProxy:
    """A proxy in a thread, whose book was kept for hours."""

    def __init__(self, directory: Path, **options: object) -> None:
        path = directory / "counts.db"
        before = CountBook(path, now_ms() - 3 * HOUR_MS)
        before.write(now_ms() - 2 * HOUR_MS, is_last=True)
        before.close()
        self.book = CountBook(path, now_ms())
        self._stop = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self.port = 0

        def started(port: int) -> None:
            self.port = port
            ready.set()

        proxy = EgressProxy(
            self.book,
            now_ms,
            **({"ports": ANY_PORT, "allows_private": True} | options),  # type: ignore[arg-type]
        )
        self._thread = threading.Thread(
            target=lambda: self._loop.run_until_complete(proxy.serve("127.0.0.1", 0, self._stop, started)),
            daemon=True,
        )
        self._thread.start()
        assert ready.wait(10)

    def close(self) -> None:
        """Stop it properly; the book stays open."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)
            self._loop.close()

    def counted(self) -> dict[str, Counted]:
        self.close()
        return {
            sni: counted for hour in self.book.load_over(now_ms() + HOUR_MS) for sni, counted in hour.names
        }


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[RunningProxy]:
    running = RunningProxy(tmp_path)
    yield running
    running.close()
    running.book.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def world(
    request: pytest.FixtureRequest, tmp_path: Path, proxy: RunningProxy, postgresql_server: PostgresqlServer
) -> Iterator[ServiceWorld]:
    settings = {"egress_proxy": ("127.0.0.1", proxy.port)}
    if request.param == "sqlite":
        with ServiceWorld(tmp_path / "service", settings=settings) as made:
            yield made
    else:
        with postgresql_server.database(with_tables=False) as name:
            url = postgresql_server.url(name)
            with ServiceWorld(tmp_path / "service", database=url, settings=settings) as made:
                yield made


def deliver(world: ServiceWorld) -> None:
    """One event, delivered and settled."""
    world.serve(("api", "dispatch"))
    app = world.new_app()
    webhook = world.new_webhook(app)
    world.subscribe(app, webhook, world.new_account(ACCOUNT))
    body = json.dumps({"for_user_id": ACCOUNT, "follow_events": payload("follow_events")["follow_events"]})
    world.service.intake.accept([OfferedEvent(json.loads(body), body.encode())])
    wait_for(lambda: world.arrivals.all)
    wait_for(lambda: settled(world))


def settled(world: ServiceWorld) -> list[dict[str, object]]:
    store = world.service.ledger.store
    entries = (json.loads(row.data) for row in store.fetch_range(0, store.size()))
    return [entry for entry in entries if entry["kind"] == "delivery.settled"]


def operator_client(world: ServiceWorld) -> httpx.Client:
    service = world.service
    issuing = Issuing(
        credentials=service.credentials,
        sealing=service.sealing,
        clock=service.clock,
        randomness=service.randomness,
    )
    return world.client(Authorization=f"Bearer {issuing.issue_key('operator', '').text}")


def hand_in(world: ServiceWorld, proxy: RunningProxy, key: Ed25519Signer) -> None:
    proxy.close()
    with operator_client(world) as client:
        hand_in_hours(proxy.book, client, proxy="egress-1", key=key, log=ORIGIN, now_ms=now_ms() + HOUR_MS)


def trusted_key(world: ServiceWorld) -> Ed25519Signer:
    key = generate("egress-1", SYSTEM_RANDOMNESS)
    world.service.egress_counts.set_key("egress-1", key.verifier().public_key().hex(), "operator:test")
    return key


def connect(proxy: RunningProxy, target: str) -> tuple[socket.socket, bytes]:
    """A tunnel asked for, and the first line of the answer."""
    opened = socket.create_connection(("127.0.0.1", proxy.port), 10)
    opened.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    return opened, opened.recv(4_096).split(b"\r\n")[0]


def test_the_service_delivers_through_the_proxy_and_the_counts_fit(
    world: ServiceWorld, proxy: RunningProxy
) -> None:
    key = trusted_key(world)
    deliver(world)
    (settlement,) = settled(world)
    observed = settlement["observed"]
    assert isinstance(observed, dict)
    assert (observed["sni"], observed["peer_ip"]) == ("a.example", "127.0.0.1")
    hand_in(world, proxy, key)
    report = world.verify()
    assert [finding.code for finding in report.findings] == []
    assert proxy.counted() == {}


def test_what_left_beside_the_log_is_a_mismatch(world: ServiceWorld, proxy: RunningProxy) -> None:
    world.serve()
    key = trusted_key(world)
    context = ssl.create_default_context(cafile=str(world.directory / "receiver" / CA_FILE))
    opened, answer = connect(proxy, f"127.0.0.1:{world.receiving.port}")
    assert answer == b"HTTP/1.1 200 Connection established"
    with context.wrap_socket(opened, server_hostname="b.example") as secret:
        secret.sendall(b"POST /hook HTTP/1.1\r\nHost: b.example\r\nContent-Length: 2\r\n\r\n{}")
        assert secret.recv(100).startswith(b"HTTP/1.1 ")
    hand_in(world, proxy, key)
    assert [finding.code for finding in world.verify().findings] == ["EGRESS_COUNT_MISMATCH"]


def test_counts_are_taken_once_and_only_under_the_proxys_key(
    world: ServiceWorld, proxy: RunningProxy
) -> None:
    world.serve()
    proxy.book.add("a.example", now_ms(), Counted(1, 10, 10))
    with pytest.raises(StoreError, match="refused"):
        hand_in(world, proxy, generate("egress-1", SYSTEM_RANDOMNESS))
    key = trusted_key(world)
    with pytest.raises(StoreError, match="refused"):
        hand_in(world, proxy, generate("egress-1", SYSTEM_RANDOMNESS))
    size = world.service.ledger.store.size()
    hand_in(world, proxy, key)
    taken = world.service.ledger.store.size() - size
    assert taken > 0
    hand_in(world, proxy, key)
    assert world.service.ledger.store.size() - size == taken


def test_without_its_proxy_nothing_leaves(tmp_path: Path) -> None:
    settings = {"egress_proxy": ("127.0.0.1", free_port())}
    with ServiceWorld(tmp_path, settings=settings) as world:
        answer = world.service.transport.tell("1", "https://a.example/hook", {}, b"{}")
        assert answer.observed.disclosure == "none"
        assert "egress proxy does not answer" in str(answer.observed.error)
        assert world.arrivals.all == []


def test_bytes_are_counted_under_the_name_in_the_hello_whatever_else_is_said(
    world: ServiceWorld, proxy: RunningProxy
) -> None:
    context = ssl.create_default_context(cafile=str(world.directory / "receiver" / CA_FILE))
    opened, _ = connect(proxy, f"127.0.0.1:{world.receiving.port}")
    with context.wrap_socket(opened, server_hostname="b.example") as tls:
        tls.sendall(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5_000)
        assert tls.recv(100).startswith(b"HTTP/1.1 ")
    counted = proxy.counted()
    assert list(counted) == ["b.example"]
    assert counted["b.example"].connections == 1
    assert 5_300 < counted["b.example"].bytes_up < 8_000
    assert counted["b.example"].bytes_down > 500


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\3\1\0\4\1\0\0\0", b""])
def test_a_tunnel_that_does_not_begin_with_a_name_carries_nothing(proxy: RunningProxy, first: bytes) -> None:
    arrived: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        opened, answer = connect(proxy, f"127.0.0.1:{listening.getsockname()[1]}")
        assert answer.endswith(b"established")
        far, _ = listening.accept()
        opened.sendall(first)
        opened.shutdown(socket.SHUT_WR)
        far.settimeout(10)
        arrived.append(far.recv(10))
        opened.close()
        far.close()
    assert arrived == [b""]
    assert proxy.counted() == {}


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (b"GET http://a.example/ HTTP/1.1\r\n\r\n", b"405"),
        (b"CONNECT a.example:443 HTTP/1.1\r\n\r\n", b"403"),
        (b"CONNECT 127.0.0.1:443 HTTP/1.1\r\n\r\n", b"403"),
        (b"CONNECT 203.0.113.7:22 HTTP/1.1\r\n\r\n", b"403"),
        (b"CONNECT 10.0.0.1:443 HTTP/1.1\r\n\r\n", b"403"),
        (b"CONNECT [::1]:443 HTTP/1.1\r\n\r\n", b"403"),
    ],
)
def test_tunnels_go_to_public_addresses_and_allowed_ports_alone(
    tmp_path: Path, asked: bytes, status: bytes
) -> None:
    running = RunningProxy(tmp_path, ports=frozenset({443}), allows_private=False)
    with socket.create_connection(("127.0.0.1", running.port), 10) as opened:
        opened.sendall(asked)
        assert opened.recv(100).split(b" ")[1] == status
    running.close()
    running.book.close()


# --- The book, and a process that dies.


def test_an_hour_in_which_the_proxy_died_or_began_is_never_whole(tmp_path: Path) -> None:
    start = hour_of(now_ms())
    first = CountBook(tmp_path / "counts.db", start + 1_000)
    first.add("a.example", start + HOUR_MS, Counted(1, 2, 3))
    first.write(start + HOUR_MS + 1)
    first.close()  # as it is when nobody said that nothing passes any more
    again = CountBook(tmp_path / "counts.db", start + 2 * HOUR_MS + 5)
    again.write(start + 4 * HOUR_MS + 5, is_last=True)
    again.close()
    last = CountBook(tmp_path / "counts.db", start + 5 * HOUR_MS)
    hours = {(hour.hour_ms - start) // HOUR_MS: hour.is_whole for hour in last.load_over(start + 6 * HOUR_MS)}
    last.close()
    assert hours == {0: False, 1: False, 2: False, 3: True, 4: True, 5: True}


def test_two_proxies_do_not_share_a_book(tmp_path: Path) -> None:
    book = CountBook(tmp_path / "counts.db", now_ms())
    with pytest.raises(StoreError):
        CountBook(tmp_path / "counts.db", now_ms())
    book.close()


def grantledger(directory: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "ledger.cli", *arguments]


def started_process(directory: Path, port: int) -> subprocess.Popen[bytes]:
    arguments = (
        "egress-proxy",
        "serve",
        str(directory),
        "--origin",
        ORIGIN,
        "--api-key",
        str(directory / "api.key"),
    )
    running = subprocess.Popen(
        [*grantledger(directory, *arguments), "--listen", f"127.0.0.1:{port}", "--service", "http://127.0.0.1:9",
         "--allow-private", "--port", "443"],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for(lambda: is_open(port))
    return running


def is_open(port: int) -> bool:
    with socket.socket() as opened:
        return opened.connect_ex(("127.0.0.1", port)) == 0


def book_of(directory: Path, look: Callable[[CountBook], object]) -> object:
    book = CountBook(directory / "counts.db", now_ms())
    try:
        return look(book)
    finally:
        book.close()


def test_a_killed_proxy_starts_again_with_what_was_written_and_its_hour_stays_open(tmp_path: Path) -> None:
    made = subprocess.run(
        [*grantledger(tmp_path, "egress-proxy", "init", str(tmp_path), "--proxy", "egress-1", "--json")],
        capture_output=True, check=True,
    )  # fmt: skip
    assert len(json.loads(made.stdout)["public_key"]) == 64
    (tmp_path / "api.key").write_text("glk_x_y")
    CountBook(tmp_path / "counts.db", now_ms()).close()
    earlier = CountBook(tmp_path / "counts.db", now_ms())
    earlier.add("a.example", now_ms(), Counted(3, 300, 30))
    earlier.write(now_ms(), is_last=True)
    earlier.close()
    first = started_process(tmp_path, free_port())
    time.sleep(1.5)
    os.kill(first.pid, signal.SIGKILL)
    first.wait(10)
    second = started_process(tmp_path, free_port())
    second.send_signal(signal.SIGTERM)
    assert second.wait(20) == 0
    (hour,) = book_of(tmp_path, lambda book: book.load_over(hour_of(now_ms()) + HOUR_MS))[-1:]  # type: ignore[index]
    assert (hour.is_whole, dict(hour.names)["a.example"]) == (False, Counted(3, 300, 30))
