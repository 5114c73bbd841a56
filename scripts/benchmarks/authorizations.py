"""Authorizations asked for one by one over HTTP: many clients, each waits for its permit before it asks again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.measure import Measured, measured
from benchmarks.served import Served, drive, encode, serving
from ledger.wiring.service import Service

ACCOUNTS = 2_000
DEVELOPERS = 20
GRANTED_AT = "2020-01-01T00:00:00Z"
PAYLOAD_TEXT = "a direct message of the usual length, which nobody but its two sides is to read " * 6
SHAPES = 9


def prepare(service: Service) -> None:
    """Developers with an app and an endpoint each, and a grant of every account to one of them."""
    records: list[dict[str, Any]] = []
    for number in range(DEVELOPERS):
        developer, app = f"dev-{number}", f"app-{number}"
        records += [
            {"kind": "developer.registered", "developer": developer},
            {"kind": "app.registered", "app": app, "developer": developer},
            {
                "kind": "endpoint.registered",
                "endpoint": f"wh-{number}",
                "app": app,
                "environment": "prod",
                "url": f"https://hooks{number}.example/webhooks/twitter",
            },
        ]
    records += [
        {
            "kind": "grant.issued",
            "grant": f"g-{number}",
            "account": str(100_000 + number),
            "developer": f"dev-{number % DEVELOPERS}",
            "app": f"app-{number % DEVELOPERS}",
            "environment": "prod",
            "scopes": ["direct_messages"],
        }
        for number in range(ACCOUNTS)
    ]
    lines = [json.dumps({**record, "at": GRANTED_AT}).encode() for record in records]
    for start in range(0, len(lines), 1_000):
        service.reports.append(lines[start : start + 1_000], "platform:bench")


def asked(number: int) -> bytes:
    """The body of call ``number``: one in :data:`SHAPES` + 1 is about an account that granted nothing to the endpoint."""
    account = number * 7_919 % ACCOUNTS
    endpoint = (account + (number % (SHAPES + 1) == 0)) % DEVELOPERS
    account_id = str(100_000 + account)
    body = encode(
        {
            "for_user_id": account_id,
            "direct_message_events": [{"id": str(number), "message_create": {"text": PAYLOAD_TEXT}}],
        }
    )
    return encode(
        {
            "delivery": f"d-{number}",
            "attempt": 1,
            "event": f"event-{number}",
            "event_type": "direct_message_events",
            "account": account_id,
            "subjects": [account_id, str(100_000 + (account + 1) % ACCOUNTS)],
            "private": True,
            "endpoint": f"wh-{endpoint}",
            "body": body.decode(),
            "worker": f"w{number % 4}",
        }
    )


def measure(scratch: Path, calls: int, clients: int) -> tuple[int, Measured]:
    """``calls`` single authorizations from ``clients`` connections; how many were answered, and what it took."""
    each = max(1, calls // clients)
    with serving(scratch, prepare, ["api"]) as served:
        _warm_up(served, clients)
        path = "/v1/authorizations"
        requests = [
            [served.request(path, asked(number * each + turn)) for turn in range(each)]
            for number in range(clients)
        ]
        cpu = served.cpu_seconds()
        with measured() as result:
            answers = drive(served.port, requests)
        cpu = served.cpu_seconds() - cpu
    assert set(answers.statuses) == {b"200"}, answers.statuses
    done = len(answers.waits)
    result.facts |= {
        "p50_ms": answers.percentile_ms(50),
        "p99_ms": answers.percentile_ms(99),
        "max_ms": answers.percentile_ms(100),
        "service_cpu_us_each": round(1e6 * cpu / done),
        "client_cpu_us_each": round(1e6 * result.cpu_seconds / done),
    }
    return done, result


def _warm_up(served: Served, clients: int) -> None:
    requests = [
        [served.request("/v1/authorizations", asked(10**9 + number * 10 + turn)) for turn in range(10)]
        for number in range(clients)
    ]
    drive(served.port, requests)
