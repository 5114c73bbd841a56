"""Both pages are self-contained, accessible and safe, whatever the report says."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jinja2 import UndefinedError

from ledger.reporting.reenactment_report import FAULT_WORDS, render_reenactment
from ledger.reporting.verify_report import render_verify
from tests.support import report_samples
from tests.support.html_outline import Element, parse_page

_MAKERS: dict[str, Callable[[], str]] = {
    "reenactment": lambda: render_reenactment(report_samples.reenactment_report()),
    "calm reenactment": lambda: render_reenactment(report_samples.calm_reenactment_report()),
    "verify": lambda: render_verify(report_samples.verify_report()),
    "verify, clean": lambda: render_verify(report_samples.clean_report()),
    "verify, broken": lambda: render_verify(report_samples.broken_report()),
}
_HOSTILE = "<script>alert(1)</script>\"'&\u202e"
_SHOWN = "<script>alert(1)</script>\"'&\\u202e"


@pytest.fixture(params=_MAKERS)
def page(request: pytest.FixtureRequest) -> Element:
    return parse_page(_MAKERS[request.param]())


def test_nothing_in_a_page_is_fetched_from_anywhere(page: Element) -> None:
    for element in page.all():
        for name in ("href", "src", "srcset", "data", "action", "poster", "xlink:href"):
            target = element.attributes.get(name, "")
            assert target == "" or target.startswith("#") or target == "data:,", (element.name, target)
    assert not page.all("script", "iframe", "object", "embed", "img", "base", "form")
    style = page.all("style")[0].text
    assert "@import" not in style
    assert re.findall(r"url\(([^)]*)\)", style) == ["#hatch"]


def test_no_element_has_a_handler_and_the_page_forbids_scripts_itself(page: Element) -> None:
    assert not [name for element in page.all() for name in element.attributes if name.startswith("on")]
    policies = [
        meta for meta in page.all("meta") if meta.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert [policy.attributes["content"].split(";")[0] for policy in policies] == ["default-src 'none'"]


def test_every_image_has_a_title_and_a_description_or_is_hidden_from_readers(page: Element) -> None:
    images = page.all("svg")
    for image in images:
        if image.attributes.get("aria-hidden") == "true":
            continue
        assert image.attributes["role"] == "img"
        named = {child.attributes["id"]: child.words for child in image.children if "id" in child.attributes}
        assert named[image.attributes["aria-labelledby"]]
        assert len(named[image.attributes["aria-describedby"]]) > 10
    assert len(images) > 2


def test_ids_are_unique_and_every_link_within_the_page_leads_somewhere(page: Element) -> None:
    ids = [element.attributes["id"] for element in page.all() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    targets = {element.attributes["href"][1:] for element in page.all("a")}
    assert targets <= set(ids)
    labels = {element.attributes.get("aria-labelledby") for element in page.all("section")}
    assert labels <= set(ids)


def test_headings_descend_one_level_at_a_time_from_a_single_first_one(page: Element) -> None:
    levels = [int(heading.name[1]) for heading in page.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_every_table_has_a_caption_and_its_headings_a_scope(page: Element) -> None:
    for table in page.all("table"):
        assert table.children[0].name == "caption"
        assert table.children[0].words
        assert all(
            heading.attributes["scope"] in ("col", "row") and heading.words for heading in table.all("th")
        )
        columns = len([heading for heading in table.all("th") if heading.attributes["scope"] == "col"])
        assert all(len(row.children) == columns for row in table.all("tr"))


def test_a_page_is_in_english_has_a_title_and_landmarks(page: Element) -> None:
    (html,) = page.all("html")
    assert html.attributes["lang"] == "en"
    assert page.all("title")[0].words == page.all("h1")[0].words
    assert [len(page.all(name)) for name in ("header", "nav", "main", "footer")] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("render", "make"),
    [
        (render_reenactment, report_samples.reenactment_report),
        (render_verify, report_samples.verify_report),
        (render_verify, report_samples.broken_report),
    ],
)
def test_every_text_of_a_report_is_escaped_wherever_it_is_shown(
    render: Callable[[dict[str, Any]], str], make: Callable[[], dict[str, Any]]
) -> None:
    shown = 0
    for report in _with_one_hostile_text(make()):
        html = render(report)
        assert "<script" not in html
        assert "\u202e" not in html
        page = parse_page(html)
        shown += _SHOWN in page.words
        assert not [name for element in page.all() for name in element.attributes if _SHOWN in name]
    assert shown > 10


_FIXED = {"id", "code", "codes", "severity", "verdict", "fault", "month", "from", "to", "since", "finding"}
_FIXED |= {"misdelivery_at", "finding_at", "counts", "evidence", "disclosure", "exposure"}
"""Members that hold no text of anybody: one of a few words, or a time."""


def _with_one_hostile_text(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """``report`` once for each text in it, and for each name that is a key, which is then a hostile one."""
    places = list(_texts(report, ()))
    for *way, last in places:
        holder: Any = report
        for step in way:
            holder = holder[step]
        kept = dict(holder) if isinstance(holder, dict) else list(holder)
        if way and way[-1] == "meant_for":
            holder[_HOSTILE] = holder.pop(last)
        else:
            holder[last] = _HOSTILE
        yield report
        holder.clear()
        holder.update(kept) if isinstance(holder, dict) else holder.extend(kept)


def _texts(value: Any, way: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, str) or (len(way) > 1 and way[-2] == "meant_for"):
        yield way
        return
    steps: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for step, inner in steps:
        if step not in _FIXED:
            yield from _texts(inner, (*way, step))


def test_a_report_that_lacks_a_member_is_refused() -> None:
    report = report_samples.verify_report()
    del report["root"]
    with pytest.raises(UndefinedError, match="root"):
        render_verify(report)


def test_every_fault_of_the_reenactment_has_its_story() -> None:
    for fault, (name, story) in FAULT_WORDS.items():
        page = parse_page(render_reenactment(report_samples.reenactment_report() | {"fault": fault}))
        assert f"The fault: {name}. {story}" in page.words


def test_text_and_charts_keep_a_contrast_of_4_5_in_light_dark_and_print() -> None:
    style = parse_page(_MAKERS["verify"]()).all("style")[0].text
    palettes = [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]+)", block)) for block in style.split(":root")[1:]]
    assert len(palettes) == 3
    for palette in palettes:
        for ink in ("ink", "soft", "right", "wrong", "possible", "plain"):
            for ground in ("paper", "panel"):
                assert _contrast(palette[ink], palette[ground]) >= 4.5, (ink, ground)


def _contrast(one: str, other: str) -> float:
    """The contrast of WCAG 2 between two colours, from 1 to 21."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
        parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
        red, green, blue = (
            part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
