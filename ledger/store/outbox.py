"""Events that wait to be delivered, in SQL (delivery protocol, section 3.5).

Implements :class:`ledger.ports.outbox.Outbox` on SQLite and PostgreSQL: events and parcels here, leases in
:mod:`ledger.store.claims`, notes of attempts in :mod:`ledger.store.notes`, replays in :mod:`ledger.store.replays`.

Changes that go with an entry wait for parcels in whatever order the batch has them, so nobody else may wait for one while
holding another: what touches many passes by those that are locked (:func:`ledger.store.claims.skip_locked`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from sqlalchemy import Connection, Engine, text

from ledger.ports import Change
from ledger.ports.outbox import HeldEvent, Parcel, ParcelState
from ledger.store.claims import PARCEL, PARCEL_COLUMNS, Claims, skip_locked
from ledger.store.engine import begin_write
from ledger.store.held import HELD_ACCOUNTS
from ledger.store.notes import Notes
from ledger.store.replays import Replays
from ledger.store.service_tables import EventRow, ParcelRow
from ledger.store.statements import (
    ChangeStatement,
    Value,
    asked_pairs,
    bounds_of,
    check_values,
    decode_texts,
    each_pair_of,
    encode_texts,
    fetch,
    is_storable,
    within,
)

EXPIRED_KEPT_MS = 7 * 24 * 3_600_000
"""How long a parcel that was never sent is remembered as expired, its event gone."""

# One statement for ending and trying again, so that the outcomes of many attempts are one step.
GO_ON = ChangeStatement(
    ParcelRow,
    "UPDATE service_parcels SET state = :state, lease_owner = '', lease_until_ms = 0, "
    "attempt = CASE WHEN CAST(:state AS VARCHAR) = 'waiting' THEN attempt + 1 ELSE attempt END, "
    "due_at_ms = CASE WHEN CAST(:state AS VARCHAR) = 'waiting' THEN :due_at_ms ELSE due_at_ms END "
    "WHERE delivery = :delivery AND attempt = :attempt AND state = 'waiting'",
)
_AGAIN = text(
    "UPDATE service_parcels SET state = 'waiting', attempt = attempt + 1, due_at_ms = :now_ms, lease_owner = '', "
    "lease_until_ms = 0 WHERE delivery = :delivery AND state IN ('dead', 'refused', 'delivered') AND EXISTS ("
    "SELECT 1 FROM service_events AS held WHERE held.account = service_parcels.account "
    "AND held.event = service_parcels.event)"
)
LOAD_PARCEL = text(f"SELECT {PARCEL}, state FROM service_parcels WHERE delivery = :delivery")
LOAD_SENT = text(
    f"SELECT {PARCEL} FROM service_parcels AS sent WHERE webhook = :webhook AND replay IS NULL "
    "AND created_at_ms >= :from_ms AND created_at_ms < :to_ms "
    "AND (created_at_ms, delivery) > (:after_ms, :after_delivery) "
    "AND EXISTS (SELECT 1 FROM service_subscriptions AS live WHERE live.subscription = sent.subscription "
    "AND live.ended_at_ms IS NULL) "
    "AND EXISTS (SELECT 1 FROM service_events AS held WHERE held.account = sent.account AND held.event = sent.event) "
    "ORDER BY created_at_ms, delivery LIMIT :count_max"
)
COUNT_PARCELS = text("SELECT state, COUNT(*) FROM service_parcels WHERE replay = :replay GROUP BY state")
LOAD_EVENTS = text(
    "SELECT event, account, subjects, event_type, is_private, received_at_ms, body_sealed, body_bytes, content "
    "FROM service_events WHERE account = :account AND received_at_ms >= :from_ms AND received_at_ms < :to_ms "
    "AND (received_at_ms, event) > (:after_ms, :after_event) ORDER BY received_at_ms, event LIMIT :count_max"
)
COUNT_WAITING = text("SELECT COUNT(*), MIN(due_at_ms) FROM service_parcels WHERE state = 'waiting'")
_INSERT_EVENT = text(
    "INSERT INTO service_events (event, account, subjects, event_type, is_private, received_at_ms, body_sealed, "
    "body_bytes, content) VALUES (:event, :account, :subjects, :event_type, :is_private, :received_at_ms, "
    ":body_sealed, :body_bytes, :content) ON CONFLICT DO NOTHING"
)
_INSERT_PARCEL = text(
    f"INSERT INTO service_parcels ({PARCEL}, state, lease_owner, lease_until_ms) "
    f"VALUES ({', '.join(':' + name for name in PARCEL_COLUMNS)}, 'waiting', '', 0) ON CONFLICT DO NOTHING"
)

_EVENT_BOUNDS = bounds_of(EventRow)
_PARCEL_BOUNDS = bounds_of(ParcelRow)

_Key = tuple[str, str]
"""Account and event."""


class _OvertakenError(Exception):
    """Somebody else put one of the events between the look and the insert."""


class SqlOutbox(Claims, Notes, Replays):
    """An :class:`~ledger.ports.outbox.Outbox` on the engine of :func:`ledger.store.engine.open_engine`."""

    def __init__(self, engine: Engine) -> None:
        """Use ``engine``, whose tables :func:`ledger.store.migrate.upgrade` has made."""
        Claims.__init__(self, engine)
        Notes.__init__(self, engine)
        those = f"(account, event) IN ({asked_pairs(engine, 'keys')})"
        locked = skip_locked(engine)
        self._look = text(
            f"SELECT account, event, subjects, event_type, content FROM service_events WHERE {those}"
        )
        self._load_privacy = text(f"SELECT event, is_private FROM service_events WHERE {those}")
        self._find_old = text(
            "SELECT account, event FROM service_events WHERE received_at_ms < :before_ms "
            f"AND account NOT IN ({HELD_ACCOUNTS}) ORDER BY received_at_ms LIMIT :count_max {locked}"
        )
        self._expire_waiting = text(
            "UPDATE service_parcels SET state = 'expired', lease_owner = '', lease_until_ms = 0 WHERE number IN ("
            f"SELECT number FROM service_parcels WHERE {those} AND state = 'waiting' {locked})"
        )
        self._delete_ended = text(
            f"DELETE FROM service_parcels WHERE {those} AND state NOT IN ('waiting', 'expired')"
        )
        self._delete_events = text(f"DELETE FROM service_events WHERE {those}")
        self._delete_expired = text(
            "DELETE FROM service_parcels WHERE number IN (SELECT number FROM service_parcels "
            f"WHERE state = 'expired' AND created_at_ms < :before_ms ORDER BY created_at_ms LIMIT :count_max {locked})"
        )

    def put(self, events: Sequence[HeldEvent], parcels: Sequence[Parcel]) -> Mapping[str, str]:
        """See :meth:`ledger.ports.outbox.Outbox.put`; raises RejectedError where no table can keep a value.

        Parcels of events that are not among ``events`` are added where the event is kept already.
        """
        offered, clashing = _by_key(events)
        parcel_rows = [(_key_of(parcel), _parcel_row(parcel)) for parcel in parcels]
        while True:
            try:
                with begin_write(self._engine, f"keeping {len(events)} events") as connection:
                    return self._put(connection, offered, clashing, parcel_rows)
            except _OvertakenError:
                # Only on PostgreSQL, and what overtook us is durable now: the next look sees it.
                continue

    def _put(
        self,
        connection: Connection,
        offered: Mapping[_Key, Mapping[str, Value]],
        clashing: AbstractSet[_Key],
        parcels: Sequence[tuple[_Key, Mapping[str, Value]]],
    ) -> Mapping[str, str]:
        asked_for = {*offered, *(key for key, _ in parcels if key not in offered)}
        kept = self._look_at(connection, asked_for)
        refused = {key for key, row in offered.items() if key in kept and _content(row) != kept[key]}
        refused |= clashing
        # In one order for everybody, so that two calls with the same events wait for each other one way only.
        fresh = [offered[key] for key in sorted(offered.keys() - kept.keys() - refused)]
        if fresh and connection.execute(_INSERT_EVENT, fresh).rowcount != len(fresh):
            raise _OvertakenError
        wanted = [row for key, row in parcels if key not in refused and (key in offered or key in kept)]
        if wanted:
            connection.execute(_INSERT_PARCEL, wanted)
        same = {event: "same" for account, event in kept if (account, event) in offered}
        return same | {event: "conflict" for _, event in refused}

    def _look_at(self, connection: Connection, keys: Collection[_Key]) -> dict[_Key, tuple[Value, ...]]:
        """What is kept of ``keys``, with what makes an event the same."""
        if not keys:
            return {}
        rows = connection.execute(self._look, {"keys": each_pair_of(keys)}).fetchall()
        return {(row[0], row[1]): tuple(row[2:]) for row in rows}

    def end(self, delivery: str, attempt: int, state: ParcelState) -> Change:
        """End the parcel whose next attempt is ``attempt``; changes nothing when it has gone on."""
        assert state != "waiting", "a parcel that waits has not ended"
        return GO_ON.change(delivery=delivery, attempt=attempt, state=state, due_at_ms=0)

    def retry(self, delivery: str, attempt: int, due_at_ms: int) -> Change:
        """Put the parcel back with ``attempt`` + 1, due then; changes nothing when it has gone on."""
        return GO_ON.change(delivery=delivery, attempt=attempt, state="waiting", due_at_ms=due_at_ms)

    def again(self, delivery: str, now_ms: int) -> Parcel | None:
        """See :meth:`ledger.ports.outbox.Outbox.again`."""
        if not is_storable(delivery):
            return None
        with begin_write(self._engine, "making a parcel wait again") as connection:
            connection.execute(_AGAIN, {"delivery": delivery, "now_ms": now_ms})
            row = connection.execute(LOAD_PARCEL, {"delivery": delivery}).first()
        # One that waits already is the answer to a call that was made twice.
        return Parcel(*row[:-1]) if row is not None and row[-1] == "waiting" else None

    def load_parcel(self, delivery: str) -> tuple[Parcel, ParcelState] | None:
        """The parcel of this id."""
        rows = fetch(self._engine, "reading a parcel", LOAD_PARCEL, delivery=delivery)
        return (Parcel(*rows[0][:-1]), rows[0][-1]) if rows else None

    def load_events(
        self, account: str, from_ms: int, to_ms: int, after: tuple[int, str], count_max: int
    ) -> Sequence[HeldEvent]:
        """See :meth:`ledger.ports.outbox.Outbox.load_events`."""
        rows = fetch(
            self._engine,
            "reading events",
            LOAD_EVENTS,
            account=account,
            from_ms=from_ms,
            to_ms=to_ms,
            after_ms=after[0],
            after_event=after[1],
            count_max=count_max,
        )
        return [_held(row) for row in rows]

    def load_privacy(self, events: Collection[tuple[str, str]]) -> dict[str, bool]:
        """See :meth:`ledger.ports.outbox.Outbox.load_privacy`."""
        rows = fetch(self._engine, "reading events", self._load_privacy, keys=each_pair_of(events))
        return {row[0]: bool(row[1]) for row in rows}

    def load_sent(
        self, webhook: str, from_ms: int, to_ms: int, after: tuple[int, str], count_max: int
    ) -> Sequence[Parcel]:
        """See :meth:`ledger.ports.outbox.Outbox.load_sent`."""
        rows = fetch(
            self._engine,
            "reading parcels",
            LOAD_SENT,
            webhook=webhook,
            from_ms=from_ms,
            to_ms=to_ms,
            after_ms=after[0],
            after_delivery=after[1],
            count_max=count_max,
        )
        return [Parcel(*row) for row in rows]

    def count_parcels(self, replay: str) -> dict[ParcelState, int]:
        """How many parcels of the job ``replay`` are in each state; states without any are left out."""
        rows = fetch(self._engine, "counting parcels", COUNT_PARCELS, replay=replay)
        return {row[0]: int(row[1]) for row in rows}

    def count_waiting(self, now_ms: int) -> tuple[int, int]:
        """How many parcels wait, and for how long the longest due has been, in milliseconds."""
        ((count, due_at_ms),) = fetch(self._engine, "counting parcels", COUNT_WAITING)
        return int(count), 0 if due_at_ms is None else max(0, now_ms - int(due_at_ms))

    def expire(self, before_ms: int, count_max: int) -> int:
        """See :meth:`ledger.ports.outbox.Outbox.expire`."""
        values = within({"before_ms": before_ms, "count_max": count_max})
        long_before = within({"before_ms": before_ms - EXPIRED_KEPT_MS, "count_max": count_max})
        with begin_write(self._engine, "deleting old events") as connection:
            doomed = [(row[0], row[1]) for row in connection.execute(self._find_old, values).fetchall()]
            if doomed:
                keys = {"keys": each_pair_of(doomed)}
                # A parcel that somebody holds locked keeps waiting, and the next claim finds that its event has gone.
                connection.execute(self._expire_waiting, keys)
                connection.execute(self._delete_ended, keys)
                connection.execute(self._delete_events, keys)
            connection.execute(self._delete_expired, long_before)
        return len(doomed)


def _key_of(one: HeldEvent | Parcel) -> _Key:
    return one.account, one.event


def _by_key(
    events: Sequence[HeldEvent],
) -> tuple[dict[_Key, Mapping[str, Value]], set[_Key]]:
    """The rows to insert by account and event, and the keys that two of ``events`` have with other content."""
    rows: dict[_Key, Mapping[str, Value]] = {}
    clashing: set[_Key] = set()
    for held in events:
        row = _event_row(held)
        first = rows.setdefault(_key_of(held), row)
        if _content(first) != _content(row):
            clashing.add(_key_of(held))
    return rows, clashing


def _content(row: Mapping[str, Value]) -> tuple[Value, ...]:
    """What makes an event the same one; its sealed body is another one each time."""
    return row["subjects"], row["event_type"], row["content"]


def _event_row(held: HeldEvent) -> Mapping[str, Value]:
    row: dict[str, Value] = {
        "event": held.event,
        "account": held.account,
        "subjects": encode_texts(held.subjects),
        "event_type": held.event_type,
        "is_private": held.is_private,
        "received_at_ms": held.received_at_ms,
        "body_sealed": held.body_sealed,
        "body_bytes": held.body_bytes,
        "content": held.content,
    }
    check_values(row, _EVENT_BOUNDS)
    return row


def _parcel_row(parcel: Parcel) -> Mapping[str, Value]:
    row: dict[str, Value] = {name: getattr(parcel, name) for name in PARCEL_COLUMNS}
    check_values(row, _PARCEL_BOUNDS)
    return row


def _held(row: Any) -> HeldEvent:
    event, account, subjects, event_type, is_private, *rest = row
    return HeldEvent(event, account, decode_texts(subjects), event_type, bool(is_private), *rest)
