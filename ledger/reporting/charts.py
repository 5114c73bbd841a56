"""The charts of the pages, drawn by hand as SVG: bars, a bar in parts, months, the auditors, and who received what.

Each chart is drawn twice, for wide and for narrow screens; the page's style shows one of them, so that text keeps its
size on a telephone and on paper. Each has a title and a description that says in words what it shows, colours come
from the page's style by class, and nothing is told by colour alone. Every text is escaped here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import Any

from markupsafe import Markup, escape

from ledger.reporting.words import counted, month, number, share, visible

WIDE_PX = 740
NARROW_PX = 330
FLOWS_MAX = 14
_LINE_PX = 18
_BAR_PX = 16

Drawing = tuple[float, list[Markup]]
"""Height in pixels, and the elements."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its label, its length, the words at its end, and its style (right, wrong, possible, plain)."""

    label: str
    value: float
    text: str
    tone: str = "plain"


def tag(name: str, *children: str, **attributes: str | float) -> Markup:
    """An element; ``class_`` stands for ``class``, ``_`` inside a name for ``-``, and numbers are rounded."""
    written = Markup("").join(
        Markup(' {}="{}"').format(
            key.rstrip("_").replace("_", "-"), visible(value) if isinstance(value, str) else round(value, 1)
        )
        for key, value in attributes.items()
    )
    inner = Markup("").join(child if isinstance(child, Markup) else escape(visible(child)) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), written, inner)  # noqa: S704 - constants of this module


def _chart(key: str, title: str, description: str, draw: Callable[[float], Drawing]) -> Markup:
    drawn = []
    for size, width in (("wide", WIDE_PX), ("narrow", NARROW_PX)):
        height, elements = draw(width)
        drawn.append(
            tag(
                "svg",
                tag("title", title, id=f"{key}-{size}-title"),
                tag("desc", description, id=f"{key}-{size}-text"),
                *elements,
                class_=f"chart {size}",
                role="img",
                viewBox=f"0 0 {width} {round(height)}",
                aria_labelledby=f"{key}-{size}-title",
                aria_describedby=f"{key}-{size}-text",
            )
        )
    return Markup("").join(drawn)


def _text(x: float, y: float, text: str, class_: str = "", anchor: str = "start") -> Markup:
    return tag("text", text, x=x, y=y, class_=class_, text_anchor=anchor)


def _rect(x: float, y: float, width: float, height: float, tone: str, hint: str = "") -> Markup:
    return tag("rect", *([tag("title", hint)] if hint else []), x=x, y=y, width=width, height=height, class_=tone)


