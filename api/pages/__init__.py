"""Pages for people: templates, style and headers. No scripts, and nothing that a browser would have to fetch.

The style is that of the ledger's reports with a few additions, and part of each page; the policy allows it by its hash,
and nothing else. Every value is escaped, characters that would not show or would turn the text around are written as escapes,
and a name that a template misspells is an error. A form may lead to this service, and where it ends in a redirect (the
consent page), to the one origin that the page names.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, PrefixLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from ledger.core.timestamps import format_rfc3339
from ledger.reporting import words

if TYPE_CHECKING:
    from api.problems import Problem

_plain_origin = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
_plain_scheme = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*", re.ASCII)


def _finish(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, Markup):
        return words.visible(value)
    return value


def _minute(at_ms: int) -> str:
    """``at_ms`` as ``3 July 2017, 12:00 UTC``."""
    return f"{words.day(at_ms)}, {format_rfc3339(at_ms)[11:16]} UTC"


def _make_environment() -> Environment:
    environment = Environment(
        loader=PrefixLoader(
            {
                "pages": PackageLoader("api.pages", "templates"),
                "reports": PackageLoader("ledger.reporting", "templates"),
            }
        ),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finish,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"day": words.day, "minute": _minute, "counted": words.counted}
    return environment


_ENVIRONMENT = _make_environment()
_STYLE = "\n".join(
    _ENVIRONMENT.get_template(name).render() for name in ("reports/page.css", "pages/pages.css")
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def render_page(
    template: str,
    context: Mapping[str, Any],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    forms_lead_to: str | None = None,
) -> HTMLResponse:
    """The page that ``template`` makes of ``context``; a form on it may end at the URL ``forms_lead_to``."""
    html = _ENVIRONMENT.get_template(f"pages/{template}").render(
        {"style": Markup(_STYLE), **context}  # noqa: S704 - of this package's own files
    )
    policy = {"content-security-policy": policy_of(forms_lead_to)}
    return HTMLResponse(html, status, {**policy, **(headers or {})})


def policy_of(forms_lead_to: str | None) -> str:
    """The content security policy of a page whose forms may end at the URL ``forms_lead_to``."""
    target = "" if forms_lead_to is None else _source_of(forms_lead_to)
    return (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; form-action 'self'{target}; "
        "frame-ancestors 'none'; base-uri 'none'"
    )


def render_problem(problem: Problem, request_id: str, headers: Mapping[str, str]) -> HTMLResponse:
    """The page that tells ``problem`` to a person."""
    row = problem.row
    context = {"title": row.title, "said": problem.detail, "request_id": request_id}
    return render_page("problem.html", context, status=row.status, headers=headers)


def _source_of(url: str) -> str:
    """``url``'s origin as a source of a policy, its scheme where it has no plain one, or nothing."""
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    if _plain_origin.fullmatch(origin):
        return f" {origin}"
    return f" {parts.scheme}:" if _plain_scheme.fullmatch(parts.scheme) else ""
