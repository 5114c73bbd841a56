"""A made-up log with a stated mix of kinds, as drafts for the sequencer; deterministic by seed.

Of every 100 entries after the cast is registered: 44 attempts with their 44 settlements, 8 imported deliveries, 1 refusal and
3 grant events (issued, amended, revoked). Every delivery has one other person in its payload. Parties: one developer with
one app and one endpoint for every 2,000 accounts (at least 20), accounts one for every 50 entries.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ledger.sequencer.draft import AttemptDraft, Draft

START_MS = 1_500_000_000_000
EVENT_TYPES = ("direct_message_events", "tweet_create_events", "favorite_events")
SCOPES = ["direct_messages", "likes", "posts"]
BATCH_MS = 1_000
ENTRIES_PER_ACCOUNT = 50


@dataclass(slots=True)
class TickClock:
    """A clock that a workload moves."""

    ms: int = START_MS

    def now_ms(self) -> int:
        """The workload's time."""
        return self.ms


def tag(number: int) -> str:
    """The tag of account ``number``."""
    return f"a_{(number * 0x9E3779B97F4A7C15F39CC0605CEDC835) % (1 << 128):032x}"


class Workload:
    """``entries`` entries in all; ``batches`` yields them in lists of ``batch`` drafts and moves ``clock`` before each."""

    def __init__(self, entries: int, seed: int = 1) -> None:
        self.accounts = max(100, entries // ENTRIES_PER_ACCOUNT)
        self.developers = max(20, self.accounts // 2_000)
        self.entries = entries
        self.clock = TickClock()
        self._random = random.Random(seed)
        self._serial = 0
        self._grants: list[tuple[str, int, int]] = []
        self._is_cast = False

    def cast(self, origin: str, vkey: str) -> Iterator[Draft]:
        """The log's opening, the parties, and a grant for every account."""
        yield self._draft("ledger.opened", "0", origin=origin, vkey=vkey, rule_set="rules-1", map_fn=1)
        for number in range(self.developers):
            developer, app, endpoint = f"dev-{number}", f"app-{number}", f"wh-{number}"
            host = f"hooks{number}.example"
            yield self._draft("developer.registered", developer, developer=developer)
            yield self._draft("app.registered", app, app=app, developer=developer)
            yield self._draft(
                "endpoint.registered",
                endpoint,
                endpoint=endpoint,
                app=app,
                developer=developer,
                environment="prod",
                url=f"https://{host}/webhooks/twitter",
            )
            yield self._draft(
                "endpoint.verified",
                endpoint,
                endpoint=endpoint,
                app=app,
                developer=developer,
                addresses=[f"203.0.113.{number % 250}"],
                spki_sha256=f"{number:064x}",
            )
        for account in range(self.accounts):
            yield self._draft("account.registered", tag(account), account=tag(account), identity="0" * 64)
            yield self._grant(account)
        self._is_cast = True

    def _draft(self, kind: str, name: str, **members: Any) -> Draft:
        # In a batch after everything that it sends, so that nothing is in flight when a grant ends.
        at = self.clock.ms + (BATCH_MS // 2 if self._is_cast else 0)
        common: dict[str, Any] = {"at": at, "actor": "system:bench", "via": "api"}
        return Draft({**common, "kind": kind, "uid": f"{kind}/{name}", **members})

    def _grant(self, account: int) -> Draft:
        self._serial += 1
        grant, party = f"g-{self._serial}", self._random.randrange(self.developers)
        self._grants.append((grant, account, party))
        return self._draft(
            "grant.issued",
            grant,
            grant=grant,
            account=tag(account),
            developer=f"dev-{party}",
            app=f"app-{party}",
            environment="prod",
            scopes=SCOPES,
        )

    def batches(self, left: int, batch: int) -> Iterator[list[Draft | AttemptDraft]]:
        """``left`` further entries, in lists of ``batch``: attempts, their settlements, imports, refusals, grants."""
        while left > 0:
            count = min(batch, left)
            yield self._batch(count)
            left -= count

    def _batch(self, count: int) -> list[Draft | AttemptDraft]:
        self.clock.ms += BATCH_MS
        items: list[Draft | AttemptDraft] = []
        pairs = count * 44 // 100
        sent = [self._attempt() for _ in range(pairs)]
        items += [attempt for attempt, _ in sent]
        items += [settled for _, settled in sent]
        items += [self._imported() for _ in range(count * 8 // 100)]
        while len(items) < count:
            items.append(self._refused() if len(items) % 4 == 0 else self._grant_event())
        return items

    def _event(self) -> dict[str, Any]:
        grant, account, party = self._grants[self._random.randrange(len(self._grants))]
        self._serial += 1
        return {
            "delivery": f"d-{self._serial}",
            "attempt": 1,
            "event": f"e_{self._random.getrandbits(128):032x}",
            "event_type": EVENT_TYPES[self._serial % 3],
            "account": tag(account),
            "subjects": [tag(self._random.randrange(self.accounts))],
            "grant": grant,
            "party": party,
        }

    def _attempt(self) -> tuple[AttemptDraft, Draft]:
        event = self._event()
        party, at = event.pop("party"), self.clock.ms
        del event["grant"]
        delivery, account, subjects = event["delivery"], event["account"], event["subjects"]
        attempt = AttemptDraft(
            {
                **event,
                "actor": "system:gate",
                "via": "gate",
                "private": True,
                "channel": "push",
                "developer": f"dev-{party}",
                "app": f"app-{party}",
                "environment": "prod",
                "endpoint": f"wh-{party}",
                "payload": f"{self._random.getrandbits(256):064x}",
                "body_bytes": 768,
                "worker": f"w{party % 4}",
            }
        )
        settled = Draft(
            {
                "kind": "delivery.settled",
                "uid": f"delivery.settled/{delivery}/1/transport",
                "at": at,
                "actor": "system:transport",
                "via": "gate",
                "delivery": delivery,
                "attempt": 1,
                "by": "transport",
                "account": account,
                "subjects": subjects,
                "developer": f"dev-{party}",
                "started_at": at + self._serial % 400,
                "ended_at": at + 500,
                "observed": self._observed(party),
                "status": 200,
                "disclosure": "confirmed",
                "worker": f"w{party % 4}",
            },
            intended_endpoint=f"wh-{party}",
        )
        return attempt, settled

    @staticmethod
    def _observed(party: int) -> dict[str, Any]:
        host = f"hooks{party}.example"
        return {
            "host": host,
            "port": 443,
            "path": "/webhooks/twitter",
            "peer_ip": f"203.0.113.{party % 250}",
            "sni": host,
            "spki_sha256": f"{party:064x}",
        }

    def _imported(self) -> Draft:
        event = self._event()
        party, at = event.pop("party"), self.clock.ms
        del event["grant"]
        return Draft(
            {
                **event,
                "kind": "delivery.imported",
                "uid": f"delivery.imported/{event['delivery']}/1",
                "at": at,
                "actor": "system:import",
                "via": "file",
                "private": False,
                "channel": "push",
                "endpoint": f"wh-{party}",
                "started_at": at,
                "ended_at": at + 80,
                "observed": self._observed(party),
                "status": 200,
                "disclosure": "confirmed",
                "worker": f"w{party % 4}",
            },
            live=False,
        )

    def _refused(self) -> AttemptDraft:
        """An attempt by a developer to whom the account granted nothing: the gate turns it into a refusal."""
        attempt, _ = self._attempt()
        other = (int(str(attempt.members["developer"])[4:]) + 1) % self.developers
        wrong = {"developer": f"dev-{other}", "app": f"app-{other}", "endpoint": f"wh-{other}"}
        return AttemptDraft({**attempt.members, **wrong})

    def _grant_event(self) -> Draft:
        account = self._random.randrange(self.accounts)
        if self._random.random() < 0.5 or len(self._grants) < 50:
            return self._grant(account)
        grant, account, party = self._grants.pop(self._random.randrange(len(self._grants)))
        return self._draft(
            "grant.revoked",
            grant,
            grant=grant,
            account=tag(account),
            developer=f"dev-{party}",
            channel="dashboard",
        )
