"""Exports in SQL: implements :class:`ledger.ports.exports.ExportBook` on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Engine, text

from ledger.ports import Change
from ledger.ports.exports import Export, ExportState
from ledger.store.export_tables import ExportRow
from ledger.store.statements import ChangeStatement, columns_of, fetch

_EXPORT = columns_of(Export)
_VALUES = ", ".join(f":{name}" for name in _EXPORT.split(", "))

_PUT = ChangeStatement(
    ExportRow, f"INSERT INTO service_exports ({_EXPORT}) VALUES ({_VALUES}) ON CONFLICT DO NOTHING"
)
# What somebody else did meanwhile makes these change nothing.
_DECIDE = ChangeStatement(
    ExportRow,
    "UPDATE service_exports SET state = :state, decided_by = :decided_by, decided_at_ms = :decided_at_ms "
    "WHERE export = :export AND state = 'requested'",
)
_SEAL = ChangeStatement(
    ExportRow,
    "UPDATE service_exports SET state = 'sealed', file_sha256 = :file_sha256, file_bytes = :file_bytes, "
    "sealed_at_ms = :sealed_at_ms WHERE export = :export AND state = 'approved'",
)
_ALL = text(f"SELECT {_EXPORT} FROM service_exports ORDER BY created_at_ms, export")
_LOAD = text(f"SELECT {_EXPORT} FROM service_exports WHERE export = :export")


class SqlExports:
    """An :class:`~ledger.ports.exports.ExportBook` on the engine of :func:`ledger.store.engine.open_engine`."""

    def __init__(self, engine: Engine) -> None:
        """Use ``engine``, whose tables :func:`ledger.store.migrate.upgrade` has made."""
        self._engine = engine

    def put(self, export: Export) -> Change:
        """What keeps ``export``; one that is there stays as it is."""
        return _PUT.change(**asdict(export))

    def decide(self, export: str, state: ExportState, decided_by: str, now_ms: int) -> Change:
        """What keeps that a requested export was approved or rejected."""
        return _DECIDE.change(export=export, state=state, decided_by=decided_by, decided_at_ms=now_ms)

    def seal(self, export: str, file_sha256: str, file_bytes: int, now_ms: int) -> Change:
        """What keeps that an approved export was sealed as this file."""
        return _SEAL.change(
            export=export, file_sha256=file_sha256, file_bytes=file_bytes, sealed_at_ms=now_ms
        )

    def load(self, export: str) -> Export | None:
        """The export of this id."""
        rows = fetch(self._engine, "reading an export", _LOAD, export=export)
        return Export(*rows[0]) if rows else None

    def load_all(self) -> Sequence[Export]:
        """All of them, by age."""
        return [Export(*row) for row in fetch(self._engine, "reading exports", _ALL)]
