"""One delivery that goes astray: the faulty dispatcher of 2018, for a single request (delivery protocol, section 3.7).

The event is permitted for one developer, by the gate, with an entry. What sends it keeps prepared destinations by address,
port and path, and the other developer's was there first: so the body goes, over a real connection, to the other one's
server, signed for it. Then the log is told what the kind of the drill says:

::

    observed     delivery.attempted   delivery.settled with what was read off the connection
    lie          delivery.attempted   delivery.settled with where it was meant to go
    unrecorded   nothing              nothing

The entries go through the sequencer, drawn up by what draws them up for real deliveries. The event never enters the
outbox: whatever else delivers for this log does not see it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ledger.drill.kinds import Kind
from ledger.drill.parties import ACTOR, ENVIRONMENT, Cast, Side
from ledger.drill.receiving import LOOPBACK
from ledger.errors import StoreError
from ledger.gateway.attempt_entries import attempt_uid, draft_attempt, settle_sent
from ledger.gateway.offered import NotAccepted, OfferedEvent, read_event
from ledger.ports import Permit
from ledger.ports.outbox import HeldEvent, Leased, Parcel
from ledger.ports.sending import ObservedDelivery
from ledger.sequencer.draft import Decision, expect
from ledger.transport.https import Destination, HttpsTransport
from ledger.transport.tls import client_context
from ledger.wiring.service import Service

WORKER = "drill"
DELIVERY_BYTES = 12


@dataclass(frozen=True, slots=True)
class Astray:
    """A delivery that went to the wrong developer.

    ``first_byte_s`` is when its first byte left, by this process's stopwatch; ``seqs`` are its entries, as far as there are
    any, and ``seen`` is where it really went.
    """

    delivery: str
    first_byte_s: float
    first_byte_at_ms: int
    seen: ObservedDelivery
    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Prepared:
    destination: Destination
    side: Side


class _ByAddress:
    """Prepared destinations, found by address, port and path; the first writer wins. This is the fault."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int, str], _Prepared] = {}

    def prepare(self, side: Side) -> _Prepared:
        receiver = side.receiver
        path = side.webhook.url.partition(receiver.host)[2]
        right = Destination(receiver.host, 443, path, LOOPBACK, receiver.port)
        return self._kept.setdefault((right.address, right.port, right.path), _Prepared(right, side))


def make_event(cast: Cast, link: str, now_ms: int) -> dict[str, Any]:
    """A public post of the drill's account that says what it is, and holds the canary's link."""
    account_id, number = cast.opened.account_id, str(now_ms)
    post = {
        "id_str": number,
        "text": f"grantledger drill, no real data: {link}",
        "user": {"id_str": account_id, "protected": False},
        "entities": {"hashtags": [], "urls": [], "user_mentions": []},
        "timestamp_ms": number,
    }
    return {"for_user_id": account_id, "tweet_create_events": [post]}


def send_astray(service: Service, cast: Cast, kind: Kind, ca_pem: str, link: str) -> Astray:
    """Have an event of the cast's account go to the wrong developer, and tell the log what ``kind`` says.

    Raises LedgerError where the gate does not permit it, or the delivery does not arrive.
    """
    cache = _ByAddress()
    cache.prepare(cast.wrong)
    leased, body = _lease(service, cast, link)
    signing = service.signing
    # Secrets are opened before the permit's second begins.
    sender = signing.sender_of(cache.prepare(cast.meant).side.webhook.webhook)
    transport = HttpsTransport(client_context(ca_pem), service.clock.now_ms)
    try:
        if kind == "unrecorded":
            headers = signing.sign(sender, leased.parcel.delivery, body)
            seen, first_byte_s = _send(transport, cache.prepare(cast.meant), headers, body)
            return Astray(leased.parcel.delivery, first_byte_s, seen.started_at_ms, seen, ())
        permit = _ask(service, leased, body, cast)
        headers = signing.sign_delivery(sender, permit, body)
        seen, first_byte_s = _send(transport, cache.prepare(cast.meant), headers, body)
        told = seen if kind == "observed" else _as_meant(seen, cast.meant)
        settled = _settle(
            service, leased, permit, told, sender.app if kind == "observed" else leased.parcel.app
        )
        return Astray(leased.parcel.delivery, first_byte_s, seen.started_at_ms, seen, (permit.seq, settled))
    finally:
        transport.close()


