"""A webhook transport whose hosts lie on real servers on loopback, a clock that stands still, and permits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Self

from ledger.ports.permit import Permit
from ledger.ports.sending import Answer
from ledger.reenactment.pki import Authority, Leaf
from ledger.transport.egress import Egress
from ledger.transport.lookup import TimedLookup
from ledger.transport.overrides import HostOverrides, Place
from ledger.transport.tls import client_context
from ledger.transport.webhooks import HttpsWebhooks
from tests.unit.transport.tls_server import GOOD, Responder, Server

NOW_MS = 1_500_000_000_000
AUTHORITY = Authority("webhook tests")
PATH = "/webhooks/twitter"


class StandingClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.at_ms = NOW_MS

    def now_ms(self) -> int:
        return self.at_ms


class Asked:
    """A ``may_start`` that counts how often it was asked, and does something first."""

    def __init__(self, answer: bool = True, before: Callable[[], None] = lambda: None) -> None:
        self.times = 0
        self._answer = answer
        self._before = before

    def __call__(self) -> bool:
        self.times += 1
        self._before()
        return self._answer


def nowhere(host: str) -> tuple[str, ...]:
    raise OSError(f"{host} is not known here")


def leaf_of(host: str) -> Leaf:
    """The certificate of ``host``, with a key of its own."""
    return AUTHORITY.issue(host, [host])


class World:
    """A transport and the servers that it may reach; a context manager that closes both."""

    def __init__(
        self,
        *,
        ca_pem: str = AUTHORITY.certificate_pem,
        lookup: Callable[[str], tuple[str, ...]] = nowhere,
        egress: type[Egress] = Egress,
        **limits: Any,
    ) -> None:
        self.clock = StandingClock()
        self.places: dict[str, Place] = {}
        self.servers: list[Server] = []
        self.webhooks = HttpsWebhooks(
            egress(TimedLookup(lookup), HostOverrides(self.places)),
            client_context(ca_pem),
            self.clock,
            **{"idle_s": 100.0} | limits,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.webhooks.close()
        for server in self.servers:
            server.close()

    def serve(self, hosts: Sequence[str] = ("a.example",), respond: Responder = GOOD, **how: Any) -> Server:
        """A server for ``hosts``, each with its own key, where the transport finds them from now on."""
        return self.place(hosts, Server({host: leaf_of(host) for host in hosts}, respond, **how))

    def place(self, hosts: Sequence[str], server: Server) -> Server:
        self.servers.append(server)
        self.places.update({host: Place(server.address, server.port) for host in hosts})
        return server

    def permit(self, endpoint: str = "wh-1", host: str = "a.example", **members: Any) -> Permit:
        known: dict[str, Any] = {
            "seq": 7,
            "leaf_hash": b"\0" * 32,
            "delivery": "d-1",
            "attempt": 1,
            "endpoint": endpoint,
            "url": f"https://{host}{PATH}",
            "send_before_ms": NOW_MS + 1_000,
            "account": "a_" + "0" * 32,
            "developer": "dev-a",
            "app": "app-a",
            "grant": "g-1",
            "ends_at_s": math.inf,
        }
        return Permit(**known | members)

    def post(
        self,
        body: bytes = b'{"a":1}',
        *,
        may_start: Callable[[], bool] = lambda: True,
        headers: dict[str, str] | None = None,
        **members: Any,
    ) -> Answer:
        """Send; ``may_start`` says whether, and the clock when."""

        def start() -> int | None:
            return self.clock.now_ms() if may_start() else None

        return self.webhooks.post(self.permit(**members), headers or {}, body, start)
