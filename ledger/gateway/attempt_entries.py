"""What the path of a parcel writes: drafts of its entries, and what becomes of it (ledger format, 1.5; protocol, 3.5).

Pure: values in, drafts and changes out. One attempt is one pair of entries, and the parcel moves with the second, in its
transaction::

    delivery.attempted ─► delivery.settled by transport ─► delivered
            │                     │                     └► waiting with the next attempt, or dead
            │                     └ called off: waiting with the next attempt, due at once
            └─► delivery.settled by rescuer             ─► waiting with the next attempt, or dead
    delivery.refused                                    ─► refused

So a parcel that still waits with an attempt that the log has decided is one whose attempt nobody has settled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from ledger.core.body_bytes import rounded_body_bytes
from ledger.core.canonical import JsonValue
from ledger.core.retry import is_delivered, next_attempt_at_ms
from ledger.ports import Change, Permit
from ledger.ports.outbox import AttemptNote, AttemptOutcome, Leased, Outbox, Parcel
from ledger.ports.sending import ObservedDelivery
from ledger.sequencer.draft import AttemptDraft, Draft
from ledger.sequencer.instants import SEND_WINDOW_MS

ACTOR = "system:dispatcher"
RESCUER = "system:rescuer"
DELIVERY_DIGITS = 32

STATUSES = range(100, 600)
"""What an entry can hold as a status."""

CALLED_OFF_MAX = 100
"""From this attempt on a parcel that is called off counts as failed: something is wrong, and it must end."""

TOO_LATE_WAIT_MS = 1_000

CALLED_OFF = "called off before the first byte: the grant was restricted"


class AttemptedEntry(msgspec.Struct, frozen=True, gc=False):
    """What of a ``delivery.attempted`` its settlement repeats, read from the entry's bytes."""

    kind: str
    seq: int
    recorded_at: int
    actor: str
    delivery: str
    attempt: int
    event_type: str
    account: str
    subjects: list[str]
    developer: str
    app: str
    endpoint: str
    worker: str | None = None
    replay: str | None = None


class Settlement(NamedTuple):
    """The draft that settles an attempt, and the note that becomes durable with it."""

    draft: Draft
    note: AttemptNote


def delivery_id(event: str, webhook: str, replay: str | None = None) -> str:
    """The id of the delivery of ``event`` (a tag) to ``webhook``, another one for each ``replay``: always the same."""
    told = f"{event}|{webhook}" if replay is None else f"{event}|{webhook}|{replay}"
    return "d-" + hashlib.sha256(told.encode()).hexdigest()[:DELIVERY_DIGITS]


def body_context(event: str) -> str:
    """What the body of ``event`` (its tag) is sealed as."""
    return f"event/{event}"


def attempt_uid(delivery: str, attempt: int) -> str:
    """The uid of ``delivery.attempted``, which its payload's commitment hangs on."""
    return f"delivery.attempted/{delivery}/{attempt}"


def draft_attempt(leased: Leased, payload: str, worker: str) -> AttemptDraft:
    """The request to send ``leased``; ``payload`` is the commitment to the body."""
    parcel, held = leased.parcel, leased.held
    members: dict[str, JsonValue] = {
        "delivery": parcel.delivery,
        "attempt": parcel.attempt,
        "event": parcel.event,
        "event_type": held.event_type,
        "private": held.is_private,
        "channel": "push",
        "account": parcel.account,
        "subjects": list(held.subjects),
        "developer": parcel.developer,
        "app": parcel.app,
        "environment": parcel.environment,
        "endpoint": parcel.webhook,
        "payload": payload,
        "body_bytes": rounded_body_bytes(held.body_bytes),
        "worker": worker,
        "actor": ACTOR,
        "via": "gate",
    }
    if parcel.subscription is not None:
        members["subscription"] = parcel.subscription
    if parcel.replay is not None:
        members["replay"] = parcel.replay
    # All of it is the service's own, or was checked when the event was taken in.
    return AttemptDraft(members, is_checked=True)


def note_on(
    leased: Leased,
    outcome: AttemptOutcome,
    at_ms: int,
    *,
    seq: int | None = None,
    status: int | None = None,
    duration_ms: int | None = None,
    reason: str | None = None,
) -> AttemptNote:
    """What the developer may see of the attempt of ``leased``."""
    parcel = leased.parcel
    return AttemptNote(
        parcel.delivery,
        parcel.attempt,
        parcel.webhook,
        parcel.app,
        leased.held.event_type,
        at_ms,
        outcome,
        status,
        duration_ms,
        reason,
        seq,
        parcel.replay,
    )


