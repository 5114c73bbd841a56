"""Tickets of what an account did: the log's signed promise of each entry that grants, changes or revokes (section 1.5).

An operator could leave a revocation out, or record it later than it came. Who was given the ticket of its entry can hold
that against the log: the entry stands there, at this place, or the promise is broken (:mod:`ledger.transparency.promises`).
It is the same ticket as the one that goes along with a delivery, and is signed anew whenever it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ledger.core.chain import leaf_hash
from ledger.core.history import History
from ledger.gateway.ticketing import Tickets
from ledger.ports import EntryStore
from ledger.sequencer.sequencer import Sequencer

REVOKED = "revoked"


class GrantTicket(NamedTuple):
    """The ticket of the entry ``seq``, which did ``verb`` (``issued``, ``revoked``, ...) to ``grant`` of ``app``."""

    grant: str
    app: str
    verb: str
    seq: int
    recorded_at_ms: int
    ticket: str


class _Recorded(NamedTuple):
    grant: str
    app: str
    verb: str
    seq: int
    recorded_at_ms: int


class GrantTickets:
    """Makes them. Safe from any thread."""

    def __init__(self, *, sequencer: Sequencer, store: EntryStore, tickets: Tickets) -> None:
        self._sequencer = sequencer
        self._store = store
        self._tickets = tickets

    def of_account(self, account: str, app: str | None = None) -> list[GrantTicket]:
        """The tickets of every entry about grants of ``account`` (a tag), to ``app`` or to any, in the order of the log."""

        def find(history: History, _now_ms: int) -> list[_Recorded]:
            record = history.accounts.get(account)
            grants = [] if record is None else record.grants
            return [
                _Recorded(one.grant, one.app, event.verb, event.seq, event.recorded_at)
                for one in grants
                if app in (None, one.app)
                for event in one.events
            ]

        return self._sign(self._sequencer.look(find))

    def of_revocation(self, grant: str) -> GrantTicket | None:
        """The ticket of the first revocation of ``grant``, None where it was never revoked."""

        def find(history: History, _now_ms: int) -> list[_Recorded]:
            record = history.grants.get(grant)
            return [
                _Recorded(grant, record.app, event.verb, event.seq, event.recorded_at)
                for event in (() if record is None else record.events)
                if record is not None and event.verb == REVOKED
            ]

        return next(iter(self._sign(self._sequencer.look(find)[:1])), None)

    def _sign(self, recorded: Iterable[_Recorded]) -> list[GrantTicket]:
        made = []
        for one in sorted(recorded, key=lambda each: each.seq):
            row = next(iter(self._store.fetch_range(one.seq, one.seq + 1)))
            made.append(GrantTicket(*one, self._tickets.sign(one.seq, leaf_hash(row.data))))
        return made
