"""Tunnels that are counted by the server that they are for: CONNECT and nothing else (RFC 9110, section 9.3.6).

A tunnel goes to an address, never to a name: whoever asks has resolved and vetted it. Which server it is for is read off the
TLS hello, not off the request; a tunnel that does not begin with one, or hides the name, carries nothing. Bytes are counted
before they are passed on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from ledger.core.addresses import check_public, parse_address
from ledger.core.client_hello import HelloReader
from ledger.core.egress_counts import Counted
from ledger.core.strict import parse_decimal
from ledger.egress.book import CountBook
from ledger.errors import FormatError, StoreError

HEAD_BYTES_MAX = 8_192
HEAD_SECONDS = 10.0
CONNECT_SECONDS = 10.0
IDLE_SECONDS = 900.0
TUNNELS_MAX = 4_096
CHUNK_BYTES = 65_536
WRITE_SECONDS = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Asked:
    """Where a tunnel is to go."""

    address: str
    port: int


class _Refused(Exception):  # noqa: N818 - an answer, not an error
    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class EgressProxy:
    """Serves tunnels and counts them into ``book``. ``ports`` are those that may be connected to.

    ``allows_private`` is for trying it out on one machine.
    """

    def __init__(
        self,
        book: CountBook,
        now_ms: Callable[[], int],
        *,
        ports: frozenset[int] = frozenset({443}),
        allows_private: bool = False,
    ) -> None:
        self._book = book
        self._now_ms = now_ms
        self._ports = ports
        self._allows_private = allows_private
        self._tunnels: set[asyncio.Task[None]] = set()

    async def serve(self, host: str, port: int, stop: asyncio.Event, started: Callable[[int], None]) -> None:
        """Serve at ``host`` and ``port`` until ``stop``; ``started`` is told the port. What was counted is written then."""
        server = await asyncio.start_server(self._accept, host, port, limit=HEAD_BYTES_MAX)
        started(server.sockets[0].getsockname()[1])
        writing = asyncio.create_task(self._write_again_and_again())
        await stop.wait()
        server.close()
        writing.cancel()
        for tunnel in self._tunnels:
            tunnel.cancel()
        await asyncio.gather(*self._tunnels, return_exceptions=True)
        await asyncio.to_thread(self._book.write, self._now_ms(), is_last=True)

    async def _write_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            try:
                await asyncio.to_thread(self._book.write, self._now_ms())
            except StoreError as error:
                log.error("egress.not_written", reason=str(error))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a connection is served by a task"
        self._tunnels.add(task)
        try:
            if len(self._tunnels) > TUNNELS_MAX:
                raise _Refused("503 Service Unavailable", "too many tunnels")
            await self._tunnel(reader, writer)
        except _Refused as refused:
            log.info("egress.refused", reason=str(refused))
            writer.write(
                f"HTTP/1.1 {refused.status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
            )
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            log.info("egress.ended", reason=type(error).__name__)
        except FormatError as error:
            log.info("egress.refused", reason=str(error))
        except StoreError as error:
            log.error("egress.refused", reason=str(error))
        finally:
            self._tunnels.discard(task)
            await _close(writer)

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(HEAD_SECONDS):
            asked = self._read_head(await reader.readuntil(b"\r\n\r\n"))
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                far_reader, far_writer = await asyncio.open_connection(asked.address, asked.port)
        except (OSError, TimeoutError) as error:
            raise _Refused("502 Bad Gateway", f"no connection: {type(error).__name__}") from error
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await writer.drain()
            async with asyncio.timeout(HEAD_SECONDS):
                hello, name = await _read_hello(reader)
            self._book.add(name, self._now_ms(), Counted(connections=1, bytes_up=len(hello)))
            far_writer.write(hello)
            async with asyncio.TaskGroup() as both:
                up = both.create_task(
                    self._pass_on(reader, far_writer, lambda count: self._count(name, Counted(0, count)))
                )
                down = both.create_task(
                    self._pass_on(far_reader, writer, lambda count: self._count(name, Counted(0, 0, count)))
                )
                # Either side's end is the tunnel's: HTTP over TLS has no use for half of one.
                await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
                up.cancel()
                down.cancel()
        finally:
            await _close(far_writer)

    def _count(self, name: str, counted: Counted) -> None:
        self._book.add(name, self._now_ms(), counted)

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: Callable[[int], None]
    ) -> None:
        try:
            while True:
                async with asyncio.timeout(IDLE_SECONDS):
                    chunk = await reader.read(CHUNK_BYTES)
                if not chunk:
                    return
                count(len(chunk))
                writer.write(chunk)
                await writer.drain()
        except (OSError, TimeoutError):
            return
        except StoreError as error:
            # What cannot be counted is not passed on.
            log.error("egress.ended", reason=str(error))

    def _read_head(self, head: bytes) -> _Asked:
        line = head.split(b"\r\n", 1)[0].decode("latin-1")
        method, _, rest = line.partition(" ")
        target, _, version = rest.partition(" ")
        if method != "CONNECT" or version not in ("HTTP/1.1", "HTTP/1.0"):
            raise _Refused("405 Method Not Allowed", "only CONNECT is served")
        host, _, digits = target.rpartition(":")
        address = parse_address(host.removeprefix("[").removesuffix("]"))
        try:
            port = parse_decimal(digits, 65_535)
        except FormatError:
            port = 0
        if address is None:
            raise _Refused("403 Forbidden", "tunnels go to addresses, not to names")
        if port not in self._ports:
            raise _Refused("403 Forbidden", "tunnels do not go to this port")
        if not self._allows_private and check_public(str(address)) is not None:
            raise _Refused("403 Forbidden", "the address is not public")
        return _Asked(str(address), port)


async def _read_hello(reader: asyncio.StreamReader) -> tuple[bytes, str]:
    data, hello = bytearray(), HelloReader()
    while True:
        chunk = await reader.read(CHUNK_BYTES)
        if not chunk:
            raise FormatError("the tunnel ended before TLS began")
        data += chunk
        name = hello.take(chunk)
        if name is not None:
            return bytes(data), name


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        async with asyncio.timeout(1.0):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        writer.transport.abort()
