"""Which lies a drill tells, and which detector should catch which lie (verdict rules, section 2.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

from ledger.core.verdicts import Code

Kind = Literal["observed", "lie", "unrecorded"]
"""What the log is told: where it really went; that it went where it was meant to go; nothing at all."""

KINDS: tuple[Kind, ...] = get_args(Kind)

Detector = Literal["live audit", "receipts", "canary", "egress counts", "verify"]

DETECTORS: tuple[Detector, ...] = get_args(Detector)

WHAT_THE_LOG_IS_TOLD: Mapping[Kind, str] = {
    "observed": "where it really went",
    "lie": "that it went where it was meant to go",
    "unrecorded": "nothing",
}


class Rule(NamedTuple):
    """What a detector is to say of a kind: ``code``, or nothing, and then ``why`` it cannot."""

    code: Code | None
    why: str = ""


_BY_HOUR = "counts come by the hour, and one delivery fits into what is left for challenges"
_TOLD_RIGHT = "it says the same as the log"
_NOT_IN_THE_LOG = "what the log was told is in order"

EXPECTED: Mapping[Kind, Mapping[Detector, Rule]] = {
    "observed": {
        "live audit": Rule("WRONG_DEVELOPER"),
        "receipts": Rule(None, _TOLD_RIGHT),
        "canary": Rule("CANARY_LEAKED"),
        "egress counts": Rule(None, _BY_HOUR),
        "verify": Rule("WRONG_DEVELOPER"),
    },
    "lie": {
        "live audit": Rule(None, _NOT_IN_THE_LOG),
        "receipts": Rule("RECEIPT_WITHOUT_DELIVERY"),
        "canary": Rule("CANARY_LEAKED"),
        "egress counts": Rule(None, _BY_HOUR),
        "verify": Rule("RECEIPT_WITHOUT_DELIVERY"),
    },
    "unrecorded": {
        "live audit": Rule(None, _NOT_IN_THE_LOG),
        "receipts": Rule("RECEIPT_WITHOUT_DELIVERY"),
        "canary": Rule("CANARY_LEAKED"),
        "egress counts": Rule(None, _BY_HOUR),
        "verify": Rule("RECEIPT_WITHOUT_DELIVERY"),
    },
}
"""A truthful settlement needs no receipt to be found out, and a lie cannot be found in what it says."""
