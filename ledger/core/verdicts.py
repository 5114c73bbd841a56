"""Verdicts, codes and severities as tables, and the rule set that they make up (verdict rules, sections 2.2 and 2.3).

The order of :data:`CODES` is the order of the specification's table; it decides between codes of equal
severity and the order in which codes are listed. A code is never renamed or reused. :data:`RULE_SET_HASH`
covers everything here that a verdict can depend on, and the scope table; two reports with one hash were made
by the same rules.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, get_args

from ledger.core import canonical
from ledger.core.scopes import ALL, EVENT_TYPES, SCOPES

Verdict = Literal["AUTHORIZED", "VOIDED_LATER", "COVERED_RETROACTIVELY", "UNAUTHORIZED", "INDETERMINATE"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

Severity = Literal["I", "X", "P", "A"]
"""I integrity, X exposure, P process, A advisory."""

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""Highest first: a broken ledger says nothing reliable, so it comes before an exposure that it tells of."""

Evidence = Literal["observed", "intended"]
"""Whether the destination was read from the connection, or is only where it was meant to go."""

Exposure = Literal["definite", "possible"]
"""How sure an exposure is (section 2.4)."""

Code = Literal[
    "WRONG_DEVELOPER",
    "NO_GRANT",
    "WRONG_APP",
    "WRONG_ENVIRONMENT",
    "ENDPOINT_NOT_OWNED",
    "DESTINATION_MISMATCH",
    "ENDPOINT_UNKNOWN",
    "DEVELOPER_CHANGED_BY_TRANSFER",
    "DELIVERED_BEFORE_GRANT",
    "DELIVERED_AFTER_REVOCATION",
    "KNOWING_DELIVERY_AFTER_REVOCATION",
    "RETRY_AFTER_REVOCATION",
    "REPLAY_AFTER_REVOCATION",
    "DELIVERED_AFTER_EXPIRY",
    "GRANT_SUSPENDED",
    "ACCOUNT_NOT_ACTIVE",
    "APP_OR_DEVELOPER_SUSPENDED",
    "IN_FLIGHT",
    "STALE_DECISION",
    "SCOPE_EXCEEDED",
    "SCOPE_NARROWED",
    "EVENT_TYPE_UNMAPPED",
    "GRANT_INVALIDATED",
    "GRANT_BACKDATED",
    "REVOCATION_RECORDED_LATE",
    "GRANT_AFTER_TERMINAL",
    "ENTRY_MALFORMED",
    "CHAIN_BROKEN",
    "SEQ_GAP",
    "SEQ_DUPLICATE",
    "TRUNCATED",
    "CHECKPOINT_SIGNATURE_INVALID",
    "CHECKPOINT_INCONSISTENT",
    "ROOT_MISMATCH",
    "TILE_MISMATCH",
    "MAP_ROOT_MISMATCH",
    "INDEX_OMISSION",
    "COMMITMENT_MISMATCH",
    "SPLIT_IDENTITY",
    "RECEIVED_BY_MISMATCH",
    "TIME_REGRESSION",
    "SCHEMA_UNKNOWN",
    "SENT_WITHOUT_ATTEMPT",
    "ATTEMPT_UNSETTLED",
    "REPLAY_UNREQUESTED",
    "ENDPOINT_UNVERIFIED",
    "UNTICKETED",
    "SNI_MISMATCH",
    "DUPLICATE_DELIVERY",
    "RECEIPT_MISSING",
    "ENDPOINT_COLLISION",
    "RECEIPT_WITHOUT_DELIVERY",
    "CANARY_LEAKED",
    "PEER_KEY_MISMATCH",
    "EGRESS_COUNT_MISMATCH",
    "RECEIPT_INVALID",
    "DELETION_ACK_OVERDUE",
    "DELETION_OVERDUE",
    "ATTESTATION_INVALID",
    "ATTESTATION_CONTRADICTED",
    "AUTHORITY_NOTICE_OVERDUE",
    "ACCOUNT_NOTICE_OVERDUE",
    "HOLD_VIOLATED",
]
"""Every code, in the order of the table of section 2.3."""


class CodeRow(NamedTuple):
    """A row of the table; ``severity`` is the usual one: section 2.3 names where a code has another."""

    code: Code
    family: str
    severity: Severity


