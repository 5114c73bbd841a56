"""Which URLs a webhook may have (delivery protocol, sections 3.1 and 3.5).

``https``, no port, no user information, no fragment, at most 2,048 characters, and a host that can be somebody's on the
public internet: a name of at least two labels whose last one is no number and not kept for private use, or an IP address
that :mod:`ledger.core.addresses` lets pass. Names are A-labels (the URL is printable ASCII throughout).

A URL that passes may still lead nowhere, or into the operator's network: what a name resolves to is looked at again for
each connection, by the transport.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

from ledger.core.addresses import check_public
from ledger.core.destinations import Destination, parse_url
from ledger.errors import FormatError

URL_CHARACTERS_MAX = 2_048
"""Longest URL of a webhook."""

PRIVATE_SUFFIXES = ("home.arpa", "internal", "invalid", "local", "localhost", "onion")
"""Names under these are nobody's on the public internet (RFC 6761, 6762, 7686, 8375, ICANN's ``internal``)."""

_match_https = re.compile(r"https://([^/?#]*)", re.IGNORECASE | re.ASCII).match
_match_name = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?",
    re.ASCII,
).fullmatch


@dataclass(frozen=True, slots=True)
class UrlRefusal:
    """No webhook may have this URL; ``reason`` completes the sentence "the URL …"."""

    reason: str


def check_webhook_url(url: str) -> Destination | UrlRefusal:
    """The destination of ``url``, or why no webhook may have it."""
    if len(url) > URL_CHARACTERS_MAX:
        return UrlRefusal(f"is longer than {URL_CHARACTERS_MAX} characters")
    scheme = _match_https(url)
    if scheme is None:
        return UrlRefusal("does not begin with https://")
    if "#" in url:
        return UrlRefusal("has a fragment, which is never sent")
    if "@" in scheme[1]:
        return UrlRefusal("has user information")
    try:
        destination = parse_url(url)
    except FormatError:
        return UrlRefusal("cannot be read")
    if ":" in scheme[1].rpartition("]")[2]:
        return UrlRefusal("names a port")
    reason = _reason_against(destination.host)
    return destination if reason is None else UrlRefusal(reason)


def _reason_against(host: str) -> str | None:
    try:
        ip_address(host)
    except ValueError:
        return _reason_against_name(host)
    refusal = check_public(host)
    return None if refusal is None else f"has an address that is {refusal.reason}"


def _reason_against_name(host: str) -> str | None:
    if not _match_name(host):
        return "has a host that is no full public name"
    if host.rpartition(".")[2].isdecimal():
        # Browsers and resolvers read such a name as an address in an old notation (``127.1``).
        return "has a host that ends in a number"
    if any(f".{host}".endswith(f".{suffix}") for suffix in PRIVATE_SUFFIXES):
        return "has a host that only exists in private networks"
    return None
