"""A platform that calls the ledger's own API: its key, and parties of its own for each test."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from ledger.gateway.tokens import Issuing
from ledger.ports.credentials import Role
from tests.support.service_world import ServiceWorld

AT = "2020-01-01T00:00:00Z"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Granted:
    """An account that lets an app have its posts, and the app's endpoint; ``number`` tells tests apart."""

    number: int
    account: str
    other: str
    developer: str
    app: str
    endpoint: str
    grant: str

    def asked(self, **members: Any) -> dict[str, Any]:
        """What to ask about a post on its way to the endpoint; a member that is None is left out."""
        stated = {
            "delivery": f"d-{self.number}",
            "attempt": 1,
            "event": f"event-{self.number}",
            "event_type": "tweet_create_events",
            "account": self.account,
            "subjects": [self.other],
            "private": False,
            "endpoint": self.endpoint,
            "body": f'{{"for_user_id":"{self.account}"}}',
            **members,
        }
        return {name: value for name, value in stated.items() if value is not None}

    def delivered(self, **members: Any) -> dict[str, Any]:
        """The record of what :meth:`asked` asks about, after it was made."""
        stated = self.asked(body=None) | {
            "kind": "delivery.imported",
            "started_at": "2020-01-02T00:00:00.010Z",
            "observed": {
                "host": f"h{self.number}.example",
                "port": 443,
                "path": "/hook",
                "sni": f"h{self.number}.example",
            },
            "status": 200,
            **members,
        }
        return {name: value for name, value in stated.items() if value is not None}

    def revoked(self) -> dict[str, Any]:
        """The record of the account's withdrawal, from now on."""
        return {"kind": "grant.revoked", "grant": self.grant}


@dataclass(frozen=True)
class Platform:
    """Calls with one API key."""

    world: ServiceWorld
    client: httpx.Client
    key: str

    def post(self, path: str, json: Any, **headers: str) -> httpx.Response:
        return self.client.post(path, json=json, headers=self.headers(**headers))

    def send(self, path: str, content: bytes, content_type: str, **headers: str) -> httpx.Response:
        return self.client.post(
            path, content=content, headers=self.headers(content_type=content_type, **headers)
        )

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.client.get(path, params=params, headers=self.headers())

    def headers(self, **headers: str) -> Mapping[str, str]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return {"authorization": f"Bearer {self.key}", **named}

    def entry(self, seq: int) -> dict[str, Any]:
        """The members of one entry, read from the log."""
        import json

        (row,) = self.world.service.ledger.store.fetch_range(seq, seq + 1)
        members: dict[str, Any] = json.loads(row.data)
        return members

    def grant(self) -> Granted:
        """New parties, by records, as a platform hands them in."""
        number = next(_numbers)
        made = Granted(
            number,
            f"9{number:06d}",
            f"8{number:06d}",
            f"dev-{number}",
            f"app-{number}",
            f"wh-{number}",
            f"g-{number}",
        )
        records: list[dict[str, Any]] = [
            {"kind": "developer.registered", "developer": made.developer},
            {"kind": "app.registered", "app": made.app, "developer": made.developer},
            {
                "kind": "endpoint.registered",
                "endpoint": made.endpoint,
                "app": made.app,
                "environment": "prod",
                "url": f"https://h{number}.example/hook",
            },
            {"kind": "endpoint.verified", "endpoint": made.endpoint},
            {
                "kind": "grant.issued",
                "grant": made.grant,
                "account": made.account,
                "developer": made.developer,
                "app": made.app,
                "environment": "prod",
                "scopes": ["posts"],
            },
        ]
        response = self.post("/v1/records", [{**record, "at": AT} for record in records])
        assert response.status_code == 200, response.text
        assert [result["status"] for result in response.json()["results"]] == ["appended"] * 5, response.text
        return made


def issuing(world: ServiceWorld) -> Issuing:
    """What gives out keys of ``world``."""
    service = world.service
    return Issuing(
        credentials=service.credentials,
        sealing=service.sealing,
        clock=service.clock,
        randomness=service.randomness,
    )


def with_key(world: ServiceWorld, client: httpx.Client, role: Role, subject: str = "") -> Platform:
    """Calls with a new API key of ``role``."""
    return Platform(world, client, issuing(world).issue_key(role, subject).text)
