"""A ledger with its service on a virtual clock: what lies on the disk, and the process that holds the rest in memory.

:class:`Place` outlives deaths: the directory, the clock, the network, the faults. :class:`Process` is everything else; it
is dropped when it dies, and another one is opened at the same place.
"""

from __future__ import annotations

import atexit
import json
import random
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ledger.engines.codec import MsgspecCodec
from ledger.gateway.accesses import Accesses
from ledger.gateway.challenges import Challenges
from ledger.gateway.dispatch import Dispatcher, DispatchLimits
from ledger.gateway.inflight import InFlight
from ledger.gateway.intake import Intake
from ledger.gateway.parties import Parties
from ledger.gateway.people import People
from ledger.gateway.replay import Replays
from ledger.gateway.rescue import Rescuer
from ledger.gateway.subscriptions import Subscriptions
from ledger.gateway.webhooks import WebhookLimits, Webhooks
from ledger.ports.outbox import AttemptNote
from ledger.sequencer.draft import expect
from ledger.sequencer.sequencer import Sequencer
from ledger.store.credentials import SqlCredentials
from ledger.store.engine import explain, open_engine
from ledger.store.entries import SqlEntryStore
from ledger.store.migrate import upgrade
from ledger.store.outbox import SqlOutbox
from ledger.store.registry import SqlRegistry
from ledger.store.signing_keys import SqlSigningKeys
from ledger.vault.commitments import SubjectCommitments
from ledger.vault.sealing import VaultSealing
from ledger.vault.subjects import SqlVault
from tests.simulation.clock import SimulatedClock
from tests.simulation.faults import Faults, Faulty
from tests.simulation.network import PATH, Network, SimulatedTransport
from tests.support.ingest_world import OPERATOR_KEY, Stream
from tests.support.log_world import ORIGIN, SIGNER, draft

APPS = {"1001": "dev-a", "1002": "dev-b", "1003": "dev-c"}
HOSTS = {"1001": ("a.example",), "1002": ("b.example",), "1003": ("c.example", "d.example")}
"""The servers of each app; all with the same address and path."""
ACCOUNTS = ("100", "200", "300", "400")
PEOPLE = ("900", "901")
LIMITS = DispatchLimits(threads=4, per_webhook=2)

_STORE_WRITES = frozenset({"append"})
_OUTBOX_WRITES = frozenset({"put", "claim", "release", "again", "start_replay", "save_replay"})
_REGISTRY_WRITES = frozenset({"apply"})


@dataclass
class Place:
    """What outlives a process."""

    directory: Path
    clock: SimulatedClock
    faults: Faults
    network: Network
    transport: SimulatedTransport
    processes: int = 0
    notes: list[AttemptNote] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"sqlite:///{self.directory}/ledger.db"


