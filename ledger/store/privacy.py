"""Erasures, holds and their destruction of rows, in SQL (ledger format, sections 1.2 and 1.5).

Implements :class:`ledger.ports.privacy.PrivacyBook` and :class:`ledger.ports.privacy.Eraser` on SQLite and PostgreSQL. What
is destroyed goes in short transactions that take the log's turn to write first, so that none of them stands in an append's
way half done, and none waits for rows while it holds others. What is to be destroyed where says :mod:`ledger.store.purges`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Engine, TextClause, text

from ledger.ports import Change
from ledger.ports.privacy import Cleaned, Erasure, ErasureState, LegalHold
from ledger.store import cleaning
from ledger.store.address import is_server
from ledger.store.engine import begin_read, begin_write
from ledger.store.held import HELD_ACCOUNTS
from ledger.store.privacy_tables import ErasureRow, HoldRow
from ledger.store.purges import CONTACTS, PURGES, Purge
from ledger.store.rows import rows_of
from ledger.store.statements import (
    INTEGER_MAX,
    ChangeStatement,
    Value,
    asked,
    bounds_of,
    check_values,
    columns_of,
    each_of,
    fetch,
    within,
)

ROWS_AT_ONCE = 500
"""How many rows one transaction destroys: others that wait to write do not wait for long."""

_ERASURE = columns_of(Erasure)
_HOLD = columns_of(LegalHold)

_ADD_ERASURE = text(
    f"INSERT INTO privacy_erasures ({_ERASURE}) VALUES ({', '.join(':' + one for one in _ERASURE.split(', '))}) "
    "ON CONFLICT DO NOTHING"
)
_LOAD_OPEN = text(f"SELECT {_ERASURE} FROM privacy_erasures WHERE account = :account AND state = 'requested'")
_LOAD_ERASURE = text(f"SELECT {_ERASURE} FROM privacy_erasures WHERE erasure = :erasure")
_DECIDE = ChangeStatement(
    ErasureRow,
    "UPDATE privacy_erasures SET state = :state, decided_by = :decided_by, decided_at_ms = :decided_at_ms "
    "WHERE erasure = :erasure AND state = 'requested'",
)
_CLAIM = text(
    "UPDATE privacy_erasures SET decided_by = :decided_by, decided_at_ms = :decided_at_ms "
    "WHERE erasure = :erasure AND state = 'requested'"
)
_UNCLAIM = text(
    "UPDATE privacy_erasures SET decided_by = NULL, decided_at_ms = NULL "
    "WHERE erasure = :erasure AND state = 'requested' AND decided_by = :decided_by"
)
_WITHDRAW = text(
    "UPDATE privacy_erasures SET state = 'withdrawn', decided_by = :decided_by, decided_at_ms = :decided_at_ms, "
    "words_sealed = NULL WHERE erasure = :erasure AND state = 'requested' "
    "AND (decided_at_ms IS NULL OR decided_at_ms < :lapsed_ms)"
)
_TAKE_UP = text(
    "UPDATE privacy_erasures SET state = 'erasing', decided_by = :decided_by, decided_at_ms = :decided_at_ms "
    "WHERE account = :account AND state <> 'withdrawn'"
)
_GO_ON = text(
    "UPDATE privacy_erasures SET state = :state, words_sealed = NULL "
    "WHERE erasure = :erasure AND state IN ('erasing', 'erased', 'clean')"
)
_PUT_HOLD = ChangeStatement(
    HoldRow,
    f"INSERT INTO privacy_holds ({_HOLD}) VALUES ({', '.join(':' + one for one in _HOLD.split(', '))}) "
    "ON CONFLICT DO NOTHING",
)
_LIFT_HOLD = ChangeStatement(
    HoldRow,
    "UPDATE privacy_holds SET lifted_by = :lifted_by, lifted_at_ms = :lifted_at_ms "
    "WHERE hold = :hold AND lifted_at_ms IS NULL",
)
_LOAD_HOLDS = text(f"SELECT {_HOLD} FROM privacy_holds ORDER BY placed_at_ms, hold, account, incident")
_HAS_HOLD = text("SELECT 1 FROM privacy_holds WHERE hold = :hold LIMIT 1")

_DEAD = "state IN ('dead', 'refused', 'expired')"
_FIND_DEAD = (
    f"SELECT number FROM service_parcels WHERE {_DEAD} AND created_at_ms < :before_ms AND account NOT IN ({HELD_ACCOUNTS}) "
    f"ORDER BY number LIMIT {ROWS_AT_ONCE}"
)
_DELETE_DEAD = text(f"DELETE FROM service_parcels WHERE number IN ({_FIND_DEAD}) RETURNING account, event")
_DELETE_BODIES = text(
    "DELETE FROM service_events WHERE account = :account AND event = :event AND NOT EXISTS ("
    "SELECT 1 FROM service_parcels AS left_over WHERE left_over.account = service_events.account "
    "AND left_over.event = service_events.event)"
)

_ERASURE_BOUNDS = bounds_of(ErasureRow)


class SqlPrivacy:
    """Both ports on the engine of :func:`ledger.store.engine.open_engine`."""

    def __init__(self, engine: Engine) -> None:
        """Use ``engine``, whose tables :func:`ledger.store.migrate.upgrade` has made."""
        self._engine = engine
        self._rows = rows_of(engine)
        self._load_erasures = text(
            f"SELECT {_ERASURE} FROM privacy_erasures WHERE state IN (SELECT value FROM {asked(engine, 'states')}) "
            "AND (:after = '' OR (requested_at_ms, erasure) > (SELECT its.requested_at_ms, its.erasure "
            "FROM privacy_erasures AS its WHERE its.erasure = :after)) "
            "ORDER BY requested_at_ms, erasure LIMIT :count_max"
        )

    def add_erasure(self, erasure: Erasure) -> Erasure:
        """See :meth:`ledger.ports.privacy.PrivacyBook.add_erasure`."""
        values = asdict(erasure)
        check_values(values, _ERASURE_BOUNDS)
        with begin_write(self._engine, "keeping a request for erasure") as connection:
            connection.execute(_ADD_ERASURE, values)
            # Whose request it is, ours or that of somebody who was faster, only the table knows.
            return Erasure(*connection.execute(_LOAD_OPEN, {"account": erasure.account}).one())

    def load_erasure(self, erasure: str) -> Erasure | None:
        """The erasure of this id."""
        rows = fetch(self._engine, "reading an erasure", _LOAD_ERASURE, erasure=erasure)
        return Erasure(*rows[0]) if rows else None

    def load_erasures(
        self, states: Iterable[ErasureState], after: str = "", count_max: int | None = None
    ) -> Sequence[Erasure]:
        """See :meth:`ledger.ports.privacy.PrivacyBook.load_erasures`."""
        found = fetch(
            self._engine,
            "reading erasures",
            self._load_erasures,
            states=each_of(states),
            after=after,
            count_max=INTEGER_MAX if count_max is None else count_max,
        )
        return [Erasure(*row) for row in found]

    def decide(self, erasure: str, state: ErasureState, decided_by: str, at_ms: int) -> Change:
        """See :meth:`ledger.ports.privacy.PrivacyBook.decide`."""
        return _DECIDE.change(erasure=erasure, state=state, decided_by=decided_by, decided_at_ms=at_ms)

    def load_open(self, account: str) -> Erasure | None:
        """The request for ``account`` that is open."""
        rows = fetch(self._engine, "reading an erasure", _LOAD_OPEN, account=account)
        return Erasure(*rows[0]) if rows else None

    def claim(self, erasure: str, decided_by: str, at_ms: int) -> bool:
        """See :meth:`ledger.ports.privacy.PrivacyBook.claim`."""
        values: dict[str, Value] = {"erasure": erasure, "decided_by": decided_by, "decided_at_ms": at_ms}
        return self._change("approving an erasure", _CLAIM, values)

    def unclaim(self, erasure: str, decided_by: str) -> None:
        """See :meth:`ledger.ports.privacy.PrivacyBook.unclaim`."""
        self._change("leaving an erasure open", _UNCLAIM, {"erasure": erasure, "decided_by": decided_by})

    def withdraw(self, erasure: str, decided_by: str, at_ms: int, lapsed_ms: int) -> bool:
        """See :meth:`ledger.ports.privacy.PrivacyBook.withdraw`."""
        values: dict[str, Value] = {"erasure": erasure, "decided_by": decided_by, "decided_at_ms": at_ms}
        return self._change("withdrawing an erasure", _WITHDRAW, values | {"lapsed_ms": max(0, lapsed_ms)})

    def adopt(self, erasure: Erasure) -> None:
        """See :meth:`ledger.ports.privacy.PrivacyBook.adopt`."""
        values = asdict(erasure)
        check_values(values, _ERASURE_BOUNDS)
        with begin_write(self._engine, "taking up an erasure of the log") as connection:
            if not connection.execute(_TAKE_UP, values).rowcount:
                connection.execute(_ADD_ERASURE, values)

    def _change(self, doing: str, statement: TextClause, values: dict[str, Value]) -> bool:
        check_values(values, _ERASURE_BOUNDS)
        with begin_write(self._engine, doing) as connection:
            return connection.execute(statement, values).rowcount == 1

    def go_on(self, erasure: str, state: ErasureState) -> None:
        """See :meth:`ledger.ports.privacy.PrivacyBook.go_on`."""
        with begin_write(self._engine, "keeping how far an erasure has come") as connection:
            connection.execute(_GO_ON, {"erasure": erasure, "state": state})

    def put_hold(self, hold: LegalHold) -> Change:
        """What keeps a hold; one that is there stays."""
        return _PUT_HOLD.change(**asdict(hold))

    def lift_hold(self, hold: str, lifted_by: str, at_ms: int) -> Change:
        """What lifts a hold, on whatever it lies."""
        return _LIFT_HOLD.change(hold=hold, lifted_by=lifted_by, lifted_at_ms=at_ms)

    def load_holds(self) -> Sequence[LegalHold]:
        """All holds, by age."""
        return [LegalHold(*row) for row in fetch(self._engine, "reading holds", _LOAD_HOLDS)]

    def has_hold(self, hold: str) -> bool:
        """Whether there is, or was, a hold of this id."""
        return bool(fetch(self._engine, "reading a hold", _HAS_HOLD, hold=hold))

    def count(self, account: str) -> Mapping[str, int]:
        """How many rows :meth:`purge` would take, by what they are."""
        counts: dict[str, int] = {}
        with begin_read(self._engine, "counting what is kept of an account") as connection:
            for one in PURGES:
                query = text(f"SELECT COUNT(*) FROM {one.table} WHERE {one.where}")
                rows = connection.execute(query, {"account": account}).scalar_one()
                counts[one.what] = counts.get(one.what, 0) + int(rows)
        return counts

    def purge(self, account: str) -> Mapping[str, int]:
        """See :meth:`ledger.ports.privacy.Eraser.purge`."""
        gone: dict[str, int] = {}
        for one in PURGES:
            rows = self._destroy(self._statement(one), {"account": account})
            gone[one.what] = gone.get(one.what, 0) + rows
        return gone

    def clean(self) -> Cleaned:
        """See :meth:`ledger.ports.privacy.Eraser.clean`."""
        return cleaning.clean(self._engine, {"vault_subjects", *(one.table for one in PURGES)})

    def purge_contacts(self, account: str) -> int:
        """See :meth:`ledger.ports.privacy.Eraser.purge_contacts`."""
        return sum(self._destroy(self._statement(one), {"account": account}) for one in CONTACTS)

    def purge_dead_letters(self, before_ms: int) -> int:
        """See :meth:`ledger.ports.privacy.Eraser.purge_dead_letters`."""
        total = 0
        values = within({"before_ms": before_ms})
        while True:
            with begin_write(self._engine, "destroying dead letters") as connection:
                self._rows.lock_head(connection)
                self._overwrite(connection)
                ended = connection.execute(_DELETE_DEAD, values).fetchall()
                if ended:
                    bodies = [{"account": row[0], "event": row[1]} for row in sorted(set(map(tuple, ended)))]
                    connection.execute(_DELETE_BODIES, bodies)
            total += len(ended)
            if len(ended) < ROWS_AT_ONCE:
                return total

    def _statement(self, one: Purge) -> TextClause:
        row = "ctid" if is_server(self._engine.url) else "rowid"
        some = f"WHERE {row} IN (SELECT {row} FROM {one.table} WHERE {one.where} LIMIT {ROWS_AT_ONCE})"
        return text(
            f"DELETE FROM {one.table} {some}"
            if one.clears is None
            else f"UPDATE {one.table} SET {one.clears} {some}"
        )

    def _destroy(self, statement: TextClause, values: Mapping[str, Any]) -> int:
        total = 0
        while True:
            with begin_write(self._engine, "destroying what is kept of an account") as connection:
                self._rows.lock_head(connection)
                self._overwrite(connection)
                rows = connection.execute(statement, dict(values)).rowcount
            total += rows
            if rows < ROWS_AT_ONCE:
                return total

    def _overwrite(self, connection: Any) -> None:
        if not is_server(self._engine.url):
            # SQLite would only unlink what is deleted; this connection overwrites it from now on.
            connection.exec_driver_sql("PRAGMA secure_delete = ON")
