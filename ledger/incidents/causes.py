"""What an exposure is due to: one incident for each cause, however many findings it made (incidents and exports, 5.1).

A cause is a class and, where it is of one thing, that thing. Only exposures (severity X) open an incident.

========================== ====================== =======================================================================
class                      is of                  exposures
========================== ====================== =======================================================================
``misrouting``             the whole fleet        whatever went somewhere else than it was meant to (``DESTINATION_MISMATCH``
                                                  among its codes), ``WRONG_DEVELOPER``, ``ENDPOINT_UNKNOWN``,
                                                  ``PEER_KEY_MISMATCH``
``endpoint_moved``         the endpoint           ``ENDPOINT_NOT_OWNED`` at the endpoint's own address
``app_transferred``        the app                ``DEVELOPER_CHANGED_BY_TRANSFER``
``wrong_app``              the app that received  ``WRONG_APP``, ``WRONG_ENVIRONMENT``
``never_granted``          the developer          ``NO_GRANT``
``grant_revoked``          the grant              ``DELIVERED_AFTER_REVOCATION``, ``KNOWING_…``, ``RETRY_…``, ``REPLAY_…``
``grant_expired``          the grant              ``DELIVERED_AFTER_EXPIRY``
``grant_invalidated``      the grant              ``GRANT_INVALIDATED``
``grant_suspended``        the grant              ``GRANT_SUSPENDED``
``grant_not_begun``        the grant              ``DELIVERED_BEFORE_GRANT``
``grant_backdated``        the grant              ``GRANT_BACKDATED`` that covers a delivery afterwards
``app_suspended``          the app                ``APP_OR_DEVELOPER_SUSPENDED``
``developer_suspended``    the developer          the same, where the app itself was in good standing
``account_not_active``     the whole fleet        ``ACCOUNT_NOT_ACTIVE``
``scope_exceeded``         developer, event type  ``SCOPE_EXCEEDED``, ``SCOPE_NARROWED``
``event_type_unmapped``    the event type         ``EVENT_TYPE_UNMAPPED``
``canary_leaked``          where it turned up     ``CANARY_LEAKED``
``unrecorded_delivery``    the receiver           ``RECEIPT_WITHOUT_DELIVERY``
``unticketed``             the whole fleet        ``UNTICKETED``, where tickets are demanded
``ledger_integrity``       the whole fleet        none: opened by hand, where a verification found the log itself broken
``reported``               whatever was named     none: opened by hand, from what somebody reported
========================== ====================== =======================================================================

An exposure whose delivery went astray is the misrouting's, even where its primary code is another: a grant that had ended
would not have mattered at the right destination. Of a delivery with several faults the primary one is the cause.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ledger.audit.findings import Finding
from ledger.core.history import History
from ledger.core.judgement import Judgement
from ledger.core.parties import is_app_good
from ledger.core.verdicts import Code, severity_of

MISROUTING = "misrouting"
BY_HAND = frozenset({"ledger_integrity", "reported"})
"""Classes that no exposure is of."""

FLEET = frozenset({MISROUTING, "account_not_active", "unticketed", "ledger_integrity"})
"""Classes of the whole fleet, which are of no single thing."""

_ID_CHARACTERS_MAX = 64
_DIGEST_DIGITS = 16

_OF_GRANT: MappingProxyType[str, str] = MappingProxyType(
    {
        "DELIVERED_AFTER_REVOCATION": "grant_revoked",
        "KNOWING_DELIVERY_AFTER_REVOCATION": "grant_revoked",
        "RETRY_AFTER_REVOCATION": "grant_revoked",
        "REPLAY_AFTER_REVOCATION": "grant_revoked",
        "DELIVERED_AFTER_EXPIRY": "grant_expired",
        "GRANT_INVALIDATED": "grant_invalidated",
        "GRANT_SUSPENDED": "grant_suspended",
        "DELIVERED_BEFORE_GRANT": "grant_not_begun",
    }
)
_OF_FLEET: MappingProxyType[str, str] = MappingProxyType(
    {
        "WRONG_DEVELOPER": MISROUTING,
        "DESTINATION_MISMATCH": MISROUTING,
        "ENDPOINT_UNKNOWN": MISROUTING,
        "PEER_KEY_MISMATCH": MISROUTING,
        "ACCOUNT_NOT_ACTIVE": "account_not_active",
        "UNTICKETED": "unticketed",
    }
)
_OF_RECEIVER: MappingProxyType[str, tuple[str, str]] = MappingProxyType(
    {
        "DEVELOPER_CHANGED_BY_TRANSFER": ("app_transferred", "app"),
        "WRONG_APP": ("wrong_app", "app"),
        "WRONG_ENVIRONMENT": ("wrong_app", "app"),
        "NO_GRANT": ("never_granted", "developer"),
        "RECEIPT_WITHOUT_DELIVERY": ("unrecorded_delivery", "developer"),
        "CANARY_LEAKED": ("canary_leaked", "developer"),
    }
)

CAUSES = frozenset(
    {
        *_OF_GRANT.values(),
        *_OF_FLEET.values(),
        *(name for name, _ in _OF_RECEIVER.values()),
        *BY_HAND,
        "endpoint_moved",
        "grant_backdated",
        "app_suspended",
        "developer_suspended",
        "scope_exceeded",
        "event_type_unmapped",
    }
)


@dataclass(frozen=True, slots=True, order=True)
class Cause:
    """A class of causes, and the one thing that it is of; empty where it is of the whole fleet."""

    name: str
    of: str = ""


def cause_of(finding: Finding, history: History) -> Cause | None:
    """The cause of an exposure; None where ``finding`` is none. ``history`` is the whole log's."""
    judged = finding.judgement
    if judged is not None:
        return None if judged.exposure is None else _cause_of_delivery(judged, history)
    if finding.severity != "X":
        return None
    details = finding.details or {}
    name, _ = _OF_RECEIVER.get(finding.code, ("reported", ""))
    return Cause(name, _id_of(details.get("developer") or details.get("canary")))


