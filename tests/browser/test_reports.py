"""The two pages in a real browser: nothing is fetched, nothing complained of, nothing runs over the edge."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from ledger.reporting.reenactment_report import render_reenactment
from ledger.reporting.verify_report import render_verify
from tests.support import report_samples
from tests.support.chromium import HOST, visit

WIDTHS_PX = (1280, 390)

_PAGES: dict[str, tuple[Callable[[], str], str]] = {
    "reenactment": (
        lambda: render_reenactment(report_samples.reenactment_report()),
        "23 of 3,214 deliveries reached the wrong developer",
    ),
    "verify": (
        lambda: render_verify(report_samples.verify_report()),
        "3 of 1,204 deliveries were sent without a valid permission",
    ),
    "verify, broken": (
        lambda: render_verify(report_samples.broken_report()),
        "The ledger is broken: an entry does not carry the fingerprint of the entry before it.",
    ),
}


@pytest.fixture(params=_PAGES)
def page(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A page and its headline."""
    render, headline = _PAGES[request.param]
    return render(), headline


def test_the_browser_shows_the_headline_fetches_nothing_else_and_has_no_complaint(
    page: tuple[str, str],
) -> None:
    html, headline = page
    seen = visit({"/": html})
    assert f"<h1>{headline}</h1>" in seen.dom
    assert seen.requests == [f"{HOST}/"]
    assert seen.console == []


def test_no_page_is_wider_than_the_screen(page: tuple[str, str]) -> None:
    assert _widths(page[0]) == {width: width for width in WIDTHS_PX}


def test_names_without_a_place_to_break_make_no_page_wider() -> None:
    long = "x" * 300
    report = report_samples.reenactment_report()
    report["developers"][0] |= {"developer": long, "meant_for": {long: 9}}
    report["collisions"][0] |= {"developers": [long, long], "path": f"/{long}", "endpoints": [long]}
    report["ledger"] |= {"directory": long, "verify_command": long}
    findings = [
        report_samples.finding("NO_GRANT", "X", delivery=long, actual={"developer": long, "app": long})
    ]
    verified = report_samples.verify_report(findings, origin=long, vkey=long, notes=[long])
    for html in (render_reenactment(report), render_verify(verified)):
        assert _widths(html) == {width: width for width in WIDTHS_PX}


@pytest.mark.parametrize("width", WIDTHS_PX)
def test_a_screenshot_is_not_blank(page: tuple[str, str], width: int) -> None:
    image = visit({"/": page[0]}, size=(width, 900)).screenshot
    assert _size(image) == (width, 900)
    assert _different_lines(image) > 200


def test_the_browser_would_notice_a_request_an_error_a_wide_page_and_a_blank_one() -> None:
    bad = "<script>console.error('bad')</script><img src='https://cdn.example/x.png'><div style='width:2000px'>.</div>"
    seen = visit({"/": bad})
    assert "cdn.example:443" in seen.requests
    assert any("bad" in line for line in seen.console)
    assert _widths(bad) != {width: width for width in WIDTHS_PX}
    assert _different_lines(visit({"/": "<p></p>"}, size=(390, 900)).screenshot) < 10


def _widths(html: str) -> dict[int, int]:
    """Width of the screen -> width of what ``html`` fills there, in pixels."""
    frames = "".join(
        f'<iframe src="/page" width="{width}" height="900" style="border:0"></iframe>' for width in WIDTHS_PX
    )
    measure = """<script>onload = () => { document.title = [...document.querySelectorAll("iframe")].map(
        frame => frame.width + ":" + frame.contentDocument.documentElement.scrollWidth).join() }</script>"""
    dom = visit({"/": frames + measure, "/page": html}).dom
    title = re.search("<title>(.*)</title>", dom)
    assert title, "the frame could not be measured"
    pairs: Any = (pair.split(":") for pair in title[1].split(","))
    return {int(width): int(filled) for width, filled in pairs}


def _size(png: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def _different_lines(png: bytes) -> int:
    """How many different lines of pixels there are, as filtered by the format: an empty page has a handful."""
    width, height, depth, colour = struct.unpack(">IIBB", png[16:26])
    assert (depth, colour) in ((8, 2), (8, 6)), "a PNG of 8 bits per channel"
    data, place = b"", 8
    while place < len(png):
        size, kind = struct.unpack(">I4s", png[place : place + 8])
        data += png[place + 8 : place + 8 + size] if kind == b"IDAT" else b""
        place += size + 12
    lines, line_bytes = zlib.decompress(data), 1 + width * (3 if colour == 2 else 4)
    return len({lines[line * line_bytes : (line + 1) * line_bytes] for line in range(height)})
