"""The way to a vetted address: directly, or by a tunnel through the egress proxy (delivery protocol, section 3.5).

With a proxy nothing goes out directly, also not where the proxy does not answer. What is then seen of the peer's address is
the address that the tunnel was asked for: that the proxy went there is its word. Server name and key are the peer's own, as
ever: TLS is agreed on through the tunnel.
"""

from __future__ import annotations

from collections.abc import Callable

import httpcore

Dial = Callable[[str, int, float], httpcore.NetworkStream]
"""Connects to an address and port within so many seconds; raises ConnectError, ConnectTimeout or OSError."""

ANSWER_BYTES_MAX = 8_192


def dial_directly(address: str, port: int, timeout_s: float) -> httpcore.NetworkStream:
    """A connection to ``address``."""
    return httpcore.SyncBackend().connect_tcp(address, port, timeout_s)


def through(host: str, port: int) -> Dial:
    """Tunnels through the proxy at ``host`` and ``port``."""

    def dial(address: str, to_port: int, timeout_s: float) -> httpcore.NetworkStream:
        try:
            stream = httpcore.SyncBackend().connect_tcp(host, port, timeout_s)
        except httpcore.ConnectError as error:
            raise httpcore.ConnectError(f"the egress proxy does not answer: {error}") from error
        try:
            _ask(stream, f"[{address}]:{to_port}" if ":" in address else f"{address}:{to_port}", timeout_s)
        except BaseException:
            stream.close()
            raise
        return stream

    return dial


def _ask(stream: httpcore.NetworkStream, target: str, timeout_s: float) -> None:
    try:
        stream.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode("ascii"), timeout_s)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            # Byte by byte at the end of what is known: what follows the head belongs to the tunnel.
            data = stream.read(1 if answer else len(b"HTTP/1.1 200"), timeout_s)
            if not data or len(answer) > ANSWER_BYTES_MAX:
                raise httpcore.ConnectError("the egress proxy ended the connection")
            answer += data
    except httpcore.TimeoutException as error:
        raise httpcore.ConnectTimeout("the egress proxy did not answer in time") from error
    except httpcore.NetworkError as error:
        raise httpcore.ConnectError(f"the egress proxy: {error}") from error
    status = answer.split(b" ", 2)[1] if answer.startswith(b"HTTP/1.") else b""
    if status != b"200":
        raise httpcore.ConnectError(f"the egress proxy refused the tunnel: {status.decode('latin-1')[:3]}")
