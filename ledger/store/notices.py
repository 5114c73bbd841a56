"""Notices and contacts in SQL: implements :class:`ledger.ports.notices.Notices` on SQLite and PostgreSQL.

Changes go with entries and never fail for what others did: what has ended stays as it ended. Taking notices to send is one
statement, which on PostgreSQL passes by rows that somebody else holds, so that it waits for nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Engine, text

from ledger.ports import Change
from ledger.ports.notices import Contact, IncidentNotice, Medium, NoticeCount, NoticeState, Retold
from ledger.store.claims import skip_locked
from ledger.store.engine import begin_write
from ledger.store.notice_tables import ContactRow, IncidentNoticeRow
from ledger.store.rows import make_changes, rows_of
from ledger.store.statements import (
    ChangeStatement,
    asked,
    bounds_of,
    check_values,
    columns_of,
    each_of,
    fetch,
)

_NOTICE = columns_of(IncidentNotice)
_CONTACT = columns_of(Contact)


def _bound(columns: str) -> str:
    return ", ".join(f":{name}" for name in columns.split(", "))


_PUT = ChangeStatement(
    IncidentNoticeRow,
    f"INSERT INTO service_incident_notices ({_NOTICE}) VALUES ({_bound(_NOTICE)}) ON CONFLICT DO NOTHING",
)
_OPEN = "state IN ('waiting', 'sending')"
_SETTLE = ChangeStatement(
    IncidentNoticeRow,
    "UPDATE service_incident_notices SET state = :state, sent_at_ms = :sent_at_ms, reason = :reason, "
    f"lease_owner = '', lease_until_ms = 0 WHERE notice = :notice AND {_OPEN}",
)
_PUT_BACK = ChangeStatement(
    IncidentNoticeRow,
    "UPDATE service_incident_notices SET state = 'waiting', due_at_ms = :due_at_ms, reason = :reason, "
    f"lease_owner = '', lease_until_ms = 0 WHERE notice = :notice AND {_OPEN}",
)
_MARK_READ = ChangeStatement(
    IncidentNoticeRow,
    "UPDATE service_incident_notices SET read_at_ms = :read_at_ms WHERE notice = :notice AND read_at_ms IS NULL",
)
_RETELL = text(
    "UPDATE service_incident_notices SET revision = :revision, summary = :summary "
    "WHERE notice = :notice AND revision < :revision"
)
_PUT_CONTACT = text(
    f"INSERT INTO service_contacts ({_CONTACT}) VALUES ({_bound(_CONTACT)}) ON CONFLICT (account, medium) "
    "DO UPDATE SET sealed = excluded.sealed, updated_at_ms = excluded.updated_at_ms"
)
_FORGET_CONTACT = text("DELETE FROM service_contacts WHERE account = :account AND medium = :medium")

LOAD = text(f"SELECT {_NOTICE} FROM service_incident_notices WHERE notice = :notice")
LOAD_OF_ACCOUNT = text(
    f"SELECT {_NOTICE} FROM service_incident_notices WHERE account = :account AND medium = 'inbox' "
    "AND notice > :after AND state = 'sent' ORDER BY notice LIMIT :count_max"
)
LOAD_OF_INCIDENT = text(
    f"SELECT {_NOTICE} FROM service_incident_notices WHERE incident = :incident AND notice > :after "
    "ORDER BY notice LIMIT :count_max"
)
COUNT = text(
    "SELECT medium, state, COUNT(*), COUNT(read_at_ms) FROM service_incident_notices "
    "WHERE incident = :incident GROUP BY medium, state ORDER BY medium, state"
)
LOAD_WAITING = text(
    f"SELECT {_NOTICE} FROM service_incident_notices WHERE state = 'waiting' AND medium = 'inbox' "
    "ORDER BY due_at_ms, notice LIMIT :count_max"
)
LOAD_ABANDONED = text(
    f"SELECT {_NOTICE} FROM service_incident_notices WHERE state = 'sending' AND lease_until_ms <= :now_ms "
    "ORDER BY lease_until_ms LIMIT :count_max"
)

_BOUNDS = bounds_of(ContactRow)


class SqlNotices:
    """A :class:`~ledger.ports.notices.Notices` on the engine of :func:`ledger.store.engine.open_engine`."""

    def __init__(self, engine: Engine) -> None:
        """Use ``engine``, whose tables :func:`ledger.store.migrate.upgrade` has made."""
        self._engine = engine
        self._rows = rows_of(engine)
        self.known = text(
            "SELECT notice FROM service_incident_notices "
            f"WHERE notice IN (SELECT asked.value FROM {asked(engine, 'notices')})"
        )
        self.contacts = text(
            f"SELECT {_CONTACT} FROM service_contacts "
            f"WHERE account IN (SELECT asked.value FROM {asked(engine, 'accounts')})"
        )
        # Materialized: a limit that were asked for once a row would let through more than it says.
        self._claim = text(
            "WITH taken (name) AS MATERIALIZED (SELECT notice FROM service_incident_notices "
            "WHERE state = 'waiting' AND medium = :medium AND due_at_ms <= :now_ms "
            f"ORDER BY due_at_ms, notice LIMIT :count_max {skip_locked(engine)}) "
            "UPDATE service_incident_notices SET state = 'sending', attempt = attempt + 1, lease_owner = :owner, "
            f"lease_until_ms = :until_ms WHERE notice IN (SELECT name FROM taken) RETURNING {_NOTICE}"
        )
        self._release = text(
            "WITH held (name) AS MATERIALIZED (SELECT notice FROM service_incident_notices "
            f"WHERE notice IN (SELECT asked.value FROM {asked(engine, 'notices')}) "
            f"AND state = 'sending' AND lease_owner = :owner {skip_locked(engine)}) "
            "UPDATE service_incident_notices SET state = 'waiting', attempt = attempt - 1, lease_owner = '', "
            "lease_until_ms = 0 WHERE notice IN (SELECT name FROM held)"
        )

    def put(self, notice: IncidentNotice) -> Change:
        """What keeps ``notice``; one that is there stays as it is."""
        return _PUT.change(**asdict(notice))

    def settle(self, notice: str, state: NoticeState, at_ms: int, reason: str | None) -> Change:
        """What ends a notice, which stays as it ended."""
        return _SETTLE.change(notice=notice, state=state, sent_at_ms=at_ms, reason=reason)

    def put_back(self, notice: str, due_at_ms: int, reason: str) -> Change:
        """What lets a notice wait for its next try."""
        return _PUT_BACK.change(notice=notice, due_at_ms=due_at_ms, reason=reason)

    def mark_read(self, notice: str, at_ms: int) -> Change:
        """What notes that it was read, the first time."""
        return _MARK_READ.change(notice=notice, read_at_ms=at_ms)

    def retell(self, retold: Sequence[Retold]) -> None:
        """Let notices tell of a later revision."""
        if not retold:
            return
        # In one order, so that two that do so wait for each other's rows one way round.
        rows = [one._asdict() for one in sorted(retold)]
        with begin_write(self._engine, f"retelling {len(rows)} notices") as connection:
            connection.execute(_RETELL, rows)

    def put_right(self, changes: Sequence[Change]) -> None:
        """Make changes whose entries are in the log already."""
        if not changes:
            return
        with begin_write(self._engine, "putting notices right by the log") as connection:
            # Whoever waits for rows while it holds others could wait for an append that waits for it.
            self._rows.lock_head(connection)
            make_changes(connection, changes)

    def load(self, notice: str) -> IncidentNotice | None:
        """The notice of this id."""
        return next(iter(self._notices(LOAD, notice=notice)), None)

    def fetch_known(self, notices: Sequence[str]) -> set[str]:
        """Those of ``notices`` that are there."""
        rows = fetch(self._engine, "looking for notices", self.known, notices=each_of(notices))
        return {row[0] for row in rows}

    def load_of_account(self, account: str, after: str = "", count_max: int = 100) -> list[IncidentNotice]:
        """The inbox of ``account``, a page of it."""
        return self._notices(LOAD_OF_ACCOUNT, account=account, after=after, count_max=count_max)

    def load_of_incident(
        self, incident: str, after: str = "", count_max: int = 1_000
    ) -> list[IncidentNotice]:
        """All notices of ``incident``, a page of them."""
        return self._notices(LOAD_OF_INCIDENT, incident=incident, after=after, count_max=count_max)

    def count(self, incident: str) -> list[NoticeCount]:
        """How many there are, by medium and state."""
        return [
            NoticeCount(*row) for row in fetch(self._engine, "counting notices", COUNT, incident=incident)
        ]

    def load_waiting_inbox(self, count_max: int) -> list[IncidentNotice]:
        """Notices that wait to be put into an inbox."""
        return self._notices(LOAD_WAITING, count_max=count_max)

    def claim(
        self, medium: Medium, owner: str, now_ms: int, lease_ms: int, count_max: int
    ) -> list[IncidentNotice]:
        """Take notices that are due."""
        values = {
            "medium": medium,
            "owner": owner,
            "now_ms": now_ms,
            "until_ms": now_ms + lease_ms,
            "count_max": count_max,
        }
        with begin_write(self._engine, "taking notices to send") as connection:
            rows = connection.execute(self._claim, values).fetchall()
        return sorted((_notice(row) for row in rows), key=lambda one: (one.due_at_ms, one.notice))

    def release(self, notices: Sequence[str], owner: str) -> None:
        """Give back what was certainly not sent."""
        if notices:
            with begin_write(self._engine, "giving notices back") as connection:
                connection.execute(self._release, {"notices": each_of(notices), "owner": owner})

    def load_abandoned(self, now_ms: int, count_max: int) -> list[IncidentNotice]:
        """Notices whose sender died, or cannot say."""
        return self._notices(LOAD_ABANDONED, now_ms=now_ms, count_max=count_max)

    def put_contact(self, contact: Contact) -> None:
        """Keep where a person is reached."""
        values = asdict(contact)
        check_values(values, _BOUNDS)
        with begin_write(self._engine, "keeping a contact") as connection:
            connection.execute(_PUT_CONTACT, values)

    def forget_contact(self, account: str, medium: Medium) -> bool:
        """Forget where a person is reached."""
        with begin_write(self._engine, "forgetting a contact") as connection:
            gone = connection.execute(_FORGET_CONTACT, {"account": account, "medium": medium})
            return gone.rowcount > 0

    def fetch_contacts(self, accounts: Sequence[str]) -> dict[str, list[Contact]]:
        """What is kept of each of ``accounts`` that can be reached."""
        found: dict[str, list[Contact]] = {}
        rows = fetch(self._engine, "reading contacts", self.contacts, accounts=each_of(accounts))
        for row in sorted(rows, key=lambda row: (row[0], row[1])):
            found.setdefault(row[0], []).append(Contact(row[0], row[1], bytes(row[2]), row[3]))
        return found

    def _notices(self, statement: Any, **values: str | int) -> list[IncidentNotice]:
        return [_notice(row) for row in fetch(self._engine, "reading notices", statement, **values)]


def _notice(row: Any) -> IncidentNotice:
    return IncidentNotice(*row)
