"""One real ledger and those around it, as long as everybody is honest: SQLite, sequencer, seal, vault, gate, witnesses.

Each method is something that honest people do. What really went over the wire is kept beside the ledger, with those who saw
it: a developer what it received, the proxy what it counted, an account the tickets that it was given.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.core.canaries import commit_canary
from ledger.core.canonical import JsonValue, decode
from ledger.core.egress_counts import HOUR_MS, Counted
from ledger.egress.book import Hour, hour_of
from ledger.egress.handing_in import statements_of
from ledger.engines.codec import MsgspecCodec
from ledger.gateway.egress_counts import EgressCounts
from ledger.gateway.people import People
from ledger.gateway.receipts import Receipts
from ledger.gateway.ticketing import Tickets
from ledger.ports.permit import Permit
from ledger.receiver.receipts import ReceiptSigner, public_key_of
from ledger.sequencer.draft import Appended, Draft, expect
from ledger.sequencer.seal import Sealer
from ledger.sequencer.sequencer import Sequencer
from ledger.store.engine import explain, open_engine
from ledger.store.record import FileCheckpointRecord
from ledger.transparency.cosigning import WitnessCosigning
from ledger.vault.commitments import SubjectCommitments
from ledger.vault.ed25519 import Ed25519Signer, is_signed
from ledger.vault.subjects import SqlVault
from ledger.vault.witness_policies import witness_verifiers
from ledger.witness.place import OpenedWitness, open_witness
from tests.lies.kept import Body, Grant, Kept
from tests.lies.neighbours import WITNESSES, InProcess, policy_of
from tests.lies.shown import Shown
from tests.support.ingest_world import OPERATOR_KEY, Stream
from tests.support.log_world import (
    ORIGIN,
    SIGNER,
    VERIFIER,
    SetClock,
    attempt,
    draft,
    open_log_index,
    open_store,
)

PEOPLE = ("100", "200", "300")
DEVELOPERS = ("dev-a", "dev-b")
PROXY = "egress-1"
STARTED_MS = 500_000 * HOUR_MS + 600_000
MINUTE_MS = 60_000
CODEC = MsgspecCodec()
"""Of the sequencer, whose thread alone uses it: one ledger is open at a time."""
BODY_BYTES = 512
PASSED_BYTES = 1_500
"""What passes beside a body, as a proxy counts it."""


def letter_of(developer: str) -> str:
    """``dev-a`` -> ``a``."""
    return developer[-1]


def host_of(developer: str) -> str:
    """The host of the one endpoint of ``developer``."""
    return f"{letter_of(developer)}.example"


def key_of(name: str) -> Ed25519Signer:
    """The Ed25519 key of a developer or a proxy."""
    return Ed25519Signer(name, Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32, b"\1")))


class Place:
    """A new ledger in ``directory``, made from a copy of ``template``, with parties, keys and no grants."""

    def __init__(self, directory: Path, template: Path) -> None:
        shutil.copytree(template, directory)
        self.directory = directory
        self.clock = SetClock(STARTED_MS)
        self.store = open_store(directory / "ledger")
        self.sequencer = Sequencer(self.store, CODEC, self.clock)
        self.url = f"sqlite:///{directory / 'ledger' / 'ledger.db'}"
        self._engine = open_engine(self.url)
        self.vault = SqlVault(self._engine, OPERATOR_KEY, Stream(), explain)
        self.commitments = SubjectCommitments()
        self.people = People(self.vault, self.commitments)
        self.tickets = Tickets(ORIGIN, SIGNER, [VERIFIER])
        self.witnesses = {name: open_witness(directory / name, self.clock) for name in WITNESSES}
        self.policy = policy_of(self.witnesses)
        self.evidence: list[bytes] = []
        self.cosigning = self.make_cosigning(self.witnesses)
        self.index = open_log_index(directory / "ledger")
        self.sealer = self.make_sealer()
        self._receipts = Receipts(
            sequencer=self.sequencer, store=self.store, tickets=self.tickets, origin=ORIGIN, check=is_signed
        )
        self._counts = EgressCounts(sequencer=self.sequencer, origin=ORIGIN, check=is_signed)
        self.kept = Kept()
        self._number = 0
        self._open()

    def make_cosigning(
        self, witnesses: Mapping[str, OpenedWitness], calls: InProcess | None = None
    ) -> WitnessCosigning:
        """What asks ``witnesses``, both of which the policy wants."""

        def keep(data: bytes) -> str:
            self.evidence.append(data)
            return "memory"

        return WitnessCosigning(
            self.policy,
            witness_verifiers(self.policy),
            calls or InProcess(witnesses),
            self.clock,
            keep,
            log_verifiers=[VERIFIER],
        )

    def make_sealer(self) -> Sealer:
        """A sealer as a process that starts now has it."""
        return Sealer(
            self.store,
            self.sequencer,
            FileCheckpointRecord(self.directory / "signed"),
            origin=ORIGIN,
            signers=[SIGNER],
            verifiers=[VERIFIER],
            index=self.index,
            cosigning=self.cosigning,
        )

    def _open(self) -> None:
        self.append("ledger.opened", origin=ORIGIN, vkey=SIGNER.vkey(), rule_set="rules-1", map_fn=1)
        for developer in DEVELOPERS:
            end = letter_of(developer)
            self.append("developer.registered", developer=developer)
            self.append("app.registered", app=f"app-{end}", developer=developer)
            url = f"https://{host_of(developer)}/hook"
            endpoint: dict[str, Any] = {"endpoint": f"wh-{end}"}
            self.append(
                "endpoint.registered",
                app=f"app-{end}",
                developer=developer,
                environment="prod",
                url=url,
                **endpoint,
            )
            self.append("endpoint.verified", **endpoint)
            self._receipts.set_key(developer, public_key_of(key_of(developer)), "system:test")
        self._counts.set_key(PROXY, public_key_of(key_of(PROXY)), "system:test")
        for person in PEOPLE:
            self.tag(person)

    def back_up(self) -> None:
        """The operator makes a copy of database and record, as anybody does."""
        backup = self.directory / "backup"
        backup.mkdir(exist_ok=True)
        with sqlite3.connect(self.directory / "ledger" / "ledger.db") as live:
            with sqlite3.connect(backup / "ledger.db") as copy:
                live.backup(copy)
            copy.close()
        live.close()
        shutil.copy(self.directory / "signed", backup / "signed")

    @property
    def has_older_backup(self) -> bool:
        """Whether something was signed since the last copy was made."""
        copied = self.directory / "backup" / "signed"
        return copied.exists() and copied.read_bytes() != (self.directory / "signed").read_bytes()

    def close(self) -> None:
        """Let go of everything."""
        self.sequencer.close()
        self.store.close()
        self._engine.dispose()
        for witness in self.witnesses.values():
            witness.engine.dispose()

    def new_name(self, what: str) -> str:
        """A name that was not there before."""
        self._number += 1
        return f"{what}-{self._number}"

    def append(self, kind: str, *, at: int | None = None, **members: JsonValue) -> Appended:
        """Append an entry that takes effect at ``at``, by default now."""
        at_ms = self.clock.ms if at is None else at
        made = draft(kind, self.new_name("u"), **members)
        return expect(self.sequencer.append(Draft({**made.members, "at": at_ms})))

    def tag(self, person: str) -> str:
        """The tag of ``person``, registered."""
        subjects, registrations = self.people.meet([person])
        for registration in registrations:
            expect(self.sequencer.append(registration))
        self.people.note(subjects.values())
        return subjects[person].tag

    def ticket_of(self, appended: Appended | Permit) -> str:
        """The log's signed ticket of an entry."""
        return self.tickets.sign(appended.seq, appended.leaf_hash)

    # What people do.

    def grant(self, person: str, developer: str, *, at: int | None = None) -> Grant:
        """``person`` lets ``developer`` have its posts, and keeps the ticket."""
        name, end = self.new_name("g"), letter_of(developer)
        appended = self.append(
            "grant.issued",
            at=at,
            grant=name,
            account=self.tag(person),
            developer=developer,
            app=f"app-{end}",
            environment="prod",
            scopes=["posts"],
        )
        self.kept.tickets.append((person, self.ticket_of(appended)))
        made = Grant(name, person, developer)
        self.kept.grants.append(made)
        return made

    def amend(self, grant: Grant, scopes: list[JsonValue]) -> None:
        """The account changes what it granted."""
        self.append("grant.amended", grant=grant.name, scopes=scopes)

    def revoke(self, grant: Grant) -> str:
        """The account takes its grant back; its ticket."""
        appended = self.append("grant.revoked", grant=grant.name)
        grant.is_live = False
        ticket = self.ticket_of(appended)
        self.kept.tickets.append((grant.person, ticket))
        return ticket

    def request(self, grant: Grant, *, body_bytes: int = BODY_BYTES, **members: Any) -> Permit | Any:
        """Ask the gate about one post of the account."""
        end = letter_of(grant.developer)
        name = self.new_name("d")
        stated: dict[str, Any] = {
            "account": self.tag(grant.person),
            "developer": grant.developer,
            "app": f"app-{end}",
            "endpoint": f"wh-{end}",
            "event": f"e_{self._number:032x}",
            "body_bytes": body_bytes,
            "at": self.clock.ms,
        }
        return self.sequencer.request(attempt(name, **(stated | members)))

    def arrive(self, permit: Permit, developer: str, *, body_bytes: int = BODY_BYTES) -> Body:
        """A body really reaches ``developer``: the proxy counts it, and the developer has it with its ticket."""
        self.count(host_of(developer), body_bytes + PASSED_BYTES)
        headers = {
            "host": host_of(developer),
            "webhook-id": permit.delivery,
            "x-ledger-entry": self.ticket_of(permit),
        }
        body = Body(permit.delivery, developer, permit, headers, self.clock.ms)
        self.kept.bodies.append(body)
        return body

    def count(self, sni: str, bytes_up: int) -> None:
        """The proxy sees a connection."""
        names = self.kept.counts.setdefault(hour_of(self.clock.ms), {})
        names[sni] = names.get(sni, Counted()).plus(Counted(1, bytes_up, 400))

    def settle(self, permit: Permit, grant: Grant, host: str | None, **members: Any) -> Appended:
        """Record what became of an attempt; ``host`` is where it is said to have been seen, None for nowhere."""
        stated: dict[str, Any] = {
            "delivery": permit.delivery,
            "attempt": 1,
            "by": "transport",
            "account": self.tag(grant.person),
            "subjects": [],
            "developer": grant.developer,
            "started_at": self.clock.ms,
            "disclosure": "confirmed",
            "status": 200,
        }
        if host is not None:
            stated["observed"] = {"host": host, "sni": host, "port": 443, "path": "/hook"}
        stated = {name: value for name, value in (stated | members).items() if value is not None}
        made = draft("delivery.settled", self.new_name("s"), **stated)
        return expect(
            self.sequencer.append(
                Draft(
                    {**made.members, "at": self.clock.ms, "actor": "system:gate", "via": "gate"},
                    intended_endpoint=f"wh-{letter_of(grant.developer)}",
                )
            )
        )

    def deliver(self, grant: Grant) -> Body:
        """Send one post where it belongs, and record that."""
        permit = self.request(grant)
        assert isinstance(permit, Permit), permit
        body = self.arrive(permit, grant.developer)
        self.settle(permit, grant, host_of(grant.developer))
        return body

    def receipt(self, body: Body) -> Any:
        """The developer confirms by its own signature what it received."""
        signer = ReceiptSigner(body.developer, key_of(body.developer), SIGNER.vkey(), Stream())
        made = signer.sign(body.headers, body.received_at_ms)
        self.kept.receipted.add(body.delivery)
        return self._receipts.take([made], body.developer, f"developer:{body.developer}")[0]

    def close_hours(self, held_back: str = "nothing") -> int:
        """The proxy hands in every hour that is over; how many. The operator holds back names that begin so."""
        done = 0
        last = hour_of(self.clock.ms)
        for hour in range(hour_of(STARTED_MS), last, HOUR_MS):
            if hour not in self.kept.closed:
                names = sorted(self.kept.counts.get(hour, {}).items())
                items = list(statements_of(Hour(hour, True, names), PROXY, key_of(PROXY), ORIGIN))
                kept = [name for name, _ in names]
                items = [
                    item
                    for place, item in enumerate(items)
                    if place == len(names) or not kept[place].startswith(held_back)
                ]
                self._counts.take(items, f"proxy:{PROXY}")
                self.kept.closed.add(hour)
                done += 1
        return done

    def plant(self, person: str, developer: str) -> dict[str, str]:
        """Commit to a made-up account of one developer's."""
        name, random = self.new_name("c"), Stream(f"canary {self._number}")
        salt, marker = random.token(32), random.token(32).hex()
        opened = {"account": self.tag(person), "canary": name, "developer": developer, "marker": marker}
        self.append("canary.planted", canary=name, commitment=commit_canary(salt, **opened))
        members = opened | {"salt": salt.hex()}
        self.kept.canaries.append(members)
        return members

    def see(self, canary: Mapping[str, Any], seen_by: str) -> None:
        """A canary turns up at ``seen_by``."""
        self.append("canary.seen", seen_in="report", seen_by=seen_by, **canary)
        self.kept.canaries = [one for one in self.kept.canaries if one["canary"] != canary["canary"]]

    def pass_time(self, minutes: int) -> None:
        """Let time pass, never to stand near the end of an hour, where a count may lie on either side."""
        self.clock.ms += minutes * MINUTE_MS
        if not 3 * MINUTE_MS < self.clock.ms % HOUR_MS < HOUR_MS - 3 * MINUTE_MS:
            self.clock.ms += 8 * MINUTE_MS

    def seal(self) -> None:
        """Seal what is there, with both witnesses; nothing is done where nothing is new."""
        self.sealer.seal()

    def shown(self) -> Shown:
        """The log as an honest operator publishes it now."""
        note = self.store.load_checkpoint()
        assert note is not None, "sealed before it is shown"
        size = int(note.split(b"\n")[1])
        return Shown([row.data for row in self.store.fetch_range(0, size)], note)

    def unsealed(self) -> int:
        """How many entries no checkpoint covers."""
        return self.store.size() - len(self.shown().entries)

    def members(self, seq: int) -> dict[str, Any]:
        """The members of one entry."""
        return dict(decode(next(iter(self.store.fetch_range(seq, seq + 1))).data))
