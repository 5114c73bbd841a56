"""A verification in one line and a few sentences: is the ledger intact, and was every delivery backed.

A broken ledger comes before an exposure, and an exposure before all else, as in the exit status of the command
(verdict rules, section 2.3). Each answer says as of which tree size and under whose key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.core.verdicts import CODES
from ledger.reporting.codes_in_words import words_of
from ledger.reporting.verdicts_in_words import VERDICT_WORDS
from ledger.reporting.words import counted, listed, number, plural_of

_UNAUTHORIZED_DEVELOPER = (
    "WRONG_DEVELOPER",
    "NO_GRANT",
    "ENDPOINT_NOT_OWNED",
    "DEVELOPER_CHANGED_BY_TRANSFER",
    "PEER_KEY_MISMATCH",
)
_OTHER = "sent without a valid permission"


def _make_reasons() -> dict[str, str]:
    reasons = dict.fromkeys(
        _UNAUTHORIZED_DEVELOPER, "went to a developer that the account had not authorized"
    )
    reasons["ENDPOINT_UNKNOWN"] = "went to an address that nobody owned"
    elsewhere = "went to another app or environment than the account had authorized"
    reasons |= dict.fromkeys(("WRONG_APP", "WRONG_ENVIRONMENT"), elsewhere)
    families = {
        "time": "fell outside the time of a permission",
        "content": "held data that no permission covered",
    }
    reasons |= {code: families[row.family] for code, row in CODES.items() if row.family in families}
    return reasons


_REASONS = _make_reasons()
"""Exposing code -> what happened to the delivery, in words; all other codes are :data:`_OTHER`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A headline, the kind of answer in a word or two, whether it is a bad one, and what to add to it."""

    headline: str
    sign: str
    is_bad: bool
    lede: str


def answer_of(report: Mapping[str, Any]) -> Answer:
    """The answer that ``report``, the object of ``grantledger verify --json``, gives."""
    findings: Sequence[Mapping[str, Any]] = report["findings"]
    # Name and key id; the public key itself, which follows, is for machines.
    key = "+".join(report["vkey"].split("+")[:2])
    state = f"as of tree size {number(report['tree_size'])} under key {key}"
    broken = [finding["code"] for finding in findings if finding["severity"] == "I"]
    exposing = [finding for finding in findings if finding["severity"] == "X"]
    if broken:
        return _broken(broken, state)
    if exposing:
        codes = [finding["code"] for finding in exposing if "delivery" in finding]
        return _exposed(codes, len(exposing) - len(codes), sum(report["counts"].values()), state)
    return _intact(report["counts"], sum(report["codes"].values()), state)


def _broken(codes: Sequence[str], state: str) -> Answer:
    first = words_of(codes[0]).sentence
    lede = (
        f"{counted(len(codes), 'finding')} of integrity, {state}. "
        f"Until this is explained, no other figure on this page can be relied upon."
    )
    return Answer(f"The ledger is broken: {first[0].lower()}{first[1:]}", "Broken", True, lede)


def _exposed(codes: Sequence[str], elsewhere: int, total: int, state: str) -> Answer:
    """``codes`` are those of exposed deliveries; ``elsewhere`` counts exposures that no delivery explains."""
    lede = [f"The ledger itself is intact, {state}."]
    beside = f"{counted(elsewhere, 'finding')} {plural_of(elsewhere, 'points', 'point')} to data that got out"
    if not codes:
        return Answer(f"{beside} by a way that is not recorded", "Exposure found", True, lede[0])
    reasons = Counter(_REASONS.get(code, _OTHER) for code in codes)
    reason = next(iter(reasons)) if len(reasons) == 1 else _OTHER
    verb = plural_of(len(codes), "was ", "were ") if reason == _OTHER else ""
    if len(reasons) > 1:
        said = [f"{number(count)} {_with_verb(words, count)}" for words, count in reasons.most_common()]
        lede.append(f"Of the exposed deliveries, {listed(said)}.")
    if elsewhere:
        lede.append(f"Besides, {beside} by a way that is not recorded.")
    headline = f"{number(len(codes))} of {counted(total, 'delivery')} {verb}{reason}"
    return Answer(headline, "Exposure found", True, " ".join(lede))


def _with_verb(reason: str, count: int) -> str:
    return f"{plural_of(count, 'was', 'were')} {reason}" if reason == _OTHER else reason


def _intact(counts: Mapping[str, int], findings: int, state: str) -> Answer:
    total, backed = sum(counts.values()), counts.get("AUTHORIZED", 0)
    lede = []
    if not total:
        headline = f"The ledger is intact and holds no delivery yet, {state}"
    elif backed == total:
        headline = f"The ledger is intact and every delivery was backed, {state}"
        lede.append("A permission covered each of them when it was sent.")
    else:
        headline = f"The ledger is intact and shows no exposure, {state}"
        others = [
            f"{VERDICT_WORDS[verdict][0].lower()}: {number(count)}"
            for verdict, count in counts.items()
            if count and verdict != "AUTHORIZED"
        ]
        lede.append(
            f"{number(backed)} of {counted(total, 'delivery')} were backed. Of the rest, {listed(others)}."
        )
    if findings:
        lede.append(
            f"{counted(findings, 'finding')} of procedure or advice {plural_of(findings, 'is', 'are')} below."
        )
    return Answer(headline, "Intact", False, " ".join(lede))
