"""CloudEvents 1.0 over HTTP -> events as the intake takes them (cncf.io CloudEvents 1.0.2, JSON format, HTTP binding).

==========================================  =========================================================================
``application/cloudevents+json``            structured: one object, attributes beside ``data`` or ``data_base64``
``application/cloudevents-batch+json``      an array of such objects
any other type, with ``ce-specversion``     binary: attributes as ``ce-`` headers, the body is the data
==========================================  =========================================================================

The data is the payload (delivery protocol, section 3.6), ``id`` is the event's id. ``source`` and ``type`` must be there,
as the standard demands, and decide nothing, nor does any other attribute: what an event is and whose it is, the payload says.
So ids have to be unique over all sources that deliver to one ledger.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from api.json_bodies import parse_object
from ledger.core.strict import decode_base64
from ledger.errors import FormatError
from ledger.gateway.offered import OfferedEvent

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
SPEC_VERSION = "1.0"
HEADER_PREFIX = "ce-"

_REQUIRED = ("id", "source", "specversion", "type")
_TEXTS = (*_REQUIRED, "datacontenttype", "dataschema", "subject", "time")
_DATA = ("data", "data_base64")
_match_name = re.compile(r"[a-z0-9]+", re.ASCII).fullmatch
_match_json_type = re.compile(r"[a-z0-9.+-]+/(?:json|[a-z0-9.+-]+\+json)", re.ASCII).fullmatch
_match_quoted = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL).fullmatch
_unescape_quoted = re.compile(r"\\(.)", re.DOTALL).sub


def parse_structured(event: Any) -> OfferedEvent:
    """The event in a decoded JSON object in the structured form; raises FormatError, which repeats no value."""
    if not isinstance(event, Mapping):
        raise FormatError("a CloudEvent is a JSON object")
    for name in event:
        if name not in _DATA and not _match_name(name):
            raise FormatError("the name of an attribute has only lower-case letters and digits")
    # A null stands for an attribute that is not there.
    attributes = {name: value for name, value in event.items() if value is not None and name not in _DATA}
    _check_attributes(attributes)
    if "data_base64" in event:
        if "data" in event:
            raise FormatError("a CloudEvent has data or data_base64, not both")
        return _from_bytes(attributes["id"], _decoded(event["data_base64"]))
    data = event.get("data")
    if not isinstance(data, Mapping):
        raise FormatError("the data of the event is not a JSON object")
    return OfferedEvent(data, None, attributes["id"])


def is_binary(headers: Mapping[str, str]) -> bool:
    """Whether a request with ``headers`` (lower-case names) has a CloudEvent in the binary form."""
    return f"{HEADER_PREFIX}specversion" in headers


def parse_binary(headers: Mapping[str, str], body: bytes) -> OfferedEvent:
    """The event in a request in the binary form; raises FormatError, which repeats no value."""
    attributes = {
        name.removeprefix(HEADER_PREFIX): _header_text(value)
        for name, value in headers.items()
        if name.startswith(HEADER_PREFIX)
    }
    if not all(map(_match_name, attributes)):
        raise FormatError("the name of an attribute has only letters and digits")
    attributes["datacontenttype"] = headers.get("content-type", "application/json")
    _check_attributes(attributes)
    return _from_bytes(attributes["id"], body)


def _check_attributes(attributes: Mapping[str, Any]) -> None:
    for name in _TEXTS:
        if name in attributes and (not isinstance(attributes[name], str) or not attributes[name]):
            raise FormatError(f"the attribute {name} is not a text, or empty")
    missing = [name for name in _REQUIRED if name not in attributes]
    if missing:
        raise FormatError(f"the event has no {', '.join(missing)}")
    if attributes["specversion"] != SPEC_VERSION:
        raise FormatError(f"only version {SPEC_VERSION} of CloudEvents is taken")
    media = str(attributes.get("datacontenttype", "application/json")).partition(";")[0].strip().lower()
    if not _match_json_type(media):
        raise FormatError("the data is not JSON (datacontenttype)")


def _from_bytes(event_id: str, body: bytes) -> OfferedEvent:
    return OfferedEvent(parse_object(body), body, event_id)


def _decoded(text: Any) -> bytes:
    if not isinstance(text, str):
        raise FormatError("data_base64 is not a text")
    try:
        return decode_base64(text)
    except FormatError:
        raise FormatError("data_base64 is not base64") from None


def _header_text(value: str) -> str:
    """An attribute's value: quotes taken off, then percent-decoded once (HTTP binding, section 3.1.3.2)."""
    quoted = _match_quoted(value.strip())
    plain = value.strip() if quoted is None else _unescape_quoted(r"\1", quoted[1])
    try:
        return unquote_to_bytes(plain).decode("utf-8")
    except UnicodeDecodeError:
        raise FormatError("an attribute is not UTF-8") from None
