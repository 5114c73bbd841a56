"""Incidents in SQL: implements :class:`ledger.ports.incidents.Incidents` on SQLite and PostgreSQL.

State, words and policies are here; the finding sets in :mod:`ledger.store.finding_sets`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Engine, text

from ledger.ports import Change
from ledger.ports.incidents import Event, Incident, Policy, PublicUpdate
from ledger.store.finding_sets import FindingSets
from ledger.store.incident_tables import IncidentEventRow, IncidentRow, IncidentUpdateRow, PolicyRow
from ledger.store.statements import ChangeStatement, columns_of, fetch

_INCIDENT, _EVENT = columns_of(Incident), columns_of(Event)
_UPDATE, _POLICY = columns_of(PublicUpdate), columns_of(Policy)


def _marks(columns: str) -> str:
    return ", ".join(f":{name}" for name in columns.split(", "))


_PUT = ChangeStatement(
    IncidentRow,
    f"INSERT INTO service_incidents ({_INCIDENT}) VALUES ({_marks(_INCIDENT)}) ON CONFLICT DO NOTHING",
)
_STATUS = ChangeStatement(
    IncidentRow,
    "UPDATE service_incidents SET status = :status, updated_at_ms = :updated_at_ms WHERE incident = :incident",
)
_REVISION = ChangeStatement(
    IncidentRow,
    "UPDATE service_incidents SET revision = :revision, updated_at_ms = :updated_at_ms "
    "WHERE incident = :incident AND revision < :revision",
)
_PUT_EVENT = ChangeStatement(
    IncidentEventRow,
    f"INSERT INTO service_incident_events ({_EVENT}) VALUES ({_marks(_EVENT)}) ON CONFLICT DO NOTHING",
)
_PUT_UPDATE = ChangeStatement(
    IncidentUpdateRow,
    f"INSERT INTO service_incident_updates (incident, {_UPDATE}) VALUES (:incident, {_marks(_UPDATE)}) "
    "ON CONFLICT DO NOTHING",
)
_PUT_POLICY = ChangeStatement(
    PolicyRow,
    f"INSERT INTO service_policies ({_POLICY}) VALUES ({_marks(_POLICY)}) ON CONFLICT DO NOTHING",
)
_LOAD = text(f"SELECT {_INCIDENT} FROM service_incidents WHERE incident = :incident")
_ALL = text(f"SELECT {_INCIDENT} FROM service_incidents ORDER BY opened_at_ms, incident")
_OF_CAUSE = text(
    f"SELECT {_INCIDENT} FROM service_incidents WHERE cause = :cause AND cause_of = :cause_of "
    "ORDER BY opened_at_ms, from_entry, incident"
)
_EVENTS = text(f"SELECT {_EVENT} FROM service_incident_events WHERE incident = :incident ORDER BY number")
_TEXT = text(
    "SELECT text FROM service_incident_events WHERE incident = :incident AND kind = 'described' "
    "AND name = :field ORDER BY number DESC LIMIT 1"
)
_UPDATES = text(f"SELECT {_UPDATE} FROM service_incident_updates WHERE incident = :incident ORDER BY number")
_POLICIES = text(f"SELECT {_POLICY} FROM service_policies ORDER BY number")


class SqlIncidents(FindingSets):
    """A :class:`~ledger.ports.incidents.Incidents` on the engine of :func:`ledger.store.engine.open_engine`."""

    def __init__(self, engine: Engine) -> None:
        """Use ``engine``, whose tables :func:`ledger.store.migrate.upgrade` has made."""
        self._engine = engine

    def load(self, incident: str) -> Incident | None:
        """The incident of this id."""
        rows = fetch(self._engine, "reading an incident", _LOAD, incident=incident)
        return _incident(rows[0]) if rows else None

    def load_all(self) -> Sequence[Incident]:
        """All of them, by age."""
        return [_incident(row) for row in fetch(self._engine, "reading incidents", _ALL)]

    def load_of_cause(self, cause: str, cause_of: str | None) -> Sequence[Incident]:
        """Those of one cause, by age."""
        rows = fetch(self._engine, "reading incidents", _OF_CAUSE, cause=cause, cause_of=cause_of or "")
        return [_incident(row) for row in rows]

    def put_incident(self, incident: Incident) -> Change:
        """What keeps a new incident; one that is there stays as it is."""
        return _PUT.change(**asdict(incident) | {"cause_of": incident.cause_of or ""})

    def put_status(self, incident: str, status: str, now_ms: int) -> Change:
        """What sets the status."""
        return _STATUS.change(incident=incident, status=status, updated_at_ms=now_ms)

    def put_revision(self, incident: str, revision: int, now_ms: int) -> Change:
        """What makes ``revision`` the last one."""
        return _REVISION.change(incident=incident, revision=revision, updated_at_ms=now_ms)

    def put_event(self, event: Event) -> Change:
        """What keeps the words of an entry."""
        return _PUT_EVENT.change(**asdict(event))

    def events(self, incident: str) -> Sequence[Event]:
        """All entries about ``incident``, in the order of recording."""
        return [Event(*row) for row in fetch(self._engine, "reading an incident", _EVENTS, incident=incident)]

    def text(self, incident: str, field: str) -> str | None:
        """What ``field`` says now."""
        rows = fetch(self._engine, "reading an incident", _TEXT, incident=incident, field=field)
        return rows[0][0] if rows else None

    def put_update(self, incident: str, update: PublicUpdate) -> Change:
        """What keeps a public update."""
        return _PUT_UPDATE.change(incident=incident, **asdict(update))

    def updates(self, incident: str) -> Sequence[PublicUpdate]:
        """All public updates, by number."""
        rows = fetch(self._engine, "reading updates", _UPDATES, incident=incident)
        return [PublicUpdate(*row) for row in rows]

    def put_policy(self, policy: Policy) -> Change:
        """What keeps a policy."""
        return _PUT_POLICY.change(**asdict(policy))

    def policies(self) -> Sequence[Policy]:
        """All policies ever set, in the order of recording."""
        return [Policy(*row) for row in fetch(self._engine, "reading policies", _POLICIES)]


def _incident(row: Sequence[Any]) -> Incident:
    incident, cause, cause_of, *rest = row
    return Incident(incident, cause, cause_of or None, *rest)
