"""A service in a process of its own, on a real socket, and clients that cost little: for measuring what is served."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger.gateway.tokens import Issuing
from ledger.service_settings import load_service_settings
from ledger.settings import load_settings
from ledger.wiring import create_ledger
from ledger.wiring.service import Service, open_service

START_SECONDS = 60.0
ORIGIN = "ledger.example/bench"
HOST = "127.0.0.1"
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length: "


@dataclass
class Served:
    """A running service: where it listens, its process, and the text of a platform's API key."""

    port: int
    process: subprocess.Popen[bytes]
    api_key: str

    def cpu_seconds(self) -> float:
        """Processor time of the service's process so far, its threads included."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def request(self, path: str, body: bytes, content_type: str = "application/json") -> bytes:
        """The bytes of a POST on a connection that is kept."""
        head = (
            f"POST {path} HTTP/1.1\r\nhost: {HOST}:{self.port}\r\nauthorization: Bearer {self.api_key}\r\n"
            f"content-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@contextmanager
def serving(scratch: Path, prepare: Callable[[Service], None], roles: Sequence[str]) -> Iterator[Served]:
    """A new ledger in ``scratch``, filled by ``prepare``, served by a process with ``roles``; stopped at the end."""
    environment = {"GRANTLEDGER_DB": str(scratch / "ledger.db"), "GRANTLEDGER_AUDIT_SECONDS": "0"}
    settings = load_settings(environment)
    create_ledger(settings, ORIGIN)
    with open_service(settings, load_service_settings(environment)) as service:
        prepare(service)
        issuing = Issuing(
            credentials=service.credentials,
            sealing=service.sealing,
            clock=service.clock,
            randomness=service.randomness,
        )
        api_key = issuing.issue_key("platform", name="bench").text
    with socket.create_server((HOST, 0)) as free:
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "ledger.cli", "serve", "--listen", f"{HOST}:{port}", "--quiet"]
    for role in roles:
        command += ["--role", role]
    with subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=(scratch / "log").open("wb"),
    ) as process:
        try:
            _wait_for(port, process, scratch / "log")
            yield Served(port, process, api_key)
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection((HOST, port), 1):
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"the service did not start: {log.read_text(errors='replace')[-2000:]}")


@dataclass
class Answers:
    """What came back: seconds each call took, and the bodies' first bytes by count."""

    waits: list[float] = field(default_factory=list)
    statuses: dict[bytes, int] = field(default_factory=dict)
    bodies: list[bytes] = field(default_factory=list)

    def percentile_ms(self, percent: float) -> float:
        """The wait that ``percent`` of the calls did not exceed, in milliseconds."""
        ordered = sorted(self.waits)
        return round(1000 * ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))], 1)


def drive(port: int, requests: Sequence[Sequence[bytes]], *, keep_bodies: bool = False) -> Answers:
    """Send each client's ``requests`` one after the other, every client on a connection of its own, all at once."""
    answers = Answers()
    asyncio.run(_drive(port, requests, answers, keep_bodies))
    return answers


async def _drive(port: int, requests: Sequence[Sequence[bytes]], answers: Answers, keep: bool) -> None:
    loop = asyncio.get_running_loop()
    clients = [
        await loop.create_connection(lambda mine=mine: _Client(mine, answers, keep), HOST, port)  # type: ignore[misc]
        for mine in requests
    ]
    await asyncio.gather(*(client.done for _, client in clients))


class _Client(asyncio.Protocol):
    """One connection: sends the next request when the answer to the last one is there."""

    def __init__(self, requests: Sequence[bytes], answers: Answers, keep_bodies: bool) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = iter(requests)
        self._answers = answers
        self._keep = keep_bodies
        self._buffer = b""
        self._sent = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the service hung up"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(_HEAD_END)
        if head_end < 0:
            return
        start = self._buffer.find(_LENGTH) + len(_LENGTH)
        length = int(self._buffer[start : self._buffer.index(b"\r", start)])
        if len(self._buffer) < head_end + len(_HEAD_END) + length:
            return
        self._answers.waits.append(time.perf_counter() - self._sent)
        status = self._buffer[9:12]
        self._answers.statuses[status] = self._answers.statuses.get(status, 0) + 1
        if self._keep:
            self._answers.bodies.append(self._buffer[head_end + len(_HEAD_END) :])
        self._buffer = b""
        self._send()

    def _send(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(request)


def encode(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()
