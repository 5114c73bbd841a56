"""Records handed in over HTTP in batches of a thousand: deliveries that were made, of accounts that the ledger knows."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.authorizations import ACCOUNTS, DEVELOPERS, prepare
from benchmarks.measure import Measured, measured
from benchmarks.served import drive, encode, serving

BATCH = 1_000
CLIENTS = 4
START_MS = 1_600_000_000_000
TAKEN = b'"status":"appended"'


def record(number: int) -> bytes:
    """Delivery ``number``, by its intended endpoint's developer, as that one's dispatcher would report it."""
    account = number * 7_919 % ACCOUNTS
    developer = account % DEVELOPERS
    started_at = START_MS + number
    host = f"hooks{developer}.example"
    return encode(
        {
            "kind": "delivery.imported",
            "delivery": f"d-{number}",
            "attempt": 1,
            "event": f"event-{number}",
            "event_type": "direct_message_events",
            "account": str(100_000 + account),
            "subjects": [str(100_000 + account), str(100_000 + (account + 1) % ACCOUNTS)],
            "private": True,
            "endpoint": f"wh-{developer}",
            "started_at": started_at,
            "ended_at": started_at + 120,
            "worker": f"w{number % 4}",
            "observed": {
                "host": host,
                "port": 443,
                "path": "/webhooks/twitter",
                "peer_ip": f"203.0.113.{developer}",
                "sni": host,
            },
            "status": 200,
        }
    )


def batch(number: int) -> bytes:
    """The body of batch ``number``, an array."""
    return b"[" + b",".join(record(number * BATCH + place) for place in range(BATCH)) + b"]"


def measure(scratch: Path, records: int, clients: int) -> tuple[int, Measured]:
    """About ``records`` records from ``clients`` connections; how many are durable, and what it took."""
    each = max(1, records // BATCH // clients)
    with serving(scratch, prepare, ["api"]) as served:
        path = "/v1/records"
        # Once for each connection beforehand, so that what is read the first time only is not measured.
        drive(served.port, [[served.request(path, batch(10**6 + number))] for number in range(clients)])
        requests = [
            [served.request(path, batch(number * each + turn)) for turn in range(each)]
            for number in range(clients)
        ]
        cpu = served.cpu_seconds()
        with measured() as result:
            answers = drive(served.port, requests, keep_bodies=True)
        cpu = served.cpu_seconds() - cpu
    assert set(answers.statuses) == {b"200"}, answers.statuses
    done = sum(body.count(TAKEN) for body in answers.bodies)
    assert done == each * clients * BATCH, json.loads(answers.bodies[0])["results"][:3]
    result.facts |= {
        "p50_ms": answers.percentile_ms(50),
        "max_ms": answers.percentile_ms(100),
        "service_cpu_us_each": round(1e6 * cpu / done, 1),
    }
    return done, result
