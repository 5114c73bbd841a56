"""SVG by hand: elements with escaped text, and the frame that every chart of the pages has.

A chart is drawn twice, for wide and for narrow screens; the page's style shows one of them, so that text keeps its
size on a telephone and on paper. Each drawing has a title and a description that says in words what it shows. Colours
come from the page's style by class.
"""

from __future__ import annotations

from collections.abc import Callable

from markupsafe import Markup, escape

from ledger.reporting.words import visible

WIDE_PX = 740
NARROW_PX = 330

Drawing = tuple[float, list[Markup]]
"""Height in pixels, and the elements."""


def tag(name: str, *children: str, **attributes: str | float) -> Markup:
    """An element; ``class_`` stands for ``class``, ``_`` inside a name for ``-``, and numbers are rounded."""
    written = Markup().join(
        Markup(' {}="{}"').format(
            key.rstrip("_").replace("_", "-"), visible(value) if isinstance(value, str) else round(value, 1)
        )
        for key, value in attributes.items()
    )
    inner = Markup().join(
        child if isinstance(child, Markup) else escape(visible(child)) for child in children
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, written, inner)


def chart(key: str, title: str, description: str, draw: Callable[[float], Drawing]) -> Markup:
    """What ``draw`` makes for each width, as images with ``title`` and ``description``; ``key`` is unique on a page."""
    drawn = []
    for size, width in (("wide", WIDE_PX), ("narrow", NARROW_PX)):
        height, elements = draw(width)
        image = tag(
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
        drawn.append(image)
    return Markup().join(drawn)


def text(x: float, y: float, words: str, class_: str, anchor: str = "start") -> Markup:
    """``words`` with their base line at ``y``, beginning, centred or ending at ``x``."""
    return tag("text", words, x=x, y=y, class_=class_, text_anchor=anchor)


def rect(x: float, y: float, width: float, height: float, class_: str, hint: str = "") -> Markup:
    """A rectangle; ``hint`` is what a pointer that rests on it shows."""
    return tag(
        "rect", *([tag("title", hint)] if hint else []), x=x, y=y, width=width, height=height, class_=class_
    )


def fitted(words: str, characters: int) -> str:
    """``words``, cut to ``characters`` with an ellipsis."""
    return words if len(words) <= characters else f"{words[: characters - 1]}…"
