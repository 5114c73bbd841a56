"""A browser as far as the pages need one: cookies, forms as they stand in the page, no script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx

from tests.api.foundation.world import ALICE, WebWorld


@dataclass
class PageForm:
    """A form: where it goes, its hidden fields, and what can be ticked."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    choices: list[str] = field(default_factory=list)
    ticked: list[str] = field(default_factory=list)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[PageForm] = []
        self.text: list[str] = []
        self._is_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        stated = {name: value or "" for name, value in attrs}
        self._is_style = tag == "style"
        if tag == "form":
            self.forms.append(PageForm(stated["action"]))
        elif tag == "input" and stated["type"] == "hidden":
            self.forms[-1].fields[stated["name"]] = stated["value"]
        elif tag == "input" and stated["type"] == "checkbox":
            self.forms[-1].choices.append(stated["value"])
            if "checked" in stated:
                self.forms[-1].ticked.append(stated["value"])

    def handle_endtag(self, tag: str) -> None:
        self._is_style = False

    def handle_data(self, data: str) -> None:
        if not self._is_style:
            self.text.append(data)


@dataclass
class Browser:
    """One browser with its own cookies, at the service of ``world``."""

    world: WebWorld
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.world.base_url, trust_env=False, timeout=30)

    def link(self, account: str = ALICE, **members: str) -> str:
        """The sign-in link that the platform gets for ``account``."""
        headers = {"Authorization": f"Bearer {self.world.key('platform')}"}
        answer = self.world.http.post("/v1/sessions", json={"account": account, **members}, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["url"])

    def sign_in(self, account: str = ALICE) -> None:
        answer = self.http.get(self.link(account))
        assert answer.status_code == 303, answer.text

    def consent_page(self, oauth_token: str) -> httpx.Response:
        return self.http.get("/oauth/authorize", params={"oauth_token": oauth_token})

    def answer_consent(
        self, oauth_token: str, *, scopes: Sequence[str], decision: str = "allow"
    ) -> httpx.Response:
        """Load the consent page, tick ``scopes`` and press a button."""
        form = forms_of(self.consent_page(oauth_token))[0]
        return self.send(form, "/oauth/authorize", scope=list(scopes), decision=decision)

    def send(self, form: PageForm, page: str, **values: str | list[str]) -> httpx.Response:
        """Send ``form`` of the page at ``page`` with ``values``."""
        return self.http.post(urljoin(page, form.action), data={**form.fields, **values})


def forms_of(answer: httpx.Response) -> list[PageForm]:
    """The forms of a page, in order."""
    parser = _Forms()
    parser.feed(answer.text)
    return parser.forms


def text_of(answer: httpx.Response) -> str:
    """What a page says, white space made single."""
    parser = _Forms()
    parser.feed(answer.text)
    return " ".join(" ".join(parser.text).split())
