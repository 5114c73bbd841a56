"""Plausible records of a platform's history, deterministic: for tests and measurements of the import.

``make_records(seed, count)`` gives the parties first, then grants and what happened under them in order of time. All
are records that a ledger takes. Some deliveries are wrong on purpose (another developer's destination, after a
revocation, never granted), and ``is_misdelivered`` tells the first class, whose truth the generator knows.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

START_MS = 1_493_596_800_000
"""2017-05-01T00:00:00Z."""

DAY_MS = 86_400_000
PEER_IPS = ("203.0.113.7", "203.0.113.8", "198.51.100.20")
EVENT_SCOPES = {
    "tweet_create_events": "posts",
    "favorite_events": "likes",
    "follow_events": "follows",
    "direct_message_events": "direct_messages",
}

Record = dict[str, Any]


def make_records(
    seed: int, count: int, *, accounts: int | None = None, developers: int = 8
) -> Iterator[Record]:
    """``count`` records: parties, then some 10 in 100 grants and changes of grants, the rest deliveries."""
    history = _History(random.Random(seed), accounts or max(4, count // 20), developers)
    return islice(history.records(), count)


def make_lines(seed: int, count: int, **options: Any) -> bytes:
    """The same as JSON Lines."""
    return b"".join(
        json.dumps(record, separators=(",", ":")).encode() + b"\n"
        for record in make_records(seed, count, **options)
    )


def is_misdelivered(record: Record) -> bool:
    """Whether a delivery was observed at another developer's destination than the intended endpoint's."""
    observed = record.get("observed")
    return observed is not None and observed["host"] != f"{_letter(record['endpoint'])}.example"


def _letter(name: str) -> str:
    return name.rpartition("-")[2]


class _History:
    """One generated history."""

    def __init__(self, chance: random.Random, accounts: int, developers: int) -> None:
        self._chance = chance
        self._accounts = [str(783_000 + number * 7) for number in range(accounts)]
        self._developers = [chr(ord("a") + number) for number in range(min(developers, 26))]
        self._grants: list[tuple[str, str, str, list[str]]] = []
        self._deliveries = 0
        self._now_ms = START_MS + DAY_MS

    def records(self) -> Iterator[Record]:
        """Without end."""
        yield from self._parties()
        while True:
            self._now_ms += self._chance.randrange(1, 60_000)
            roll = self._chance.random()
            if not self._grants or roll < 0.07:
                yield self._issue()
            elif roll < 0.085:
                yield self._amend()
            elif roll < 0.10:
                yield self._revoke()
            else:
                yield self._deliver()

    def _parties(self) -> Iterator[Record]:
        at = "2017-05-01T00:00:00Z"
        for letter in self._developers:
            yield {"kind": "developer.registered", "developer": f"dev-{letter}", "at": at}
            yield {"kind": "app.registered", "app": f"app-{letter}", "developer": f"dev-{letter}", "at": at}
            yield {
                "kind": "endpoint.registered",
                "endpoint": f"wh-{letter}",
                "app": f"app-{letter}",
                "environment": "prod",
                "url": f"https://{letter}.example/webhooks/twitter",
                "at": at,
            }

    def _issue(self) -> Record:
        letter = self._chance.choice(self._developers)
        account = self._chance.choice(self._accounts)
        scopes = self._chance.sample(sorted(EVENT_SCOPES.values()), self._chance.randrange(1, 5))
        grant = f"g-{len(self._grants) + 1}"
        self._grants.append((grant, account, letter, scopes))
        record: Record = {
            "kind": "grant.issued",
            "grant": grant,
            "account": account,
            "developer": f"dev-{letter}",
            "app": f"app-{letter}",
            "environment": "prod",
            "scopes": scopes,
            "at": self._now_ms,
        }
        if self._chance.random() < 0.3:
            record["expires_at"] = self._now_ms + 300 * DAY_MS
        return record

    def _amend(self) -> Record:
        grant, account, _, scopes = self._chance.choice(self._grants)
        narrowed = scopes[: max(1, len(scopes) - 1)]
        return {
            "kind": "grant.amended",
            "grant": grant,
            "account": account,
            "scopes": narrowed,
            "at": self._now_ms,
        }

    def _revoke(self) -> Record:
        grant, *_ = self._chance.choice(self._grants)
        return {"kind": "grant.revoked", "grant": grant, "channel": "dashboard", "at": self._now_ms}

    def _deliver(self) -> Record:
        chance = self._chance
        _, account, letter, scopes = chance.choice(self._grants)
        event_type = chance.choice([name for name, scope in EVENT_SCOPES.items() if scope in scopes])
        host = letter if chance.random() > 0.005 else chance.choice(self._developers)
        self._deliveries += 1
        subjects = chance.sample(self._accounts, chance.choice((0, 1, 1, 2)))
        return {
            "kind": "delivery.imported",
            "delivery": f"d-{self._deliveries}",
            "event": f"e-{self._deliveries}",
            "event_type": event_type,
            "account": account,
            "subjects": subjects,
            "private": event_type == "direct_message_events",
            "endpoint": f"wh-{letter}",
            "attempt": 1,
            "started_at": self._now_ms,
            "ended_at": self._now_ms + 120,
            "worker": f"w{chance.randrange(4)}",
            "resolved_ip": PEER_IPS[0],
            "observed": {
                "host": f"{host}.example",
                "port": 443,
                "path": "/webhooks/twitter",
                "peer_ip": PEER_IPS[0],
                "sni": f"{host}.example",
                "signing_app": f"app-{letter}",
            },
            "status": 200,
            "disclosure": "confirmed",
        }
