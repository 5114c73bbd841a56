"""Leasing parcels, fairly and to one at a time, in SQL (delivery protocol, section 3.5).

A webhook's waiting parcels are one run of the index ``ix_service_parcels_waiting``, so a claim never scans what waits. It
steps from one webhook to the next, a seek each, looks at the head of each queue, and takes from those with the oldest
heads: as many queues as it wants parcels are enough, because the oldest parcels of all lie in them. What it costs grows with
the number of webhooks that have something waiting, not with how much waits.

A lease is a time in the parcel's row; who holds one now is skipped, and there are few of them. No two get the same parcel:
on SQLite a claim holds the write lock, on PostgreSQL it locks the rows it takes and passes by those that others have locked,
so it waits for nobody. Where the process dies before the commit there was no lease; where it dies after, the lease runs out
and somebody else asks about the same attempt again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Engine, text

from ledger.ports.outbox import HeldEvent, Leased, Parcel
from ledger.store.engine import begin_write
from ledger.store.statements import asked, columns_of, decode_texts, each_of, is_storable

PARCEL_COLUMNS = tuple(field.name for field in fields(Parcel))
"""A parcel's row has its members under their names, in their order."""
PARCEL = columns_of(Parcel)
_DUE = PARCEL_COLUMNS.index("due_at_ms")
_HELD = "subjects, event_type, is_private, received_at_ms, body_sealed, body_bytes, content"

_FREE = "state = 'waiting' AND webhook = {webhook} AND due_at_ms <= :now_ms AND lease_until_ms <= :now_ms"

_QUEUES = f"""
WITH RECURSIVE queues (webhook) AS (
    SELECT MIN(webhook) FROM service_parcels WHERE state = 'waiting'
    UNION ALL
    SELECT (SELECT MIN(webhook) FROM service_parcels WHERE state = 'waiting' AND webhook > queues.webhook)
    FROM queues WHERE queues.webhook IS NOT NULL
),
busy (webhook, parcels) AS MATERIALIZED ({{busy}}),
heads (webhook, room, due_at_ms) AS MATERIALIZED (
    SELECT queues.webhook, :per_webhook_max - COALESCE(busy.parcels, 0),
        (SELECT due_at_ms FROM service_parcels WHERE {_FREE.format(webhook="queues.webhook")}
            ORDER BY due_at_ms LIMIT 1)
    FROM queues CROSS JOIN service_webhooks AS target LEFT JOIN busy ON busy.webhook = queues.webhook
    WHERE target.webhook = queues.webhook AND target.is_valid AND target.deleted_at_ms IS NULL
        AND COALESCE(busy.parcels, 0) < :per_webhook_max
),
oldest (webhook, room) AS (
    SELECT webhook, room FROM heads WHERE due_at_ms IS NOT NULL ORDER BY due_at_ms LIMIT :count_max
),
"""

# SQLite knows no limit that depends on a row, so the places in each queue are counted afterwards.
_FIND_SQLITE = f"""{_QUEUES.format(busy="SELECT key, value FROM json_each(:busy)")}
found (number, due_at_ms, room, place) AS (
    SELECT parcels.number, parcels.due_at_ms, oldest.room,
        ROW_NUMBER() OVER (PARTITION BY oldest.webhook ORDER BY parcels.due_at_ms, parcels.number)
    FROM oldest CROSS JOIN service_parcels AS parcels ON parcels.number IN (
        SELECT number FROM service_parcels WHERE {_FREE.format(webhook="oldest.webhook")}
        ORDER BY due_at_ms, number LIMIT :per_webhook_max)
),
taken (taken_number) AS (
    SELECT number FROM found WHERE place <= room ORDER BY due_at_ms, number LIMIT :count_max
)
SELECT number, {", ".join("parcels." + name for name in PARCEL_COLUMNS)}, {_HELD}
FROM taken CROSS JOIN service_parcels AS parcels ON parcels.number = taken_number
LEFT JOIN service_events AS held ON held.account = parcels.account AND held.event = parcels.event"""

