"""Developers' servers on a virtual clock, and the transport that reaches them: what really arrived, where, and when.

The transport implements the real port, with its rules: it asks the permit last, immediately before the first byte, and
looks at the clock then. What it reports is what it saw; what it did stands in :class:`Network`, which nobody else writes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from ledger.core.webhook_auth import SIGNATURE_HEADER, response_token
from ledger.ports import Permit
from ledger.ports.sending import Answer, Disclosure, MayStart, ObservedDelivery
from tests.simulation.faults import Died
from tests.support.log_world import SetClock

ADDRESS = "203.0.113.7"
"""All hosts have the same address and the same path: the circumstances of 2018."""
PATH = "/webhooks/twitter"
TIMEOUT_MS = 3_000

Fate = Literal["answers", "refuses", "unreachable", "hangs", "dies before", "dies after"]


@dataclass(frozen=True, slots=True)
class Arrived:
    """A body whose first byte left for the server ``host`` at ``at_ms`` while ``permit`` was used."""

    host: str
    at_ms: int
    permit: Permit
    body: bytes
    headers: Mapping[str, str]
    status: int | None

    @property
    def account_id(self) -> str:
        """Whose data it was."""
        told = json.loads(self.body)
        return str(told.get("for_user_id") or told["user_event"]["revoke"]["source"]["user_id"])


@dataclass
class Network:
    """All servers. ``meanwhile`` runs while a body waits to leave; ``on_byte`` when one does."""

    clock: SetClock
    random: random.Random
    secrets: dict[str, str] = field(default_factory=dict)
    arrived: list[Arrived] = field(default_factory=list)
    told: list[tuple[str, bytes, Mapping[str, str]]] = field(default_factory=list)
    meanwhile: Callable[[Permit], None] = lambda permit: None
    on_byte: Callable[[Permit, str, bytes, Mapping[str, str]], None] = lambda permit, host, body, headers: (
        None
    )
    trouble: float = 0.5
    is_deadly: bool = True

    def fate(self) -> Fate:
        """How the next delivery goes."""
        if self.random.random() >= self.trouble:
            return "answers"
        fates: tuple[Fate, ...] = ("refuses", "unreachable", "hangs", "answers", "dies before", "dies after")
        drawn = self.random.choice(fates)
        return "answers" if drawn.startswith("dies") and not self.is_deadly else drawn


class SimulatedTransport:
    """A ``WebhookTransport`` and ``MessageTransport`` to the servers of ``network``."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def post(self, permit: Permit, headers: Mapping[str, str], body: bytes, may_start: MayStart) -> Answer:
        network, clock = self.network, self.network.clock
        began_at_ms = clock.now_ms()
        fate = network.fate()
        clock.ms += network.random.randrange(20)
        network.meanwhile(permit)
        host = self.host_of(permit)
        if fate == "unreachable":
            return self._answer(host, began_at_ms, None, "none", error="ConnectError: refused")
        if fate == "dies before":
            raise Died("before the first byte")
        if not self.leaves(permit, may_start):
            return self._answer(host, began_at_ms, None, "none", error="called off", is_called_off=True)
        started_at_ms = clock.now_ms()
        network.on_byte(permit, host, body, headers)
        status = {"answers": 200, "refuses": network.random.choice((204, 404, 500))}.get(fate)
        network.arrived.append(Arrived(host, started_at_ms, permit, body, dict(headers), status))
        if fate == "dies after":
            raise Died("after the first byte")
        clock.ms += TIMEOUT_MS if fate == "hangs" else network.random.randrange(200)
        if status is None:
            return self._answer(host, started_at_ms, None, "possible", error="ReadTimeout", is_timeout=True)
        return self._answer(host, started_at_ms, status, "confirmed")

    def leaves(self, permit: Permit, may_start: MayStart) -> bool:
        """Whether the first byte may leave."""
        return may_start() and self.network.clock.now_ms() < permit.send_before_ms

    def host_of(self, permit: Permit) -> str:
        """Which server the connection leads to."""
        return str(urlsplit(permit.url).hostname)

    def challenge(self, endpoint: str, url: str, query: str, headers: Mapping[str, str]) -> Answer:
        host = str(urlsplit(url).hostname)
        token = query.partition("crc_token=")[2].partition("&")[0]
        answer = json.dumps({"response_token": response_token(self.network.secrets.get(host, ""), token)})
        seen = self._answer(host, self.network.clock.now_ms(), 200, "confirmed").observed
        return Answer(seen, answer.encode())

    def tell(self, endpoint: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        host = str(urlsplit(url).hostname)
        assert SIGNATURE_HEADER in headers
        self.network.told.append((host, body, dict(headers)))
        return self._answer(host, self.network.clock.now_ms(), 200, "confirmed")

    def forget(self, endpoint: str) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Nothing is open."""

    def _answer(
        self,
        host: str,
        started_at_ms: int,
        status: int | None,
        disclosure: Disclosure,
        *,
        error: str | None = None,
        is_timeout: bool = False,
        is_called_off: bool = False,
    ) -> Answer:
        is_connected = disclosure != "none"
        seen = ObservedDelivery(
            started_at_ms=started_at_ms,
            ended_at_ms=self.network.clock.now_ms(),
            host=host,
            port=443,
            path=PATH,
            sni=host if is_connected else None,
            peer_ip=ADDRESS if is_connected else None,
            spki_sha256=None,
            status=status,
            disclosure=disclosure,
            error=error,
            is_timeout=is_timeout,
            is_called_off=is_called_off,
            vetted_addresses=(ADDRESS,),
        )
        return Answer(seen, b"")
