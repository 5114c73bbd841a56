"""Frozen finding sets in SQL: staged in bulk, frozen by the change that goes with an entry, read in pages.

Lines are written before the entry that freezes them, a batch a transaction, so that appends of others go on meanwhile; they
are of a *staging*, which nothing refers to until the assessment's row names it. If the process dies before that, the lines
stay until somebody stages a set :data:`ABANDONED_MS` later. If it dies after, the set is frozen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, text

from ledger.errors import StoreError
from ledger.ports import Change
from ledger.ports.incidents import PAGE_ROWS, AffectedPerson, Assessment, ExposedDelivery
from ledger.store.engine import begin_write
from ledger.store.incident_tables import AssessmentRow
from ledger.store.statements import (
    ChangeStatement,
    columns_of,
    decode_numbers,
    decode_texts,
    encode_numbers,
    encode_texts,
    fetch,
)

BATCH_ROWS = 20_000
ABANDONED_MS = 3_600_000

Breakdown = Mapping[str, Mapping[str, Mapping[str, int]]]

_LINES, _PEOPLE = "service_incident_deliveries", "service_incident_people"
_EXPOSED = columns_of(ExposedDelivery)
_AFFECTED = columns_of(AffectedPerson)
_ASSESSMENT = columns_of(Assessment)
_FROZEN = (
    "(SELECT frozen.staging FROM service_incident_assessments AS frozen "
    "WHERE frozen.incident = :incident AND frozen.revision = :revision)"
)

_BEGIN = text(
    "INSERT INTO service_incident_stagings (incident, begun_at_ms) VALUES (:incident, :now_ms) RETURNING staging"
)
_SETTLED = text(
    "DELETE FROM service_incident_stagings WHERE staging IN "
    "(SELECT frozen.staging FROM service_incident_assessments AS frozen)"
)
_ABANDONED = text("SELECT staging FROM service_incident_stagings WHERE begun_at_ms < :before_ms")
_IS_FROZEN = text("SELECT 1 FROM service_incident_assessments WHERE staging = :staging")
_FORGET = text("DELETE FROM service_incident_stagings WHERE staging = :staging")
_FORGET_LINES = text(
    f"DELETE FROM {_LINES} WHERE staging = :staging AND position IN "
    f"(SELECT position FROM {_LINES} WHERE staging = :staging ORDER BY position LIMIT {BATCH_ROWS})"
)
_FORGET_PEOPLE = text(
    f"DELETE FROM {_PEOPLE} WHERE staging = :staging AND account IN "
    f"(SELECT account FROM {_PEOPLE} WHERE staging = :staging ORDER BY account LIMIT {BATCH_ROWS})"
)
_FREEZE = ChangeStatement(
    AssessmentRow,
    f"INSERT INTO service_incident_assessments ({_ASSESSMENT}, staging) "
    f"VALUES ({', '.join(':' + name for name in _ASSESSMENT.split(', '))}, :staging) ON CONFLICT DO NOTHING",
)
_LOAD = text(
    f"SELECT {_ASSESSMENT} FROM service_incident_assessments WHERE incident = :incident ORDER BY revision"
)
_DELIVERIES = text(
    f"SELECT {_EXPOSED} FROM {_LINES} WHERE staging = {_FROZEN} AND position > :after "
    "ORDER BY position LIMIT :count_max"
)
_RECEIVED = text(
    f"SELECT {_EXPOSED} FROM {_LINES} WHERE staging = {_FROZEN} AND received_by = :received_by "
    "AND position > :after ORDER BY position LIMIT :count_max"
)
_RECEIVERS = text(
    f"SELECT received_by, COUNT(*) FROM {_LINES} WHERE staging = {_FROZEN} AND received_by IS NOT NULL "
    "GROUP BY received_by ORDER BY received_by"
)
_PAGE = text(
    f"SELECT {_AFFECTED} FROM {_PEOPLE} WHERE staging = {_FROZEN} AND account > :after "
    "ORDER BY account LIMIT :count_max"
)
_PERSON = text(f"SELECT {_AFFECTED} FROM {_PEOPLE} WHERE staging = {_FROZEN} AND account = :account")
_INCIDENTS_OF = text(
    f"SELECT known.incident, {', '.join(f'who.{name}' for name in _AFFECTED.split(', '))} "
    f"FROM {_PEOPLE} AS who "
    "JOIN service_incident_assessments AS frozen ON frozen.staging = who.staging "
    "JOIN service_incidents AS known ON known.incident = frozen.incident AND known.revision = frozen.revision "
    "WHERE who.account = :account ORDER BY known.incident"
)


class FindingSets:
    """The finding sets of :class:`ledger.store.incidents.SqlIncidents`."""

    _engine: Engine

    def stage(self, incident: str, now_ms: int) -> int:
        """Begin to stage a set; its number. What was abandoned goes away."""
        doing = "staging a finding set"
        with begin_write(self._engine, doing) as connection:
            connection.execute(_SETTLED)
            before = {"before_ms": max(0, now_ms - ABANDONED_MS)}
            abandoned = [row[0] for row in connection.execute(_ABANDONED, before)]
        for staging in abandoned:
            self.discard(staging)
        with begin_write(self._engine, doing) as connection:
            values = {"incident": incident, "now_ms": now_ms}
            return int(connection.execute(_BEGIN, values).scalar_one())

    def stage_deliveries(self, staging: int, exposed: Sequence[ExposedDelivery]) -> None:
        """Add exposures; durable when this returns."""
        self._insert(_LINES, f"staging, {_EXPOSED}", (_line_row(staging, one) for one in exposed))

    def stage_people(self, staging: int, people: Iterable[AffectedPerson]) -> None:
        """Add people; durable when this returns."""
        self._insert(_PEOPLE, f"staging, {_AFFECTED}", (_person_row(staging, one) for one in people))

    def discard(self, staging: int) -> None:
        """Forget a set that was not frozen, a batch of lines at a time; a frozen one stays."""
        doing = "forgetting a finding set"
        if fetch(self._engine, doing, _IS_FROZEN, staging=staging):
            return
        for statement in (_FORGET_LINES, _FORGET_PEOPLE):
            while True:
                with begin_write(self._engine, doing) as connection:
                    if not connection.execute(statement, {"staging": staging}).rowcount:
                        break
        with begin_write(self._engine, doing) as connection:
            connection.execute(_FORGET, {"staging": staging})

    def put_assessment(self, assessment: Assessment, staging: int) -> Change:
        """What freezes the staged set."""
        values: dict[str, Any] = {name: getattr(assessment, name) for name in _ASSESSMENT.split(", ")}
        values["breakdown"] = msgspec.json.encode(assessment.breakdown, order="sorted").decode()
        return _FREEZE.change(**values, staging=staging)

    def assessment(self, incident: str, revision: int | None = None) -> Assessment | None:
        """The assessment of this revision, or the last."""
        found = [one for one in self.assessments(incident) if revision in (None, one.revision)]
        return found[-1] if found else None

    def assessments(self, incident: str) -> Sequence[Assessment]:
        """All revisions, in order."""
        return [
            _assessment(row) for row in fetch(self._engine, "reading assessments", _LOAD, incident=incident)
        ]

    def deliveries(
        self,
        incident: str,
        revision: int,
        *,
        after: int = -1,
        limit: int = PAGE_ROWS,
        received_by: str | None = None,
    ) -> Sequence[ExposedDelivery]:
        """The next exposures behind ``after``, in order."""
        asked: dict[str, Any] = {
            "incident": incident,
            "revision": revision,
            "after": after,
            "count_max": limit,
        }
        statement = _DELIVERIES
        if received_by is not None:
            statement, asked["received_by"] = _RECEIVED, received_by
        return [_exposed(row) for row in fetch(self._engine, "reading exposures", statement, **asked)]

    def people(
        self, incident: str, revision: int, *, after: str = "", limit: int = PAGE_ROWS
    ) -> Sequence[AffectedPerson]:
        """The next people behind ``after``, by tag."""
        rows = fetch(
            self._engine,
            "reading affected people",
            _PAGE,
            incident=incident,
            revision=revision,
            after=after,
            count_max=limit,
        )
        return [_affected(row) for row in rows]

    def person(self, incident: str, revision: int, account: str) -> AffectedPerson | None:
        """Whether and how ``account`` is affected."""
        doing = "reading an affected person"
        rows = fetch(self._engine, doing, _PERSON, incident=incident, revision=revision, account=account)
        return _affected(rows[0]) if rows else None

    def incidents_of(self, account: str) -> Sequence[tuple[str, AffectedPerson]]:
        """The incidents whose last revision affects ``account``."""
        rows = fetch(self._engine, "reading an affected person", _INCIDENTS_OF, account=account)
        return [(row[0], _affected(row[1:])) for row in rows]

    def receivers(self, incident: str, revision: int) -> Sequence[tuple[str, int]]:
        """The developers that have what is exposed, and how many attempts brought it."""
        rows = fetch(self._engine, "reading receivers", _RECEIVERS, incident=incident, revision=revision)
        return [(developer, int(count)) for developer, count in rows]

    def _insert(self, table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
        waiting = iter(rows)
        insert = _copy if self._engine.dialect.name == "postgresql" else _insert_many
        while batch := list(islice(waiting, BATCH_ROWS)):
            with begin_write(self._engine, "staging a finding set") as connection:
                insert(connection, table, columns, batch)


def _copy(connection: Connection, table: str, columns: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """PostgreSQL's bulk way in, in the transaction of ``connection``."""
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _insert_many(connection: Connection, table: str, columns: str, rows: Sequence[tuple[Any, ...]]) -> None:
    marks = ", ".join("?" for _ in columns.split(", "))
    connection.exec_driver_sql(f"INSERT INTO {table} ({columns}) VALUES ({marks})", list(rows))


