"""Where data goes: (host, port, path), from a registered URL or from what was observed (verdict rules, section 2.5).

Two destinations are equal when host (lower case, no final dot), port and path are; the path includes ``?``
and the query and is compared byte for byte, and an empty path is ``/``. The scheme only gives the port where
none is written. The peer's address decides nothing and is no part of a destination.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple, Protocol

from ledger.core.strict import shown
from ledger.errors import FormatError

HTTPS_PORT = 443
_DEFAULT_PORTS = {"https": HTTPS_PORT, "http": 80}
_PORT_MAX = 65_535

_match_url = re.compile(r"(https?)://([^/?#]*)([^#]*)(?:#.*)?", re.IGNORECASE | re.ASCII).fullmatch
_match_authority = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(?::([0-9]*))?", re.ASCII).fullmatch


class Destination(NamedTuple):
    """A normalised destination: ``host`` lower case without final dot, ``path`` with its query, never empty."""

    host: str
    port: int
    path: str

    @property
    def key(self) -> str:
        """The destination as one string for engines, equal exactly when destinations are: ``host:port/path``."""
        return f"{self.host}:{self.port}{self.path}"


class SupportsObserved(Protocol):
    """What :func:`observed_destination` reads of an observation, whoever decoded it."""

    @property
    def host(self) -> str | None: ...  # noqa: D102
    @property
    def port(self) -> int | None: ...  # noqa: D102
    @property
    def path(self) -> str | None: ...  # noqa: D102
    @property
    def sni(self) -> str | None: ...  # noqa: D102


def normalise_host(host: str) -> str:
    """``host`` as it is compared: lower case, without a final dot, an IPv6 address without its brackets."""
    host = host.lower().removesuffix(".")
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1]
    return host


def _port_of(digits: str) -> int:
    # More digits than a port has are no port; ``int`` itself gives up on thousands of them.
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= len(str(_PORT_MAX)) else _PORT_MAX + 1


def _normalise_path(path: str) -> str:
    # ``https://a.example?x=1`` has an empty path and a query: on the wire it is ``/?x=1``.
    return path if path.startswith("/") else "/" + path


def parse_url(url: str) -> Destination:
    """The destination of an endpoint's ``url``.

    Raises :class:`FormatError` when it is not an absolute http(s) URL with a host, holds user information (a
    secret that would be published, and a classic disguise of the real host), a space, or a port outside 1 to
    65,535. A fragment is left out: it is never sent.
    """
    match = _match_url(url)
    if match is None:
        raise FormatError(f"the URL {shown(url)} is not an http or https URL")
    scheme, authority, path = match.groups()
    if "@" in authority:
        raise FormatError("a URL with user information is refused")
    if any(character <= " " or character in '"\\' or character > "~" for character in url):
        raise FormatError(f"the URL {shown(url)} has a character that no URL has")
    parts = _match_authority(authority)
    if parts is None:
        raise FormatError(f"the URL {shown(url)} has no host that can be read")
    host = normalise_host(parts[1])
    if not host:
        raise FormatError(f"the URL {shown(url)} has no host")
    port = _port_of(parts[2]) if parts[2] else _DEFAULT_PORTS[scheme.lower()]
    if not 1 <= port <= _PORT_MAX:
        raise FormatError(f"the URL {shown(url)} has a port outside 1 to {_PORT_MAX}")
    return Destination(host, port, _normalise_path(path))


def _split_host_header(host: str) -> tuple[str, int | None]:
    """The name in a Host header, and the port where it carries one (``b.example:8443``)."""
    parts = _match_authority(host)
    if parts is None or not parts[2]:
        return normalise_host(host), None
    return normalise_host(parts[1]), _port_of(parts[2])


def observed_destination(observed: SupportsObserved | None) -> Destination | None:
    """Where the bytes really went, or None where the observation does not count (no path, or neither SNI nor host).

    Over TLS the SNI, which the peer's certificate authenticated, is the host; the Host header is only what
    was typed and stands in where there is no SNI. A missing port is the one in the Host header, else 443.
    """
    if observed is None or observed.path is None or not (observed.sni or observed.host):
        return None
    return _destination_seen(observed.host, observed.port, observed.path, observed.sni)


@lru_cache(maxsize=4_096)
def _destination_seen(host: str | None, port: int | None, path: str, sni: str | None) -> Destination | None:
    # The same few destinations are observed again and again.
    typed, typed_port = _split_host_header(host or "")
    name = normalise_host(sni) if sni else typed
    if not name:
        return None
    if port is None:
        port = HTTPS_PORT if typed_port is None else typed_port
    return Destination(name, port, _normalise_path(path))


def has_sni_mismatch(observed: SupportsObserved | None) -> bool:
    """Whether Host header and TLS name are both there and differ: the sign of a reused connection."""
    if observed is None or not observed.host or not observed.sni:
        return False
    return _split_host_header(observed.host)[0] != normalise_host(observed.sni)
