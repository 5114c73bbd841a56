"""Receipts of a log that is followed: weighed as they come, and again where something that they rest on changes.

One rule with a verification's, :class:`~ledger.audit.receipts.ReceiptBook`; here is only *when* it is asked. A receipt with a
ticket names an entry and is settled for good by it, or when the log reaches it. One without is sought by its delivery's name;
that is decided again when something more is told of the delivery, and when a record changes that the judgement of one of its
attempts has looked up (:mod:`ledger.audit.watched_history`).

For an attempt that is plain a receipt is no news, but where the log says that nothing of it left: those, and the attempts
that have findings, are judged again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ledger.audit.backing import load_deliveries
from ledger.audit.entry_reader import EntryReader
from ledger.audit.findings import Finding, keep_finding, kept_finding
from ledger.audit.places import Places
from ledger.audit.receipts import Alarm, ReceiptBook, Sought, Taken, ToldOf
from ledger.audit.watched_history import WatchedHistory
from ledger.core.judgement import judge
from ledger.core.receipts import RECEIPT_MISSING_AFTER_MS
from ledger.ports import Attempt
from ledger.ports.growth import AttemptBook, Dependency


class FollowedReceipts:
    """The receipts of one log as far as it was read."""

    def __init__(self, receipts: ReceiptBook, book: AttemptBook, history: WatchedHistory) -> None:
        """Over the log's attempts and history, none of them read yet, or all as they were kept."""
        self.receipts = receipts
        self._book = book
        self._history = history
        self._ahead: dict[int, Sought] = {}
        self._unsettled: set[str] = set()
        self._confirmed: set[int] = set()
        self._rests_on: dict[str, frozenset[Dependency]] = {}
        self._watchers: dict[Dependency, set[str]] = {}
        self._owned_first: dict[str, int | None] = {}
        self._known_firsts = 0

    def add(self, position: int, receipt: Any) -> None:
        """Take the ``delivery.receipt`` at ``position``; the history holds all that stands before it."""
        self.receipts.add(position, receipt, self._history)

    def settle(self, reader: EntryReader, tree_size: int, ledger_time_ms: int) -> None:
        """Settle what is new and what has to be settled again, and mark the attempts that it matters to.

        Before these are judged. Where an entry cannot be read the rest stays to be settled the next time.
        """
        self._note(self.receipts.take_waiting(reader, tree_size))
        for place, receipt in list(self._ahead.items()):
            if receipt.promised_seq is not None and receipt.promised_seq < tree_size:
                reached = Taken()
                self.receipts.take(place, receipt, reader, tree_size, reached)
                del self._ahead[place]
                self._note(reached)
        self._unsettled |= self._book.take_told()
        history = self._history
        for changed in (*(("accounts", one) for one in history.changed_accounts), *history.changed_parties):
            self._unsettled |= self._watchers.get(changed, set())
        for delivery in sorted(self._unsettled):
            self._seek(delivery, reader, tree_size, ledger_time_ms)
            self._unsettled.discard(delivery)
        self._reconsider(reader)

    def _note(self, taken: Taken) -> None:
        """Keep what receipts came to until it is seen to: they are not taken a second time."""
        self._ahead.update(taken.ahead)
        self._unsettled |= taken.sought
        for delivery in taken.sought:
            self._book.watch_delivery(delivery)
        rows = (self._book.row_of(one.delivery, one.attempt) for _, one in taken.confirmed)
        self._confirmed.update(row for row in rows if row is not None)

    def _reconsider(self, reader: EntryReader) -> None:
        """Receipts came in for these attempts."""
        for row in sorted(self._confirmed):
            if self._book.is_watched(row):
                self._book.mark([row])
            elif any(_says_nothing_left(reader.entry(each)) for each in self._book.positions(row)):
                self._book.doubt([row])
            self._confirmed.discard(row)

    def _seek(self, delivery: str, reader: EntryReader, tree_size: int, ledger_time_ms: int) -> None:
        rows = self._book.rows_of(delivery)
        places = {position: row for row in rows for position in self._book.positions(row)}
        asked = self._history.asked
        asked.clear()
        told: list[ToldOf] = [
            (positions, one, judge(one, self._history, tree_size=tree_size, ledger_time_ms=ledger_time_ms))
            for positions, one in load_deliveries(Attempt(tuple(places)), reader)
            if one.delivery == delivery
        ]
        self._watch(delivery, frozenset(asked))
        confirmed, denied = self.receipts.conclude(delivery, told)
        self._confirmed |= {places[position] for position in confirmed}
        self._book.doubt({places[position] for position in denied if position in places})

    def _watch(self, delivery: str, rests_on: frozenset[Dependency]) -> None:
        for dependency in self._rests_on.pop(delivery, frozenset()):
            watchers = self._watchers[dependency]
            watchers.discard(delivery)
            if not watchers:
                del self._watchers[dependency]
        self._rests_on[delivery] = rests_on
        for dependency in rests_on:
            self._watchers.setdefault(dependency, set()).add(delivery)

    # What is missing.

    def doubt_overdue(self, ledger_time_ms: int) -> bool:
        """Doubt the plain attempts that have to have a receipt by now and may have none; whether there are any."""
        if self.receipts.is_empty:
            return False
        if self._history.changed_parties or len(self.receipts.firsts) != self._known_firsts:
            self._owned_first.clear()
            self._known_firsts = len(self.receipts.firsts)
        until_ms = ledger_time_ms - RECEIPT_MISSING_AFTER_MS
        return self._book.doubt_unasked(until_ms, self._first_of, self._are_receipted)

    def _are_receipted(self, places: Sequence[int]) -> list[bool]:
        return [self.receipts.is_receipted(place) for place in places]

    def _first_of(self, rests_on: frozenset[Dependency]) -> int | None:
        """The first receipt of anybody who ever owned an endpoint among what an attempt rests on; generously."""
        firsts = [self._first_at(name) for table, name in rests_on if table == "endpoints"]
        return min((first for first in firsts if first is not None), default=None)

    def _first_at(self, endpoint: str) -> int | None:
        if endpoint not in self._owned_first:
            record = self._history.endpoints.get(endpoint)
            events = [] if record is None else record.holdings.events
            apps = {event.value[0] for event in events if event.value is not None}
            owners = {event.value for app in apps for event in self._owners(app)}
            firsts = [self.receipts.firsts[owner] for owner in owners if owner in self.receipts.firsts]
            self._owned_first[endpoint] = min(firsts, default=None)
        return self._owned_first[endpoint]

    def _owners(self, app: str) -> Sequence[Any]:
        record = self._history.apps.get(app)
        return () if record is None else record.owners.events

    # What was found.

    def findings(self) -> dict[str, Finding]:
        """All findings about receipts that stand, by key."""
        alarms = self.receipts.alarms
        return {f"receipt:{place}:{code}": alarm.finding for (place, code), alarm in alarms.items()}

    # What is kept.

    def to_json(self) -> dict[str, Any]:
        """All that a later start needs; places of entries, tags, no signature."""
        receipts = self.receipts
        return {
            "firsts": receipts.firsts,
            "ticketed": receipts.ticketed.bits.hex(),
            "named": [[delivery, sorted(places)] for delivery, places in receipts.by_name.items()],
            "sought": [[place, *one] for ones in receipts.sought.values() for place, one in ones.items()],
            "ahead": [[place, *one] for place, one in self._ahead.items()],
            "alarms": [[place, keep_finding(one.finding)] for (place, _), one in receipts.alarms.items()],
        }

    def restore(self, kept: dict[str, Any]) -> None:
        """Take what was kept; all that is sought is settled again at the next call."""
        receipts = self.receipts
        receipts.firsts = kept["firsts"]
        receipts.ticketed = Places(bytes.fromhex(kept["ticketed"]))
        for delivery, places in kept["named"]:
            receipts.put_named(delivery, frozenset(places))
        for place, *values in kept["sought"]:
            one = Sought(*values)
            receipts.sought.setdefault(one.delivery, {})[place] = one
        self._ahead = {place: Sought(*values) for place, *values in kept["ahead"]}
        for place, row in kept["alarms"]:
            found = kept_finding(row)
            receipts.alarms[place, found.code] = Alarm(found, (), "")
        for delivery in receipts.sought:
            self._book.watch_delivery(delivery)
        self._unsettled = set(receipts.sought)


def _says_nothing_left(entry: Any) -> bool:
    return getattr(entry, "disclosure", None) == "none"
