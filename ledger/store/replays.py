"""Replay jobs, one running for a webhook, in SQL (delivery protocol, section 3.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Engine, text

from ledger.ports.outbox import Replay
from ledger.store.engine import begin_write
from ledger.store.service_tables import ReplayRow
from ledger.store.statements import Value, bounds_of, check_values, columns_of, fetch

_REPLAY = columns_of(Replay)

_START = text(
    f"INSERT INTO service_replays ({_REPLAY}) VALUES (:job, :webhook, :app, :from_ms, :to_ms, :created_at_ms, :state, "
    ":through, :sent, :ended_at_ms) ON CONFLICT DO NOTHING"
)
_IS_RUNNING = text(
    "SELECT 1 FROM service_replays WHERE job = :job AND webhook = :webhook AND state = 'running'"
)
_SAVE = text(
    "UPDATE service_replays SET state = :state, through = :through, sent = :sent, ended_at_ms = :ended_at_ms "
    "WHERE job = :job AND state = 'running'"
)
_LOAD = f"SELECT {_REPLAY} FROM service_replays"
_AGE = " ORDER BY created_at_ms, job"
LOAD_RUNNING = text(f"{_LOAD} WHERE state = 'running'{_AGE}")
LOAD_RUNNING_OF = text(f"{_LOAD} WHERE state = 'running' AND webhook = :webhook{_AGE}")
LOAD_ALL = text(f"{_LOAD}{_AGE}")
LOAD_ALL_OF = text(f"{_LOAD} WHERE webhook = :webhook{_AGE}")

_BOUNDS = bounds_of(ReplayRow)


class Replays:
    """Replay jobs; part of :class:`ledger.store.outbox.SqlOutbox`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def start_replay(self, replay: Replay) -> bool:
        """See :meth:`ledger.ports.outbox.Outbox.start_replay`."""
        values = asdict(replay)
        check_values(values, _BOUNDS)
        with begin_write(self._engine, "starting a replay") as connection:
            if connection.execute(_START, values).rowcount == 1:
                return True
            # The same job once more: the first call was reported as failed, and was not.
            same = connection.execute(_IS_RUNNING, {"job": replay.job, "webhook": replay.webhook})
            return same.first() is not None

    def save_replay(self, replay: Replay) -> None:
        """See :meth:`ledger.ports.outbox.Outbox.save_replay`."""
        values: dict[str, Value] = {
            "job": replay.job,
            "state": replay.state,
            "through": replay.through,
            "sent": replay.sent,
            "ended_at_ms": replay.ended_at_ms,
        }
        check_values(values, _BOUNDS)
        with begin_write(self._engine, "saving how far a replay has come") as connection:
            connection.execute(_SAVE, values)

    def load_replays(self, *, running: bool = True, webhook: str | None = None) -> Sequence[Replay]:
        """See :meth:`ledger.ports.outbox.Outbox.load_replays`."""
        if webhook is None:
            rows = fetch(self._engine, "reading replays", LOAD_RUNNING if running else LOAD_ALL)
        else:
            statement = LOAD_RUNNING_OF if running else LOAD_ALL_OF
            rows = fetch(self._engine, "reading replays", statement, webhook=webhook)
        return [Replay(*row) for row in rows]
