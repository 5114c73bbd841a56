"""The types that a member of an entry can have, and their checks (ledger format, sections 1.1, 1.2 and 1.7).

A member's type is written once, as an annotation in the dataclass of its kind: ``account: Tag``. The annotation
carries the pattern or bounds, so that the strict decoder here and any faster decoder elsewhere are made from the
same statement. What canonical bytes already guarantee (printable ASCII, ``|n| < 2**53``) is not repeated.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

from ledger.core.strict import EVENT_TAG_REGEX, ID_REGEX, INTEGER_MAX, TAG_REGEX


@dataclass(frozen=True, slots=True)
class Pattern:
    """A whole-string regular expression, in the common subset of Python and RE2."""

    regex: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """Inclusive bounds of an integer."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class SortedSet:
    """A list in ascending byte order without doubles; empty allowed when ``count_min`` is 0."""

    count_min: int


HASH_REGEX = r"[0-9a-f]{64}"
SIGNATURE_REGEX = r"[0-9a-f]{128}"
UID_REGEX = r"[A-Za-z0-9._/:-]{1,320}"

Id = Annotated[str, Pattern(ID_REGEX, "an id of 1 to 64 of A-Z a-z 0-9 . _ -")]
Tag = Annotated[str, Pattern(TAG_REGEX, "a tag: a_ and 32 lower-case hex digits")]
EventTag = Annotated[str, Pattern(EVENT_TAG_REGEX, "an event id: e_ and 32 lower-case hex digits")]
Hash = Annotated[str, Pattern(HASH_REGEX, "64 lower-case hex digits")]
Signature = Annotated[str, Pattern(SIGNATURE_REGEX, "a signature: 128 lower-case hex digits")]
Actor = Annotated[str, Pattern(r"[a-z_]{1,32}:" + ID_REGEX, "role:id")]
Uid = Annotated[str, Pattern(UID_REGEX, "parts of A-Z a-z 0-9 . _ : - joined by /")]
Count = Annotated[int, Bounds(0, INTEGER_MAX)]
Ordinal = Annotated[int, Bounds(1, INTEGER_MAX)]
Millis = Annotated[int, Bounds(0, INTEGER_MAX)]
Version = Annotated[int, Bounds(1, 1)]
Port = Annotated[int, Bounds(1, 65_535)]
HttpStatus = Annotated[int, Bounds(100, 599)]
Tags = Annotated[list[Tag], SortedSet(0)]
Hashes = Annotated[list[Hash], SortedSet(1)]
Scopes = Annotated[list[Id], SortedSet(1)]
Addresses = Annotated[list[str], SortedSet(0)]
Via = Literal["gate", "api", "file", "system"]
Channel = Literal["push", "pull", "export"]
Disclosure = Literal["none", "possible", "confirmed"]
SettledBy = Literal["transport", "rescuer"]
SeenIn = Literal["report", "receipt", "fetch"]
Severity = Literal["A", "I", "P", "X"]
IncidentStatus = Literal["suspected", "detected", "assessed", "halted", "mitigated", "concluded"]
AwarenessMoment = Literal[
    "first_report", "triage", "reasonable_certainty", "handed_to_controller", "dpo_told"
]
AuthorityNoticeType = Literal["first", "follow_up", "final"]
NoticeMedium = Literal["inbox", "email", "webhook"]
EscalationStep = Literal["remind", "suspend_deliveries", "suspend_app", "tell_authority"]
ErasureBasis = Literal["request", "retention"]

Check = Callable[[object], str | None]
"""Returns why a value is not of the type, or None when it is."""


def check_pattern(pattern: Pattern) -> Check:
    """A check that a value is a string which ``pattern`` matches as a whole."""
    match = re.compile(pattern.regex, re.ASCII).fullmatch

    def check(value: object) -> str | None:
        return None if isinstance(value, str) and match(value) else f"is not {pattern.meaning}"

    return check


def check_bounds(bounds: Bounds) -> Check:
    """A check that a value is an integer (never a boolean) within ``bounds``."""

    def check(value: object) -> str | None:
        if type(value) is not int:
            return "is not an integer"
        if not bounds.low <= value <= bounds.high:
            return f"is not between {bounds.low} and {bounds.high}"
        return None

    return check


def check_choice(choices: frozenset[str]) -> Check:
    """A check that a value is one of ``choices``."""

    def check(value: object) -> str | None:
        if isinstance(value, str) and value in choices:
            return None
        return f"is not one of {', '.join(sorted(choices))}"

    return check


def check_sorted_set(rule: SortedSet, check_item: Check) -> Check:
    """A check that a value is a sorted list without doubles whose items all pass ``check_item``."""

    def check(value: object) -> str | None:
        if not isinstance(value, list):
            return "is not a list"
        if len(value) < rule.count_min:
            return f"has fewer than {rule.count_min} items"
        for item in value:
            reason = check_item(item)
            if reason:
                return f"has an item that {reason}"
        if any(left >= right for left, right in pairwise(value)):
            return "is not sorted without doubles"
        return None

    return check


def check_exact(kind: type) -> Check:
    """A check that a value is of exactly this Python type (so that ``true`` is no integer)."""

    def check(value: object) -> str | None:
        return None if type(value) is kind else f"is not of type {kind.__name__}"

    return check
