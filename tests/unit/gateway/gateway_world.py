"""The gateway's parties, webhooks and subscriptions over a real ledger: SQLite, TLS on loopback, and faults at will.

:meth:`GatewayWorld.check` is what every test ends with: the shipped verifier finds nothing, and the registry's rows say
what the entries say.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Engine

from ledger.audit.identities import IdentityCheck
from ledger.engines.codec import MsgspecCodec
from ledger.engines.scalar import ScalarEngine
from ledger.errors import StoreError
from ledger.gateway.accesses import Accesses
from ledger.gateway.challenges import Challenges
from ledger.gateway.inflight import InFlight
from ledger.gateway.parties import Parties
from ledger.gateway.people import People
from ledger.gateway.subscriptions import Evidence, SubscriptionLimits, Subscriptions
from ledger.gateway.webhooks import WebhookLimits, Webhooks
from ledger.ports import Change, EntryStore, NewEntry, Subject
from ledger.ports.registry import App, Subscription, Webhook
from ledger.sequencer.draft import Draft, expect
from ledger.sequencer.seal import Sealer
from ledger.sequencer.sequencer import Sequencer
from ledger.store.credentials import SqlCredentials
from ledger.store.database_log import DatabaseLog
from ledger.store.engine import explain, open_engine
from ledger.store.entries import SqlEntryStore
from ledger.store.migrate import upgrade
from ledger.store.record import FileCheckpointRecord
from ledger.store.registry import SqlRegistry
from ledger.transport.egress import Egress
from ledger.transport.lookup import TimedLookup
from ledger.transport.overrides import HostOverrides
from ledger.transport.tls import client_context
from ledger.transport.webhooks import HttpsWebhooks
from ledger.vault.commitments import SubjectCommitments
from ledger.vault.sealing import VaultSealing
from ledger.vault.subjects import SqlVault
from ledger.wiring.index import open_index
from tests.support.forged_logs import verify_source
from tests.support.ingest_world import OPERATOR_KEY, Stream
from tests.support.log_world import ORIGIN, SIGNER, VERIFIER, SetClock, draft
from tests.unit.gateway.receiving import Receiving

ALICE, BOB = "783214", "5550001"
HOSTS = ("a.example", "b.example", "c.example")
APP = "1001"
URL = "https://a.example/hook"
PRIVATE = {"inside.example": ("10.0.0.8",)}
"""What the name servers know beside the hosts: a name of the operator's own network."""
EVIDENCE = Evidence("oauth1", b"POST&https%3A%2F%2Fapi.example&sig", "5" * 64)
TIMEOUT_S = 1.0

Kind = Literal["before", "after"]
KINDS: tuple[Kind, ...] = ("before", "after")
"""It did not happen; or it happened, and was reported as failed."""


class Faults:
    """Which writes fail: :meth:`plan` lets ``after`` more of them pass, then the next one fails."""

    def __init__(self) -> None:
        self._planned: tuple[Kind, int] | None = None
        self._lock = threading.Lock()
        self.hits = 0

    def plan(self, kind: Kind, after: int = 0) -> None:
        self._planned = (kind, after)
        self.hits = 0

    def clear(self) -> None:
        self._planned = None

    def reach(self, kind: Kind) -> None:
        """Fail here, if that is what was planned."""
        with self._lock:
            if self._planned is None or self._planned[0] != kind:
                return
            left = self._planned[1]
            self._planned = (kind, left - 1) if left else None
            if left:
                return
            self.hits += 1
        raise StoreError("failed on purpose" if kind == "before" else "reported as failed on purpose")