class Process:
    """Everything that one process of the service holds in memory."""

    def __init__(self, place: Place) -> None:
        place.processes += 1
        self.place = place
        self.owner = f"process-{place.processes}"
        clock, faults = place.clock, place.faults
        self.engine = open_engine(place.url)
        self.wake = threading.Event()
        self.inflight = InFlight(clock, stopwatch=clock.seconds)
        self.real_store = SqlEntryStore(self.engine)
        store: Any = Faulty(self.real_store, faults, _STORE_WRITES, look="size")
        self.sequencer = Sequencer(
            store,
            _codec(),
            clock,
            on_durable=self.inflight.restrict,
            announce=self.inflight.announce,
            stopwatch=clock.seconds,
        )
        self.registry: Any = Faulty(SqlRegistry(self.engine), faults, _REGISTRY_WRITES)
        self.outbox: Any = Faulty(SqlOutbox(self.engine), faults, _OUTBOX_WRITES)
        self.vault = SqlVault(self.engine, OPERATOR_KEY, Stream(f"vault {self.owner}"), explain)
        randomness = Stream(self.owner)
        self.commitments = SubjectCommitments()
        people = People(self.vault, self.commitments)
        sealing = VaultSealing(OPERATOR_KEY, Stream(f"sealing {self.owner}"))
        shared: dict[str, Any] = {"sequencer": self.sequencer, "registry": self.registry, "clock": clock}
        self.parties = Parties(**shared, people=people, sealing=sealing, randomness=randomness)
        self.challenges = Challenges(
            **shared, parties=self.parties, transport=place.transport, randomness=randomness
        )
        self.webhooks = Webhooks(
            **shared,
            challenges=self.challenges,
            inflight=self.inflight,
            randomness=randomness,
            limits=WebhookLimits(premium_per_environment=5),
        )
        granting: dict[str, Any] = {
            **shared,
            "inflight": self.inflight,
            "credentials": SqlCredentials(self.engine),
        }
        self.subscriptions = Subscriptions(**granting, commitments=self.commitments)
        self.accesses = Accesses(**granting)
        delivering: dict[str, Any] = {**shared, "outbox": self.outbox}
        self.intake = Intake(
            **delivering,
            people=people,
            vault=self.vault,
            commitments=self.commitments,
            sealing=sealing,
            accesses=self.accesses,
            wake=self.wake,
        )
        self.dispatcher = Dispatcher(
            **delivering,
            transport=place.transport,
            messenger=place.transport,
            inflight=self.inflight,
            vault=self.vault,
            commitments=self.commitments,
            sealing=sealing,
            signing_keys=SqlSigningKeys(self.engine),
            signer=SIGNER,
            origin=ORIGIN,
            randomness=randomness,
            owner=self.owner,
            limits=LIMITS,
            on_outcome=place.notes.append,
            wake=self.wake,
            pause=self._pause,
        )
        self.rescuer = Rescuer(
            **delivering,
            store=self.real_store,
            is_in_hand=self.dispatcher.is_in_hand,
            on_outcome=place.notes.append,
        )
        self.replays = Replays(
            **delivering,
            challenges=self.challenges,
            messages=self.dispatcher.messages,
            randomness=randomness,
            on_parcels=self.wake.set,
        )

    def _pause(self, seconds: float) -> None:
        self.place.clock.ms += int(seconds * 1_000)

    def close(self) -> None:
        """Stop the threads and forget everything; what was not durable is gone."""
        self.sequencer.close()
        self.engine.dispose()


MakeTransport = Callable[[Network], SimulatedTransport]


def make_template(directory: Path) -> None:
    """A ledger in ``directory`` with everybody registered, nobody subscribed."""
    place = open_place(directory, 0)
    place.network.trouble = 0.0
    place.processes = -1  # no later process has its name, or draws what it drew
    upgrade(place.url)
    process = Process(place)
    try:
        opened = draft("ledger.opened", "0", origin=ORIGIN, vkey=SIGNER.vkey(), rule_set="rules-1", map_fn=1)
        expect(process.sequencer.append(opened))
        for developer in APPS.values():
            process.parties.create_developer(f"The developer {developer}", developer)
        for app, developer in APPS.items():
            made = process.parties.create_app(developer, f"App {app}", app=app)
            for host in HOSTS[app]:
                place.network.secrets[host] = made.consumer_secret
                process.webhooks.register(made.app, "prod", f"https://{host}{PATH}")
        for account in ACCOUNTS:
            process.parties.create_account(account)
    finally:
        process.close()
    (directory / "secrets").write_text(json.dumps(place.network.secrets))


def open_place(directory: Path, seed: int, make_transport: MakeTransport = SimulatedTransport) -> Place:
    """The place in ``directory``, its fortune drawn from ``seed``."""
    clock = SimulatedClock()
    network = Network(clock, random.Random(f"network {seed}"))
    if (directory / "secrets").exists():
        network.secrets = json.loads((directory / "secrets").read_text())
    faults = Faults()
    faults.on_commit = network.commit
    return Place(directory, clock, faults, network, make_transport(network))


@cache
def _codec() -> MsgspecCodec:
    """One for all, because making it takes longer than a whole run: only one sequencer lives at a time."""
    return MsgspecCodec()


@cache
def _template() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="simulation-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    make_template(directory)
    return directory


def copy_template(directory: Path) -> None:
    """Put a copy of the template, made once in a process, into ``directory``, which is not there yet."""
    shutil.copytree(_template(), directory)
