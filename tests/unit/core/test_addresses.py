"""Which addresses are public: the special-purpose registries of both families, at their edges, and Python's view."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.addresses import AddressRefusal, check_public

# IANA's special-purpose address registries for IPv4 and IPv6, with multicast and what was special before them.
SPECIAL = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.0.0/29",
    "192.0.0.8/32",
    "192.0.0.9/32",
    "192.0.0.10/32",
    "192.0.0.170/32",
    "192.0.0.171/32",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "::/128",
    "::1/128",
    "::/96",
    "::ffff:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001::/32",
    "2001:1::1/128",
    "2001:1::2/128",
    "2001:1::3/128",
    "2001:2::/48",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:30::/28",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
]


@pytest.mark.parametrize("network", SPECIAL)
def test_a_special_network_is_refused_from_its_first_address_to_its_last(network: str) -> None:
    block = ip_network(network)
    middle = block[block.num_addresses // 2]
    for address in (block[0], middle, block[-1]):
        assert isinstance(check_public(str(address)), AddressRefusal)


@pytest.mark.parametrize(
    "address",
    [
        "1.0.0.0",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.0.3.0",
        "192.88.98.255",
        "192.88.100.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.255",
        "198.51.101.0",
        "203.0.112.255",
        "203.0.114.0",
        "223.255.255.255",
        "2001:200::",
        "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:db9::",
        "2003::",
        "2606:4700:4700::1111",
        "2620:4f:7fff:ffff:ffff:ffff:ffff:ffff",
        "2620:4f:8001::",
        "2a00:1450:4001:82f::200e",
        "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ],
)
def test_the_addresses_beside_special_networks_are_public(address: str) -> None:
    assert check_public(address) is None


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "::ffff:8.8.8.8",
        "::8.8.8.8",
        "64:ff9b::8.8.8.8",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "200::1",
        "4000::1",
        "1fff::1",
        "fe00::1",
    ],
)
def test_metadata_services_tunnels_translators_and_unassigned_blocks_are_refused(address: str) -> None:
    assert check_public(address) is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.example",
        "8.8.8",
        "8.8.8.08",
        "0x8.8.8.8",
        "134744072",
        "8.8.8.8 ",
        "[2606:4700::1]",
        "8.8.8.8:443",
        "8.8.8.0/24",
        "٨.8.8.8",
    ],
)
def test_text_that_is_no_address_is_refused(text: str) -> None:
    assert check_public(text) == AddressRefusal(text, "no IP address")


@pytest.mark.parametrize("address", ["fe80::1%eth0", "2606:4700:4700::1111%1", "::1%lo"])
def test_an_address_of_one_interface_is_refused(address: str) -> None:
    assert check_public(address) == AddressRefusal(address, "bound to one interface")


def test_a_refusal_says_why() -> None:
    assert check_public("10.0.0.1") == AddressRefusal("10.0.0.1", "private")


@given(st.ip_addresses())
def test_whatever_python_does_not_call_global_is_refused(address: IPv4Address | IPv6Address) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert check_public(str(address)) is not None


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_within_an_ipv6_one_is_refused_whatever_it_is(inner: IPv4Address) -> None:
    for prefix, shift in (
        ("::", 0),
        ("::ffff:0:0", 0),
        ("64:ff9b::", 0),
        ("64:ff9b:1::", 0),
        ("2002::", 80),
        ("2001::", 0),
    ):
        assert check_public(str(IPv6Address(int(IPv6Address(prefix)) | int(inner) << shift))) is not None