# A row that somebody leased or ended since this statement began is looked at again when it is locked, and left out.
_FIND_POSTGRESQL = f"""{
    _QUEUES.format(busy="SELECT key, CAST(value AS INTEGER) FROM json_each_text(CAST(:busy AS json))")
}
taken AS (
    SELECT parcels.* FROM oldest CROSS JOIN LATERAL (
        SELECT number, {PARCEL} FROM service_parcels WHERE {_FREE.format(webhook="oldest.webhook")}
        ORDER BY due_at_ms, number LIMIT oldest.room FOR UPDATE SKIP LOCKED) AS parcels
    ORDER BY parcels.due_at_ms, parcels.number LIMIT :count_max
)
SELECT number, {", ".join("taken." + name for name in PARCEL_COLUMNS)}, {_HELD}
FROM taken LEFT JOIN service_events AS held ON held.account = taken.account AND held.event = taken.event"""

FIND = {"sqlite": _FIND_SQLITE, "postgresql": _FIND_POSTGRESQL}
"""By the database's name: what a claim takes, in no order, with the event of each (no ``content`` where it has gone)."""


def skip_locked(engine: Engine) -> str:
    """SQL that locks the rows it finds and passes by those that others have locked; SQLite locks all at once."""
    return "FOR UPDATE SKIP LOCKED" if engine.dialect.name == "postgresql" else ""


class Claims:
    """Claiming and giving back; part of :class:`ledger.store.outbox.SqlOutbox`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._find = text(FIND[engine.dialect.name])
        numbers = f"number IN (SELECT CAST(asked.value AS BIGINT) FROM {asked(engine, 'numbers')})"
        self._lease = text(
            f"UPDATE service_parcels SET lease_owner = :owner, lease_until_ms = :until_ms WHERE {numbers}"
        )
        self._end_gone = text(f"UPDATE service_parcels SET state = 'expired' WHERE {numbers}")
        self._release = text(
            "UPDATE service_parcels SET lease_owner = '', lease_until_ms = 0 WHERE number IN ("
            f"SELECT number FROM service_parcels WHERE delivery IN (SELECT asked.value FROM {asked(engine, 'deliveries')}) "
            f"AND state = 'waiting' AND lease_owner = :owner {skip_locked(engine)})"
        )

    def claim(
        self,
        owner: str,
        now_ms: int,
        lease_ms: int,
        count_max: int,
        per_webhook_max: int,
        busy: Mapping[str, int],
    ) -> Sequence[Leased]:
        """See :meth:`ledger.ports.outbox.Outbox.claim`."""
        values = {
            "now_ms": now_ms,
            "count_max": count_max,
            "per_webhook_max": per_webhook_max,
            "busy": json.dumps({name: count for name, count in busy.items() if is_storable(name)}),
        }
        until_ms = now_ms + lease_ms
        while True:
            with begin_write(self._engine, "claiming parcels") as connection:
                rows = connection.execute(self._find, values).fetchall()
                # Put in order here: a database would move the bodies along.
                there = sorted((row for row in rows if row[-1] is not None), key=_place)
                gone = [row[0] for row in rows if row[-1] is None]
                if there:
                    numbers = json.dumps([row[0] for row in there])
                    connection.execute(
                        self._lease, {"owner": owner, "until_ms": until_ms, "numbers": numbers}
                    )
                if gone:
                    # Its event was deleted while it was locked by somebody: there is nothing left to send.
                    connection.execute(self._end_gone, {"numbers": json.dumps(gone)})
            if there or not gone:
                return [_leased(row, until_ms) for row in there]

    def release(self, deliveries: Collection[str], owner: str) -> None:
        """See :meth:`ledger.ports.outbox.Outbox.release`."""
        with begin_write(self._engine, "giving parcels back") as connection:
            connection.execute(self._release, {"deliveries": each_of(deliveries), "owner": owner})


def _place(row: Any) -> tuple[int, int]:
    return row[1 + _DUE], row[0]


def _leased(row: Any, until_ms: int) -> Leased:
    parcel = Parcel(*row[1 : 1 + len(PARCEL_COLUMNS)])
    subjects, event_type, is_private, received_at_ms, body_sealed, body_bytes, content = row[
        1 + len(PARCEL_COLUMNS) :
    ]
    held = HeldEvent(
        parcel.event,
        parcel.account,
        decode_texts(subjects),
        event_type,
        bool(is_private),
        received_at_ms,
        body_sealed,
        body_bytes,
        content,
    )
    return Leased(parcel, held, until_ms)
