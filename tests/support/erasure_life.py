"""Somebody about whom a real service has come to keep something in every table and file that can, and somebody else."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import httpx
from nacl.public import PrivateKey
from sqlalchemy import LargeBinary, text
from sqlmodel import SQLModel

from ledger import store
from ledger.core.export_filter import Filter
from ledger.exports.parts import Question
from ledger.gateway.tokens import Issuing
from ledger.incidents.incidents import Evidence
from ledger.incidents.policies import DAY_MS, PROPOSED
from ledger.ingest.sources import open_source as open_records
from ledger.ports.vault import Subject
from ledger.store.purges import PURGES
from ledger.verifying import Asked, open_source, run_verification
from tests.support.service_world import HOOK, ServiceWorld, payload, wait_for

for module in iter_modules(store.__path__):
    if module.name.endswith("tables"):
        import_module(f"ledger.store.{module.name}")

PERSON, OTHER = "3001969357", "8800123"
ADDRESS, HOME = "evelyn@home.example", "https://evelyn.example/ledger"
WORDS = "Evelyn Sample asks to be forgotten"
EARLIER_WORDS = "Evelyn Sample has thought of something else"
TEXT = "a sentence that only Evelyn wrote"
SPOKEN = {
    "id": PERSON,
    "address": ADDRESS,
    "webhook": HOME,
    "words": WORDS,
    "earlier words": EARLIER_WORDS,
    "text": TEXT,
}
"""What says who somebody is, or is the person's own."""

OPERATOR, SECOND = "operator:one", "operator:two"
PRIVATE_KEY = bytes(range(32))
PUBLIC_KEY = bytes(PrivateKey(PRIVATE_KEY).public_key)

ABOUT_NOBODY = {
    "ledger_head", "tiles", "published_checkpoint", "vault_key", "service_signing_keys", "service_nonces",
    "service_rate_windows", "service_replays", "service_incident_stagings", "service_attestations",
    "service_obligation_remarks", "service_incident_updates", "service_cursors", "vault_erased",
}  # fmt: skip
"""Tables that this life need not fill: nothing in them is about an account, whoever lives."""


@dataclass(frozen=True)
class Life:
    """``person`` and ``other``; exports of which the first two open who the person is; a ticket that went along."""

    person: Subject
    other: Subject
    sealed: str
    handed_over: str
    of_other: str
    ticket: str


def caller(world: ServiceWorld, role: str, subject: str = "") -> httpx.Client:
    made = issuing(world).issue_key(role, subject)  # type: ignore[arg-type]
    return world.client(Authorization=f"Bearer {made.text}")


def issuing(world: ServiceWorld) -> Issuing:
    service = world.service
    return Issuing(
        credentials=service.credentials,
        sealing=service.sealing,
        clock=service.clock,
        randomness=service.randomness,
    )


def live(world: ServiceWorld) -> Life:
    """Everything that can happen to a person here; the served ``world`` is empty before."""
    world.serve(("api", "dispatch", "seal"))
    service = world.service
    app, wrong = world.new_app(retry_waits_ms=(1_000,)), world.new_app("OtherDesk")
    webhook = world.new_webhook(app)
    world.new_webhook(wrong, "b.example")
    # Before anybody has used the account: as that of a canary it is new.
    service.canaries.plant(PERSON, app.app.app)
    person, other = world.new_account(PERSON), world.new_account(OTHER)
    service.parties.create_app(app.app.developer, "Evelyn's own", owner_account=person.tag)
    for one in (person, other):
        world.subscribe(app, webhook, one)
    issuing(world).issue_access(app.app, PERSON, person.tag, ["all"])
    issuing(world).issue_access(app.app, OTHER, other.tag, ["all"])
    platform = caller(world, "platform")
    platform.post("/v1/sessions", json={"account": PERSON}).raise_for_status()
    service.duties.contacts.set_email(person, ADDRESS)
    service.duties.contacts.set_email(other, "other@home.example")
    service.duties.contacts.set_webhook(person, HOME)
    _deliver(world, platform)
    _change_minds(world, person)
    _go_astray(world, webhook.webhook)
    return Life(person, other, *_hand_over(world, person, other), world.arrivals.all[0].headers[TICKET])


TICKET = "x-ledger-entry"


def _deliver(world: ServiceWorld, platform: httpx.Client) -> None:
    """Two events each: one that is delivered, one that becomes a dead letter."""
    for number, status in enumerate((200, 500)):
        world.receiver.status = status
        for account_id in (PERSON, OTHER):
            event = payload("direct_message_events")
            event["for_user_id"] = account_id
            message = event["direct_message_events"][0]
            message["id"] = f"{number}{account_id}"
            message["message_create"]["message_data"]["text"] = TEXT
            taken = platform.post("/v1/events", json=event)
            assert taken.status_code in (200, 202), taken.text
        wait_for(lambda: world.service.outbox.count_waiting(0)[0] == 0)


def _change_minds(world: ServiceWorld, person: Subject) -> None:
    """A hold that has ended, and a request that was taken back."""
    privacy = world.service.privacy
    held = privacy.holds.place(placed_by=OPERATOR, account=person.tag, words="case 17")
    privacy.holds.lift(held.hold, lifted_by=OPERATOR)
    asked = privacy.erasures.request(
        person, basis="request", requested_by=f"account:{person.tag}", words=EARLIER_WORDS
    )
    privacy.erasures.withdraw(asked.erasure, withdrawn_by=f"account:{person.tag}")


