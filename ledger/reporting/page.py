"""One self-contained page of HTML: its templates, its style, and how values are written into it.

Every value is escaped (a chart, which :mod:`ledger.reporting.svg` escapes, is marked as safe) and a name
that a template misspells is an error. The style is part of the page; there are no scripts, fonts, images or other
parts that a browser would have to fetch, and a policy in the page forbids it to try.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from ledger.reporting import words
from ledger.reporting.codes_in_words import words_of
from ledger.reporting.verdicts_in_words import DISCLOSURE_WORDS, EVIDENCE_WORDS, SEVERITY_WORDS, VERDICT_WORDS


def _finish(value: object) -> object:
    if value is None:
        return "–"
    if isinstance(value, str) and not isinstance(value, Markup):
        return words.visible(value)
    return value


def _code(text: str) -> Markup:
    """``text`` as code that may be broken after the marks that join its parts, and nowhere else."""
    shown = escape(words.visible(text))
    for mark in "_/,.:":  # none of which is part of an escape
        shown = shown.replace(mark, Markup("{}<wbr>").format(mark))
    return Markup("<code>{}</code>").format(shown)


def _make_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ledger.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finish,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "code": _code,
        "counted": words.counted,
        "day": words.day,
        "duration": words.duration,
        "listed": words.listed,
        "moment": words.moment,
        "month": words.month,
        "number": words.number,
        "share": words.share,
    }
    environment.globals |= {
        "disclosure_words": DISCLOSURE_WORDS,
        "evidence_words": EVIDENCE_WORDS,
        "plural_of": words.plural_of,
        "severity_words": SEVERITY_WORDS,
        "verdict_words": VERDICT_WORDS,
        "words_of": words_of,
    }
    return environment


_ENVIRONMENT = _make_environment()


def render_page(template: str, context: Mapping[str, Any]) -> str:
    """The page that ``template`` of this package makes of ``context``.

    Raises ``jinja2.UndefinedError`` for a member that the template needs and ``context`` lacks: then the report is
    not one of this version.
    """
    return _ENVIRONMENT.get_template(template).render(context)
