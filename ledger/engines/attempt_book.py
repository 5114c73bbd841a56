"""Every attempt of a log that grows, as columns.

A row is an attempt as engines know it (:mod:`ledger.engines.rows`): all entries with one hash of delivery and attempt
number, nearly always an attempt with its settlement, or an import. About 90 bytes each, the two tables of hashes included:
where its entries stand, whose data it was, when it started, on which parties its being clean rests.

Rows that are told of by other entries than these two, or that deliver an event which another row delivers as well, are
never called clean here: the scalar rule judges them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ledger.core.history import History
from ledger.engines.hash_rows import grown
from ledger.engines.quick_clean import QuickClean, Recurring
from ledger.engines.recurring import NO_ID
from ledger.engines.rows import NO_SEQ, Columns, RowHashes
from ledger.engines.sorted_runs import ABSENT, SortedRuns
from ledger.engines.text_hash import signed_one, tag_words
from ledger.ports.growth import Dependency, Doubt

PLAIN, WATCHED, DOUBTFUL = range(3)
NEVER_MS = np.iinfo(np.int64).max
STRETCH_ROWS = 1 << 14
"""Rows of which it is known together when the last of them started."""

_COLUMNS: dict[str, type[np.signedinteger[Any]]] = {
    "first": np.int64,
    "second": np.int64,
    "account_high": np.int64,
    "account_low": np.int64,
    "started_at": np.int64,
    "decided_at_size": np.int64,
    "route": np.int32,
    "arrival": np.int32,
    "rests_on": np.int32,
    "state": np.int8,
    "asked": np.int8,
}
_NOTHING = -1

Numbers = npt.NDArray[np.int64]


class Book:
    """Implements ``ledger.ports.growth.AttemptBook`` but for what :mod:`ledger.engines.receipted_book` has."""

    def __init__(self, hashes: RowHashes, recurring: Recurring) -> None:
        """Start without any attempt; ``recurring`` is kept by whoever reads, with all routes and arrivals of the rows."""
        self._hashes = hashes
        self._size = 0
        self._columns = {name: np.zeros(0, dtype) for name, dtype in _COLUMNS.items()}
        self._latest: Numbers = np.zeros(0, np.int64)
        self._attempts = SortedRuns()
        self._events = SortedRuns()
        self._copies: dict[int, list[int]] = {}
        self._copy_of: dict[int, int] = {}
        self._more: dict[int, list[int]] = {}
        self._doubtful: set[int] = set()
        self._fresh: list[tuple[int, int]] = []
        self._rests: list[frozenset[Dependency]] = []
        self._rest_ids: dict[frozenset[Dependency], int] = {}
        self._with: dict[Dependency, list[int]] = {}
        self._quick = QuickClean(recurring)
        self._unasked_from: Numbers = np.zeros(0, np.int64)

    # What was read.

    def add(self, rows: Columns, left_over: Sequence[tuple[Any, int]]) -> None:
        """Take the rows of a stretch, and its entries that are in none, with their positions."""
        self._add_rows(rows)
        for entry, position in sorted(left_over, key=lambda each: each[1]):
            self._add_entry(entry, position)

    def _add_rows(self, rows: Columns) -> None:
        keys: Numbers = rows["attempt_key"]
        if not len(keys):
            return
        _, first_of, counts = np.unique(keys, return_index=True, return_counts=True)
        is_single = np.zeros(len(keys), np.bool_)
        is_single[first_of[counts == 1]] = True
        is_single &= self._attempts.find(keys) == ABSENT
        chosen = np.flatnonzero(is_single)
        start, size = self._size, self._size + len(chosen)
        self._reach(size)
        columns = self._columns
        columns["first"][start:size] = rows["attempt_seq"][chosen]
        columns["second"][start:size] = rows["settled_seq"][chosen]
        for name in ("account_high", "account_low", "started_at", "decided_at_size", "route", "arrival"):
            columns[name][start:size] = rows[name][chosen]
        # An odd row has no route that anything could be decided by.
        columns["route"][start:size][rows["odd"][chosen] != 0] = NO_ID
        self._attempts.add(keys[chosen], np.arange(start, size))
        self._add_copies(rows["copy_key"][chosen], start)
        self._fresh.append((start, size))
        self._note_latest(start, size)
        for place in np.flatnonzero(~is_single).tolist():
            row = self._row_of(int(keys[place]), int(rows["copy_key"][place]))
            self._tell_more(row, int(rows["attempt_seq"][place]))
            if rows["settled_seq"][place] != NO_SEQ:
                self._tell_more(row, int(rows["settled_seq"][place]))

    def _add_entry(self, entry: Any, position: int) -> None:
        key = self._hashes.attempt_key(entry)
        copy_key = None if entry.kind == "delivery.settled" else self._hashes.copy_key(entry)
        self._tell_more(self._row_of(key, copy_key), position)

    def _row_of(self, key: int, copy_key: int | None) -> int:
        """The row of an attempt's key, made where it is new; it delivers the event of ``copy_key``."""
        found = int(self._attempts.find(np.array([key]))[0])
        if found == ABSENT:
            found = self._size
            self._reach(found + 1)
            for name in ("first", "second"):
                self._columns[name][found] = NO_SEQ
            self._columns["route"][found] = NO_ID
            self._attempts.add(np.array([key]), np.array([found]))
        if copy_key is not None and self._copy_of.get(found) != copy_key:
            self._add_copies(np.array([copy_key]), found)
        return found

    def _tell_more(self, row: int, position: int) -> None:
        """Another entry tells of ``row``, which only the scalar rule judges from now on."""
        columns = self._columns
        for name in ("first", "second"):
            if columns[name][row] == NO_SEQ:
                columns[name][row] = position
                break
        else:
            self._more.setdefault(row, []).append(position)
        columns["route"][row] = NO_ID
        self.mark([row])

    def _add_copies(self, keys: Numbers, start: int) -> None:
        """The rows from ``start`` on deliver the events of ``keys``."""
        known = self._events.find(keys)
        fresh = np.flatnonzero(known == ABSENT)
        distinct, at = np.unique(keys[fresh], return_index=True)
        self._events.add(distinct, start + fresh[at])
        if len(distinct) == len(keys):
            return
        known[fresh] = self._events.find(keys[fresh])
        for place in np.flatnonzero(known != start + np.arange(len(keys))).tolist():
            self._join(int(known[place]), start + place, int(keys[place]))

    def _join(self, first: int, row: int, key: int) -> None:
        """Two rows deliver the event of ``key``. A row that forged entries let deliver several joins all their rows."""
        group = self._copies.setdefault(key, [])
        for member in (first, row):
            known = self._copy_of.get(member)
            if known is None:
                group.append(member)
            elif self._copies[known] is not group:
                group = self._merge(group, self._copies[known])
            self._copy_of[member] = key
        self.mark(group)

    def _merge(self, group: list[int], other: list[int]) -> list[int]:
        """One group of two, under all their keys."""
        other += [row for row in group if row not in other]
        for key, rows in self._copies.items():
            if rows is group:
                self._copies[key] = other
        return other

    def _reach(self, size: int) -> None:
        self._size = size
        for name, values in self._columns.items():
            self._columns[name] = grown(values, size, DOUBTFUL if name == "state" else None)
        self._latest = grown(self._latest, size // STRETCH_ROWS + 1, -1)
        self._unasked_from = grown(self._unasked_from, size // STRETCH_ROWS + 1, NEVER_MS)

    def _note_latest(self, start: int, end: int) -> None:
        stretches = np.arange(start, end) // STRETCH_ROWS
        started_at = self._columns["started_at"][start:end]
        np.maximum.at(self._latest, stretches, started_at)
        np.minimum.at(self._unasked_from, stretches, started_at)

    # What has changed.

    def forget_parties(self) -> None:
        """Something about a party has changed: what was known of pairs is void."""
        self._quick.forget()

    def touch_accounts(self, changed: Mapping[str, int]) -> None:
        """Plain attempts of these accounts that started at or after the instant (ms) are doubtful again."""
        if not changed or not self._size:
            return
        words = {tuple(map(signed_one, tag_words(account))): at for account, at in changed.items()}
        rows = self._plain_since(min(changed.values()))
        high = self._columns["account_high"][rows]
        rows = rows[np.isin(high, np.array([word for word, _ in words], np.int64))]
        columns = self._columns
        self.mark(
            row
            for row, *word, started_at in zip(
                rows.tolist(),
                columns["account_high"][rows].tolist(),
                columns["account_low"][rows].tolist(),
                columns["started_at"][rows].tolist(),
                strict=True,
            )
            if (from_ms := words.get(tuple(word))) is not None and started_at >= from_ms
        )

    def touch_parties(self, changed: Mapping[Dependency, int]) -> None:
        """Plain attempts that rest on these and started at or after the instant (ms) are doubtful again."""
        if not changed:
            return
        self.forget_parties()
        from_ms: dict[int, int] = {}
        for dependency, at in changed.items():
            for number in self._with.get(dependency, ()):
                from_ms[number] = min(at, from_ms.get(number, at))
        if not from_ms or not self._size:
            return
        rows = self._plain_since(min(from_ms.values()))
        earliest = np.full(len(self._rests), np.iinfo(np.int64).max)
        earliest[list(from_ms)] = list(from_ms.values())
        rows = rows[self._columns["started_at"][rows] >= earliest[self._columns["rests_on"][rows]]]
        self.mark(rows.tolist())

    def _plain_since(self, from_ms: int) -> Numbers:
        """The plain rows that started at or after an instant."""
        stretches = np.flatnonzero(self._latest >= from_ms)
        parts = [np.zeros(0, np.int64)]
        for stretch in stretches.tolist():
            part = slice(stretch * STRETCH_ROWS, min((stretch + 1) * STRETCH_ROWS, self._size))
            is_chosen = self._columns["state"][part] == PLAIN
            is_chosen &= self._columns["started_at"][part] >= from_ms
            parts.append(part.start + np.flatnonzero(is_chosen))
        return np.concatenate(parts)

    def mark(self, rows: Iterable[int]) -> None:
        """These attempts are doubtful again, and so are their copies."""
        for row in rows:
            if row in self._doubtful:
                continue
            key = self._copy_of.get(row)
            together = [row] if key is None else self._copies[key]
            self._doubtful.update(together)
            self._columns["state"][together] = DOUBTFUL
            self._columns["asked"][together] = 0
            for each in together:
                stretch, started_at = each // STRETCH_ROWS, self._columns["started_at"][each]
                self._unasked_from[stretch] = min(self._unasked_from[stretch], started_at)

    # What is to be judged.

    def take_doubtful(self, history: History) -> Iterator[list[Doubt]]:
        """The doubtful attempts that are not surely clean, in groups that may be copies of each other."""
        fresh = [row for start, end in self._fresh for row in range(start, end)]
        self._fresh.clear()
        doubtful = self._doubtful.union(fresh)
        self._doubtful = set()
        ordered = np.array(sorted(doubtful), np.int64)
        left = self._without_clean(history, ordered)
        # Until each is filed it stays doubtful, also where judging it fails.
        self._doubtful.update(left)
        done: set[int] = set()
        for row in left:
            if row not in done:
                together = self.copies_of(row) or [row]
                done.update(together)
                yield [Doubt(each, self.positions(each)) for each in together]

    def _without_clean(self, history: History, rows: Numbers) -> list[int]:
        """Those of ``rows`` that the scalar rule has to judge; the others are plain now."""
        columns = self._columns
        names = ("route", "arrival", "account_high", "account_low", "started_at", "decided_at_size")
        table = zip(rows.tolist(), *(columns[name][rows].tolist() for name in names), strict=True)
        left, clean, rests = [], [], []
        mask = (1 << 64) - 1
        rests_on, copies = self._quick.rests_on, self._copy_of
        for row, route, arrival, high, low, started_at, decided in table:
            if route == NO_ID or row in copies:
                left.append(row)
                continue
            account = f"a_{high & mask:016x}{low & mask:016x}"
            found = rests_on(history, route, arrival, account, started_at, decided)
            if found is None:
                left.append(row)
            else:
                clean.append(row)
                rests.append(self._rest_id(found))
        columns["state"][clean] = PLAIN
        columns["rests_on"][clean] = rests
        return left

    def _rest_id(self, rests_on: frozenset[Dependency]) -> int:
        number = self._rest_ids.get(rests_on)
        if number is None:
            number = self._rest_ids[rests_on] = len(self._rests)
            self._rests.append(rests_on)
            for dependency in rests_on:
                self._with.setdefault(dependency, []).append(number)
        return number

    def positions(self, row: int) -> tuple[int, ...]:
        """Where the entries of an attempt stand, ascending."""
        two = (int(self._columns["first"][row]), int(self._columns["second"][row]))
        return tuple(sorted(each for each in (*two, *self._more.get(row, ())) if each != NO_SEQ))

    def file_plain(self, row: int, account: str, started_at_ms: int, rests_on: frozenset[Dependency]) -> None:
        """The attempt was judged to be clean; its account is not among what it ``rests_on``."""
        columns = self._columns
        columns["account_high"][row], columns["account_low"][row] = map(signed_one, tag_words(account))
        columns["started_at"][row] = started_at_ms
        columns["rests_on"][row] = self._rest_id(rests_on)
        columns["state"][row] = PLAIN
        self._note_latest(row, row + 1)
        self._doubtful.discard(row)

    def file_watched(self, row: int) -> None:
        """Whoever judged the attempt watches it."""
        self._columns["state"][row] = WATCHED
        self._doubtful.discard(row)

    def plain_count(self) -> int:
        """How many attempts are plain."""
        return int((self._columns["state"][: self._size] == PLAIN).sum())

    def watched_rows(self) -> list[int]:
        """The attempts that are watched."""
        rows: list[int] = np.flatnonzero(self._columns["state"][: self._size] == WATCHED).tolist()
        return rows

    def copies_of(self, row: int) -> Sequence[int]:
        """The attempts that may be copies of this one, itself among them; none for one that delivers alone."""
        key = self._copy_of.get(row)
        return () if key is None else self._copies[key]

    # What is kept.

    def arrays(self) -> dict[str, Any]:
        """All columns and tables as arrays."""
        made: dict[str, Any] = {name: values[: self._size] for name, values in self._columns.items()}
        made["attempt_keys"], made["attempt_rows"] = self._attempts.arrays()
        made["event_keys"], made["event_rows"] = self._events.arrays()
        return made

    def facts(self) -> dict[str, Any]:
        """All that is not in columns, for JSON."""
        return {
            "more": [[row, more] for row, more in self._more.items()],
            "copies": [[key, rows] for key, rows in self._copies.items()],
            "rests": [sorted(map(list, rests_on)) for rests_on in self._rests],
        }

    def restore(self, arrays: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Take, into a book that is empty, what was kept; routes and arrivals have no ids any more."""
        self._size = len(arrays["first"])
        self._columns = {name: arrays[name].astype(dtype) for name, dtype in _COLUMNS.items()}
        for name in ("route", "arrival"):
            self._columns[name][:] = NO_ID
        self._latest = np.full(self._size // STRETCH_ROWS + 1, -1)
        self._unasked_from = np.full(self._size // STRETCH_ROWS + 1, NEVER_MS)
        self._note_latest(0, self._size)
        self._attempts = SortedRuns.of_arrays((arrays["attempt_keys"], arrays["attempt_rows"]))
        self._events = SortedRuns.of_arrays((arrays["event_keys"], arrays["event_rows"]))
        self._more = {row: list(more) for row, more in facts["more"]}
        for key, rows in facts["copies"]:
            # Groups that were merged are one list.
            known = next((self._copy_of[row] for row in rows if row in self._copy_of), None)
            self._copies[key] = list(rows) if known is None else self._copies[known]
            self._copy_of.update(dict.fromkeys(rows, key))
        for rests_on in facts["rests"]:
            self._rest_id(frozenset((table, name) for table, name in rests_on))
        self._doubtful.update(np.flatnonzero(self._columns["state"] == DOUBTFUL).tolist())
