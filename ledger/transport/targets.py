"""A webhook's URL, taken apart for sending (delivery protocol, sections 3.1 and 3.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address

from ledger.core.addresses import parse_address
from ledger.core.destinations import HTTPS_PORT, parse_url
from ledger.errors import FormatError

_match_host = re.compile(r"(?=.{1,253}$)(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class Target:
    """What is typed into requests to one URL; ``refusal`` says why nothing is ever sent there, None where it may be.

    ``host`` is in lower case without final dot or brackets, ``path`` is never empty and has its query, byte for byte.
    """

    host: str
    port: int
    path: str
    host_header: str
    refusal: str | None = None


@lru_cache(maxsize=4096)
def take_apart(url: str) -> Target:
    """The target of the webhook ``url``; one that is no https URL of a host without a port has a refusal."""
    try:
        host, port, path = parse_url(url)
    except FormatError as error:
        return Target("", HTTPS_PORT, "/", "", str(error))
    address = parse_address(host)
    host_header = f"[{host}]" if isinstance(address, IPv6Address) else host
    return Target(host, port, path, host_header, _refusal(url, host, port, address is not None))


def with_query(path: str, query: str) -> str:
    """``path`` with ``query`` behind whatever query it has."""
    return f"{path}{'&' if '?' in path else '?'}{query}"


def _refusal(url: str, host: str, port: int, is_address: bool) -> str | None:
    if not url.lower().startswith("https:"):
        return "the URL is not https"
    if port != HTTPS_PORT:
        return "the URL names a port"
    if not is_address and _match_host(host) is None:
        return "the URL has no host that a name server could know"
    return None
