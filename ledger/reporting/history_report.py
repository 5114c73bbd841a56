"""The page and the table of ``grantledger history``: a business's apps with access, and every delivery with its verdict.

They tell what the document holds and judge nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ledger.reporting.page import render_page
from ledger.reporting.tables import write_csv
from ledger.reporting.words import counted, number

DELIVERIES_MAX = 1_000
"""How many deliveries the page shows, the latest; the document and the table have them all."""

_COLUMNS = (
    "delivery",
    "attempt",
    "at",
    "event_type",
    "meant_for_developer",
    "meant_for_app",
    "received_by_developer",
    "received_by_app",
    "verdict",
    "code",
    "severity",
    "disclosure",
    "evidence",
    "entries",
)


def write_history_csv(document: Mapping[str, Any]) -> str:
    """The deliveries of ``document``, one a row."""
    rows = []
    for one in document["deliveries"]:
        meant, received = one["meant_for"], one["received_by"] or {}
        rows.append(
            [
                *(one[name] for name in _COLUMNS[:4]),
                meant["developer"],
                meant["app"],
                received.get("developer"),
                received.get("app"),
                *(one[name] for name in _COLUMNS[8:13]),
                " ".join(map(str, one["entries"])),
            ]
        )
    return write_csv(_COLUMNS, rows)


def render_history(document: Mapping[str, Any]) -> str:
    """The page of ``document``, the object that ``grantledger history --json`` prints."""
    deliveries: Sequence[Mapping[str, Any]] = document["deliveries"]
    live = [app for app in document["apps"] if app["has_access"]]
    ended = [app for app in document["apps"] if not app["has_access"]]
    wrong = sum(one["severity"] == "X" for one in deliveries)
    whole = document["shown"] == document["count"]
    if wrong:
        headline = f"{counted(wrong, 'delivery')} reached somebody without a valid permission"
    elif deliveries:
        headline = "Every delivery had a valid permission"
    else:
        headline = "Nothing was delivered"
    return render_page(
        "history.html",
        {
            "document": document,
            "headline": headline,
            "is_bad": wrong > 0,
            "wrong": wrong,
            "whole": whole,
            "live": live,
            "ended": ended,
            "shown": list(reversed(deliveries[-DELIVERIES_MAX:])),
            "left_out": max(0, len(deliveries) - DELIVERIES_MAX),
            "sections": [
                ("apps", f"Apps with access ({number(len(live))})"),
                ("deliveries", f"Deliveries ({number(len(deliveries))})"),
                *([("refused", "Kept back")] if document["refused"] else []),
                ("proof", "What this proves"),
            ],
        },
    )