def settle_sent(
    leased: Leased,
    permit: Permit,
    seen: ObservedDelivery,
    *,
    signing_app: str,
    worker: str,
    waits_ms: Sequence[int],
    is_restricted: bool,
    outbox: Outbox,
) -> Settlement:
    """The settlement by the transport, which saw ``seen``; ``is_restricted`` says that a restriction called it off.

    What was called off is no failure of the developer's and asks the gate anew: at once after a restriction, which the
    gate then knows of, and after a second where the permit had ended before everything was ready.
    """
    parcel = leased.parcel
    # A host clock that went back must not date a byte before the entry that let it leave.
    started_at_ms = max(seen.started_at_ms, permit.send_before_ms - SEND_WINDOW_MS)
    ended_at_ms = max(started_at_ms, seen.ended_at_ms)
    is_success = is_delivered(seen.status)
    note = note_on(
        leased,
        "delivered" if is_success else "failed",
        started_at_ms,
        seq=permit.seq,
        status=seen.status,
        duration_ms=ended_at_ms - started_at_ms,
        reason=CALLED_OFF if seen.is_called_off and is_restricted else None if is_success else seen.error,
    )
    if is_success:
        moved = outbox.end(parcel.delivery, parcel.attempt, "delivered")
    elif seen.is_called_off and parcel.attempt < CALLED_OFF_MAX:
        due_at_ms = ended_at_ms + (0 if is_restricted else TOO_LATE_WAIT_MS)
        moved = outbox.retry(parcel.delivery, parcel.attempt, due_at_ms)
    else:
        moved = move_on(outbox, parcel.delivery, parcel.attempt, ended_at_ms, waits_ms)
    members: dict[str, JsonValue] = {
        **_settled(parcel, "transport", started_at_ms),
        "subjects": list(leased.held.subjects),
        "ended_at": ended_at_ms,
        "observed": _observed(seen, signing_app),
        "disclosure": seen.disclosure,
        "worker": worker,
        "actor": ACTOR,
    }
    if seen.status is not None and seen.status in STATUSES:
        # A server may say what no status is; that it has answered stands in the disclosure.
        members["status"] = seen.status
    changes = (moved, outbox.note(note))
    return Settlement(Draft(members, intended_endpoint=parcel.webhook, changes=changes), note)


def settle_unseen(attempted: AttemptedEntry, waits_ms: Sequence[int], outbox: Outbox) -> Settlement:
    """The settlement of an attempt that nobody saw the end of: the body may have been sent, when it was recorded."""
    note = AttemptNote(
        attempted.delivery,
        attempted.attempt,
        attempted.endpoint,
        attempted.app,
        attempted.event_type,
        attempted.recorded_at,
        "unknown",
        None,
        None,
        "nobody saw how it ended; the body may have been sent",
        attempted.seq,
        attempted.replay,
    )
    members: dict[str, JsonValue] = {
        "kind": "delivery.settled",
        "uid": f"delivery.settled/{attempted.delivery}/{attempted.attempt}/rescuer",
        "via": "gate",
        "delivery": attempted.delivery,
        "attempt": attempted.attempt,
        "by": "rescuer",
        "account": attempted.account,
        "subjects": list[JsonValue](attempted.subjects),
        "developer": attempted.developer,
        "started_at": attempted.recorded_at,
        "disclosure": "possible",
        "actor": RESCUER,
    }
    if attempted.worker is not None:
        members["worker"] = attempted.worker
    # It has waited long enough already: what comes next is due from when it was recorded on.
    moved = move_on(outbox, attempted.delivery, attempted.attempt, attempted.recorded_at, waits_ms)
    changes = (moved, outbox.note(note))
    return Settlement(Draft(members, intended_endpoint=attempted.endpoint, changes=changes), note)


def move_on(outbox: Outbox, delivery: str, attempt: int, ended_at_ms: int, waits_ms: Sequence[int]) -> Change:
    """What becomes of a parcel whose ``attempt`` failed: the next one by the schedule, or the dead letters."""
    due_at_ms = next_attempt_at_ms(attempt, ended_at_ms, waits_ms)
    if due_at_ms is None:
        return outbox.end(delivery, attempt, "dead")
    return outbox.retry(delivery, attempt, due_at_ms)


def _settled(parcel: Parcel, by: str, started_at_ms: int) -> dict[str, JsonValue]:
    return {
        "kind": "delivery.settled",
        "uid": f"delivery.settled/{parcel.delivery}/{parcel.attempt}/{by}",
        "via": "gate",
        "delivery": parcel.delivery,
        "attempt": parcel.attempt,
        "by": by,
        "account": parcel.account,
        "developer": parcel.developer,
        "started_at": started_at_ms,
    }


def _observed(seen: ObservedDelivery, signing_app: str) -> dict[str, JsonValue]:
    observed: dict[str, JsonValue] = {
        "host": seen.host,
        "port": seen.port,
        "path": seen.path,
        "signing_app": signing_app,
    }
    if seen.sni is not None:
        observed["sni"] = seen.sni
    if seen.peer_ip is not None:
        observed["peer_ip"] = seen.peer_ip
    if seen.spki_sha256 is not None:
        observed["spki_sha256"] = seen.spki_sha256
    return observed
