"""One good record of every kind that a platform may state, in an order in which a ledger takes them."""

from __future__ import annotations

from typing import Any

AT = "2017-05-01T00:00:00Z"
AT_MS = 1_493_596_800_000

DELIVERY: dict[str, Any] = {
    "kind": "delivery.imported",
    "delivery": "d-1",
    "event": "e-1",
    "event_type": "direct_message_events",
    "account": "783214",
    "subjects": ["5550001"],
    "private": True,
    "endpoint": "wh-1",
    "attempt": 1,
    "started_at": "2017-06-01T12:00:00.000Z",
    "ended_at": "2017-06-01T12:00:00.120Z",
    "worker": "w3",
    "resolved_ip": "203.0.113.7",
    "observed": {
        "host": "b.example",
        "port": 443,
        "path": "/webhooks/twitter",
        "peer_ip": "203.0.113.7",
        "sni": "b.example",
        "signing_app": "app-a1",
    },
    "status": 200,
    "disclosure": "confirmed",
}

GRANT: dict[str, Any] = {
    "kind": "grant.issued",
    "grant": "g-1",
    "account": "783214",
    "developer": "dev-a",
    "app": "app-a1",
    "environment": "prod",
    "scopes": ["posts", "direct_messages"],
    "expires_at": "2018-05-01T00:00:00Z",
    "at": "2017-05-02T08:00:00Z",
}

SAMPLES: tuple[dict[str, Any], ...] = (
    {"kind": "developer.registered", "developer": "dev-a", "at": AT},
    {"kind": "developer.registered", "developer": "dev-b", "at": AT},
    {"kind": "app.registered", "app": "app-a1", "developer": "dev-a", "at": AT},
    {"kind": "app.registered", "app": "app-b1", "developer": "dev-b", "at": AT},
    {
        "kind": "endpoint.registered",
        "endpoint": "wh-1",
        "app": "app-a1",
        "environment": "prod",
        "url": "https://a.example/webhooks/twitter",
        "at": AT,
    },
    {
        "kind": "endpoint.verified",
        "endpoint": "wh-1",
        "addresses": ["203.0.113.8", "203.0.113.7"],
        "spki_sha256": "ab" * 32,
        "latency_ms": 12,
        "at": AT,
    },
    {"kind": "endpoint.failed", "endpoint": "wh-1", "reason": "timeout", "at": AT},
    {"kind": "account.registered", "account": "783214", "at": AT},
    GRANT,
    {"kind": "subscription.created", "subscription": "s-1", "grant": "g-1", "endpoint": "wh-1", "at": AT},
    {"kind": "grant.amended", "grant": "g-1", "scopes": ["posts"], "at": "2017-09-01T00:00:00Z"},
    {"kind": "grant.suspended", "grant": "g-1", "reason": "review", "at": "2017-10-01T00:00:00Z"},
    {"kind": "grant.resumed", "grant": "g-1", "account": "783214", "at": "2017-10-02T00:00:00Z"},
    DELIVERY,
    {
        "kind": "replay.requested",
        "replay": "r-1",
        "endpoint": "wh-1",
        "from_at": AT,
        "to_at": 1_493_600_000_000,
        "at": AT,
    },
    {
        "kind": "processor.declared",
        "developer": "dev-a",
        "processor": "dev-b",
        "until": "2018-01-01T00:00:00Z",
        "at": AT,
    },
    {"kind": "developer.key_set", "developer": "dev-b", "key": "ab" * 32, "purpose": "receipts", "at": AT},
    {"kind": "developer.suspended", "developer": "dev-b", "at": "2017-11-01T00:00:00Z"},
    {"kind": "developer.reinstated", "developer": "dev-b", "at": "2017-11-02T00:00:00Z"},
    {"kind": "app.suspended", "app": "app-a1", "at": "2017-11-01T00:00:00Z"},
    {"kind": "app.reinstated", "app": "app-a1", "at": "2017-11-02T00:00:00Z"},
    {
        "kind": "endpoint.transferred",
        "endpoint": "wh-1",
        "app": "app-b1",
        "environment": "dev",
        "at": "2017-12-01T00:00:00Z",
    },
    {"kind": "app.transferred", "app": "app-a1", "developer": "dev-b", "at": "2017-12-02T00:00:00Z"},
    {"kind": "account.suspended", "account": "783214", "at": "2017-12-03T00:00:00Z"},
    {"kind": "account.reactivated", "account": "783214", "at": "2017-12-04T00:00:00Z"},
    {"kind": "subscription.deleted", "subscription": "s-1", "at": "2018-01-01T00:00:00Z"},
    {"kind": "grant.revoked", "grant": "g-1", "channel": "dashboard", "at": "2018-01-01T00:00:00Z"},
    {"kind": "grant.invalidated", "grant": "g-1", "at": "2018-01-02T00:00:00Z"},
    {"kind": "endpoint.retired", "endpoint": "wh-1", "at": "2018-01-03T00:00:00Z"},
    {"kind": "account.deleted", "account": "783214", "at": "2018-01-04T00:00:00Z"},
)
