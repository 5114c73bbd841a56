"""The page of a reenactment: what happened, what each auditor would have seen, who was affected, and since when it
could have been seen (delivery protocol, section 3.7; verdict rules, section 2.4).

It tells what the report holds and judges nothing: every number on the page is one of the report's, or a sum of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.reporting import charts
from ledger.reporting.charts import Bar
from ledger.reporting.page import render_page
from ledger.reporting.words import counted, duration, number, plural_of, share

FAULT_WORDS: Mapping[str, tuple[str, str]] = {
    "ip+path": (
        "a list of destinations, kept by the wrong name",
        "Each of the programs that send deliveries kept a list of where it had just sent something, for six minutes, "
        "to save time. An entry of that list should have been kept by the developer's own address on the web. It was "
        "kept by network address, port and path. Where two developers shared all three, because one hosting company "
        "served both and both had named their path the same, the second developer's data went to the first.",
    ),
    "ip": (
        "a list of destinations, kept by network address alone",
        "Each of the programs that send deliveries kept a list of where it had just sent something, for six minutes, "
        "to save time. An entry of that list should have been kept by the developer's own address on the web. It was "
        "kept by network address and port only. So whenever two developers used one hosting company, the second "
        "developer's data could go to the first, even if their paths differed.",
    ),
    "reused-connection": (
        "connections that were used again for somebody else",
        "Each of the programs that send deliveries kept connections open, to save time, and used them again for "
        "anybody at the same network address. The request named the right developer, but the connection ended at the "
        "server of another one, which read it. Whoever looks only at the request sees nothing wrong.",
    ),
    "none": (
        "no fault",
        "The fault was switched off in this run: the destination of every delivery was looked up afresh, and "
        "connections were never shared between developers.",
    ),
}
"""Fault -> what it was, and how it worked, in words."""

SECTIONS = (
    ("story", "What happened"),
    ("auditors", "What each auditor would have seen"),
    ("affected", "Who was affected"),
    ("first", "When it could have been seen"),
    ("gate", "What asking first would have changed"),
    ("numbers", "The numbers"),
    ("check", "Check this yourself"),
    ("glossary", "Glossary"),
)


def render_reenactment(report: Mapping[str, Any]) -> str:
    """The page of ``report``, which is what ``grantledger reenact --json`` prints.

    Members: ``seed``, ``scale``, ``fault``, ``window``, ``world``, ``traffic``, ``truth``, ``auditors``,
    ``exposure``, ``developers``, ``first``, ``collisions``, ``gate``, ``timeline``, ``codes``, ``ledger`` and
    ``runtime``. A ratio of nothing (the precision of an auditor that raised no alarm) is None, and so are the members
    of ``first`` where nothing went wrong.
    """
    wrong = report["truth"]["misdelivered"]
    return render_page(
        "reenactment.html",
        {
            "report": report,
            "sections": SECTIONS,
            "headline": _headline(report),
            "lede": _lede(report),
            "fault_name": FAULT_WORDS.get(report["fault"], (report["fault"], ""))[0],
            "fault_words": FAULT_WORDS.get(report["fault"], ("", f"The fault was {report['fault']}."))[1],
            "flow_chart": charts.flows("flows", _links(report)) if wrong else None,
            "links_left_out": max(0, len(_links(report)) - charts.FLOWS_MAX),
            "months_chart": charts.timeline("months", report["timeline"]),
            "auditors_chart": charts.auditors("found", report["auditors"]),
            "exposure_chart": charts.parts("exposed", "Active accounts by exposure", _pieces(report)),
            "pieces": _pieces(report),
            "developers_chart": charts.bars("receivers", "Wrongly received, by developer", _receivers(report)),
            "earliest": min(report["collisions"], key=lambda collision: collision["since"], default=None),
        },
    )


def _headline(report: Mapping[str, Any]) -> str:
    wrong, total = report["truth"]["misdelivered"], report["traffic"]["deliveries"]
    if not wrong:
        return f"All {number(total)} deliveries reached the developers that they were meant for"
    return f"{number(wrong)} of {number(total)} deliveries reached the wrong developer"


def _lede(report: Mapping[str, Any]) -> str:
    """What each kind of audit made of it, in at most three sentences."""
    found = {row["id"]: row for row in report["auditors"]}
    wrong, observed, intended = report["truth"]["misdelivered"], found["observed"], found["intended"]
    if not wrong:
        alarms = observed["flagged"]
        return f"The ledger's own audit, which looks at where each delivery really went, raised {counted(alarms, 'alarm')}."
    blind = intended["true_positives"]
    sentences = [
        "An audit of where deliveries were meant to go "
        + ("sees nothing wrong with any of them." if not blind else f"finds {number(blind)} of them.")
    ]
    right = observed["true_positives"]
    names = "every one of them" if right == wrong else f"{number(right)} of them"
    alarms = counted(observed["false_positives"], "false alarm")
    sentences.append(f"The ledger, which also records where each one really went, names {names} and raises {alarms}.")
    if report["first"]["seconds_to_finding"] is not None:
        sentences.append(f"It could tell of the first one {duration(report['first']['seconds_to_finding'])} after it was sent.")
    return " ".join(sentences)


def _links(report: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    return [
        (meant_for, row["developer"], count)
        for row in report["developers"]
        for meant_for, count in row["meant_for"].items()
    ]


def _pieces(report: Mapping[str, Any]) -> list[Bar]:
    """The active accounts in three parts: exposed, possibly exposed, and the rest."""
    exposure = report["exposure"]
    definite, possible = exposure["definite"]["accounts"], exposure["possible"]["accounts"]
    rest = max(0, exposure["active_accounts"] - definite - possible)
    counts = (("Definitely exposed", definite, "wrong", exposure["share_definite"]),)
    counts += (("Possibly exposed", possible, "possible", exposure["share_possible"]),)
    pieces = [Bar(label, count, f"{number(count)} ({share(part)})", tone) for label, count, tone, part in counts]
    return [*pieces, Bar("Not exposed", rest, number(rest), "rest")]


def _receivers(report: Mapping[str, Any]) -> list[Bar]:
    rows = sorted(report["developers"], key=lambda row: -row["received_wrongly"])[:12]
    return [
        Bar(
            row["developer"],
            row["received_wrongly"],
            f"{number(row['received_wrongly'])} of {number(row['accounts'])} {plural_of(row['accounts'], 'account')}",
            "wrong",
        )
        for row in rows
    ]
