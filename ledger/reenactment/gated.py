"""The gate of a reenactment that keeps a ledger: nothing leaves without a permit (ledger format, section 1.5).

What happens on the platform is appended live, on the virtual clock. Every attempt, retries and replays included, is
first requested of the sequencer, which appends ``delivery.attempted`` and gives a permit, or ``delivery.refused``. What
became of it, read from the connection, is appended as ``delivery.settled`` when it has ended.

An event is tried with every webhook whose app the account ever subscribed in that environment. Whether the grant still
lives and covers the event is not looked at before: that is the gate's to answer, and each "no" is an entry.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ledger.core.body_bytes import rounded_body_bytes
from ledger.core.canonical import JsonValue
from ledger.core.uids import default_uid
from ledger.ingest.drafts import Drafter
from ledger.ingest.records import RecordReader
from ledger.ports import Subject
from ledger.ports.permit import Permit, Refused
from ledger.reenactment.dispatcher import Sent
from ledger.reenactment.player import observed_members
from ledger.reenactment.subscriptions import Intent
from ledger.reenactment.traffic import Event
from ledger.reenactment.world import Webhook, World
from ledger.sequencer.draft import AttemptDraft, Draft, Rejection, expect
from ledger.vault.commitments import SubjectCommitments
from ledger.wiring import Ledger

ACTOR = "system:dispatcher"
PLATFORM = "system:platform"


class LedgerGate:
    """A :class:`~ledger.reenactment.subscriptions.Gate` that writes everything to ``ledger``, whose clock is virtual.

    ``requested`` counts the attempts that were asked for, ``refusals`` those that were refused, by code, and
    ``settled`` those that were sent and have ended.
    """

    def __init__(self, world: World, ledger: Ledger) -> None:
        """Give everybody in ``world`` a tag; who is in no entry stays in the vault alone."""
        self._world = world
        self._sequencer = ledger.sequencer
        self._commitments = SubjectCommitments()
        self._drafter = Drafter(self._commitments, actor=PLATFORM, live=True)
        self._reader = RecordReader(at_required=False)
        everybody = [person.person for person in (*world.accounts, *world.people)]
        self._subjects: dict[str, Subject] = ledger.vault.subjects_of(everybody)
        self._registered: set[str] = set()
        self._subscribed: set[tuple[str, str, str]] = set()
        self._permits: dict[tuple[str, int], Permit] = {}
        self.requested = 0
        self.settled = 0
        self.refusals: Counter[str] = Counter()

    def note(self, record: Mapping[str, Any], at_ms: int) -> None:
        """Append ``record``; deliveries are passed over, because this gate writes its own entries of them."""
        if record["kind"] == "delivery.imported":
            return
        read = self._reader.read(record)
        drafts = [*self._register(read.people), self._drafter.draft(read, self._subjects)]
        for outcome in self._sequencer.append_many(drafts):
            expect(outcome)
        if read.kind == "grant.issued":
            self._subscribed.add((record["account"], record["app"], record["environment"]))

    def routes(self, event: Event, webhook: Webhook, at_ms: int) -> bool:
        """Whether the account ever subscribed the webhook's app in its environment."""
        return (event.account, webhook.app, webhook.environment) in self._subscribed

    def admits(self, intent: Intent, at_ms: int) -> bool:
        """Ask the sequencer; True with a permit that is kept until the attempt is settled."""
        self.requested += 1
        people = (intent.event.account, *intent.event.subjects)
        items: list[Draft | AttemptDraft] = [*self._register(people), AttemptDraft(self._members(intent))]
        decision = self._sequencer.submit(items).result()[-1]
        if isinstance(decision, Refused):
            self.refusals[decision.code] += 1
            return False
        if isinstance(decision, Rejection):
            raise decision.error()
        assert isinstance(decision, Permit), "each attempt is asked for once"
        assert decision.url == intent.webhook.url, "the permit is for the webhook that was asked about"
        assert at_ms < decision.send_before_ms, "the virtual clock stands while an attempt is sent"
        self._permits[intent.delivery, intent.attempt] = decision
        return True

    def settle(self, intent: Intent, sent: Sent, ended_at_ms: int) -> None:
        """Append what the transport saw of an attempt that had a permit."""
        permit = self._permits.pop((intent.delivery, intent.attempt))
        seen = sent.answer.observed
        members: dict[str, JsonValue] = {
            "delivery": permit.delivery,
            "attempt": permit.attempt,
            "by": "transport",
            **self._tags(intent.event),
            "developer": self._world.developer_of(intent.webhook),
            "started_at": seen.started_at_ms,
            "ended_at": ended_at_ms,
            "observed": observed_members(sent),
            "disclosure": seen.disclosure,
            "worker": sent.worker,
            "actor": ACTOR,
            "via": "gate",
        }
        if seen.status is not None:
            members["status"] = seen.status
        kind = "delivery.settled"
        members |= {"kind": kind, "uid": default_uid(kind, members)}
        expect(self._sequencer.append(Draft(members, intended_endpoint=permit.endpoint)))
        self.settled += 1

    def _register(self, people: Iterable[str]) -> list[Draft]:
        """The registrations of those who are not in the ledger yet."""
        drafts = []
        for person in people:
            if person not in self._registered:
                self._registered.add(person)
                drafts.append(self._drafter.registration(person, self._subjects[person]))
        return drafts

    def _tags(self, event: Event) -> dict[str, JsonValue]:
        subjects: list[JsonValue] = [*sorted(self._subjects[person].tag for person in event.subjects)]
        return {"account": self._subjects[event.account].tag, "subjects": subjects}

    def _members(self, intent: Intent) -> dict[str, JsonValue]:
        event, webhook = intent.event, intent.webhook
        account = self._subjects[event.account]
        members: dict[str, JsonValue] = {
            "delivery": intent.delivery,
            "attempt": intent.attempt,
            "event": self._commitments.event_tag(account, event.event),
            "event_type": event.event_type,
            "private": event.is_private,
            "channel": "push",
            **self._tags(event),
            "developer": self._world.developer_of(webhook),
            "app": webhook.app,
            "environment": webhook.environment,
            "endpoint": webhook.endpoint,
            "body_bytes": rounded_body_bytes(len(event.body)),
            "actor": ACTOR,
            "via": "gate",
        }
        if intent.replay is not None:
            members["replay"] = intent.replay
        uid = default_uid("delivery.attempted", members)
        members["payload"] = self._commitments.commit(account, uid, "payload", event.body)
        return members