_FAMILIES: tuple[tuple[str, Code], ...] = (
    ("recipient", "WRONG_DEVELOPER"),
    ("time", "DELIVERED_BEFORE_GRANT"),
    ("content", "SCOPE_EXCEEDED"),
    ("authority", "GRANT_INVALIDATED"),
    ("integrity", "ENTRY_MALFORMED"),
    ("hygiene", "SENT_WITHOUT_ATTEMPT"),
    ("obligations", "DELETION_ACK_OVERDUE"),
)
"""Each family and its first code."""

_USUAL_SEVERITY: dict[str, Severity] = {
    "recipient": "X",
    "time": "X",
    "content": "X",
    "authority": "X",
    "integrity": "I",
    "hygiene": "P",
    "obligations": "P",
}

_OTHER_SEVERITY: dict[Code, Severity] = {
    "IN_FLIGHT": "A",
    "STALE_DECISION": "I",
    "GRANT_BACKDATED": "P",
    "REVOCATION_RECORDED_LATE": "P",
    "GRANT_AFTER_TERMINAL": "I",
    "SCHEMA_UNKNOWN": "A",
    "DUPLICATE_DELIVERY": "A",
    "RECEIPT_MISSING": "A",
    "ENDPOINT_COLLISION": "A",
    "RECEIPT_WITHOUT_DELIVERY": "X",
    "CANARY_LEAKED": "X",
    "PEER_KEY_MISMATCH": "X",
    "EGRESS_COUNT_MISMATCH": "I",
    "RECEIPT_INVALID": "I",
}
"""Where a code's severity is not its family's usual one."""


def _make_rows() -> Iterable[CodeRow]:
    starts = {first: family for family, first in _FAMILIES}
    family = ""
    for code in get_args(Code):
        family = starts.get(code, family)
        yield CodeRow(code, family, _OTHER_SEVERITY.get(code, _USUAL_SEVERITY[family]))


CODES: Mapping[Code, CodeRow] = MappingProxyType({row.code: row for row in _make_rows()})
"""Code -> its row, in the order of the table."""

_PLACES: dict[Code, int] = {code: place for place, code in enumerate(CODES)}
_HEIGHTS: dict[Severity, int] = {severity: height for height, severity in enumerate(SEVERITIES)}


def severity_of(code: Code) -> Severity:
    """The usual severity of ``code``."""
    return CODES[code].severity


def place_of(code: Code) -> int:
    """The place of ``code`` in the table, from 0."""
    return _PLACES[code]


def in_table_order(codes: Iterable[Code]) -> tuple[Code, ...]:
    """``codes``, each once, in the order of the table."""
    return tuple(sorted(set(codes), key=place_of))


def highest(severities: Iterable[Severity]) -> Severity | None:
    """The highest of ``severities``; None when there are none."""
    return min(severities, key=_HEIGHTS.__getitem__, default=None)


def primary_of(severities: Mapping[Code, Severity]) -> Code | None:
    """The code of highest severity, then the first in the table: the primary one of an AUTHORIZED delivery."""
    return min(severities, key=lambda code: (_HEIGHTS[severities[code]], _PLACES[code]), default=None)


def exit_status(severities: Iterable[Severity]) -> int:
    """What ``verify`` exits with for findings of ``severities``: 2 the ledger is broken, 1 an exposure, 0 otherwise."""
    worst = highest(severities)
    return {"I": 2, "X": 1}.get(worst or "A", 0)


RULE_SET: Final = "rules-1"
"""The id of these rules, written into ``ledger.opened`` and every report."""


def describe_rules() -> bytes:
    """The canonical bytes under :data:`RULE_SET_HASH`: codes, severities, verdicts, scopes and event types."""
    return canonical.encode(
        {
            "rule_set": RULE_SET,
            "codes": [[row.code, row.family, row.severity] for row in CODES.values()],
            "verdicts": list(VERDICTS),
            "scopes": [*SCOPES, ALL],
            "event_types": dict(EVENT_TYPES),
        }
    )


RULE_SET_HASH: Final = hashlib.sha256(describe_rules()).hexdigest()
"""Lower-case hex."""
