"""URLs of webhooks, taken apart for sending."""

from __future__ import annotations

import pytest

from ledger.transport.targets import Target, take_apart, with_query


def test_host_path_and_query_are_what_is_typed_into_a_request() -> None:
    assert take_apart("https://A.Example./hook?x=1#part") == Target(
        "a.example", 443, "/hook?x=1", "a.example"
    )


def test_an_ipv6_address_stands_in_brackets_in_the_host_header() -> None:
    made = take_apart("https://[2606:4700::1111]/hook")
    assert (made.host, made.host_header, made.refusal) == ("2606:4700::1111", "[2606:4700::1111]", None)


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example/hook",
        "https://a.example:8443/hook",
        "https://a.example:80/hook",
        "http://a.example:443/hook",
        "https://u:p@a.example/hook",
        "https://a..example/hook",
        "https://.a.example/hook",
        "https://" + "x" * 64 + ".example/hook",
        "https://" + "x." * 130 + "example/hook",
        "https://a%2eexample/hook",
        "https://a.example\\@b.example/hook",
        "https://[fe80::1%25eth0]/hook",
        "https:///hook",
        "ftp://a.example/hook",
        "hook",
        "",
    ],
)
def test_a_url_that_no_webhook_has_is_refused_with_a_reason(url: str) -> None:
    assert take_apart(url).refusal


def test_a_port_that_is_written_out_though_it_is_the_usual_one_is_no_other_port() -> None:
    assert take_apart("https://a.example:443/hook").refusal is None


@pytest.mark.parametrize(
    ("path", "expected"), [("/hook", "/hook?q=1"), ("/hook?x=1", "/hook?x=1&q=1"), ("/", "/?q=1")]
)
def test_a_query_goes_behind_the_query_that_is_there(path: str, expected: str) -> None:
    assert with_query(path, "q=1") == expected
