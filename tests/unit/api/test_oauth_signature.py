"""Signed requests are read and checked as RFC 5849 says; published examples, and the corners of percent-encoding."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oauthlib.oauth1 import Client

from api.oauth_signature import PARAMETERS_MAX, Wire, is_signed, parse_signed, signed_text
from ledger.errors import FormatError

# The example of the public API's page "Creating a signature".
DOCUMENTED_SECRETS = (
    "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
    "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
)
DOCUMENTED_HEADER = {
    "oauth_consumer_key": "xvz1evFS4wEEPTGEFPHBog",
    "oauth_nonce": "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg",
    "oauth_signature_method": "HMAC-SHA1",
    "oauth_timestamp": "1318622958",
    "oauth_token": "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb",
    "oauth_version": "1.0",
}
# The example of RFC 5849, section 1.2, third step (HMAC-SHA1), which has no version.
RFC_HEADER = (
    'OAuth realm="Photos", oauth_consumer_key="dpf43f3p2l4k3l03", oauth_token="nnch734d00sl2jdk", '
    'oauth_signature_method="HMAC-SHA1", oauth_timestamp="137131202", oauth_nonce="chapoH", '
    'oauth_signature="MdpQcU8iPSUjWoN%2FUDMsK2sui9I%3D"'
)


def header(parameters: dict[str, str], signature: str) -> str:
    pairs = {**parameters, "oauth_signature": signature}
    return "OAuth " + ", ".join(f'{name}="{quote(value, safe="~")}"' for name, value in pairs.items())


def wire(
    authorization: str | None = RFC_HEADER,
    *,
    method: str = "GET",
    path: str = "/photos",
    query: str = "file=vacation.jpg&size=original",
    form: bytes = b"",
) -> Wire:
    return Wire(method, path, query, form, authorization)


def test_the_example_of_the_rfc_is_right() -> None:
    call = parse_signed(wire())
    assert (
        signed_text(call, ["http://photos.example.net"], "kd94hf93k423kf44", "pfkkdhi9sl3r4s00") is not None
    )


def test_the_example_of_the_public_api_is_right_and_its_base_string_the_documented_one() -> None:
    request = wire(
        header(DOCUMENTED_HEADER, "hCtSmYh+iHYCEqBWrE7C7hYmtUk="),
        method="POST",
        path="/1.1/statuses/update.json",
        query="include_entities=true",
        form=b"status=Hello%20Ladies%20%2b%20Gentlemen%2c%20a%20signed%20OAuth%20request%21",
    )
    text = signed_text(parse_signed(request), ["https://api.twitter.com"], *DOCUMENTED_SECRETS)
    assert text is not None
    base_string, _, signature = text.partition(b"\n")
    assert signature == b"hCtSmYh+iHYCEqBWrE7C7hYmtUk="
    assert base_string.startswith(
        b"POST&https%3A%2F%2Fapi.twitter.com%2F1.1%2Fstatuses%2Fupdate.json&include_entities%3Dtrue%26"
        b"oauth_consumer_key%3Dxvz1evFS4wEEPTGEFPHBog%26"
    )


@pytest.mark.parametrize(
    ("change", "base_url", "secrets"),
    [
        ({"method": "POST"}, "http://photos.example.net", ("kd94hf93k423kf44", "pfkkdhi9sl3r4s00")),
        ({"path": "/photos/"}, "http://photos.example.net", ("kd94hf93k423kf44", "pfkkdhi9sl3r4s00")),
        (
            {"query": "file=vacation.jpg"},
            "http://photos.example.net",
            ("kd94hf93k423kf44", "pfkkdhi9sl3r4s00"),
        ),
        ({"form": b"a="}, "http://photos.example.net", ("kd94hf93k423kf44", "pfkkdhi9sl3r4s00")),
        ({}, "https://photos.example.net", ("kd94hf93k423kf44", "pfkkdhi9sl3r4s00")),
        ({}, "http://photos.example.net:8080", ("kd94hf93k423kf44", "pfkkdhi9sl3r4s00")),
        ({}, "http://photos.example.net", ("kd94hf93k423kf44", "")),
        ({}, "http://photos.example.net", ("", "pfkkdhi9sl3r4s00")),
    ],
)
def test_another_method_path_parameter_name_or_secret_is_wrong(
    change: dict[str, Any], base_url: str, secrets: tuple[str, str]
) -> None:
    call = parse_signed(wire()._replace(**change))
    assert signed_text(call, [base_url], *secrets) is None


@pytest.mark.parametrize(
    "urls", [["https://a.example", "http://photos.example.net"], ["HTTP://PHOTOS.example.net:80/"]]
)
def test_any_of_the_base_urls_will_do_however_it_is_written(urls: list[str]) -> None:
    assert signed_text(parse_signed(wire()), urls, "kd94hf93k423kf44", "pfkkdhi9sl3r4s00") is not None


@pytest.mark.parametrize(
    "authorization",
    [
        RFC_HEADER.replace("HMAC-SHA1", "PLAINTEXT"),
        RFC_HEADER.replace("HMAC-SHA1", "HMAC-SHA256"),
        RFC_HEADER.replace("137131202", "-5"),
        RFC_HEADER.replace("137131202", "\N{ARABIC-INDIC DIGIT FIVE}"),
        RFC_HEADER.replace("137131202", "99999999999"),
        RFC_HEADER.replace("137131202", ""),
        RFC_HEADER.replace("chapoH", ""),
        RFC_HEADER.replace("chapoH", "n" * 257),
        RFC_HEADER.replace('oauth_nonce="chapoH", ', ""),
        RFC_HEADER + ', oauth_nonce="chapoH"',
        RFC_HEADER + ', oauth_token="other"',
        RFC_HEADER + ', oauth_version="2.0"',
        RFC_HEADER + ", oauth_version",
        "OAuth",
        "OAuth ",
    ],
)
def test_what_is_missing_repeated_or_of_another_method_is_malformed(authorization: str) -> None:
    with pytest.raises(FormatError):
        parse_signed(wire(authorization))


def test_protocol_parameters_in_two_places_are_malformed() -> None:
    with pytest.raises(FormatError):
        parse_signed(wire(query="oauth_token=another"))


def test_a_verifier_may_stand_in_the_form_beside_the_header() -> None:
    assert parse_signed(wire(form=b"oauth_verifier=v1")).verifier == "v1"


def test_more_parameters_than_anybody_needs_are_malformed() -> None:
    with pytest.raises(FormatError):
        parse_signed(wire(query="&".join(["a=1"] * (PARAMETERS_MAX + 1))))


@pytest.mark.parametrize("form", [b"a=%ff", b"a=%C3%28", "a=é".encode()])
def test_a_form_that_is_not_utf8_is_malformed(form: bytes) -> None:
    with pytest.raises(FormatError):
        parse_signed(wire(form=form))


def test_the_realm_of_the_header_is_not_signed_and_one_of_the_query_is() -> None:
    parameters = parse_signed(wire(query="realm=signed")).parameters
    assert [pair for pair in parameters if pair[0] == "realm"] == [("realm", "signed")]


def test_a_callback_is_decoded_once_wherever_it_stands() -> None:
    callback = "https://a.example/cb?next=%2Fhome"
    encoded = quote(callback, safe="")
    in_header = wire(RFC_HEADER + f', oauth_callback="{encoded}"')
    in_form = wire(form=f"oauth_callback={encoded}".encode())
    assert parse_signed(in_header).callback == callback
    assert parse_signed(in_form).callback == callback


def test_a_request_with_another_scheme_of_authorization_is_not_signed() -> None:
    assert is_signed(wire())
    assert not is_signed(wire("Bearer AAAA", query="oauth_signature=x"))
    assert is_signed(wire(None, query="oauth_signature=x"))
    assert not is_signed(wire(None, query=""))


pairs = st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=6)
names = st.sampled_from(
    ["https://api.example", "http://127.0.0.1:8400", "https://api.example:8443/behind/a/path"]
)


def sign(query: list[tuple[str, str]], form: list[tuple[str, str]], base_url: str) -> Wire:
    """What a maintained client sends for these parameters."""
    client = Client("key", client_secret="cs", resource_owner_key="token", resource_owner_secret="ts")
    uri, headers, body = client.sign(
        f"{base_url}/1.1/call.json?{urlencode(query)}",
        "POST",
        urlencode(form),
        {"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert uri.startswith(base_url)
    path, _, sent = uri.removeprefix(base_url).partition("?")
    return Wire("POST", path, sent, (body or "").encode(), headers["Authorization"])


def is_not_protocol(sent: list[tuple[str, str]]) -> bool:
    return not any(name.startswith("oauth_") for name, _ in sent)


@given(pairs.filter(is_not_protocol), pairs.filter(is_not_protocol), names)
def test_whatever_a_maintained_client_signs_is_right_and_under_no_other_name(
    query: list[tuple[str, str]], form: list[tuple[str, str]], base_url: str
) -> None:
    call = parse_signed(sign(query, form, base_url))
    assert signed_text(call, ["https://other.example", base_url], "cs", "ts") is not None
    assert signed_text(call, ["https://other.example"], "cs", "ts") is None
    assert signed_text(call, [base_url], "cs", "other") is None


@given(pairs.filter(is_not_protocol), st.tuples(st.text(min_size=1), st.text()), names)
def test_one_parameter_more_than_was_signed_is_wrong(
    query: list[tuple[str, str]], added: tuple[str, str], base_url: str
) -> None:
    wire_sent = sign(query, [], base_url)
    if added[0].startswith("oauth_"):
        return
    more = wire_sent._replace(query="&".join(filter(None, [wire_sent.query, urlencode([added])])))
    assert signed_text(parse_signed(more), [base_url], "cs", "ts") is None
