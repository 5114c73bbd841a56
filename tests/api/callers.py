"""Clients of the served API: OAuth 1.0a as client libraries sign it, and bearer tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, cast
from urllib.parse import urlencode

import httpx
from oauthlib.oauth1 import Client

from ledger.gateway.parties import NewApp
from ledger.gateway.tokens import Issuing, NewToken, hash_of
from ledger.ports.credentials import Role
from ledger.ports.registry import App, Webhook
from ledger.ports.vault import Subject
from tests.support.service_world import ServiceWorld

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Signer:
    """Calls that are signed with one app's key and one token (none: two-legged)."""

    client: httpx.Client
    consumer_key: str
    consumer_secret: str
    token: str = ""
    token_secret: str = ""

    def __call__(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        json: Any = None,
    ) -> httpx.Response:
        url = str(self.client.base_url).rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        signer = Client(
            self.consumer_key,
            client_secret=self.consumer_secret,
            resource_owner_key=self.token or None,
            resource_owner_secret=self.token_secret or None,
        )
        if form is None:
            _, headers, _ = signer.sign(url, http_method=cast("Any", method))
            return self.client.request(method, url, headers=headers, json=json)
        body = urlencode(form)
        _, headers, _ = signer.sign(
            url, http_method=cast("Any", method), body=body, headers={"Content-Type": FORM}
        )
        return self.client.request(method, url, headers=headers, content=body)


@dataclass(frozen=True)
class Bearer:
    """Calls with a bearer token, or with an API key, which is presented in the same way."""

    client: httpx.Client
    text: str

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.text}", **options.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **options)


@dataclass(frozen=True)
class Caller:
    """Everything that one app can call with."""

    world: ServiceWorld
    client: httpx.Client
    made: NewApp

    @classmethod
    def new(cls, world: ServiceWorld, name: str = "DeskLine", **members: Any) -> Self:
        """A new app, and whoever calls for it; close ``client`` with the world."""
        return cls(world, world.client(), world.new_app(name, **members))

    @property
    def app(self) -> App:
        return self.made.app

    @property
    def two_legged(self) -> Signer:
        return Signer(self.client, self.app.consumer_key, self.made.consumer_secret)

    @property
    def owner(self) -> Signer:
        """Signed with the owner's own access token."""
        return self._signer(self._issuing.issue_owner(self.app))

    @property
    def bearer(self) -> Bearer:
        response = self.client.post(
            "/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=(self.app.consumer_key, self.made.consumer_secret),
        )
        assert response.status_code == 200, response.text
        return Bearer(self.client, response.json()["access_token"])

    def user(
        self,
        account: Subject,
        scopes: tuple[str, ...] = ("all",),
        consent_text: bytes | None = None,
    ) -> Signer:
        """Signed with an access token that ``account`` gave the app, having been shown the text of that hash."""
        service = self.world.service
        account_id = service.vault.account_of([account.tag])[account.tag]
        token = self._issuing.issue_access(self.app, account_id, account.tag, scopes)
        if consent_text is not None:
            kept = service.credentials.load_token(hash_of(token.text))
            assert kept is not None
            service.credentials.put_token(replace(kept, consent_text=consent_text))
        return self._signer(token)

    def key(self, role: Role = "developer") -> Bearer:
        """An API key, of the app's developer where the role speaks for one."""
        subject = self.app.developer if role == "developer" else ""
        return Bearer(self.client, self._issuing.issue_key(role, subject).text)

    def be_forgotten_by_receivers(self) -> None:
        """From now on the app's webhooks do not know its secret: they fail every challenge and take nothing."""
        receiver = self.world.receiver
        receiver._secrets = tuple(one for one in receiver._secrets if one != self.made.consumer_secret)

    def webhook(self, host: str = "a.example", path: str = "/webhooks/twitter") -> Webhook:
        """A webhook of the app in its first environment."""
        return self.world.new_webhook(self.made, host, path)

    @property
    def _issuing(self) -> Issuing:
        service = self.world.service
        return Issuing(
            credentials=service.credentials,
            sealing=service.sealing,
            clock=service.clock,
            randomness=service.randomness,
        )

    def _signer(self, token: NewToken) -> Signer:
        return Signer(self.client, self.app.consumer_key, self.made.consumer_secret, token.text, token.secret)


def errors_of(response: httpx.Response) -> list[tuple[int, str]]:
    """Code and message of each error of a v1.1 answer."""
    assert response.headers["content-type"] == "application/json"
    return [(one["code"], one["message"]) for one in response.json()["errors"]]


def problem_of(response: httpx.Response) -> dict[str, Any]:
    """The problem that an answer is."""
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == response.status_code
    return problem