def _fitted(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"


def _row(bar: Bar, part: float, y: float, width: float) -> Drawing:
    """One bar at ``y`` whose length is ``part`` of its track; the label stands beside it, or above where it is narrow."""
    is_wide = width >= WIDE_PX
    left, value_px = (236, 152) if is_wide else (0, 0)
    track = width - left - value_px
    length = max(track * part, 3.0 if bar.value else 0.0)
    top = y if is_wide else y + _LINE_PX
    middle = top + _BAR_PX - 3.5
    hint = f"{bar.label}: {bar.text}"
    elements = [_rect(left, top, track, _BAR_PX, "track"), _rect(left, top, length, _BAR_PX, bar.tone, hint)]
    if is_wide:
        elements.append(_text(left - 12, middle, _fitted(bar.label, 30), "label", "end"))
        elements.append(_text(left + track + 10, middle, bar.text, "value"))
        return _BAR_PX + 10, elements
    characters = max(8, 43 - len(bar.text))
    elements.append(_text(0, top - 6, _fitted(bar.label, characters), "label"))
    elements.append(_text(width, top - 6, bar.text, "value", "end"))
    return _LINE_PX + _BAR_PX + 10, elements


def bars(key: str, title: str, rows: Sequence[Bar]) -> Markup:
    """Horizontal bars from a common zero; the longest fills its track."""
    longest = max((row.value for row in rows), default=0) or 1

    def draw(width: float) -> Drawing:
        y, elements = 2.0, []
        for row in rows:
            height, drawn = _row(row, row.value / longest, y, width)
            y, elements = y + height, [*elements, *drawn]
        return y, elements

    return _chart(key, title, "; ".join(f"{row.label}: {row.text}" for row in rows) + ".", draw)


def parts(key: str, title: str, pieces: Sequence[Bar]) -> Markup:
    """One bar of which each piece is a part, in their order; a piece that is not empty is never invisible."""
    total = sum(piece.value for piece in pieces) or 1

    def draw(width: float) -> Drawing:
        sizes = [max(width * piece.value / total, 4.0) if piece.value else 0.0 for piece in pieces]
        sizes[sizes.index(max(sizes))] -= sum(sizes) - width
        x, elements = 0.0, []
        for piece, size in zip(pieces, sizes, strict=True):
            elements.append(_rect(x, 2, max(size - 1, 0), 34, piece.tone, f"{piece.label}: {piece.text}"))
            x += size
        return 38, elements

    return _chart(key, title, "; ".join(f"{piece.label}: {piece.text}" for piece in pieces) + ".", draw)


def auditors(key: str, rows: Iterable[Mapping[str, Any]]) -> Markup:
    """For each auditor two bars: how many of the wrong deliveries it found, and how many of its alarms were right."""
    groups: list[tuple[str, list[tuple[Bar, float]]]] = []
    for row in rows:
        right = row["true_positives"]
        wrong = right + row["false_negatives"]
        found = Bar("wrong deliveries found", row["recall"] or 0, f"{number(right)} of {number(wrong)}", "right")
        alarms = Bar("alarms that were right", row["precision"] or 0, "no alarm", "plain")
        if row["flagged"]:
            alarms = Bar(alarms.label, alarms.value, f"{number(right)} of {number(row['flagged'])}", "plain")
        groups.append((row["name"], [(bar, bar.value) for bar in (found, alarms)]))

    def draw(width: float) -> Drawing:
        y, elements = 0.0, []
        for name, pair in groups:
            elements.append(_text(0, y + 14, _fitted(name, 44 if width < WIDE_PX else 90), "heading"))
            y += 24
            for bar, part in pair:
                height, drawn = _row(bar, part, y, width)
                y, elements = y + height, [*elements, *drawn]
            y += 12
        return y - 10, elements

    said = "; ".join(f"{name}: " + ", ".join(f"{bar.label} {bar.text}" for bar, _ in pair) for name, pair in groups)
    return _chart(key, "What each auditor found", f"{said}.", draw)


def _step(largest: int) -> int:
    """A round distance between at most five grid lines up to ``largest``."""
    unit = 10 ** max(0, floor(log10(max(largest, 1))) - 1)
    return next(unit * factor for factor in (1, 2, 5, 10, 20, 50) if unit * factor * 4 >= largest)


def timeline(key: str, months: Sequence[Mapping[str, Any]]) -> Markup:
    """Deliveries by month in two parts, and below them the misdelivered ones again on a scale of their own."""

    def panel(top: float, height: float, width: float, of: Callable[[Mapping[str, Any]], list[tuple[int, str]]]) -> Drawing:
        largest = max((sum(value for value, _ in of(row)) for row in months), default=0)
        step = _step(largest)
        ceiling = max(step, -(-largest // step) * step)
        slot = (width - 44) / max(len(months), 1)
        elements = []
        for mark in range(0, ceiling + 1, step):
            y = top + height - height * mark / ceiling
            elements.append(tag("line", x1=44, x2=width, y1=y, y2=y, class_="axis" if mark == 0 else "grid"))
            elements.append(_text(36, y + 4, number(mark), "tick", "end"))
        for place, row in enumerate(months):
            y = top + height
            for value, tone in of(row):
                size = max(height * value / ceiling, 2.0) if value else 0.0
                y -= size
                hint = f"{month(row['month'])}: {counted(row['deliveries'], 'delivery')}, {number(row['misdelivered'])} wrong"
                elements.append(_rect(44 + place * slot + slot * 0.14, y, slot * 0.72, size, tone, hint))
        return height, elements

    def draw(width: float) -> Drawing:
        _, upper = panel(30, 150, width, lambda row: [(row["deliveries"] - row["misdelivered"], "right"), (row["misdelivered"], "wrong")])
        _, lower = panel(232, 80, width, lambda row: [(row["misdelivered"], "wrong")])
        slot = (width - 44) / max(len(months), 1)
        elements = [_text(0, 14, "All deliveries", "heading"), *upper]
        elements += [_text(0, 216, "Of these, to the wrong developer (larger scale)", "heading"), *lower]
        for place, row in enumerate(months):
            x, name = 44 + (place + 0.5) * slot, month(row["month"])
            elements.append(_text(x, 330, name[:3] if slot > 30 else name[0], "tick", "middle"))
            if place == 0 or row["month"].endswith("-01"):
                elements.append(_text(x, 347, row["month"][:4], "tick strong", "middle"))
        return 354, elements

    said = (f"{month(row['month'])}: {number(row['deliveries'])}, {number(row['misdelivered'])} of them wrong" for row in months)
    return _chart(key, "Deliveries by month", "; ".join(said) + ".", draw)


def flows(key: str, links: Sequence[tuple[str, str, int]]) -> Markup:
    """Ribbons from the developer that was meant to the one that received; the :data:`FLOWS_MAX` widest of ``links``."""
    shown = sorted(links, key=lambda link: (-link[2], link[0], link[1]))[:FLOWS_MAX]
    senders = list(dict.fromkeys(source for source, _, _ in shown))
    receivers = list(dict.fromkeys(target for source in senders for start, target, _ in shown if start == source))
    scale = 240 / (sum(count for _, _, count in shown) or 1)
    thick = {(source, target): max(count * scale, 3.0) for source, target, count in shown}

    def column(names: Sequence[str], side: int) -> tuple[dict[str, tuple[float, float, float]], float]:
        """Each name's top, height and where its first ribbon begins, and how far down the column reaches."""
        places, y = {}, 34.0
        for name in names:
            total = sum(size for pair, size in thick.items() if pair[side] == name)
            height = max(total, 36.0)
            places[name] = (y, height, y + (height - total) / 2)
            y += height + 12
        return places, y

    def draw(width: float) -> Drawing:
        label_px = 190 if width >= WIDE_PX else 104
        left, right = label_px + 10, width - label_px - 10
        (starts, left_end), (ends, right_end) = column(senders, 0), column(receivers, 1)
        elements = [_text(label_px - 4, 14, "Meant for", "heading", "end"), _text(width - label_px + 4, 14, "Received by", "heading")]
        out = {name: place[2] for name, place in starts.items()}
        into = {name: place[2] for name, place in ends.items()}
        for source, target, count in sorted(shown, key=lambda link: (senders.index(link[0]), receivers.index(link[1]))):
            size, y0, y1, bend = thick[source, target], out[source], into[target], (left + right) / 2
            out[source], into[target] = y0 + size, y1 + size
            path = (
                f"M{left:.1f} {y0:.1f}C{bend:.1f} {y0:.1f} {bend:.1f} {y1:.1f} {right:.1f} {y1:.1f}"
                f"V{y1 + size:.1f}C{bend:.1f} {y1 + size:.1f} {bend:.1f} {y0 + size:.1f} {left:.1f} {y0 + size:.1f}Z"
            )
            hint = tag("title", f"{counted(count, 'delivery')} meant for {source}, received by {target}")
            elements.append(tag("path", hint, d=path, class_="ribbon"))
        for places, side, x, anchor in ((starts, 0, label_px - 4, "end"), (ends, 1, width - label_px + 4, "start")):
            for name, (top, height, _) in places.items():
                total = sum(count for *pair, count in shown if pair[side] == name)
                edge = left - 8 if side == 0 else right
                elements.append(_rect(edge, top, 8, height, "plain" if side == 0 else "wrong"))
                elements.append(_text(x, top + height / 2 - 2, _fitted(name, 24 if label_px > 150 else 13), "label", anchor))
                elements.append(_text(x, top + height / 2 + 14, number(total), "value", anchor))
        return max(left_end, right_end), elements

    said = "; ".join(f"{number(count)} meant for {source} received by {target}" for source, target, count in shown)
    return _chart(key, "Whose data went to whom", f"{said}.", draw)


def shares_in_words(pieces: Sequence[Bar], total: int) -> str:
    """What :func:`parts` shows, for its legend: each piece with its number and share of ``total``."""
    return "; ".join(f"{piece.label}: {number(piece.value)} ({share(piece.value / total if total else None)})" for piece in pieces)
