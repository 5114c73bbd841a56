"""Which addresses a webhook may have: globally routable unicast, and nothing else (delivery protocol, section 3.5).

A developer names the host and the operator connects to it from inside its own network, so an address that means
something else there than on the public internet is refused. Refused is whatever stands in IANA's special-purpose
registries for IPv4 and IPv6, "globally reachable" or not, for no developer's server lives there; multicast; all of IPv6
outside 2000::/3, the one block that global unicast is assigned from; and every form that carries an IPv4 address within an
IPv6 one (mapped, compatible, NAT64, 6to4, Teredo), whatever it carries: where such a packet ends is decided by a
translator of the operator's network, not by the address.

Left to the transport: resolving names, and that *all* addresses of a name must pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_SPECIAL_V4 = tuple(
    (IPv4Network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "of this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "behind a carrier's translator"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "kept for protocols"),
        ("192.0.2.0/24", "for documentation"),
        ("192.31.196.0/24", "a sink for reverse names"),
        ("192.52.193.0/24", "a multicast relay"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "a sink for reverse names"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
    )
)

_SPECIAL_V6 = tuple(
    (IPv6Network(network), reason)
    for network, reason in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "an IPv4 address in IPv6 form"),
        ("::/96", "an IPv4 address in IPv6 form"),
        ("64:ff9b::/96", "an IPv4 address behind a translator"),
        ("64:ff9b:1::/48", "an IPv4 address behind a translator"),
        ("100::/64", "for discarding"),
        ("100:0:0:1::/64", "a placeholder"),
        ("2001::/32", "a Teredo tunnel"),
        ("2001:2::/48", "for benchmarks"),
        ("2001:10::/28", "a hash and no place"),
        ("2001:20::/28", "a hash and no place"),
        ("2001::/23", "kept for protocols"),
        ("2001:db8::/32", "for documentation"),
        ("2002::/16", "a 6to4 tunnel"),
        ("2620:4f:8000::/48", "a sink for reverse names"),
        ("3fff::/20", "for documentation"),
        ("5f00::/16", "a routing instruction"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)

_GLOBAL_UNICAST_V6 = IPv6Network("2000::/3")


@dataclass(frozen=True, slots=True)
class AddressRefusal:
    """``address`` is not one that data may be sent to; ``reason`` completes the sentence "the address is …"."""

    address: str
    reason: str


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """The address that ``text`` writes (no brackets), None where it is a name or nothing at all."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def check_public(address: str) -> AddressRefusal | None:
    """Whether ``address`` (IPv4 or IPv6 text, no brackets) is globally routable unicast: None, or why it is not.

    Text that is no address at all, and one with a zone (``fe80::1%eth0``), are refused as well.
    """
    reason = _reason_against(address)
    return None if reason is None else AddressRefusal(address, reason)


def _reason_against(address: str) -> str | None:
    parsed = parse_address(address)
    if parsed is None:
        return "no IP address"
    special = _special_v4(parsed) if isinstance(parsed, IPv4Address) else _special_v6(parsed)
    if special is not None:
        return special
    # The tables are complete as of their registries; what a newer Python knows to be special is refused too.
    return None if parsed.is_global else "not globally routable"


def _special_v4(address: IPv4Address) -> str | None:
    return next((reason for network, reason in _SPECIAL_V4 if address in network), None)


def _special_v6(address: IPv6Address) -> str | None:
    if address.scope_id is not None:
        return "bound to one interface"
    special = next((reason for network, reason in _SPECIAL_V6 if address in network), None)
    if special is not None:
        return special
    return None if address in _GLOBAL_UNICAST_V6 else "outside global unicast"
