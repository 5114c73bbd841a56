"""What an egress proxy counted, signed by it, and what it may be beside what the log tells (ledger format, section 1.5).

::

    DSSE envelope, payloadType application/vnd.grantledger.egress+json, over the canonical bytes of
    {"bytes_down":4096,"bytes_up":2900,"connections":2,"from_at":1536537600000,"log":"ledger.example/prod",
     "proxy":"egress-1","sni":"a.example","to_at":1536541200000,"v":1}

One such statement for each server name and hour; and one without ``sni`` that has the sums over all ``names`` of the hour.
It closes the hour: only closed hours are compared. An hour without traffic is closed with zeros.

The comparison is about bodies. What passes beside them (TLS handshakes, headers, acknowledgements of TLS, challenges) is
bounded for each connection and each request, generously; what fits into these bounds is not seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ledger.core.canonical import JsonValue
from ledger.core.dsse import Envelope, pre_auth
from ledger.core.entries.members import Bounds, Pattern, check_bounds, check_pattern
from ledger.core.note import check_name
from ledger.core.receipts import SignatureCheck
from ledger.core.strict import ID_REGEX, INTEGER_MAX
from ledger.errors import FormatError

EGRESS_TYPE = "application/vnd.grantledger.egress+json"
HOUR_MS = 3_600_000
SNI_REGEX = r"[a-z0-9._-]{1,253}"

CONNECTION_BYTES = 4_096
"""The most that opening and closing one TLS connection sends: hello, keys, alerts; and a challenge, which has no body."""

REQUEST_BYTES = 3_072
"""The most that one request sends beside its body: its head with signatures and ticket."""

UNRECORDED_CONNECTIONS = 64
"""Connections in an hour to a name that some endpoint has, for challenges and messages that leave no entry."""

EDGE_MS = 60_000
"""How near to either end of an hour a request may have been counted in the hour beside it, by a clock that is a bit off."""

ROUNDED_BYTES = 255
"""``body_bytes`` is rounded up to a multiple of 256."""

_COUNTED = ("connections", "bytes_up", "bytes_down")
_STATED = ("proxy", "from_at", "to_at", *_COUNTED)
_COUNT = check_bounds(Bounds(0, INTEGER_MAX))
_CHECKS = {
    "proxy": check_pattern(Pattern(ID_REGEX, "an id")),
    "sni": check_pattern(Pattern(SNI_REGEX, "a server name in lower case")),
    **dict.fromkeys(("from_at", "to_at", "names", *_COUNTED), _COUNT),
}


def count_statement(log: str, members: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The statement that an ``egress.counted`` with ``members``, in the log of that origin, is the record of."""
    stated: dict[str, JsonValue] = {"log": log, "v": 1}
    stated |= {name: members[name] for name in _STATED}
    return stated | {name: members[name] for name in ("sni", "names") if members.get(name) is not None}


def sign_bytes(log: str, members: Mapping[str, JsonValue]) -> bytes:
    """What a proxy signs."""
    return pre_auth(EGRESS_TYPE, count_statement(log, members))


def is_count_signed(entry: Any, log: str, check: SignatureCheck) -> bool:
    """Whether an ``egress.counted`` of the log ``log`` is signed with the key that it states."""
    members = {name: getattr(entry, name) for name in (*_STATED, "sni", "names")}
    return check(bytes.fromhex(entry.key), sign_bytes(log, members), bytes.fromhex(entry.signature))


def read_count(envelope: Envelope) -> tuple[str, dict[str, JsonValue]]:
    """The log that a count is for, and its members; its signature is not verified. FormatError where it is none."""
    stated = dict(envelope.statement)
    if envelope.payload_type != EGRESS_TYPE:
        raise FormatError(f"a count has the payloadType {EGRESS_TYPE}")
    log, version = stated.pop("log", None), stated.pop("v", None)
    if version != 1 or type(version) is not int:
        raise FormatError("a count states v 1")
    if not isinstance(log, str):
        raise FormatError("member log is not text")
    check_name(log)
    if set(stated) not in ({*_STATED, "sni"}, {*_STATED, "names"}):
        raise FormatError("a count has a name, or the number of names; and all that was counted")
    for name, value in stated.items():
        fault = _CHECKS[name](value)
        if fault is not None:
            raise FormatError(f"member {name} {fault}")
    from_at, to_at = stated["from_at"], stated["to_at"]
    if not isinstance(from_at, int) or from_at % HOUR_MS or to_at != from_at + HOUR_MS:
        raise FormatError("a count is about one whole hour")
    return log, stated


class Counted(NamedTuple):
    """Connections and bytes from and to this side."""

    connections: int = 0
    bytes_up: int = 0
    bytes_down: int = 0

    def plus(self, other: Counted) -> Counted:
        """Both together."""
        return Counted(*(a + b for a, b in zip(self, other, strict=True)))


@dataclass(slots=True)
class Told:
    """What the log tells of one name and hour.

    ``requests`` surely passed, with ``body_bytes`` (rounded up) in all. ``maybe`` may have, with ``maybe_bytes`` at most:
    requests near the hour's ends, attempts that failed, of which nobody saw where they went, or that others made.
    """

    requests: int = 0
    body_bytes: int = 0
    maybe: int = 0
    maybe_bytes: int = 0


def find_excess(counted: Counted, told: Told, is_endpoint: bool) -> str | None:
    """What was counted to a name in an hour beyond all that the log tells of, or None.

    ``is_endpoint`` says whether some endpoint was ever registered at the name.
    """
    requests = told.requests + told.maybe
    if counted.connections and not requests and not is_endpoint:
        return f"{counted.connections} connections to a name that the log knows nothing of"
    if counted.connections > requests + UNRECORDED_CONNECTIONS * is_endpoint:
        return f"{counted.connections} connections, and {requests} requests at most are recorded"
    bodies = told.body_bytes + told.maybe_bytes
    # Connections may have been opened in the hour before: then each request is allowed one here all the same.
    opened = max(counted.connections, requests)
    most = bodies + bodies // 64 + REQUEST_BYTES * requests + CONNECTION_BYTES * opened
    if counted.bytes_up > most:
        return f"{counted.bytes_up} bytes sent, and {most} at most are accounted for"
    return None


def find_shortfall(counted: Counted, told: Told) -> str | None:
    """What the log tells of a name in an hour that was not counted, or None."""
    least = told.body_bytes - ROUNDED_BYTES * told.requests
    if counted.bytes_up < max(least, min(told.requests, 1)):
        return f"{counted.bytes_up} bytes sent, where {told.requests} requests with {least} bytes at least are recorded"
    return None
