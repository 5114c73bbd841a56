"""What people say of an incident: the fields that there are, and commitments to words (incidents and exports, 5.1 and 5.4).

Words never stand in an entry. The entry holds ``HMAC-SHA-256(salt, words as UTF-8)`` under 32 random bytes, and words and
salt lie beside the log: whoever gets both can check that these are the words that were written down then.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from ledger.core.entries.members import AuthorityNoticeType, AwarenessMoment, IncidentStatus
from ledger.core.strict import ID_REGEX
from ledger.errors import UsageError
from ledger.ports import Randomness

SALT_BYTES = 32
TEXT_CHARACTERS_MAX = 16_384
DOCUMENT_CHARACTERS_MAX = 1_000_000
"""Of what was handed in to an authority: a filled form repeats many texts."""

RiskLevel = Literal["none", "low", "medium", "high"]
STATUSES: tuple[IncidentStatus, ...] = get_args(IncidentStatus)
MOMENTS: tuple[AwarenessMoment, ...] = get_args(AwarenessMoment)
NOTIFICATIONS: tuple[AuthorityNoticeType, ...] = get_args(AuthorityNoticeType)
RISK_LEVELS: tuple[RiskLevel, ...] = get_args(RiskLevel)
NATURES = ("confidentiality", "integrity", "availability")

FIELDS: MappingProxyType[str, str] = MappingProxyType(
    {
        "title": "what everybody calls it",
        "how_detected": "how it came to light, and through whom",
        "root_cause": "why it happened",
        "notice": "what happened, in words for the people affected: goes into every notice",
        "nature": f"of {', '.join(NATURES)}, those that suffered, with commas",
        "risk_level": f"{', '.join(RISK_LEVELS[:-1])} or {RISK_LEVELS[-1]}: the risk for the people affected",
        "risk_reasoning": "why the risk is what it is said to be",
        "consequences": "what may come of it for the people affected",
        "measures_before": "what was in place before it happened",
        "measures_taken": "what was done since",
        "measures_planned": "what will be done, by when",
        "people_communication": "how the people affected are told, or why they are not",
        "people_countries": "where the people affected are, as far as that is known",
        "cross_border": "which other countries are concerned",
        "controller": "who decides about the data: name, address, contact",
        "processors": "who handled it for the controller",
        "representative": "the controller's representative in the Union, where it needs one",
        "lead_authority": "the authority that leads",
        "other_authorities": "other authorities that are concerned",
        "other_bodies": "who else was told: police, other regulators, insurers",
        "reasons_for_delay": "why the authority is told late, where it is",
        "reporter": "who fills the form in: name, office, contact",
        "dpo": "the data-protection officer: name, contact",
        "signatory": "who signs for the controller",
        "attachments": "names and SHA-256 of what is handed in with it, a line each",
    }
)
"""What can be described, and what it is about."""

# Forward as it happens; back only to an assessment, where what had been halted goes on. Concluded is final: a recurrence
# is an incident of its own, so that what was told about the old one stays true of it.
_FOLLOWING: MappingProxyType[str, frozenset[str]] = MappingProxyType(
    {
        "suspected": frozenset({"detected", "assessed", "halted", "mitigated", "concluded"}),
        "detected": frozenset({"assessed", "halted", "mitigated", "concluded"}),
        "assessed": frozenset({"halted", "mitigated", "concluded"}),
        "halted": frozenset({"assessed", "mitigated", "concluded"}),
        "mitigated": frozenset({"assessed", "concluded"}),
        "concluded": frozenset(),
    }
)

_match_id = re.compile(ID_REGEX, re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class Committed:
    """Words, and what commits to them."""

    text: str
    salt: bytes
    commitment: str


def commit(randomness: Randomness, text: str, characters_max: int = TEXT_CHARACTERS_MAX) -> Committed:
    """A commitment to ``text`` under a fresh salt; raises UsageError where it is empty or too long."""
    check_text(text, characters_max)
    salt = randomness.token(SALT_BYTES)
    return Committed(text, salt, hmac.digest(salt, text.encode(), "sha256").hex())


def opens(commitment: str, text: str, salt: bytes) -> bool:
    """Whether ``text`` and ``salt`` open ``commitment``."""
    return hmac.compare_digest(commitment, hmac.digest(salt, text.encode(), "sha256").hex())


def check_text(text: str, characters_max: int = TEXT_CHARACTERS_MAX) -> None:
    """Raise UsageError where ``text`` is empty, too long, or nothing that can be written down."""
    if not text.strip():
        raise UsageError("the text is empty")
    if len(text) > characters_max:
        raise UsageError(f"the text has {len(text):,} characters; {characters_max:,} are allowed")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError("the text holds half a character") from None


def check_id(name: str, text: str) -> None:
    """Raise UsageError where ``text`` is no id, such as entries hold."""
    if not _match_id(text):
        raise UsageError(f"a {name} is 1 to 64 of A-Z a-z 0-9 . _ -")


def check_field(field: str, text: str) -> None:
    """Raise UsageError where there is no such field, or ``text`` is none of the few things that it can say."""
    if field not in FIELDS:
        raise UsageError(f"there is no field {field!r}; there are: {', '.join(FIELDS)}")
    if field == "risk_level" and text not in RISK_LEVELS:
        raise UsageError(f"a risk is {', '.join(RISK_LEVELS)}, not {text!r}")
    if field == "nature":
        unknown = [one for one in (part.strip() for part in text.split(",")) if one not in NATURES]
        if unknown:
            raise UsageError(f"{unknown[0]!r} is no nature; there are: {', '.join(NATURES)}")


def check_status(before: str, after: str) -> None:
    """Raise UsageError where an incident cannot go from ``before`` to ``after``."""
    if after not in STATUSES:
        raise UsageError(f"there is no status {after!r}; there are: {', '.join(STATUSES)}")
    if after not in _FOLLOWING[before]:
        known = ", ".join(status for status in STATUSES if status in _FOLLOWING[before])
        told = f"can become {known}" if known else "stays so: what recurs is an incident of its own"
        raise UsageError(f"an incident that is {before} {told}")


def sha256_hex(text: str) -> str:
    """The plain hash of what everybody may read."""
    return hashlib.sha256(text.encode()).hexdigest()
