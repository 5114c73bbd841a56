"""Developers' servers on a virtual clock, and the transport that reaches them: what really arrived, where, and when.

The transport implements the real port, with its rules: it asks the permit last, immediately before the first byte, and
looks at the clock then. What it reports is what it saw; what it did stands in :class:`Network`, which nobody else writes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from ledger.core.webhook_auth import SIGNATURE_HEADER, response_token
from ledger.ports import Permit
from ledger.ports.sending import Answer, Disclosure, MayStart, ObservedDelivery
from tests.simulation.clock import SimulatedClock
from tests.simulation.faults import Died

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
    """All servers. ``meanwhile`` runs while a body waits to leave; ``on_byte`` when one does.

    ``leaving`` is set while the body that waits may leave in the middle of somebody's commit (:meth:`commit`).
    """

    clock: SimulatedClock
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
    leaving: Callable[[], None] | None = None

    def commit(self) -> None:
        """A batch is on its way to the disk, and the body that waits, if any, may be faster."""
        if self.leaving is not None:
            self.leaving()

    def fate(self) -> Fate:
        """How the next delivery goes."""
        if self.random.random() >= self.trouble:
            return "answers"
        fates: tuple[Fate, ...] = ("refuses", "unreachable", "hangs", "answers", "dies before", "dies after")
        drawn = self.random.choice(fates)
        return "answers" if drawn.startswith("dies") and not self.is_deadly else drawn


class Departure:
    """The first byte of a body, which leaves once, ``leave`` says when (or None): now, or in the middle of a commit."""

    def __init__(self, leave: Callable[[], int | None]) -> None:
        self._leave = leave
        self._left: list[int | None] = []
        self._broken: BaseException | None = None

    @contextmanager
    def during_a_commit(self, network: Network) -> Iterator[None]:
        """Let it leave during one of the commits within the block, if there are any."""
        passing = network.random.randrange(3)

        def leave() -> None:
            nonlocal passing
            passing -= 1
            if passing < 0 and not self._left:
                network.clock.ms += network.random.randrange(4)
                self._go()

        network.leaving = leave
        try:
            yield
        finally:
            network.leaving = None

    def result(self) -> int | None:
        """When it left; lets it leave now where it has not yet."""
        if not self._left:
            self._go()
        if self._broken is not None:
            raise self._broken
        return self._left[0]

    def _go(self) -> None:
        self._left.append(None)
        try:
            self._left[0] = self._leave()
        except BaseException as broken:  # noqa: BLE001 - for the player, and not for the sequencer, in whose thread it is
            self._broken = broken


class SimulatedTransport:
    """A ``WebhookTransport`` and ``MessageTransport`` to the servers of ``network``."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def post(self, permit: Permit, headers: Mapping[str, str], body: bytes, may_start: MayStart) -> Answer:
        network, clock = self.network, self.network.clock
        began_at_ms = clock.now_ms()
        fate = network.fate()
        clock.ms += network.random.randrange(20)
        host = self.host_of(permit)
        departure = Departure(lambda: self._leave(permit, host, headers, body, may_start))
        is_early = fate not in ("unreachable", "dies before") and network.random.random() < 0.5
        with departure.during_a_commit(network) if is_early else nullcontext():
            network.meanwhile(permit)
        if fate == "unreachable":
            return self._answer(host, began_at_ms, None, "none", error="ConnectError: refused")
        if fate == "dies before":
            raise Died("before the first byte")
        started_at_ms = departure.result()
        if started_at_ms is None:
            return self._answer(host, began_at_ms, None, "none", error="called off", is_called_off=True)
        status = {"answers": 200, "refuses": network.random.choice((204, 404, 500))}.get(fate)
        network.arrived.append(Arrived(host, started_at_ms, permit, body, dict(headers), status))
        if fate == "dies after":
            raise Died("after the first byte")
        clock.ms += TIMEOUT_MS if fate == "hangs" else network.random.randrange(200)
        if status is None:
            return self._answer(host, started_at_ms, None, "possible", error="ReadTimeout", is_timeout=True)
        return self._answer(host, started_at_ms, status, "confirmed")

    def _leave(
        self, permit: Permit, host: str, headers: Mapping[str, str], body: bytes, may_start: MayStart
    ) -> int | None:
        started_at_ms = self.leaves(permit, may_start)
        if started_at_ms is not None:
            self.network.on_byte(permit, host, body, headers)
        return started_at_ms

    def leaves(self, permit: Permit, may_start: MayStart) -> int | None:
        """When the first byte leaves, or None where it may not."""
        started_at_ms, clock = may_start(), self.network.clock
        if clock.now_ms() >= permit.send_before_ms or clock.seconds() >= permit.ends_at_s:
            return None
        return started_at_ms

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
