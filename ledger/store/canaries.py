"""Canaries in SQL: implements :class:`ledger.ports.canaries.Canaries` on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Engine, text

from ledger.ports import Change
from ledger.ports.canaries import Canary
from ledger.store.engine import begin_write
from ledger.store.service_tables import CanaryRow
from ledger.store.statements import ChangeStatement, columns_of, fetch

_CANARY = columns_of(Canary)
_VALUES = ", ".join(f":{name}" for name in _CANARY.split(", "))

_PUT = ChangeStatement(
    CanaryRow, f"INSERT INTO service_canaries ({_CANARY}) VALUES ({_VALUES}) ON CONFLICT DO NOTHING"
)
_ALL = text(f"SELECT {_CANARY} FROM service_canaries ORDER BY created_at_ms, canary")
_LOAD = text(f"SELECT {_CANARY} FROM service_canaries WHERE canary = :canary")
_BY_MARKER = text(f"SELECT {_CANARY} FROM service_canaries WHERE marker_hash = :marker_hash")
_RELEASE = text(
    "UPDATE service_canaries SET released_at_ms = :now_ms WHERE canary = :canary AND released_at_ms IS NULL"
)
_FETCH = text(
    "UPDATE service_canaries SET fetches = fetches + 1, fetched_at_ms = COALESCE(fetched_at_ms, :now_ms) "
    "WHERE marker_hash = :marker_hash"
)


class SqlCanaries:
    """A :class:`~ledger.ports.canaries.Canaries` on the engine of :func:`ledger.store.engine.open_engine`."""

    def __init__(self, engine: Engine) -> None:
        """Use ``engine``, whose tables :func:`ledger.store.migrate.upgrade` has made."""
        self._engine = engine

    def put(self, canary: Canary) -> Change:
        """What keeps ``canary``; one that is there stays as it is."""
        return _PUT.change(**asdict(canary))

    def load_all(self) -> Sequence[Canary]:
        """All of them, by age."""
        return [Canary(*row) for row in fetch(self._engine, "reading canaries", _ALL)]

    def load(self, canary: str) -> Canary | None:
        """The canary of this id."""
        return _one(fetch(self._engine, "reading a canary", _LOAD, canary=canary))

    def load_by_marker(self, marker_hash: bytes) -> Canary | None:
        """The canary whose marker has this hash."""
        return _one(fetch(self._engine, "reading a canary", _BY_MARKER, marker_hash=marker_hash))

    def note_release(self, canary: str, now_ms: int) -> None:
        """Keep that account and grant were made."""
        with begin_write(self._engine, "releasing a canary") as connection:
            connection.execute(_RELEASE, {"canary": canary, "now_ms": now_ms})

    def note_fetch(self, marker_hash: bytes, now_ms: int) -> bool:
        """Count a fetch; False where there is no such marker, and then nothing is written."""
        if self.load_by_marker(marker_hash) is None:
            return False
        with begin_write(self._engine, "counting a fetch") as connection:
            found = connection.execute(_FETCH, {"marker_hash": marker_hash, "now_ms": now_ms})
            return found.rowcount == 1


def _one(rows: Sequence[tuple[object, ...]]) -> Canary | None:
    return Canary(*rows[0]) if rows else None  # type: ignore[arg-type]
