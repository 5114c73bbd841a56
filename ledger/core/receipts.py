"""Delivery receipts: a developer's own signed statement of what it received (ledger format, section 1.5).

::

    DSSE envelope, payloadType application/vnd.grantledger.receipt+json, over the canonical bytes of
    {"delivery":"d-1","developer":"dev-a","host":"a.example","log":"ledger.example/prod",
     "promised_leaf":"3f0c...","promised_seq":17,"received_at":1536537600000,"v":1}

``delivery`` is the message id that came along, ``host`` the name that the receiver was called by, ``log`` the log's origin.
``promised_seq`` and ``promised_leaf`` are what the ticket said; a receiver that got no ticket leaves them out. The ticket
binds the statement to the attempt, whose entry holds a salted commitment to the body. The body itself, or a plain hash of
it, is never stated: such a hash is personal data and can be guessed from. Nobody's id is in it.

All of it but ``log`` stands in the ``delivery.receipt``, so that the entry, entry 0 and the developer's key are enough to
verify the signature again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ledger.core.canonical import JsonValue
from ledger.core.dsse import Envelope, pre_auth
from ledger.core.entries.members import HASH_REGEX, Bounds, Pattern, check_bounds, check_pattern
from ledger.core.note import check_name
from ledger.core.strict import ID_REGEX, INTEGER_MAX
from ledger.errors import FormatError

RECEIPT_TYPE = "application/vnd.grantledger.receipt+json"
RECEIPT_MISSING_AFTER_MS = 24 * 60 * 60 * 1_000
"""How long a developer that sends receipts may take for one (verdict rules, section 2.3)."""

HOST_REGEX = r"[A-Za-z0-9._:\[\]-]{1,260}"

SignatureCheck = Callable[[bytes, bytes, bytes], bool]
"""Whether a public key (32 bytes) signed a message: ``(key, message, signature)``, Ed25519."""

_STATED = ("delivery", "developer", "host", "received_at")
_PROMISED = ("promised_leaf", "promised_seq")

_CHECKS = {
    "delivery": check_pattern(Pattern(ID_REGEX, "an id")),
    "developer": check_pattern(Pattern(ID_REGEX, "an id")),
    "host": check_pattern(Pattern(HOST_REGEX, "a host, perhaps with a port")),
    "received_at": check_bounds(Bounds(0, INTEGER_MAX)),
    "promised_leaf": check_pattern(Pattern(HASH_REGEX, "64 lower-case hex digits")),
    "promised_seq": check_bounds(Bounds(0, INTEGER_MAX)),
}


def is_host(text: str) -> bool:
    """Whether ``text`` may stand as ``host`` in a receipt."""
    return _CHECKS["host"](text) is None


class Receipt(NamedTuple):
    """What a receipt says; ``promised`` is the entry and leaf hash (hex) that its ticket promised, None without one."""

    log: str
    delivery: str
    developer: str
    host: str
    received_at_ms: int
    promised: tuple[int, str] | None

    def members(self) -> dict[str, JsonValue]:
        """What it says as members of a ``delivery.receipt``."""
        stated: dict[str, JsonValue] = {
            "delivery": self.delivery,
            "developer": self.developer,
            "host": self.host,
            "received_at": self.received_at_ms,
        }
        if self.promised is not None:
            stated |= {"promised_seq": self.promised[0], "promised_leaf": self.promised[1]}
        return stated

    def signed_bytes(self) -> bytes:
        """What a developer signs."""
        return pre_auth(RECEIPT_TYPE, statement_of(self.log, self.members()))


def statement_of(log: str, members: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The statement that a ``delivery.receipt`` with ``members``, in the log of that origin, is the record of."""
    stated: dict[str, JsonValue] = {"log": log, "v": 1}
    stated |= {name: members[name] for name in _STATED}
    return stated | {name: members[name] for name in _PROMISED if members.get(name) is not None}


def read_receipt(envelope: Envelope) -> Receipt:
    """The receipt in an envelope, its signature not verified; FormatError where the envelope holds none."""
    stated = envelope.statement
    if envelope.payload_type != RECEIPT_TYPE:
        raise FormatError(f"a receipt has the payloadType {RECEIPT_TYPE}")
    if stated.get("v") != 1 or type(stated["v"]) is not int:
        raise FormatError("a receipt states v 1")
    allowed = {"log", "v", *_STATED}
    if any(name in stated for name in _PROMISED):
        allowed |= set(_PROMISED)
    if set(stated) != allowed:
        raise FormatError(f"a receipt states {', '.join(sorted(allowed))}, and nothing else")
    for name, check in _CHECKS.items():
        fault = check(stated[name]) if name in stated else None
        if fault is not None:
            raise FormatError(f"member {name} {fault}")
    log = stated["log"]
    if not isinstance(log, str):
        raise FormatError("member log is not text")
    check_name(log)
    values: dict[str, Any] = dict(stated)
    promised = (values["promised_seq"], values["promised_leaf"]) if "promised_seq" in values else None
    return Receipt(
        log, values["delivery"], values["developer"], values["host"], values["received_at"], promised
    )


def is_receipt_signed(entry: Any, log: str, check: SignatureCheck) -> bool:
    """Whether a ``delivery.receipt`` of the log ``log`` is signed with the key that it states."""
    members = {name: getattr(entry, name) for name in (*_STATED, *_PROMISED)}
    message = pre_auth(RECEIPT_TYPE, statement_of(log, members))
    return check(bytes.fromhex(entry.key), message, bytes.fromhex(entry.signature))
