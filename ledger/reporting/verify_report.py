"""The page of ``grantledger verify --html``: a plain answer, what it proves, counts, findings and what to do next
(verdict rules, section 2.3).

It tells what the report holds and judges nothing. Findings go from the gravest to the slightest, so that those which
the page has no room for are the slightest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ledger.core.verdicts import CODES, SEVERITIES, VERDICTS
from ledger.reporting import charts
from ledger.reporting.answer import answer_of
from ledger.reporting.charts import Bar
from ledger.reporting.codes_in_words import words_of
from ledger.reporting.page import render_page
from ledger.reporting.verdicts_in_words import VERDICT_WORDS
from ledger.reporting.words import listed, number, share

FINDINGS_MAX = 500
"""How many findings the page shows; the report has them all."""

CODE_BARS_MAX = 12

Finding = Mapping[str, Any]

_TONES = {"AUTHORIZED": "right", "UNAUTHORIZED": "wrong", "VOIDED_LATER": "wrong"}
_PLACES: dict[str, int] = {code: place for place, code in enumerate(CODES)}
_HEIGHTS: dict[str, int] = {severity: height for height, severity in enumerate(SEVERITIES)}


class Group(NamedTuple):
    """The findings of one primary code and severity: how many there are, and those that are shown."""

    code: str
    severity: str
    total: int
    shown: Sequence[Finding]


def render_verify(report: Mapping[str, Any]) -> str:
    """The page of ``report``, the object that ``grantledger verify --json`` prints, with its findings in it.

    Findings that belong to no delivery have ``text``; of very many with one code the report lists only the first, but
    ``codes`` counts them all.
    """
    findings: Sequence[Finding] = report["findings"]
    counts: dict[str, int] = {verdict: report["counts"].get(verdict, 0) for verdict in VERDICTS}
    answer = answer_of(report)
    signed = report["checkpoint_size"] or 0
    return render_page(
        "verify.html",
        {
            "report": report,
            "headline": answer.headline,
            "answer": answer,
            "sections": _sections(report),
            "counts": counts,
            "total": sum(counts.values()),
            "is_broken": any(finding["severity"] == "I" for finding in findings),
            "exposures": sum(finding["severity"] == "X" for finding in findings),
            "signed": signed,
            "unsigned": max(0, report["tree_size"] - signed),
            "evidence": listed([f"{name}: {number(count)}" for name, count in report["evidence"].items()]),
            "verdict_chart": charts.bars("verdicts", "Deliveries by verdict", _verdict_bars(counts)),
            "codes": _in_table_order(report["codes"]),
            "codes_chart": charts.bars("codes", "Findings by main code", _code_bars(report["codes"])),
            "codes_left_out": max(0, len(report["codes"]) - CODE_BARS_MAX),
            "groups": _group(findings),
            "found": sum(report["codes"].values()),
            "listed": len(findings),
            "shown": min(len(findings), FINDINGS_MAX),
        },
    )


def _sections(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    sections = [("proof", "What this proves"), ("counts", "The counts")]
    if report["developers"]:
        sections.append(("developers", "Who received what"))
    found = sum(report["codes"].values())
    sections.append(("findings", f"Findings ({number(found)})" if found else "Findings"))
    return [*sections, ("check", "Check this yourself"), ("glossary", "Glossary")]


def _verdict_bars(counts: Mapping[str, int]) -> list[Bar]:
    total = sum(counts.values())
    return [
        Bar(
            VERDICT_WORDS[verdict][0],
            count,
            f"{number(count)} ({share(count / total if total else None)})",
            _TONES.get(verdict, "plain"),
        )
        for verdict, count in counts.items()
    ]


def _code_bars(codes: Mapping[str, int]) -> list[Bar]:
    rows = sorted(codes.items(), key=lambda item: -item[1])[:CODE_BARS_MAX]
    grave = {code for code, row in CODES.items() if row.severity in "IX"}
    return [
        Bar(words_of(code).label, count, number(count), "wrong" if code in grave else "plain")
        for code, count in rows
    ]


def _in_table_order(codes: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(codes.items(), key=lambda item: (_PLACES.get(item[0], len(_PLACES)), item[0])))


def _group(findings: Sequence[Finding]) -> list[Group]:
    """The findings by code, gravest first and then in the order of the rules' table; at most 500 are shown in all."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding["severity"], finding["code"]), []).append(finding)
    left, ordered = FINDINGS_MAX, []
    for severity, code in sorted(groups, key=_gravity):
        members = groups[severity, code]
        ordered.append(Group(code, severity, len(members), members[:left]))
        left -= len(ordered[-1].shown)
    return ordered


def _gravity(key: tuple[str, str]) -> tuple[int, int]:
    severity, code = key
    return _HEIGHTS[severity], _PLACES.get(code, len(_PLACES))
