"""A real ledger in a directory, the real service on it, and the web application on a real socket of this machine."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx
import uvicorn
from fastapi import FastAPI
from oauthlib.oauth1 import Client

from api.app import create_app
from ledger.gateway.drafts import append_whole, live_draft
from ledger.gateway.parties import NewApp
from ledger.gateway.tokens import hash_of
from ledger.ports import Subject
from ledger.ports.credentials import ApiKey, Role
from ledger.ports.registry import App, Webhook
from ledger.service_settings import ServiceSettings
from ledger.settings import Settings, load_settings
from ledger.wiring import SYSTEM_RANDOMNESS, create_ledger
from ledger.wiring.service import Service, open_service

STARTED_WITHIN_S = 20.0
ORIGIN = "ledger.example/prod"
PUBLIC = "http://api.ledger.localhost"
"""A name that clients were told, and that a proxy in front of the service would answer to."""

ALICE, BOB = "783214", "5550001"
CALLBACK = "https://a.example/callback?state=1%2F2"


class MovableClock:
    """The host's clock, moved forward by tests."""

    def __init__(self) -> None:
        self.offset_ms = 0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.offset_ms

    def move(self, seconds: float) -> None:
        self.offset_ms += round(seconds * 1_000)


@dataclass
class WebWorld:
    """The service with two developers and an app each, over HTTP."""

    service: Service
    clock: MovableClock
    base_url: str
    app_a: NewApp
    app_b: NewApp
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.base_url, trust_env=False, timeout=30)

    def client(self, app: NewApp | None = None, token: str = "", secret: str = "", **options: Any) -> Client:
        """The counterpart: a maintained OAuth 1.0a client with these credentials."""
        made = app or self.app_a
        return Client(
            made.app.consumer_key,
            client_secret=made.consumer_secret,
            resource_owner_key=token or None,
            resource_owner_secret=secret or None,
            timestamp=str(self.clock.now_ms() // 1_000),
            **options,
        )

    def signed(
        self,
        method: str,
        path: str,
        client: Client,
        *,
        form: str | None = None,
        as_if: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """A call signed by ``client``, as a call to ``as_if`` in place of where it really goes."""
        stated = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
        uri, signed_headers, body = client.sign(
            (as_if or self.base_url) + path, http_method=cast("Any", method), body=form, headers=stated
        )
        uri = uri.replace(as_if or self.base_url, self.base_url, 1)
        return self.http.request(method, uri, headers={**signed_headers, **(headers or {})}, content=body)

    def key(self, role: Role, subject: str = "", key: str | None = None) -> str:
        """The text of a new API key of ``role``."""
        secret = SYSTEM_RANDOMNESS.token(32).hex()
        name = key or f"k{SYSTEM_RANDOMNESS.token(6).hex()}"
        self.service.credentials.add_key(
            ApiKey(name, hash_of(secret), role, subject, "a test's", self.clock.now_ms())
        )
        return f"glk_{name}_{secret}"

    def account(self, account_id: str = ALICE) -> Subject:
        return self.service.parties.create_account(account_id)


def make_template(directory: Path) -> None:
    """A ledger with two developers and an app each in ``directory``, to be copied: making one takes a while."""
    settings = _settings_of(directory)
    create_ledger(settings, ORIGIN)
    with open_service(settings, ServiceSettings("127.0.0.1", 0, (PUBLIC,))) as service:
        for letter in "ab":
            _make_app(service, letter)


@contextmanager
def open_web_world(
    template: Path, directory: Path, *, extend: Callable[[FastAPI], None] | None = None, **settings: Any
) -> Iterator[WebWorld]:
    """A copy of ``template`` in ``directory``, and the application serving it; ``extend`` may add routes of a test's own."""
    clock = MovableClock()
    shutil.copytree(template, directory, dirs_exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        base_url = f"http://127.0.0.1:{port}"
        options: dict[str, Any] = {"external_urls": (base_url, PUBLIC)} | settings
        service_settings = ServiceSettings("127.0.0.1", port, **options)
        with open_service(_settings_of(directory), service_settings, clock=clock) as service:
            app = create_app(service)
            if extend is not None:
                extend(app)
            with serving(app, listener):
                world = WebWorld(service, clock, base_url, _load_app(service, "a"), _load_app(service, "b"))
                with world.http:
                    yield world


def _settings_of(directory: Path) -> Settings:
    return load_settings({"GRANTLEDGER_DB": str(directory / "ledger.db")})


def _load_app(service: Service, letter: str) -> NewApp:
    app = service.registry.load_app(f"app-{letter}")
    assert app is not None
    return NewApp(app, service.parties.consumer_secret(app))


@contextmanager
def serving(app: FastAPI, listener: socket.socket) -> Iterator[None]:
    """``app`` behind ``listener`` for as long as the block lasts."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        give_up_at = time.monotonic() + STARTED_WITHIN_S
        while not server.started:
            assert thread.is_alive(), "the server ended before it served"
            assert time.monotonic() < give_up_at, f"the server did not start within {STARTED_WITHIN_S} s"
            time.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        thread.join(STARTED_WITHIN_S)


def _make_app(service: Service, letter: str) -> None:
    developer = f"dev-{letter}"
    service.parties.create_developer(f"Example {letter.upper()} GmbH", developer)
    service.parties.create_app(
        developer,
        f"Inbox {letter.upper()}",
        app=f"app-{letter}",
        website=f"https://{letter}.example/",
        callbacks=(CALLBACK, f"https://{letter}.example/other", "inbox-app://done"),
    )


def put_webhook(service: Service, app: App, webhook: str = "1001") -> Webhook:
    """A webhook of ``app`` that has passed its challenge, as registration would leave it."""
    now_ms = service.clock.now_ms()
    url = f"https://hooks.example/{webhook}"
    made = Webhook(
        webhook=webhook,
        app=app.app,
        environment="prod",
        url=url,
        is_valid=True,
        created_at_ms=now_ms,
        validated_at_ms=now_ms,
        failing_since_ms=None,
        next_check_at_ms=now_ms + 86_400_000,
        reason=None,
    )
    stated = {"endpoint": webhook, "app": app.app, "environment": "prod", "url": url}
    registered = live_draft(
        "endpoint.registered",
        f"developer:{app.developer}",
        stated,
        changes=[service.registry.put_webhook(made)],
    )
    append_whole(service.ledger.sequencer, [registered])
    return made
