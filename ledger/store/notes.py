"""What became of each attempt, for its developer to see, in SQL (delivery protocol, section 3.5)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from sqlalchemy import Engine, TextClause, text

from ledger.ports import Change
from ledger.ports.outbox import AttemptNote, AttemptOutcome
from ledger.store.claims import skip_locked
from ledger.store.engine import begin_write
from ledger.store.held import HELD_ACCOUNTS
from ledger.store.service_tables import NoteRow
from ledger.store.statements import INTEGER_MAX, ChangeStatement, Value, columns_of, fetch, within

_NOTE = columns_of(AttemptNote)

ADD_NOTE = ChangeStatement(
    NoteRow,
    f"INSERT INTO service_notes ({_NOTE}) VALUES (:delivery, :attempt, :webhook, :app, :event_type, :at_ms, :outcome, "
    ":status, :duration_ms, :reason, :seq, :replay) "
    # Whoever sent it knows what a rescuer could not.
    "ON CONFLICT (delivery, attempt) DO UPDATE SET at_ms = excluded.at_ms, outcome = excluded.outcome, "
    "status = excluded.status, duration_ms = excluded.duration_ms, reason = excluded.reason, seq = excluded.seq "
    "WHERE service_notes.outcome = 'unknown' AND excluded.outcome <> 'unknown'",
)

_FILTERS = {
    "webhook": "webhook = :webhook",
    "event_type": "event_type = :event_type",
    "delivery": "delivery = :delivery",
    "outcome": "outcome = :outcome",
    "before": "(at_ms, delivery, attempt) < (:before_ms, :before_delivery, :before_attempt)",
}
_TROUBLE = "outcome <> 'delivered'"
"""The condition of the index of what did not go well, which a query must state to be given it."""


@cache
def load_notes_sql(filters: frozenset[str], *, is_trouble: bool) -> TextClause:
    """The query with those of the filters; ``is_trouble`` where the outcome that is asked for is no success."""
    conditions = [condition for name, condition in _FILTERS.items() if name in filters]
    if is_trouble:
        conditions.append(_TROUBLE)
    return text(
        f"SELECT {_NOTE} FROM service_notes WHERE app = :app AND at_ms >= :from_ms AND at_ms < :to_ms"
        + "".join(f" AND {condition}" for condition in conditions)
        + " ORDER BY at_ms DESC, delivery DESC, attempt DESC LIMIT :count_max"
    )


class Notes:
    """Notes of attempts; part of :class:`ledger.store.outbox.SqlOutbox`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._expire = text(
            "DELETE FROM service_notes WHERE (delivery, attempt) IN (SELECT delivery, attempt FROM service_notes "
            "WHERE at_ms < :before_ms AND NOT EXISTS (SELECT 1 FROM service_parcels AS sent "
            f"WHERE sent.delivery = service_notes.delivery AND sent.account IN ({HELD_ACCOUNTS})) "
            f"ORDER BY at_ms LIMIT :count_max {skip_locked(engine)})"
        )

    def note(self, note: AttemptNote) -> Change:
        """See :meth:`ledger.ports.outbox.Outbox.note`."""
        return ADD_NOTE.change(
            delivery=note.delivery,
            attempt=note.attempt,
            webhook=note.webhook,
            app=note.app,
            event_type=note.event_type,
            at_ms=note.at_ms,
            outcome=note.outcome,
            status=note.status,
            duration_ms=note.duration_ms,
            reason=note.reason,
            seq=note.seq,
            replay=note.replay,
        )

    def load_notes(
        self,
        app: str,
        *,
        webhook: str | None = None,
        outcome: AttemptOutcome | None = None,
        event_type: str | None = None,
        delivery: str | None = None,
        from_ms: int = 0,
        to_ms: int | None = None,
        before: tuple[int, str, int] | None = None,
        count_max: int = 100,
    ) -> Sequence[AttemptNote]:
        """See :meth:`ledger.ports.outbox.Outbox.load_notes`."""
        values: dict[str, Value] = {"app": app, "from_ms": from_ms, "count_max": count_max}
        values["to_ms"] = INTEGER_MAX if to_ms is None else to_ms
        asked = {"webhook": webhook, "outcome": outcome, "event_type": event_type, "delivery": delivery}
        filters = {name: value for name, value in asked.items() if value is not None}
        values.update(filters)
        names = set(filters)
        if before is not None:
            names.add("before")
            values["before_ms"], values["before_delivery"], values["before_attempt"] = before
        statement = load_notes_sql(
            frozenset(names), is_trouble=outcome is not None and outcome != "delivered"
        )
        return [
            AttemptNote(*row) for row in fetch(self._engine, "reading notes of attempts", statement, **values)
        ]

    def expire_notes(self, before_ms: int, count_max: int) -> int:
        """See :meth:`ledger.ports.outbox.Outbox.expire_notes`."""
        with begin_write(self._engine, "deleting notes of attempts") as connection:
            values = within({"before_ms": before_ms, "count_max": count_max})
            return connection.execute(self._expire, values).rowcount
