"""Obligations in SQL: implements :class:`ledger.ports.obligations.Obligations` on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, cast

from sqlalchemy import Engine, text

from ledger.ports import Change
from ledger.ports.obligations import Attestation, ListedDelivery, Obligation, Remark
from ledger.store.engine import begin_write
from ledger.store.notice_tables import AttestationRow, ObligationLineRow, ObligationRow, RemarkRow
from ledger.store.statements import (
    ChangeStatement,
    bounds_of,
    check_values,
    columns_of,
    decode_texts,
    encode_texts,
    fetch,
)

LINES_AT_ONCE = 10_000

_OBLIGATION = columns_of(Obligation)
_ATTESTATION = columns_of(Attestation)
_REMARK = columns_of(Remark)
_LINE = ", ".join(ListedDelivery._fields)
_MOVING = (
    "state",
    "version",
    "acknowledged_at_ms",
    "reported_at_ms",
    "attested_at_ms",
    "attested_version",
    "attestation",
    "overdue",
    "steps",
    "held_from",
    "held_since_ms",
    "held_total_ms",
    "contradicted_by",
)
"""What entries after the first one change."""


def _bound(columns: str) -> str:
    return ", ".join(f":{name}" for name in columns.split(", "))


def _put(row: Any, table: str, columns: str) -> ChangeStatement:
    return ChangeStatement(
        row, f"INSERT INTO {table} ({columns}) VALUES ({_bound(columns)}) ON CONFLICT DO NOTHING"
    )


_PUT = _put(ObligationRow, "service_obligations", _OBLIGATION)
_PUT_ATTESTATION = _put(AttestationRow, "service_attestations", _ATTESTATION)
_PUT_REMARK = _put(RemarkRow, "service_obligation_remarks", _REMARK)
_MOVE = ChangeStatement(
    ObligationRow,
    f"UPDATE service_obligations SET {', '.join(f'{name} = :{name}' for name in _MOVING)} "
    "WHERE obligation = :obligation AND version = :version - 1",
)
_PUT_LINE = text(
    f"INSERT INTO service_obligation_lines (obligation, {_LINE}) VALUES (:obligation, {_bound(_LINE)}) "
    "ON CONFLICT DO NOTHING"
)
_DROP_LINES = text(
    "DELETE FROM service_obligation_lines WHERE obligation = :obligation AND NOT EXISTS ("
    "SELECT 1 FROM service_obligations AS opened WHERE opened.obligation = :obligation)"
)
LOAD = text(f"SELECT {_OBLIGATION} FROM service_obligations WHERE obligation = :obligation")
LOAD_ALL = text(f"SELECT {_OBLIGATION} FROM service_obligations ORDER BY opened_at_ms, obligation")
LOAD_OF_INCIDENT = text(
    f"SELECT {_OBLIGATION} FROM service_obligations WHERE incident = :incident ORDER BY opened_at_ms, obligation"
)
LOAD_OF_DEVELOPER = text(
    f"SELECT {_OBLIGATION} FROM service_obligations WHERE developer = :developer ORDER BY opened_at_ms, obligation"
)
LOAD_LINES = text(
    f"SELECT {_LINE} FROM service_obligation_lines WHERE obligation = :obligation AND place >= :first "
    "ORDER BY place LIMIT :count_max"
)
FIND_LINES = text(f"SELECT obligation, {_LINE} FROM service_obligation_lines WHERE delivery = :delivery")
FIND_LINES_OF = text(f"SELECT obligation, {_LINE} FROM service_obligation_lines WHERE account = :account")
_LOAD_ATTESTATION = text(f"SELECT {_ATTESTATION} FROM service_attestations WHERE attestation = :attestation")
_LOAD_REMARKS = text(
    f"SELECT {_REMARK} FROM service_obligation_remarks WHERE obligation = :obligation ORDER BY version"
)
_LOAD_CURSOR = text("SELECT size FROM service_cursors WHERE name = :name")
_MOVE_CURSOR = text(
    "INSERT INTO service_cursors (name, size) VALUES (:name, :size) ON CONFLICT (name) "
    "DO UPDATE SET size = excluded.size WHERE service_cursors.size < excluded.size"
)

_LINE_BOUNDS = bounds_of(ObligationLineRow)


class SqlObligations:
    """A :class:`~ledger.ports.obligations.Obligations` on the engine of :func:`ledger.store.engine.open_engine`."""

    def __init__(self, engine: Engine) -> None:
        """Use ``engine``, whose tables :func:`ledger.store.migrate.upgrade` has made."""
        self._engine = engine

    def put_lines(self, obligation: str, lines: Sequence[ListedDelivery]) -> None:
        """Keep lines of a list that is being made."""
        rows = [{"obligation": obligation, **line._asdict()} for line in lines]
        for row in rows:
            check_values(row, _LINE_BOUNDS)
        for start in range(0, len(rows), LINES_AT_ONCE):
            with begin_write(self._engine, "keeping an obligation's list") as connection:
                connection.execute(_PUT_LINE, rows[start : start + LINES_AT_ONCE])

    def drop_lines(self, obligation: str) -> None:
        """Forget the lines of a list whose obligation was never opened."""
        with begin_write(self._engine, "forgetting an obligation's list") as connection:
            connection.execute(_DROP_LINES, {"obligation": obligation})

    def put(self, obligation: Obligation) -> Change:
        """What keeps an obligation; one that is there stays as it is."""
        return _PUT.change(**_values(obligation))

    def move(self, obligation: Obligation) -> Change:
        """What writes where it stands now, one version on."""
        values = _values(obligation)
        return _MOVE.change(obligation=obligation.obligation, **{name: values[name] for name in _MOVING})

    def put_attestation(self, attestation: Attestation) -> Change:
        """What keeps an attestation."""
        return _PUT_ATTESTATION.change(**asdict(attestation))

    def put_remark(self, remark: Remark) -> Change:
        """What keeps the words behind a commitment."""
        return _PUT_REMARK.change(**asdict(remark))

    def load(self, obligation: str) -> Obligation | None:
        """The obligation of this id."""
        return next(iter(self._load(LOAD, obligation=obligation)), None)

    def load_all(self, incident: str | None = None, developer: str | None = None) -> list[Obligation]:
        """All of them, or those of an incident, a developer, or both, by age."""
        if developer is not None:
            found = self._load(LOAD_OF_DEVELOPER, developer=developer)
            return [one for one in found if incident in (None, one.incident)]
        return self._load(LOAD_ALL) if incident is None else self._load(LOAD_OF_INCIDENT, incident=incident)

    def load_lines(self, obligation: str, first: int = 0, count_max: int = 1_000) -> list[ListedDelivery]:
        """The lines from place ``first`` on, in order."""
        rows = fetch(
            self._engine,
            "reading an obligation's list",
            LOAD_LINES,
            obligation=obligation,
            first=first,
            count_max=count_max,
        )
        return [ListedDelivery(*row) for row in rows]

    def stream_lines(self, obligation: str) -> Iterator[ListedDelivery]:
        """All lines in order."""
        first = 0
        while lines := self.load_lines(obligation, first, LINES_AT_ONCE):
            yield from lines
            first = lines[-1].place + 1

    def find_lines(self, delivery: str) -> list[tuple[str, ListedDelivery]]:
        """Where ``delivery`` is listed."""
        rows = fetch(self._engine, "looking for a delivery", FIND_LINES, delivery=delivery)
        return [(row[0], ListedDelivery(*row[1:])) for row in rows]

    def find_lines_of(self, account: str) -> list[tuple[str, ListedDelivery]]:
        """Where deliveries of ``account`` are listed."""
        rows = fetch(self._engine, "looking for an account's deliveries", FIND_LINES_OF, account=account)
        return [(row[0], ListedDelivery(*row[1:])) for row in rows]

    def load_attestation(self, attestation: str) -> Attestation | None:
        """The attestation of this hash."""
        rows = fetch(self._engine, "reading an attestation", _LOAD_ATTESTATION, attestation=attestation)
        if not rows:
            return None
        named, obligation, key, received_at_ms, claims, sealed = rows[0]
        return Attestation(named, obligation, key, received_at_ms, claims, bytes(sealed))

    def load_remarks(self, obligation: str) -> list[Remark]:
        """The words of an obligation's entries, in their order."""
        rows = fetch(self._engine, "reading remarks", _LOAD_REMARKS, obligation=obligation)
        return [Remark(row[0], row[1], bytes(row[2])) for row in rows]

    def load_cursor(self, name: str) -> int:
        """How far the reader called ``name`` has come."""
        rows = fetch(self._engine, "reading a cursor", _LOAD_CURSOR, name=name)
        return int(rows[0][0]) if rows else 0

    def move_cursor(self, name: str, size: int) -> None:
        """Remember how far it has come."""
        with begin_write(self._engine, "moving a cursor") as connection:
            connection.execute(_MOVE_CURSOR, {"name": name, "size": size})

    def _load(self, statement: Any, **values: str) -> list[Obligation]:
        return [_obligation(row) for row in fetch(self._engine, "reading obligations", statement, **values)]


def _values(obligation: Obligation) -> dict[str, Any]:
    return asdict(obligation) | {
        "overdue": encode_texts(obligation.overdue),
        "steps": encode_texts(obligation.steps),
    }


def _obligation(row: Any) -> Obligation:
    found = Obligation(*row)
    return replace(
        found,
        overdue=decode_texts(cast(str, found.overdue)),
        steps=decode_texts(cast(str, found.steps)),
    )
