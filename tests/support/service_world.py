"""The whole service on one machine: a real ledger, real receivers over TLS, and HTTP on a real socket.

``with ServiceWorld(directory) as world`` has the parts without a server (``world.service``); ``world.serve()`` starts the
application on a port of its own and, asked for it, everything that works behind it.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import httpx
import uvicorn

from api.server import build
from api.worker import Role, Worker
from ledger.audit.report import Report
from ledger.gateway.parties import NewApp
from ledger.ports.registry import Subscription, Webhook
from ledger.ports.vault import Subject
from ledger.receiver.app import Arrival, Receiver
from ledger.receiver.certificates import CA_FILE, CERTIFICATE_FILE, KEY_FILE, make_certificate
from ledger.service_settings import ServiceSettings, load_service_settings
from ledger.settings import load_settings
from ledger.verifying import Asked, run_verification
from ledger.wiring import SYSTEM_RANDOMNESS, create_ledger
from ledger.wiring.service import Service, open_service

PAYLOADS = Path(__file__).parents[2] / "docs" / "examples" / "payloads"
ORIGIN = "ledger.example/service"
HOSTS = ("a.example", "b.example", "c.example")
HOOK = "/webhooks/twitter"
START_SECONDS = 20.0


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


def wait_for(is_so: Callable[[], object], seconds: float = START_SECONDS) -> None:
    """Wait until ``is_so()``; fails when it does not come."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "waited for too long"
        time.sleep(0.01)


class Running:
    """A uvicorn server in a thread."""

    def __init__(self, app: Any, port: int, **tls: str) -> None:
        self.port = port
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                host="127.0.0.1",
                port=port,
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=2,
                **tls,  # type: ignore[arg-type]
            )
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        wait_for(lambda: self._server.started)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)


@dataclass
class Arrivals:
    """What the receivers got, by host."""

    all: list[Arrival] = field(default_factory=list)

    def at(self, host: str) -> list[Arrival]:
        return [one for one in self.all if one.host == host]


class ServiceWorld:
    """A ledger in ``directory`` (or the empty database ``database``) with the service on it; close it, or use ``with``."""

    def __init__(
        self,
        directory: Path,
        *,
        database: str | None = None,
        hosts: Sequence[str] = HOSTS,
        settings: Mapping[str, Any] | None = None,
        is_alone: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.arrivals = Arrivals()
        self.receiver = Receiver([], self.arrivals.all.append)
        make_certificate(directory / "receiver", hosts, SYSTEM_RANDOMNESS)
        self.receiving = Running(
            self.receiver.application(),
            free_port(),
            ssl_certfile=str(directory / "receiver" / CERTIFICATE_FILE),
            ssl_keyfile=str(directory / "receiver" / KEY_FILE),
        )
        self.port = free_port()
        self.environment = {
            "GRANTLEDGER_DB": database or str(directory / "ledger.db"),
            "GRANTLEDGER_KEY_FILE": str(directory / "keys" / "operator.key"),
            "GRANTLEDGER_LOG_KEY_FILE": str(directory / "keys" / "log.key"),
            "GRANTLEDGER_CHECKPOINT_FILE": str(directory / "checkpoint"),
            "GRANTLEDGER_STATE_DIR": str(directory / "state"),
            "GRANTLEDGER_LISTEN": f"127.0.0.1:{self.port}",
            "GRANTLEDGER_TRUSTED_CA": str(directory / "receiver" / CA_FILE),
            "GRANTLEDGER_HOST_OVERRIDES": ",".join(
                f"{host}=127.0.0.1:{self.receiving.port}" for host in hosts
            ),
            "GRANTLEDGER_AUDIT_SECONDS": "0",
            **(environment or {}),
        }
        self.settings = load_settings(self.environment)
        create_ledger(self.settings, ORIGIN)
        self.service_settings: ServiceSettings = replace(
            load_service_settings(self.environment),
            rate_limits=dict.fromkeys(("webhooks", "subscriptions", "list", "count", "replay"), 1000000),
            **(settings or {}),
        )
        self.service: Service = open_service(self.settings, self.service_settings, is_alone=is_alone)
        self._running: list[Running] = []
        self._workers: list[Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        for running in self._running:
            running.close()
        for worker in self._workers:
            worker.stop()
        self.service.close()
        self.receiving.close()

    def serve(self, roles: tuple[Role, ...] = ("api",)) -> str:
        """Start the application (and the background work of ``roles``); its base URL."""
        app, worker = build(self.service, roles)
        worker.start()
        self._workers.append(worker)
        self._running.append(Running(app, self.port))
        return f"http://127.0.0.1:{self.port}"

    def client(self, **headers: str) -> httpx.Client:
        """A client of the served application."""
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=30)

    def new_app(self, name: str = "DeskLine", **members: Any) -> NewApp:
        """A developer with an app; the receivers know its secret from now on."""
        developer = self.service.parties.create_developer(f"{name} Ltd")
        made = self.service.parties.create_app(developer.developer, name, **members)
        self.receiver.trust(made.consumer_secret)
        return made

    def new_account(self, account_id: str = "3001969357") -> Subject:
        """An account that the ledger knows."""
        return self.service.parties.create_account(account_id)

    def new_webhook(self, app: NewApp, host: str = HOSTS[0], path: str = HOOK) -> Webhook:
        """A webhook of ``app``, registered after a real challenge."""
        return self.service.webhooks.register(app.app, app.app.environments[0], f"https://{host}{path}")

    def subscribe(
        self, app: NewApp, webhook: Webhook, account: Subject, scopes: Sequence[str] = ("all",)
    ) -> Subscription:
        """The account's data to the webhook."""
        return self.service.subscriptions.subscribe(app.app, webhook, account, scopes, None)

    def verify(self, **options: Any) -> Report:
        """Seal, and what the shipped verifier then says of the live ledger."""
        self.service.ledger.sealer.seal()
        asked = Asked(engine="scalar", remember=False, **options)
        return run_verification(self.settings, asked, lambda *_: None).report


def payload(name: str) -> dict[str, Any]:
    """One of the sample payloads, by its file's stem."""
    loaded: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text("utf-8"))
    return loaded