def _line_row(staging: int, one: ExposedDelivery) -> tuple[Any, ...]:
    """In the order of ``_EXPOSED``; 1 M of them are made, so no list of fields is gone through."""
    return (
        staging,
        one.position,
        one.delivery,
        one.attempt,
        one.code,
        one.verdict,
        one.evidence,
        one.account,
        encode_texts(one.subjects),
        one.developer,
        one.received_by,
        encode_texts(one.candidates),
        one.app,
        one.endpoint,
        one.event_type,
        one.private,
        one.started_at_ms,
        encode_numbers(one.seqs),
    )


def _exposed(row: Sequence[Any]) -> ExposedDelivery:
    values = list(row)
    values[7], values[10] = decode_texts(row[7]), decode_texts(row[10])
    values[14] = None if row[14] is None else bool(row[14])
    values[16] = decode_numbers(row[16])
    return ExposedDelivery(*values)


def _person_row(staging: int, one: AffectedPerson) -> tuple[Any, ...]:
    return (
        staging,
        one.account,
        one.is_definite,
        one.is_granting,
        one.is_other,
        one.deliveries,
        one.first_at_ms,
        one.last_at_ms,
        encode_texts(one.received_by),
        encode_texts(one.event_types),
        one.private,
    )


def _affected(row: Sequence[Any]) -> AffectedPerson:
    account, is_definite, is_granting, is_other, deliveries, first_ms, last_ms, received, types, private = row
    return AffectedPerson(
        account=account,
        is_definite=bool(is_definite),
        is_granting=bool(is_granting),
        is_other=bool(is_other),
        deliveries=deliveries,
        first_at_ms=first_ms,
        last_at_ms=last_ms,
        received_by=decode_texts(received),
        event_types=decode_texts(types),
        private=bool(private),
    )


def _assessment(row: Sequence[Any]) -> Assessment:
    values = dict(zip(_ASSESSMENT.split(", "), row, strict=True))
    try:
        values["breakdown"] = _BREAKDOWN.decode(values["breakdown"])
    except msgspec.DecodeError:
        raise StoreError("an assessment's breakdown cannot be read: restore a backup") from None
    return Assessment(**values)


_BREAKDOWN = msgspec.json.Decoder(dict[str, dict[str, dict[str, int]]])
