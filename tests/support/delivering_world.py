"""A platform that delivers by itself: a ledger with an app, two endpoints and grants, and the services that it asks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ledger.core.canonical import JsonValue
from ledger.engines.codec import MsgspecCodec
from ledger.gateway.asked import Answer, AttemptAsked
from ledger.gateway.authorize import Authorizer
from ledger.gateway.endpoint_owners import EndpointOwners
from ledger.gateway.grant_notices import GrantNotices
from ledger.gateway.inflight import InFlight
from ledger.gateway.people import People
from ledger.gateway.reports import Reports, Result
from ledger.gateway.ticketing import Tickets
from ledger.sequencer.draft import Draft, expect
from ledger.store.engine import open_engine
from ledger.store.registry import SqlRegistry
from ledger.vault.commitments import SubjectCommitments
from tests.support.ingest_world import IngestWorld, open_ingest_world
from tests.support.log_world import ORIGIN, SIGNER, START_MS, VERIFIER, draft

ALICE, BOB, EVE = "783214", "5550001", "990001"
ACTOR = "platform:k1"
URL = "https://a.example/hook"


@dataclass
class DeliveringWorld:
    """One opened ledger: ``ALICE`` granted ``dev-a``'s app her posts, ``dev-b`` has an endpoint and no grant."""

    ingest: IngestWorld
    people: People
    tickets: Tickets
    authorizer: Authorizer
    reports: Reports
    registry: SqlRegistry

    def append(self, kind: str, name: str, **members: JsonValue) -> None:
        """Append one entry; accounts are given by the platform's ids."""
        account = members.get("account")
        if isinstance(account, str):
            members["account"] = self.tag(account)
        expect(self.ingest.world.sequencer.append(draft(kind, name, **members)))

    def tag(self, account_id: str) -> str:
        """The tag of an account, registered."""
        subjects, registrations = self.people.meet([account_id])
        for registration in registrations:
            expect(self.ingest.world.sequencer.append(registration))
        self.people.note(subjects.values())
        return subjects[account_id].tag

    def ask(self, *asked: AttemptAsked, actor: str = ACTOR) -> list[Answer]:
        return self.authorizer.authorize([(actor, one) for one in asked])

    def report(
        self, *records: Mapping[str, Any], request: str | None = None, actor: str = ACTOR
    ) -> list[Result]:
        return self.reports.append([json.dumps(record).encode() for record in records], actor, request)

    def entries(self) -> list[dict[str, Any]]:
        return self.ingest.entries()


def asked(**members: Any) -> AttemptAsked:
    """What somebody asks about a post of ``ALICE`` on its way to ``dev-a``; members may be changed, or left out by None."""
    stated = {
        "delivery": "d-1",
        "attempt": 1,
        "event": "event-1",
        "event_type": "tweet_create_events",
        "account": ALICE,
        "subjects": [BOB],
        "private": False,
        "endpoint": "wh-a",
        "body": f'{{"for_user_id":"{ALICE}","tweet_create_events":[]}}',
        **members,
    }
    kept = {name: value for name, value in stated.items() if value is not None}
    return msgspec.convert(kept, AttemptAsked)


def delivery(**members: Any) -> dict[str, Any]:
    """What became of what :func:`asked` asks about, as a record; members may be changed, or left out by None."""
    stated = {
        "kind": "delivery.imported",
        "delivery": "d-1",
        "attempt": 1,
        "event": "event-1",
        "event_type": "tweet_create_events",
        "account": ALICE,
        "subjects": [BOB],
        "private": False,
        "endpoint": "wh-a",
        "started_at": START_MS + 10,
        "ended_at": START_MS + 120,
        "observed": {"host": "a.example", "port": 443, "path": "/hook", "sni": "a.example"},
        "status": 200,
        **members,
    }
    return {name: value for name, value in stated.items() if value is not None}


def parties() -> list[Draft]:
    """Two developers with an app and an endpoint each."""
    drafts = []
    for letter in "ab":
        developer, app, endpoint = f"dev-{letter}", f"app-{letter}", f"wh-{letter}"
        drafts += [
            draft("developer.registered", developer, developer=developer),
            draft("app.registered", app, app=app, developer=developer),
            draft(
                "endpoint.registered",
                endpoint,
                endpoint=endpoint,
                app=app,
                developer=developer,
                environment="prod",
                url=f"https://{letter}.example/hook",
            ),
        ]
    return drafts


@contextmanager
def open_delivering_world(directory: Path) -> Iterator[DeliveringWorld]:
    """A new ledger in ``directory`` with parties and one grant, closed at the end."""
    with open_ingest_world(directory) as ingest:
        world = ingest.world
        commitments = SubjectCommitments()
        people = People(ingest.vault, commitments)
        inflight = InFlight(world.clock)
        tickets = Tickets(ORIGIN, SIGNER, [VERIFIER])
        authorizer = Authorizer(
            sequencer=world.sequencer,
            people=people,
            commitments=commitments,
            owners=EndpointOwners(world.store, MsgspecCodec()),
            tickets=tickets,
            inflight=inflight,
            codec=MsgspecCodec(),
            clock=world.clock,
        )
        registry = SqlRegistry(open_engine(f"sqlite:///{directory}/ledger.db"))
        reports = Reports(
            sequencer=world.sequencer,
            store=world.store,
            people=people,
            commitments=commitments,
            tickets=tickets,
            notices=GrantNotices(sequencer=world.sequencer, registry=registry, clock=world.clock),
            inflight=inflight,
        )
        made = DeliveringWorld(ingest, people, tickets, authorizer, reports, registry)
        for one in parties():
            expect(world.sequencer.append(one))
        world.clock.ms = START_MS
        made.append(
            "grant.issued",
            "g-1",
            grant="g-1",
            account=ALICE,
            developer="dev-a",
            app="app-a",
            environment="prod",
            scopes=["posts"],
        )
        yield made