def _cause_of_delivery(judged: Judgement, history: History) -> Cause:
    code = _exposing_code(judged)
    is_astray = "DESTINATION_MISMATCH" in judged.codes and judged.verdict != "AUTHORIZED"
    if is_astray or code in _OF_FLEET:
        return Cause(MISROUTING if is_astray else _OF_FLEET[code])
    if code in _OF_GRANT:
        grant = next((miss.grant for miss in judged.misses if miss.code == code), None)
        return Cause(_OF_GRANT[code], _id_of(grant))
    received = judged.actual or judged.expected
    if code in _OF_RECEIVER:
        name, member = _OF_RECEIVER[code]
        return Cause(name, _id_of(getattr(received, member)))
    match code:
        case "GRANT_BACKDATED":
            return Cause("grant_backdated", _id_of(judged.backing.grant if judged.backing else None))
        case "ENDPOINT_NOT_OWNED":
            return Cause("endpoint_moved", _id_of(judged.expected.endpoint))
        case "APP_OR_DEVELOPER_SUSPENDED":
            return _suspended(received, judged, history)
        case "SCOPE_EXCEEDED" | "SCOPE_NARROWED":
            return Cause("scope_exceeded", _id_of(received.developer, judged.delivery.event_type))
        case "EVENT_TYPE_UNMAPPED":
            return Cause("event_type_unmapped", _id_of(judged.delivery.event_type))
        case _:
            return Cause("reported", _id_of(code))


def _exposing_code(judged: Judgement) -> Code:
    """The code that makes ``judged`` an exposure: the one that was chosen, else the first of the entry's own."""
    if judged.cause is not None and (severity_of(judged.cause) == "X" or judged.cause == "GRANT_BACKDATED"):
        return judged.cause
    # UNTICKETED is an exposure only where tickets are demanded, and then nothing else has to be.
    exposing = [code for code in judged.codes if severity_of(code) == "X" and code != "DESTINATION_MISMATCH"]
    return exposing[0] if exposing else "UNTICKETED"


def _suspended(received: Any, judged: Judgement, history: History) -> Cause:
    app, at_ms = received.app, judged.delivery.started_at_ms
    if app is not None and not is_app_good(history, app, at_ms, judged.tree_size):
        return Cause("app_suspended", _id_of(app))
    return Cause("developer_suspended", _id_of(received.developer))


def _id_of(*parts: str | None) -> str:
    """An id for ``parts``, themselves where they are short enough; empty where nobody knows one of them."""
    if None in parts:
        return ""
    text = ".".join(part for part in parts if part is not None)
    if len(text) <= _ID_CHARACTERS_MAX:
        return text
    digest = hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:_DIGEST_DIGITS]
    return f"{text[: _ID_CHARACTERS_MAX - _DIGEST_DIGITS - 1]}.{digest}"
