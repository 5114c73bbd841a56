"""The page of a reenactment: what happened, what each auditor would have seen, who was affected, and since when it
could have been seen (delivery protocol, section 3.7; verdict rules, section 2.4).

It tells what the report holds and judges nothing: every number on the page is one of the report's, or a sum of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.core.timestamps import parse_instant
from ledger.reporting import charts
from ledger.reporting.charts import Bar
from ledger.reporting.flow_chart import LINKS_MAX, Link, flows
from ledger.reporting.page import render_page
from ledger.reporting.words import counted, duration, number, share

_LIST = (
    "Each of the programs that send deliveries kept a list of where it had just sent something, for six minutes, to "
    "save time. An entry of that list should have been kept by the developer's own address on the web."
)
_BY_PATH = (
    f"{_LIST} It was kept by network address, port and path. Where two developers shared all three, because one "
    f"hosting company served both and both had named their path the same, the second one's data went to the first."
)
_BY_ADDRESS = (
    f"{_LIST} It was kept by network address and port only. So whenever two developers used one hosting company, the "
    f"second one's data could go to the first, even if their paths differed."
)
_CONNECTIONS = (
    "Each of the programs that send deliveries kept connections open, to save time, and used them again for anybody at "
    "the same network address. The request named the right developer, but the connection ended at the server of "
    "another one, which read it. Whoever looks only at the request sees nothing wrong."
)
_NONE = (
    "The fault was switched off in this run: the destination of every delivery was looked up afresh, and connections "
    "were never shared between developers."
)
FAULT_WORDS: Mapping[str, tuple[str, str]] = {
    "ip+path": ("a list of destinations, kept by the wrong name", _BY_PATH),
    "ip": ("a list of destinations, kept by network address alone", _BY_ADDRESS),
    "reused-connection": ("connections that were used again for somebody else", _CONNECTIONS),
    "none": ("none in this run", _NONE),
}
"""Fault -> what it was, and how it worked, in words."""

SECTIONS = (
    ("story", "What happened"),
    ("auditors", "What each auditor would have seen"),
    ("affected", "Who was affected"),
    ("first", "When it could have been seen"),
    ("gate", "What asking first would have changed"),
    ("service", "The same through the real service"),
    ("aftermath", "What had to follow"),
    ("numbers", "The numbers"),
    ("check", "Check this yourself"),
    ("glossary", "Glossary"),
)


OPTIONAL = frozenset({"service", "aftermath"})
"""Sections that the report may lack: the traffic was not played through a service, or nothing went astray."""

TONES: Mapping[str, str] = {
    "ATTESTED": "right",
    "VERIFIED": "right",
    "DISPUTED": "wrong",
    "ESCALATED": "wrong",
}
"""State of an obligation -> its tone in a picture; of all others it is open."""


def render_reenactment(report: Mapping[str, Any]) -> str:
    """The page of ``report``, which is what ``grantledger reenact --json`` prints.

    Members: ``seed``, ``scale``, ``fault``, ``window``, ``world``, ``traffic``, ``truth``, ``auditors``,
    ``exposure``, ``developers``, ``first``, ``collisions``, ``gate``, ``aftermath`` (None where nothing went astray),
    ``service`` (None where the traffic was not played through one), ``timeline``, ``codes``, ``ledger`` and ``runtime``.
    A ratio of nothing (the precision of an auditor that raised no alarm) is None, and so are the members of ``first``
    where nothing went wrong.
    """
    links = _links(report)
    fault_name, fault_words = FAULT_WORDS[report["fault"]]
    return render_page(
        "reenactment.html",
        {
            "report": report,
            "sections": [one for one in SECTIONS if one[0] not in OPTIONAL or report[one[0]] is not None],
            "deletion_chart": None
            if report["aftermath"] is None
            else charts.bars("deletion", "What had to be deleted, by developer", _owed(report)),
            "headline": _headline(report),
            "lede": _lede(report),
            "fault_name": fault_name,
            "fault_words": fault_words,
            "flow_chart": flows("flows", "Whose data went to whom", links) if links else None,
            "links_left_out": max(0, len(links) - LINKS_MAX),
            "months_chart": charts.timeline("months", "Deliveries by month", report["timeline"]),
            "auditors_chart": charts.auditors("found", "What each auditor found", report["auditors"]),
            "exposure_chart": charts.parts("exposed", "Active accounts by exposure", _pieces(report)),
            "pieces": _pieces(report),
            "developers_chart": charts.bars(
                "receivers", "Wrongly received, by developer", _receivers(report)
            ),
            "warning": _first_warning(report),
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
        alarms = counted(observed["flagged"], "alarm")
        return f"The ledger's own audit, which looks at where each delivery really went, raised {alarms}."
    blind = intended["true_positives"]
    sentences = [
        "An audit of where deliveries were meant to go "
        + ("sees nothing wrong with any of them." if not blind else f"finds {number(blind)} of them.")
    ]
    right = observed["true_positives"]
    names = "every one of them" if right == wrong else f"{number(right)} of them"
    alarms = counted(observed["false_positives"], "false alarm")
    sentences.append(
        f"The ledger, which also records where each one really went, names {names} and raises {alarms}."
    )
    if report["first"]["seconds_to_finding"] is not None:
        sentences.append(
            f"It could tell of the first one {duration(report['first']['seconds_to_finding'])} after it was sent."
        )
    return " ".join(sentences)


def _first_warning(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The earliest collision that stood before the first wrong delivery, and where data went astray later; else None.

    ``before_first_misdelivery_days`` counts until the first wrong delivery between the two endpoints themselves.
    """
    first_at = report["first"]["misdelivery_at"]
    if first_at is None:
        return None
    before = [
        row
        for row in report["collisions"]
        if (row["before_first_misdelivery_days"] or 0) > 0
        and parse_instant(row["since"]) < parse_instant(first_at)
    ]
    return min(before, key=lambda row: parse_instant(row["since"]), default=None)


def _links(report: Mapping[str, Any]) -> list[Link]:
    return [
        Link(meant_for, row["developer"], count)
        for row in report["developers"]
        for meant_for, count in row["meant_for"].items()
    ]


def _pieces(report: Mapping[str, Any]) -> list[Bar]:
    """The active accounts in three parts: exposed, possibly exposed, and the rest."""
    exposure = report["exposure"]
    definite, possible = exposure["definite"]["accounts"], exposure["possible"]["accounts"]
    rest = max(0, exposure["active_accounts"] - definite - possible)
    pieces = [
        Bar(
            "Definitely exposed",
            definite,
            f"{number(definite)} ({share(exposure['share_definite'])})",
            "wrong",
        ),
        Bar(
            "Possibly exposed",
            possible,
            f"{number(possible)} ({share(exposure['share_possible'])})",
            "possible",
        ),
    ]
    return [*pieces, Bar("Not exposed", rest, number(rest), "rest")]


def _owed(report: Mapping[str, Any]) -> list[Bar]:
    return [
        Bar(
            row["name"],
            row["deliveries"],
            f"{number(row['deliveries'])}, {row['state'].lower().replace('_', ' ')}",
            TONES.get(row["state"], "possible"),
        )
        for row in report["aftermath"]["obligations"]
    ]


def _receivers(report: Mapping[str, Any]) -> list[Bar]:
    rows = sorted(report["developers"], key=lambda row: -row["received_wrongly"])[:12]
    return [
        Bar(
            row["developer"],
            row["received_wrongly"],
            f"{number(row['received_wrongly'])} ({counted(row['accounts'], 'account')})",
            "wrong",
        )
        for row in rows
    ]
