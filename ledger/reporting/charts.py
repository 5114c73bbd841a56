"""The charts that are made of bars: bars, one bar in parts, the auditors, and deliveries by month.

Nothing is told by colour alone: each bar has its label and number, or its place on an axis and a legend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import Any

from markupsafe import Markup

from ledger.reporting.svg import WIDE_PX, Drawing, chart, fitted, rect, tag, text
from ledger.reporting.words import counted, month, number, share

_LINE_PX = 18
_BAR_PX = 16
_AXIS_PX = 44
"""The room that the numbers of a vertical axis have."""

Month = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its label, its length, the words at its end, and its style (right, wrong, possible, plain)."""

    label: str
    value: float
    text: str
    tone: str = "plain"

    @property
    def hint(self) -> str:
        """The bar in words."""
        return f"{self.label}: {self.text}"


def _in_words(rows: Iterable[Bar]) -> str:
    return "; ".join(row.hint for row in rows) + "."


def _row(bar: Bar, part: float, y: float, width: float) -> Drawing:
    """One bar at ``y`` that fills ``part`` of its track; its label stands beside it, or above where it is narrow."""
    is_wide = width >= WIDE_PX
    left, value_px = (236, 152) if is_wide else (0, 0)
    track = width - left - value_px
    length = max(track * part, 3.0 if bar.value else 0.0)
    top = y if is_wide else y + _LINE_PX
    elements = [
        rect(left, top, track, _BAR_PX, "track"),
        rect(left, top, length, _BAR_PX, bar.tone, bar.hint),
    ]
    if is_wide:
        middle = top + _BAR_PX - 3.5
        elements.append(text(left - 12, middle, fitted(bar.label, 30), "label", "end"))
        elements.append(text(left + track + 10, middle, bar.text, "value"))
        return _BAR_PX + 10, elements
    elements.append(text(0, top - 6, fitted(bar.label, max(8, 43 - len(bar.text))), "label"))
    elements.append(text(width, top - 6, bar.text, "value", "end"))
    return _LINE_PX + _BAR_PX + 10, elements


def bars(key: str, title: str, rows: Sequence[Bar]) -> Markup:
    """Horizontal bars from a common zero; the longest fills its track."""
    longest = max((row.value for row in rows), default=0) or 1

    def draw(width: float) -> Drawing:
        y, elements = 2.0, list[Markup]()
        for row in rows:
            height, drawn = _row(row, row.value / longest, y, width)
            y += height
            elements += drawn
        return y, elements

    return chart(key, title, _in_words(rows), draw)


def parts(key: str, title: str, pieces: Sequence[Bar]) -> Markup:
    """One bar of which each piece is a part, in their order; a piece that is not empty is never invisible."""
    total = sum(piece.value for piece in pieces) or 1

    def draw(width: float) -> Drawing:
        sizes = [max(width * piece.value / total, 4.0) if piece.value else 0.0 for piece in pieces]
        sizes[sizes.index(max(sizes))] -= sum(sizes) - width
        x, elements = 0.0, list[Markup]()
        for piece, size in zip(pieces, sizes, strict=True):
            elements.append(rect(x, 2, max(size - 1, 0), 34, piece.tone, piece.hint))
            x += size
        return 38, elements

    return chart(key, title, _in_words(pieces), draw)


def auditors(key: str, title: str, rows: Iterable[Mapping[str, Any]]) -> Markup:
    """For each auditor two bars: recall, the wrong deliveries it found, and precision, its alarms that were right."""
    groups = [(row["name"], _found(row), _rightly(row)) for row in rows]

    def draw(width: float) -> Drawing:
        y, elements = 0.0, list[Markup]()
        for name, *pair in groups:
            elements.append(text(0, y + 14, fitted(name, 90 if width >= WIDE_PX else 40), "heading"))
            y += 24
            for bar in pair:
                height, drawn = _row(bar, bar.value, y, width)
                y += height
                elements += drawn
            y += 12
        return y - 10, elements

    said = "; ".join(f"{name}: {found.hint}, {rightly.hint}" for name, found, rightly in groups)
    return chart(key, title, f"{said}.", draw)


def _found(row: Mapping[str, Any]) -> Bar:
    right = row["true_positives"]
    wrong = right + row["false_negatives"]
    words = f"{number(right)} of {number(wrong)} ({share(row['recall'])})" if wrong else "none to find"
    return Bar("wrong deliveries found", row["recall"] or 0, words, "right")


def _rightly(row: Mapping[str, Any]) -> Bar:
    flagged = row["flagged"]
    words = f"{number(row['true_positives'])} of {number(flagged)} ({share(row['precision'])})"
    return Bar("alarms that were right", row["precision"] or 0, words if flagged else "no alarm")


def timeline(key: str, title: str, months: Sequence[Month]) -> Markup:
    """Deliveries by month in two parts, and below them the misdelivered ones again on a scale of their own."""

    def both(row: Month) -> list[tuple[int, str]]:
        return [(row["deliveries"] - row["misdelivered"], "right"), (row["misdelivered"], "wrong")]

    def draw(width: float) -> Drawing:
        slot = (width - _AXIS_PX) / max(len(months), 1)
        elements = [text(0, 14, "All deliveries", "heading"), *_panel(months, both, 30, 150, width)]
        elements.append(text(0, 216, "To the wrong developer (larger scale)", "heading"))
        elements += _panel(months, lambda row: both(row)[1:], 232, 80, width)
        for place, row in enumerate(months):
            x, name = _AXIS_PX + (place + 0.5) * slot, month(row["month"])
            elements.append(text(x, 330, name[:3] if slot > 30 else name[0], "tick", "middle"))
            if place == 0 or row["month"].endswith("-01"):
                elements.append(text(x, 347, row["month"][:4], "tick strong", "middle"))
        return 354, elements

    return chart(key, title, "; ".join(_month_in_words(row) for row in months) + ".", draw)


def _month_in_words(row: Month) -> str:
    return f"{month(row['month'])}: {counted(row['deliveries'], 'delivery')}, {number(row['misdelivered'])} wrong"


def _panel(
    months: Sequence[Month],
    stack: Callable[[Month], list[tuple[int, str]]],
    top: float,
    height: float,
    width: float,
) -> list[Markup]:
    """A column for each month, stacked of values and styles from below, over grid lines with their numbers."""
    largest = max((sum(value for value, _ in stack(row)) for row in months), default=0)
    step = _step(largest)
    ceiling = max(step, -(-largest // step) * step)
    slot = (width - _AXIS_PX) / max(len(months), 1)
    elements = []
    for mark in range(0, ceiling + 1, step):
        y = top + height - height * mark / ceiling
        elements.append(tag("line", x1=_AXIS_PX, x2=width, y1=y, y2=y, class_="grid" if mark else "axis"))
        elements.append(text(_AXIS_PX - 8, y + 4, number(mark), "tick", "end"))
    for place, row in enumerate(months):
        x, y = _AXIS_PX + (place + 0.14) * slot, top + height
        for value, tone in stack(row):
            size = max(height * value / ceiling, 2.0) if value else 0.0
            y -= size
            elements.append(rect(x, y, slot * 0.72, size, tone, _month_in_words(row)))
    return elements


def _step(largest: int) -> int:
    """A round distance that puts at most four grid lines up to ``largest``."""
    unit: int = 10 ** max(0, floor(log10(max(largest, 1))) - 1)
    return next(unit * factor for factor in (1, 2, 5, 10, 20, 50) if unit * factor * 4 >= largest)
