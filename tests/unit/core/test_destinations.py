"""Destinations of section 2.5: from URLs, and from what was observed."""

from __future__ import annotations

import pytest

from ledger.core.destinations import Destination, has_sni_mismatch, observed_destination, parse_url
from ledger.core.entries import Observed
from ledger.errors import FormatError


@pytest.mark.parametrize(
    ("url", "destination"),
    [
        ("https://a.example/hook", ("a.example", 443, "/hook")),
        ("http://a.example/hook", ("a.example", 80, "/hook")),
        ("HTTPS://A.Example./hook", ("a.example", 443, "/hook")),
        ("https://a.example", ("a.example", 443, "/")),
        ("https://a.example?x=1", ("a.example", 443, "/?x=1")),
        ("https://a.example/Hook?b=2&a=1", ("a.example", 443, "/Hook?b=2&a=1")),
        ("https://a.example/hook#part", ("a.example", 443, "/hook")),
        ("https://a.example:8443/hook", ("a.example", 8443, "/hook")),
        ("https://a.example:/hook", ("a.example", 443, "/hook")),
        ("https://[2001:DB8::1]:8443/", ("2001:db8::1", 8443, "/")),
    ],
)
def test_a_url_names_a_host_a_port_and_a_path(url: str, destination: tuple[str, int, str]) -> None:
    assert parse_url(url) == destination


@pytest.mark.parametrize(
    "url",
    [
        "https://ann@a.example/",
        "https://ann:secret@a.example/",
        "ftp://a.example/",
        "//a.example/",
        "https:///hook",
        "https://./hook",
        "https://a.example:0/",
        "https://a.example:65536/",
        "https://a.example:x/",
        "https://a example/",
        "https://a.example/a b",
        "https://2001:db8::1/",
        "",
    ],
)
def test_a_url_that_does_not_name_one_public_place_is_refused(url: str) -> None:
    with pytest.raises(FormatError):
        parse_url(url)


def test_the_path_is_compared_byte_for_byte() -> None:
    paths = ("/hook", "/hook/", "/Hook", "/hook?", "/h%6fok")
    assert len({parse_url(f"https://a.example{path}") for path in paths}) == len(paths)


def test_the_key_of_a_destination_is_one_string() -> None:
    assert Destination("a.example", 443, "/hook?x").key == "a.example:443/hook?x"


@pytest.mark.parametrize(
    ("observed", "destination"),
    [
        (Observed(host="b.example", sni="a.example", path="/hook"), ("a.example", 443, "/hook")),
        (Observed(host="B.example.", path="/hook", port=80), ("b.example", 80, "/hook")),
        (Observed(sni="a.example", path=""), ("a.example", 443, "/")),
        (Observed(host="b.example:8443", path="/"), ("b.example", 8443, "/")),
        (Observed(host="b.example:8443", port=9443, path="/"), ("b.example", 9443, "/")),
        (Observed(host="b.example", sni="", path="/"), ("b.example", 443, "/")),
    ],
)
def test_the_tls_name_is_the_observed_host_and_the_host_header_stands_in(
    observed: Observed, destination: tuple[str, int, str]
) -> None:
    assert observed_destination(observed) == destination


@pytest.mark.parametrize(
    "observed",
    [
        None,
        Observed(),
        Observed(host="a.example", sni="a.example", port=443),
        Observed(path="/hook", peer_ip="203.0.113.7", signing_app="app-a"),
        Observed(path="/hook", host="", sni=""),
    ],
)
def test_an_observation_without_a_path_and_a_name_does_not_count(observed: Observed | None) -> None:
    assert observed_destination(observed) is None


@pytest.mark.parametrize(
    ("observed", "differs"),
    [
        (Observed(host="b.example", sni="a.example"), True),
        (Observed(host="A.example:443", sni="a.example."), False),
        (Observed(host="a.example"), False),
        (Observed(sni="a.example"), False),
        (None, False),
    ],
)
def test_host_header_and_tls_name_mismatch_where_both_are_there_and_differ(
    observed: Observed | None, differs: bool
) -> None:
    assert has_sni_mismatch(observed) == differs


@pytest.mark.parametrize("digits", ["65536", "1" * 5_000])
def test_a_number_beyond_all_ports_is_refused_however_long_it_is(digits: str) -> None:
    with pytest.raises(FormatError):
        parse_url(f"https://a.example:{digits}/hook")


def test_a_host_header_with_thousands_of_digits_as_its_port_is_nobodys_destination() -> None:
    seen = observed_destination(Observed(host="a.example:" + "1" * 5_000, path="/hook"))
    assert seen is not None
    assert (seen.host, seen.port > 65_535) == ("a.example", True)
