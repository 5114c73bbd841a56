"""Which URLs a webhook may have (delivery protocol, sections 3.1 and 3.5)."""

from __future__ import annotations

import pytest

from ledger.core.destinations import Destination
from ledger.core.webhook_urls import URL_CHARACTERS_MAX, UrlRefusal, check_webhook_url


def reason_against(url: str) -> str:
    refusal = check_webhook_url(url)
    assert isinstance(refusal, UrlRefusal)
    return refusal.reason


def test_a_public_https_url_is_its_destination() -> None:
    assert check_webhook_url("https://A.Example/hook?x=1") == Destination("a.example", 443, "/hook?x=1")


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example",
        "https://a.example./hook",
        "HTTPS://a.example/",
        "https://xn--bcher-kva.example/",
        "https://a-b.c_d.example/%7Euser",
        "https://93.184.216.34/hook",
        "https://[2606:2800:220:1:248:1893:25c8:1946]/hook",
        "https://a.localhost.example/",
        "https://a.example/" + "x" * (URL_CHARACTERS_MAX - 18),
    ],
)
def test_urls_that_somebody_on_the_internet_can_have(url: str) -> None:
    assert isinstance(check_webhook_url(url), Destination)


@pytest.mark.parametrize(
    "url",
    ["http://a.example/", "ftp://a.example/", "//a.example/", "a.example/hook", "", " https://a.example/"],
)
def test_a_url_without_https_is_refused(url: str) -> None:
    assert "https" in reason_against(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example:443/",
        "https://a.example:8443/",
        "https://a.example:/",
        "https://[2606:2800:220:1:248:1893:25c8:1946]:443/",
    ],
)
def test_a_url_that_names_a_port_is_refused_even_the_usual_one(url: str) -> None:
    assert "port" in reason_against(url)


@pytest.mark.parametrize(
    "url", ["https://user@a.example/", "https://user:word@a.example/", "https://@a.example/"]
)
def test_a_url_with_user_information_is_refused(url: str) -> None:
    assert "user" in reason_against(url)


def test_a_url_with_a_fragment_is_refused() -> None:
    assert "fragment" in reason_against("https://a.example/hook#top")


@pytest.mark.parametrize(
    "url",
    [
        "https://localhost/",
        "https://intranet/hook",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://1.2.3.4.5/",
        "https://a.example.1/",
        "https://printer.local/",
        "https://x.localhost/",
        "https://db.internal/",
        "https://router.home.arpa/",
        "https://abc.onion/",
        "https://-a.example/",
        "https://a..example/",
        "https://" + "a" * 64 + ".example/",
        "https://" + "a." * 126 + "example/",
    ],
)
def test_a_host_that_is_nobodys_on_the_internet_is_refused(url: str) -> None:
    assert "host" in reason_against(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://10.0.0.8/",
        "https://[::1]/",
        "https://[::ffff:8.8.8.8]/",
        "https://192.168.1.1/",
    ],
)
def test_an_address_that_is_not_public_is_refused(url: str) -> None:
    assert "address" in reason_against(url)


@pytest.mark.parametrize(
    "url",
    [
        "https:///hook",
        "https://a.example/a b",
        "https://bücher.example/",
        "https://a.example/\n",
        'https://a.example/"',
        "https://a.example\\b",
        "https://[::1/",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    assert reason_against(url)


def test_a_url_of_more_than_its_longest_is_refused() -> None:
    assert "longer" in reason_against("https://a.example/" + "x" * URL_CHARACTERS_MAX)