def _lease(service: Service, cast: Cast, link: str) -> tuple[Leased, bytes]:
    """A parcel of an event of the cast's account to its own developer, as the outbox would hand it out; and the body."""
    now_ms = service.clock.now_ms()
    payload = make_event(cast, link, now_ms)
    read = read_event(OfferedEvent(payload, json.dumps(payload).encode()))
    assert not isinstance(read, NotAccepted), "the event is made here"
    event = service.commitments.event_tag(cast.account, read.event_id)
    held = HeldEvent(
        event=event,
        account=cast.account.tag,
        subjects=(),
        event_type=read.event_type,
        is_private=read.is_private,
        received_at_ms=now_ms,
        body_sealed=b"",
        body_bytes=len(read.body),
        content=b"",
    )
    parcel = Parcel(
        delivery=f"drill-{service.randomness.token(DELIVERY_BYTES).hex()}",
        event=event,
        account=cast.account.tag,
        subscription=cast.subscription.subscription,
        webhook=cast.meant.webhook.webhook,
        app=cast.meant.app.app,
        developer=cast.meant.developer,
        environment=ENVIRONMENT,
        attempt=1,
        due_at_ms=now_ms,
        created_at_ms=now_ms,
    )
    return Leased(parcel, held, now_ms), read.body


def _ask(service: Service, leased: Leased, body: bytes, cast: Cast) -> Permit:
    """The gate's permit to send to whom it is meant for."""
    delivery = leased.parcel.delivery
    payload = service.commitments.commit(cast.account, attempt_uid(delivery, 1), "payload", body)
    draft = draft_attempt(leased, payload, WORKER)
    draft = replace(draft, members={**draft.members, "actor": ACTOR})
    decision: Decision
    (decision,) = service.ledger.sequencer.submit([draft]).result()
    if not isinstance(decision, Permit):
        why = getattr(decision, "code", "it was decided before")
        raise StoreError(f"the gate did not permit the drill's own delivery: {why}")
    return decision


def _send(
    transport: HttpsTransport, prepared: _Prepared, headers: Mapping[str, str], body: bytes
) -> tuple[ObservedDelivery, float]:
    """Send ``body`` where the cache says; what was seen, and when its first byte left by the stopwatch."""
    before_s, before_ms = time.monotonic(), time.time_ns() // 1_000_000
    pool_key = prepared.side.webhook.webhook
    seen = transport.send(pool_key, prepared.destination, "POST", headers, body).observed
    if seen.status != 200:
        raise StoreError(f"the drill's delivery did not arrive: {seen.error or f'status {seen.status}'}")
    return seen, before_s + (seen.started_at_ms - before_ms) / 1_000


def _as_meant(seen: ObservedDelivery, meant: Side) -> ObservedDelivery:
    """What a liar would say was seen: the intended server, with its name and its key."""
    host = meant.receiver.host
    path = meant.webhook.url.partition(host)[2]
    return replace(seen, host=host, sni=host, path=path, spki_sha256=meant.receiver.spki_sha256)


def _settle(
    service: Service, leased: Leased, permit: Permit, told: ObservedDelivery, signing_app: str
) -> int:
    """Append the settlement that says ``told``; its seq."""
    draft = settle_sent(
        leased,
        permit,
        told,
        signing_app=signing_app,
        worker=WORKER,
        waits_ms=(),
        is_restricted=False,
        outbox=service.outbox,
    ).draft
    # No parcel moves with it: there is none.
    draft = replace(draft, members={**draft.members, "actor": ACTOR}, changes=())
    return expect(service.ledger.sequencer.append(draft)).seq
