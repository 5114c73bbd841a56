"""A process of the service on a virtual clock, with developers' servers that do as they are told: for tests of delivering."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger.gateway.offered import OfferedEvent
from ledger.gateway.subscriptions import Evidence
from ledger.ports.outbox import AttemptNote, Leased
from ledger.ports.registry import App, Subscription, Webhook
from tests.simulation.network import Fate, Network, SimulatedTransport
from tests.simulation.truth import Model, Witness
from tests.simulation.world import APPS, Place, Process, copy_template, open_place

ANN, BEN = "100", "200"
STRANGER = "900"


@dataclass
class Desk:
    """One process, and the network it sends to; ``fates`` are how the next deliveries go, then they succeed."""

    place: Place
    process: Process
    fates: list[Fate] = field(default_factory=list)

    @property
    def network(self) -> Network:
        return self.place.network

    def app(self, app: str = "1001") -> App:
        found: App = self.process.registry.load_app(app)
        return found

    def webhook(self, app: str = "1001", place: int = 0) -> Webhook:
        found: Webhook = self.process.registry.load_webhooks(app)[place]
        return found

    def tag(self, account: str = ANN) -> str:
        return self.process.parties.create_account(account).tag

    def subscribe(
        self, account: str = ANN, app: str = "1001", scopes: tuple[str, ...] = ("all",), place: int = 0
    ) -> Subscription:
        return self.process.subscriptions.subscribe(
            self.app(app),
            self.webhook(app, place),
            self.process.parties.create_account(account),
            scopes,
            Evidence("oauth1", b"signed", "5" * 64),
        )

    def unsubscribe(self, subscription: Subscription) -> None:
        self.process.subscriptions.unsubscribe(
            subscription, by=f"account:{subscription.account}", channel="api"
        )

    def offer(self, *events: OfferedEvent) -> list[Any]:
        return list(self.process.intake.accept(events))

    def claim(self) -> list[Leased]:
        return list(self.process.dispatcher.claim())

    def deliver(self) -> list[AttemptNote | None]:
        """Step through everything that is due now."""
        return [self.process.dispatcher.step(leased) for leased in self.claim()]

    def wait(self, seconds: float) -> None:
        self.place.clock.ms += int(seconds * 1_000)

    def restart(self) -> None:
        """Another process, with nothing in memory."""
        self.process.close()
        self.process = Process(self.place)

    def entries(self, *kinds: str) -> list[dict[str, Any]]:
        found = [json.loads(row[0]) for row in self.query("SELECT data FROM entries ORDER BY seq")]
        return [entry for entry in found if not kinds or entry["kind"] in kinds]

    def parcels(self) -> list[tuple[Any, ...]]:
        """``(delivery, state, attempt, due_at_ms, replay)`` by age."""
        return self.query(
            "SELECT delivery, state, attempt, due_at_ms, replay FROM service_parcels ORDER BY number"
        )

    def states(self) -> list[str]:
        return [parcel[1] for parcel in self.parcels()]

    def query(self, sql: str, *values: object) -> list[Any]:
        connection = sqlite3.connect(self.place.directory / "ledger.db")
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def check(self) -> None:
        """Seal, and see that the shipped verifier finds nothing serious."""
        Witness(self.place, Model()).check_verdicts(self.process)


class ToldNetwork(Network):
    """Servers whose fates are told, not drawn."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.fates: list[Fate] = []

    def fate(self) -> Fate:
        return self.fates.pop(0) if self.fates else "answers"


@contextmanager
def open_desk(directory: Path) -> Iterator[Desk]:
    """A new service in ``directory``, nobody subscribed, closed at the end."""
    copy_template(directory / "desk")
    drawn = open_place(directory / "desk", 1)
    network = ToldNetwork(drawn.clock, drawn.network.random, drawn.network.secrets)
    place = Place(drawn.directory, drawn.clock, drawn.faults, network, SimulatedTransport(network))
    desk = Desk(place, Process(place), network.fates)
    try:
        yield desk
    finally:
        desk.process.close()


def post(number: int = 1, account: str = ANN, *, protected: bool = False) -> OfferedEvent:
    """A post by a stranger that mentions ``account``."""
    user = {"id_str": STRANGER, "protected": protected}
    return OfferedEvent(
        {"for_user_id": account, "tweet_create_events": [{"id_str": str(number), "user": user}]}
    )


def message(number: int = 1, account: str = ANN) -> OfferedEvent:
    """A message from a stranger to ``account``."""
    created = {"sender_id": STRANGER, "target": {"recipient_id": account}}
    return OfferedEvent(
        {"for_user_id": account, "direct_message_events": [{"id": str(number), "message_create": created}]}
    )


def deletion(number: int = 1, account: str = ANN) -> OfferedEvent:
    """The post of :func:`post` is gone."""
    status = {"id": str(number), "user_id": STRANGER}
    return OfferedEvent({"for_user_id": account, "tweet_delete_events": [{"status": status}]})


def revocation(app: str = "1001", account: str = ANN) -> OfferedEvent:
    """``account`` took ``app``'s access back on the platform."""
    told = {
        "date_time": "2018-05-24T09:48:12+00:00",
        "target": {"app_id": app},
        "source": {"user_id": account},
    }
    return OfferedEvent({"user_event": {"revoke": told}})


__all__ = ["ANN", "APPS", "BEN", "STRANGER", "Desk", "deletion", "message", "open_desk", "post", "revocation"]