class FaultyStore:
    """An EntryStore whose next append may not happen."""

    def __init__(self, inner: EntryStore, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults

    def append(self, expected_size: int, entries: Sequence[NewEntry], changes: Sequence[Change] = ()) -> None:
        self._faults.reach("before")
        self._inner.append(expected_size, entries, changes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class FaultyRegistry(SqlRegistry):
    """A registry whose next write beside the log may fail, in both ways."""

    def __init__(self, engine: Engine, faults: Faults) -> None:
        super().__init__(engine)
        self._faults = faults

    def apply(self, changes: Sequence[Change]) -> None:
        self._faults.reach("before")
        super().apply(changes)
        self._faults.reach("after")


@dataclass
class GatewayWorld:
    """Everything, opened."""

    database: str
    directory: Path
    clock: SetClock
    faults: Faults
    receiving: Receiving
    store: EntryStore
    sequencer: Sequencer
    registry: SqlRegistry
    credentials: SqlCredentials
    vault: SqlVault
    sealing: VaultSealing
    inflight: InFlight
    parties: Parties
    challenges: Challenges
    webhooks: Webhooks
    subscriptions: Subscriptions
    accesses: Accesses

    @property
    def app(self) -> App:
        """An app of the developer Acme, whose servers have the names :data:`HOSTS`."""
        app = self.registry.load_app(APP)
        assert app is not None
        return app

    def account(self, account_id: str = ALICE) -> Subject:
        return self.parties.create_account(account_id)

    def register(self, url: str = URL, environment: str = "prod", **options: Any) -> Webhook:
        return self.webhooks.register(self.app, environment, url, **options)

    def subscribe(
        self,
        webhook: Webhook,
        account_id: str = ALICE,
        scopes: Iterable[str] = ("posts", "direct_messages"),
        evidence: Evidence | None = EVIDENCE,
    ) -> Subscription:
        return self.subscriptions.subscribe(
            self.app, webhook, self.account(account_id), list(scopes), evidence
        )

    def row(self, webhook: Webhook) -> Webhook:
        """The webhook as it stands now."""
        row = self.registry.load_webhook(webhook.webhook)
        assert row is not None
        return row

    def append(self, *drafts: Draft) -> None:
        for one in drafts:
            expect(self.sequencer.append(one))

    def entries(self, *kinds: str) -> list[dict[str, Any]]:
        """The members of every entry, or of those of ``kinds``."""
        rows = self.store.fetch_range(0, self.store.size())
        return [
            members
            for row in rows
            if (members := json.loads(row.data))["kind"] in (kinds or (members["kind"],))
        ]

    def notices(self, account_id: str = ALICE) -> list[str]:
        return [notice.text for notice in self.registry.load_notices(self.account(account_id).tag)]

    def check(self) -> None:
        """Seal, then see that the verifier finds nothing and that rows and entries agree."""
        self.faults.clear()
        record = FileCheckpointRecord(self.directory / "signed")
        Sealer(
            self.store,
            self.sequencer,
            record,
            origin=ORIGIN,
            signers=[SIGNER],
            verifiers=[VERIFIER],
            index=open_index(open_engine(self.database)),
        ).seal()
        source = DatabaseLog(self.database)
        try:
            report = verify_source(
                source, ScalarEngine(), identities=self._identities(), hashes_are_tiles=False
            ).report
        finally:
            source.close()
        assert report.findings == []
        self._check_rows()

    def _identities(self) -> IdentityCheck:
        commitments = SubjectCommitments()

        def commit(account_id: str, uid: str) -> str | None:
            return commitments.identity(self.vault.find([account_id])[account_id], uid, account_id)

        return IdentityCheck(self.vault.account_of, commit)

    def _check_rows(self) -> None:
        entries = self.entries()
        granted = {entry["grant"]: entry for entry in entries if entry["kind"] == "grant.issued"}
        for entry in entries:
            if entry["kind"] == "grant.amended":
                granted[entry["grant"]] = granted[entry["grant"]] | entry
        for entry in list(granted.values()):
            if entry.get("expires_at", self.clock.ms + 1) <= self.clock.ms:
                granted.pop(entry["grant"], None)
        for entry in entries:
            if entry["kind"] == "grant.revoked":
                granted.pop(entry["grant"], None)
        made = [entry for entry in entries if entry["kind"] == "subscription.created"]
        deleted = {entry["subscription"] for entry in entries if entry["kind"] == "subscription.deleted"}
        live = {one["subscription"]: one for one in made if one["subscription"] not in deleted}
        # A grant that came in as a record is no subscription.
        assert {one["grant"] for one in live.values()} == granted.keys() & {one["grant"] for one in made}
        rows = {
            row.subscription: row
            for tag in {one["account"] for one in made}
            for row in self.registry.load_subscriptions_of(tag)
        }
        assert rows.keys() == live.keys()
        for name, row in rows.items():
            assert (row.grant, row.webhook) == (live[name]["grant"], live[name]["endpoint"])
            assert list(row.scopes) == granted[row.grant]["scopes"]
        self._check_webhooks(entries)

    def _check_webhooks(self, entries: Sequence[dict[str, Any]]) -> None:
        valid: dict[str, bool] = {}
        for entry in entries:
            if entry["kind"] in ("endpoint.verified", "endpoint.failed"):
                valid[entry["endpoint"]] = entry["kind"] == "endpoint.verified"
            elif entry["kind"] == "endpoint.retired":
                del valid[entry["endpoint"]]
        apps = [row.app for row in self.registry.load_apps()]
        rows = {row.webhook: row.is_valid for app in apps for row in self.registry.load_webhooks(app)}
        assert rows == valid


@contextmanager
def open_gateway_world(
    directory: Path,
    webhook_limits: WebhookLimits | None = None,
    subscription_limits: SubscriptionLimits | None = None,
    database: str | None = None,
) -> Iterator[GatewayWorld]:
    """A new ledger with one app and servers for its webhooks, closed at the end.

    It lies in ``directory``, or in ``database``, the URL of one that has the tables and nothing else.
    """
    if database is None:
        database = f"sqlite:///{directory}/ledger.db"
        upgrade(database)
    with (
        Receiving(HOSTS) as receiving,
        _open(database, directory, SetClock(), receiving, "1", webhook_limits, subscription_limits) as world,
    ):
        world.append(
            draft("ledger.opened", "0", origin=ORIGIN, vkey=SIGNER.vkey(), rule_set="rules-1", map_fn=1)
        )
        world.parties.create_developer("Acme", "dev-acme")
        made = world.parties.create_app("dev-acme", "Acme Box", app=APP, environments=("prod", "dev"))
        receiving.secrets.add(made.consumer_secret)
        yield world


@contextmanager
def open_beside(world: GatewayWorld) -> Iterator[GatewayWorld]:
    """The same ledger once more, as another process has it: its own connections, its own sequencer."""
    with _open(world.database, world.directory, world.clock, world.receiving, "2") as other:
        yield other


@contextmanager
def _open(
    database: str,
    directory: Path,
    clock: SetClock,
    receiving: Receiving,
    process: str,
    webhook_limits: WebhookLimits | None = None,
    subscription_limits: SubscriptionLimits | None = None,
) -> Iterator[GatewayWorld]:
    engine = open_engine(database)
    faults, randomness = Faults(), Stream(f"gateway {process}")
    inflight = InFlight(clock)
    store = FaultyStore(SqlEntryStore(engine), faults)

    def reached(step: str) -> None:
        if step == "append.durable":
            faults.reach("after")

    sequencer = Sequencer(
        store,
        MsgspecCodec(),
        clock,
        on_durable=inflight.restrict,
        announce=inflight.announce,
        reached=reached,
    )
    registry = FaultyRegistry(engine, faults)
    credentials = SqlCredentials(engine)
    vault = SqlVault(engine, OPERATOR_KEY, Stream(f"vault {process}"), explain)
    commitments = SubjectCommitments()
    people = People(vault, commitments)
    sealing = VaultSealing(OPERATOR_KEY, Stream(f"sealing {process}"))
    transport = HttpsWebhooks(
        Egress(TimedLookup(PRIVATE.__getitem__), HostOverrides.parse(receiving.overrides)),
        client_context(receiving.authority.certificate_pem),
        clock,
        timeout_s=TIMEOUT_S,
    )
    shared: dict[str, Any] = {"sequencer": sequencer, "registry": registry, "clock": clock}
    parties = Parties(**shared, people=people, sealing=sealing, randomness=randomness)
    challenges = Challenges(**shared, parties=parties, transport=transport, randomness=randomness)
    shared |= {"inflight": inflight}
    webhooks = Webhooks(**shared, challenges=challenges, randomness=randomness, limits=webhook_limits)
    shared |= {"credentials": credentials}
    subscriptions = Subscriptions(**shared, commitments=commitments, limits=subscription_limits)
    with sequencer:
        yield GatewayWorld(
            database=database,
            directory=directory,
            clock=clock,
            faults=faults,
            receiving=receiving,
            store=store,
            sequencer=sequencer,
            registry=registry,
            credentials=credentials,
            vault=vault,
            sealing=sealing,
            inflight=inflight,
            parties=parties,
            challenges=challenges,
            webhooks=webhooks,
            subscriptions=subscriptions,
            accesses=Accesses(**shared),
        )
    transport.close()
    engine.dispose()
