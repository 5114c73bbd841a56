"""What really happened to one request, as seen at the socket and not at the router (ledger format, section 1.5).

Values only. ``host``, ``port`` and ``path`` are what was typed into the request; ``sni``, ``peer_ip`` and
``spki_sha256`` are read from the connection that carried it, which may have been opened for another request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Disclosure = Literal["none", "possible", "confirmed"]
"""``none``: failed before any body byte; ``possible``: body sent, no answer; ``confirmed``: any HTTP status."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a request is to go.

    ``host`` (A-label, lower case), ``port`` and ``path`` (with its query, byte for byte) are what the
    endpoint's URL says; ``address`` is the one vetted IP address to connect to, and ``connect_port`` the port
    there where a development override maps the URL's port to another.
    """

    host: str
    port: int
    path: str
    address: str
    connect_port: int | None = None


@dataclass(frozen=True, slots=True)
class ObservedDelivery:
    """One request's outcome. Times are integer milliseconds UTC of the injected clock.

    ``started_at_ms`` is the instant at which the first body byte was handed to the socket (for ``none``: when
    the attempt began). ``sni``, ``peer_ip`` and ``spki_sha256`` (64 hex digits) are None where no TLS
    connection stood; ``error`` says what failed, None where a whole answer came.
    """

    started_at_ms: int
    ended_at_ms: int
    host: str
    port: int
    path: str
    sni: str | None
    peer_ip: str | None
    spki_sha256: str | None
    status: int | None
    disclosure: Disclosure
    error: str | None
    is_timeout: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """An observed request and the first bytes of the answer's body (empty where none came)."""

    observed: ObservedDelivery
    body: bytes
