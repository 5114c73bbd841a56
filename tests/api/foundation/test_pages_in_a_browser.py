"""The pages in a real browser: nothing is fetched, nothing complained of, nothing runs over the edge, nothing is blank."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.api.foundation.browser import Browser
from tests.api.foundation.test_account import give_token, subscribe
from tests.api.foundation.test_tokens import asked
from tests.api.foundation.world import WebWorld
from tests.support.chromium import HOST, visit

WIDTHS_PX = (1280, 390)
AUTOFILL = "content-autofill.googleapis.com:443"
"""What Chromium itself asks where a page has a field for a secret."""

_WIDTH = "<script>document.title = innerWidth + '/' + document.documentElement.scrollWidth</script>"


def pages_of(world: WebWorld) -> Mapping[str, str]:
    """Every page that a person gets to see, with names that have no place to break."""
    registry = world.service.registry
    registry.apply([registry.put_app(replace(world.app_a.app, name="x" * 100))])
    stranger, browser = Browser(world), Browser(world)
    pages = {"sign in": stranger.consent_page(asked(world)[0]).text}
    browser.sign_in()
    pages["consent"] = browser.consent_page(asked(world)[0]).text
    pages["code"] = browser.answer_consent(asked(world, "oob")[0], scopes=["posts"]).text
    pages["nothing allowed"] = browser.answer_consent(asked(world, "oob")[0], scopes=[]).text
    pages["problem"] = browser.consent_page("nothing").text
    pages["empty account"] = browser.http.get("/account?ended=app-z").text
    subscribe(world, scopes=("posts", "direct_messages"))
    give_token(world, "posts")
    pages["account"] = browser.http.get("/account").text
    return pages


def test_no_page_fetches_anything_and_the_browser_has_no_complaint(world: WebWorld) -> None:
    for name, html in pages_of(world).items():
        seen = visit({"/": html})
        assert "<h1>" in seen.dom, name
        assert [one for one in seen.requests if one != AUTOFILL] == [f"{HOST}/"], name
        assert seen.console == [], name


@pytest.mark.parametrize("width", WIDTHS_PX)
def test_no_page_is_wider_than_the_screen(world: WebWorld, width: int) -> None:
    for name, html in pages_of(world).items():
        # Measured in a frame of that width, as a window cannot be made that narrow; in the page, scripts do not run.
        framed = html.replace(
            "</body>", f"{_WIDTH.replace('document.title', 'parent.document.title')}</body>"
        )
        outer = (
            f"<!doctype html><title></title><iframe src='/page' style='width:{width}px;border:0'></iframe>"
        )
        title = re.search(r"<title>(\d+)/(\d+)</title>", visit({"/": outer, "/page": framed}).dom)
        assert title is not None, name
        assert title.groups() == (str(width), str(width)), name


@pytest.mark.parametrize("width", WIDTHS_PX)
def test_the_question_fills_a_screen(world: WebWorld, width: int) -> None:
    image = visit({"/": pages_of(world)["consent"]}, size=(width, 900)).screenshot
    assert image.startswith(b"\x89PNG")
    assert len(image) > 15_000