def _go_astray(world: ServiceWorld, webhook: str) -> None:
    """Deliveries of each with the other in it end at somebody else's; the incident, its notices and its obligations."""
    service = world.service
    now_ms = service.clock.now_ms()
    lines = [
        json.dumps(
            {
                "kind": "delivery.imported", "delivery": f"d-{number}", "event": f"e-{number}",
                "event_type": "direct_message_events", "account": whose, "subjects": [with_whom], "private": True,
                "endpoint": webhook, "attempt": 1, "started_at": now_ms, "ended_at": now_ms, "status": 200,
                "observed": {"host": "b.example", "port": 443, "path": HOOK},
            }
        )
        for number, (whose, with_whom) in enumerate(((PERSON, OTHER), (OTHER, PERSON)))
    ]  # fmt: skip
    path = world.directory / "astray.jsonl"
    path.write_text("\n".join(lines) + "\n")
    report = service.ledger.import_from(open_records(str(path), sys.stdin.buffer))
    assert report.rejected == 0, report
    path.unlink()
    for proposal in PROPOSED:
        service.incidents.policies.set(proposal.policy, proposal.jurisdiction, proposal.period_ms, OPERATOR)
    service.incidents.policies.set("retention.events", None, 90 * DAY_MS, OPERATOR)
    asked = Asked(engine="scalar", with_index=False, remember=False)
    source = open_source(world.settings, asked)
    verified = run_verification(world.settings, asked, lambda *_: None, source=source)
    opened = service.incidents.desk.open_from_findings(Evidence(verified, source), OPERATOR)
    for one in opened:
        incident = one.incident.incident
        service.incidents.desk.describe(incident, "title", "Sent to somebody else", OPERATOR)
        service.duties.notices.queue(incident, actor=OPERATOR)
        service.duties.obligations.open(incident, actor=OPERATOR)
    service.duties.sender.run_once()


def _hand_over(world: ServiceWorld, person: Subject, other: Subject) -> tuple[str, str, str]:
    desk = world.service.exports
    world.service.ledger.sealer.seal()
    names = []
    for subject, recipients in ((person, (PUBLIC_KEY,)), (person, ()), (other, ())):
        wanted = Filter(accounts=(subject.tag,))
        asked = Question("A regulator", "case-1", "Art. 58", wanted, OPERATOR, recipients, "identities")
        made = desk.create(asked)
        desk.approve(made.export, SECOND)
        names.append(made.export)
    desk.seal(names[0], OPERATOR)
    sealed, handed_over, of_other = names
    return sealed, handed_over, of_other


def tables() -> list[Any]:
    """Every table beside the log's."""
    return [table for table in SQLModel.metadata.sorted_tables if not table.name.startswith("witness_")]


def needles_of(world: ServiceWorld, person: Subject) -> dict[str, bytes]:
    """What lies in the tables about ``person`` alone and is in no entry: every keyed, sealed or hashed value."""
    found: dict[str, bytes] = {}
    by_name = {table.name: table for table in tables()}
    places = [(one.table, one.where) for one in PURGES] + [("vault_subjects", "tag = :account")]
    with world.service.ledger.engine.connect() as connection:
        for table, where in places:
            for column in by_name[table].columns:
                if not isinstance(column.type, LargeBinary) or f"{table}.{column.name}" in OF_NOBODY:
                    continue
                query = text(f"SELECT {column.name} FROM {table} WHERE {where}")
                for number, (value,) in enumerate(connection.execute(query, {"account": person.tag})):
                    if value is not None:
                        found[f"{table}.{column.name}/{number}"] = bytes(value)
    return found


OF_NOBODY = {"service_apps.secret_sealed", "privacy_erasures.salt"}
"""Values in rows that stay: an app's secret, and what opens the commitment to what a person asked for."""


def count_all(world: ServiceWorld) -> dict[str, int]:
    """How many rows each table has."""
    with world.service.ledger.engine.connect() as connection:
        return {
            table.name: int(connection.execute(text(f"SELECT COUNT(*) FROM {table.name}")).scalar_one())
            for table in tables()
        }


def columns_with(world: ServiceWorld, value: str) -> set[str]:
    """Every column of every table in which ``value`` stands, be it as a part."""
    hits = set()
    with world.service.ledger.engine.connect() as connection:
        for table in tables():
            for row in connection.execute(text(f"SELECT * FROM {table.name}")).mappings():
                for column, kept in row.items():
                    data = kept.encode() if isinstance(kept, str) else kept
                    if isinstance(data, bytes | memoryview) and value.encode() in bytes(data):
                        hits.add(f"{table.name}.{column}")
    return hits


def files_with(needle: bytes, *directories: Path) -> list[str]:
    """The files below ``directories`` that hold ``needle``, or its hex digits as PostgreSQL's text has them."""
    hits = []
    for directory in directories:
        for path in directory.rglob("*"):
            if path.is_file() and not path.is_symlink():
                data = path.read_bytes()
                if needle in data or needle.hex().encode() in data:
                    hits.append(str(path.relative_to(directory)))
    return hits
