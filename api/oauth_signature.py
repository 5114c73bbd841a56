"""OAuth 1.0a: what a request states, and whether its HMAC-SHA1 signature is right (RFC 5849).

The signature's own steps (normalizing, base string, HMAC) are oauthlib's. Its endpoint classes are not used: they read the
host's clock, take the nonce before they look at the signature, so that anybody could fill the table of nonces, know one
address of the server only, and decode protocol parameters of a query or form twice.

A request is read as the caller sent it: the path as it stood on the wire, the query, and the body where it is a form; a
JSON body is not signed. Which name and scheme the caller knows this service by, no header is asked: what
is signed is tried under each of the configured base URLs.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qsl

from oauthlib.oauth1.rfc5849 import signature, utils

from ledger.errors import FormatError

PARAMETERS_MAX = 200
TEXT_CHARACTERS_MAX = 256
"""Bound of each protocol parameter but the callback."""

TIMESTAMP_DIGITS_MAX = 10

FORM = "application/x-www-form-urlencoded"
METHOD = "HMAC-SHA1"

Pairs = list[tuple[str, str]]


class Wire(NamedTuple):
    """A request as it came: ``path`` percent-encoded as sent, ``form`` empty unless the body is a form."""

    method: str
    path: str
    query: str
    form: bytes
    authorization: str | None


@dataclass(frozen=True, slots=True)
class SignedCall:
    """What a signed request states, none of it checked yet; ``token`` is empty where none is named."""

    method: str
    path: str
    parameters: tuple[tuple[str, str], ...]
    consumer_key: str
    token: str
    signature: str
    timestamp_s: int
    nonce: str
    callback: str | None
    verifier: str | None


class _Secrets(NamedTuple):
    client_secret: str
    resource_owner_secret: str


def parse_form(text: str) -> Pairs:
    """The pairs of a query or form; raises FormatError where it is not UTF-8, or has too many."""
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=PARAMETERS_MAX)
    except ValueError:
        raise FormatError(
            f"the parameters are not UTF-8 or more than {PARAMETERS_MAX}: encode them again"
        ) from None


def is_signed(wire: Wire) -> bool:
    """Whether the request means to be signed: by its header, or by protocol parameters where there is no header."""
    if wire.authorization is not None:
        return _scheme(wire.authorization) == "oauth"
    return "oauth_signature=" in wire.query or b"oauth_signature=" in wire.form


def parse_signed(wire: Wire) -> SignedCall:
    """What ``wire`` states; raises FormatError where anything is missing, repeated or not of its form."""
    header = _parse_header(wire.authorization) if wire.authorization is not None else []
    try:
        form = parse_form(wire.form.decode("ascii"))
    except UnicodeDecodeError:
        raise FormatError("a form holds ASCII only, and everything else percent-encoded") from None
    sources = (header, parse_form(wire.query), form)
    if sum(any(_is_protocol(name) for name, _ in source) for source in sources) > 1:
        raise FormatError("oauth_ parameters stand in one place: the header, the query or the form")
    everything = [pair for source in sources for pair in source]
    protocol: dict[str, str] = {}
    for name, value in everything:
        if name.startswith("oauth_"):
            if name in protocol:
                raise FormatError(f"{name} is there more than once")
            protocol[name] = value
    _check_protocol(protocol)
    return SignedCall(
        method=wire.method,
        path=wire.path,
        parameters=tuple(pair for pair in everything if pair[0] != "oauth_signature"),
        consumer_key=protocol["oauth_consumer_key"],
        token=protocol.get("oauth_token", ""),
        signature=protocol["oauth_signature"],
        timestamp_s=int(protocol["oauth_timestamp"]),
        nonce=protocol["oauth_nonce"],
        callback=protocol.get("oauth_callback"),
        verifier=protocol.get("oauth_verifier"),
    )


def signed_text(
    call: SignedCall, base_urls: Sequence[str], consumer_secret: str, token_secret: str
) -> bytes | None:
    """What ``call`` signs with these secrets, as a request to one of ``base_urls``, or None where its signature is wrong.

    That is the signature base string, a line feed and the signature: evidence that whoever holds the secrets can check.
    Every base URL is tried, whichever is right.
    """
    # The library's types say a dict, its code and its documentation a list of pairs.
    normalized = signature.normalize_parameters(cast("Any", list(call.parameters)))
    secrets = _Secrets(consumer_secret, token_secret)
    stated = call.signature.encode()
    found: bytes | None = None
    for base_url in base_urls:
        uri = signature.base_string_uri(base_url.rstrip("/") + call.path)
        base_string = signature.signature_base_string(cast("Any", call.method), uri, normalized)
        expected = cast("str", signature.sign_hmac_sha1_with_client(base_string, secrets)).encode()
        if hmac.compare_digest(stated, expected):
            found = b"\n".join((base_string.encode(), expected))
    return found


def _is_protocol(name: str) -> bool:
    # What belongs to one step of the three-legged way is often sent in the form, beside a header that has the rest.
    return name.startswith("oauth_") and name not in ("oauth_callback", "oauth_verifier")


def _scheme(authorization: str) -> str:
    return authorization.partition(" ")[0].lower()


def _parse_header(authorization: str) -> Pairs:
    """The pairs of an OAuth header, decoded; the realm, which is not signed, left out."""
    pairs: Pairs = []
    for item in utils.parse_http_list(authorization.partition(" ")[2]):
        name, equals, value = item.partition("=")
        if not equals:
            raise FormatError("the Authorization header is malformed")
        if len(value) >= 2 and value[0] == value[-1] == '"':
            value = value[1:-1]
        pairs.append((utils.unescape(name.strip()), utils.unescape(value)))
    return [pair for pair in pairs if pair[0].lower() != "realm"]


def _check_protocol(protocol: dict[str, str]) -> None:
    for name in ("oauth_consumer_key", "oauth_signature", "oauth_nonce", "oauth_timestamp"):
        if not protocol.get(name):
            raise FormatError(f"{name} is missing")
    if protocol.get("oauth_signature_method") != METHOD:
        raise FormatError(f"oauth_signature_method is not {METHOD}")
    if protocol.get("oauth_version", "1.0") != "1.0":
        raise FormatError("oauth_version is not 1.0")
    for name, value in protocol.items():
        if name != "oauth_callback" and len(value) > TEXT_CHARACTERS_MAX:
            raise FormatError(f"{name} is too long")
    timestamp = protocol["oauth_timestamp"]
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= TIMESTAMP_DIGITS_MAX):
        raise FormatError("oauth_timestamp is not a number of seconds")
