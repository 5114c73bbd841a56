"""Pages to print of an incident and of the draft for an authority (incidents and exports, sections 5.1 and 5.4).

They show the documents that the commands print as JSON, and decide nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.reporting import charts
from ledger.reporting.charts import Bar
from ledger.reporting.page import render_page
from ledger.reporting.words import number

RECEIVERS_SHOWN = 20


def render_incident(document: Mapping[str, Any]) -> str:
    """The page of an incident's document."""
    made = document["assessment"]
    sections = [("people", "Who is affected"), ("clock", "Awareness and deadlines")]
    if made is not None:
        sections.insert(1, ("receivers", "Who received what"))
    sections += [("words", "What is said of it"), ("timeline", "Timeline"), ("evidence", "The evidence")]
    return render_page(
        "incident.html",
        {
            "document": document,
            "made": made,
            "headline": document["title"] or f"Incident {document['incident']}",
            "sections": sections,
            "chart": ""
            if made is None
            else charts.bars("receivers-chart", "Deliveries by receiver", _bars(made)),
            "overdue": [one for one in document["deadlines"] if one["state"] == "overdue"],
        },
    )


def render_art33(draft: Mapping[str, Any]) -> str:
    """The page of a draft of :func:`ledger.incidents.art33.make_draft`."""
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for field in draft["fields"]:
        grouped.setdefault(field["section"], []).append({**field, "lines": lines_of(field["value"])})
    sections = [("missing", "What is missing")] if draft["missing"] or draft["to_follow"] else []
    sections += [(_anchor(name), name) for name in grouped]
    return render_page(
        "art33.html",
        {
            "draft": draft,
            "grouped": [(_anchor(name), name, fields) for name, fields in grouped.items()],
            "headline": f"Notification of a personal data breach ({draft['notification'].replace('_', ' ')})",
            "sections": sections,
        },
    )


def lines_of(value: Any) -> list[str]:
    """A field's value as lines for people, however it nests."""
    if isinstance(value, Mapping):
        return [f"{str(name).replace('_', ' ')}: {_joined(each)}" for name, each in value.items()]
    if isinstance(value, list):
        return [_joined(one) for one in value]
    return [number(value)] if isinstance(value, int) else str(value).split("\n")


def _joined(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{str(name).replace('_', ' ')} {_joined(each)}" for name, each in value.items())
    if isinstance(value, list):
        return "; ".join(map(_joined, value))
    return "nothing" if value is None else str(value)


def _bars(made: Mapping[str, Any]) -> list[Bar]:
    rows = sorted(made["developers"], key=lambda row: (-row["definite"] - row["possible"], row["developer"]))
    return [
        Bar(
            row["developer"],
            row["definite"] + row["possible"],
            number(row["definite"] + row["possible"]),
            "wrong",
        )
        for row in rows[:RECEIVERS_SHOWN]
    ]


def _anchor(name: str) -> str:
    return f"s-{name.lower().replace(' ', '-')}"
