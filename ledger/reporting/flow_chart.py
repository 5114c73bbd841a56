"""Who was meant and who received: a ribbon from each intended developer to the one whose server took the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ledger.reporting.svg import WIDE_PX, Drawing, chart, fitted, rect, tag, text
from ledger.reporting.words import counted, number

LINKS_MAX = 14
"""How many ribbons are drawn: the widest."""

_TOP_PX = 34.0
_GAP_PX = 12.0
_NODE_PX_MIN = 36.0
"""Room for a name and its number."""

_RIBBONS_PX = 240.0
"""How high all ribbons are together."""


@dataclass(frozen=True, slots=True)
class Link:
    """``count`` deliveries that were meant for ``source`` and received by ``target``."""

    source: str
    target: str
    count: int


@dataclass(frozen=True, slots=True)
class _Node:
    top: float
    height: float
    first: float
    """Where its first ribbon begins."""
    count: int


def flows(key: str, title: str, links: Sequence[Link]) -> Markup:
    """The :data:`LINKS_MAX` widest of ``links``, as ribbons between two columns of developers."""
    shown = sorted(links, key=lambda link: (-link.count, link.source, link.target))[:LINKS_MAX]
    sources = list(dict.fromkeys(link.source for link in shown))
    shown.sort(key=lambda link: sources.index(link.source))
    targets = list(dict.fromkeys(link.target for link in shown))
    shown.sort(key=lambda link: (sources.index(link.source), targets.index(link.target)))
    scale = _RIBBONS_PX / (sum(link.count for link in shown) or 1)
    thickness = {link: max(link.count * scale, 3.0) for link in shown}
    starts = _column(sources, [(link.source, link.count, thickness[link]) for link in shown])
    ends = _column(targets, [(link.target, link.count, thickness[link]) for link in shown])
    bottom = max(
        (node.top + node.height for column in (starts, ends) for node in column.values()), default=_TOP_PX
    )

    def draw(width: float) -> Drawing:
        label_px = 150 if width >= WIDE_PX else 104
        left, right = label_px + 10.0, width - label_px - 10.0
        elements = [
            text(left - 14, 14, "Meant for", "heading", "end"),
            text(right + 14, 14, "Received by", "heading"),
        ]
        out = {name: node.first for name, node in starts.items()}
        into = {name: node.first for name, node in ends.items()}
        for link, size in thickness.items():
            elements.append(_ribbon(link, (left, out[link.source]), (right, into[link.target]), size))
            out[link.source] += size
            into[link.target] += size
        characters = label_px // 8
        elements += _nodes(starts, left - 8, left - 14, "plain", "end", characters)
        elements += _nodes(ends, right, right + 14, "wrong", "start", characters)
        return bottom + 2, elements

    said = "; ".join(
        f"{number(link.count)} meant for {link.source} received by {link.target}" for link in shown
    )
    return chart(key, title, f"{said}.", draw)


def _column(names: Sequence[str], ends: Sequence[tuple[str, int, float]]) -> dict[str, _Node]:
    """The nodes of ``names`` from above; ``ends`` are name, count and thickness of each ribbon that ends here."""
    nodes, y = {}, _TOP_PX
    for name in names:
        thick = sum(size for end, _, size in ends if end == name)
        height = max(thick, _NODE_PX_MIN)
        nodes[name] = _Node(
            y, height, y + (height - thick) / 2, sum(count for end, count, _ in ends if end == name)
        )
        y += height + _GAP_PX
    return nodes


def _ribbon(link: Link, start: tuple[float, float], end: tuple[float, float], size: float) -> Markup:
    (x0, y0), (x1, y1) = start, end
    bend = (x0 + x1) / 2
    path = (
        f"M{x0:.1f} {y0:.1f}C{bend:.1f} {y0:.1f} {bend:.1f} {y1:.1f} {x1:.1f} {y1:.1f}V{y1 + size:.1f}"
        f"C{bend:.1f} {y1 + size:.1f} {bend:.1f} {y0 + size:.1f} {x0:.1f} {y0 + size:.1f}Z"
    )
    hint = f"{counted(link.count, 'delivery')} meant for {link.source}, received by {link.target}"
    return tag("path", tag("title", hint), d=path, class_="ribbon")


def _nodes(
    nodes: Mapping[str, _Node], bar_x: float, text_x: float, tone: str, anchor: str, characters: int
) -> list[Markup]:
    elements = []
    for name, node in nodes.items():
        middle = node.top + node.height / 2
        elements.append(rect(bar_x, node.top, 8, node.height, tone, name))
        elements.append(text(text_x, middle - 2, fitted(name, characters), "label", anchor))
        elements.append(text(text_x, middle + 14, number(node.count), "value", anchor))
    return elements
