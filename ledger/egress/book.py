"""What an egress proxy has counted, in a file of its own (ledger format, section 1.5).

Counts are kept in memory and written every second, in one transaction. A proxy that dies loses at most what passed since;
the hour in which that happened, and the one in which it starts again, are then not *whole*, and are never closed: their
counts are handed in as a lower bound. One that was stopped properly loses nothing, and while it is stopped nothing passes.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ledger.core.egress_counts import HOUR_MS, Counted
from ledger.errors import StoreError

NAMES_MAX = 100_000
"""Most server names, each in each hour, that wait to be written; they are written every second, unless that fails."""

_TABLES = """
CREATE TABLE IF NOT EXISTS counts (
    hour_ms INTEGER NOT NULL, sni TEXT NOT NULL, connections INTEGER NOT NULL, bytes_up INTEGER NOT NULL,
    bytes_down INTEGER NOT NULL, PRIMARY KEY (hour_ms, sni)
);
CREATE TABLE IF NOT EXISTS hours (
    hour_ms INTEGER PRIMARY KEY, is_whole INTEGER NOT NULL, is_handed_in INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS life (
    one INTEGER PRIMARY KEY CHECK (one = 1), seen_ms INTEGER NOT NULL, is_clean INTEGER NOT NULL
);
"""
_ADD = """
INSERT INTO counts (hour_ms, sni, connections, bytes_up, bytes_down) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (hour_ms, sni) DO UPDATE SET connections = connections + excluded.connections,
    bytes_up = bytes_up + excluded.bytes_up, bytes_down = bytes_down + excluded.bytes_down
"""
_LIVE = """
INSERT INTO life (one, seen_ms, is_clean) VALUES (1, ?, ?)
ON CONFLICT (one) DO UPDATE SET seen_ms = excluded.seen_ms, is_clean = excluded.is_clean
"""


class Hour(NamedTuple):
    """An hour that is over: what was counted to each name, and whether nothing is missing."""

    hour_ms: int
    is_whole: bool
    names: Sequence[tuple[str, Counted]]


def hour_of(at_ms: int) -> int:
    """The beginning of the hour that ``at_ms`` lies in."""
    return at_ms - at_ms % HOUR_MS


class CountBook:
    """The counts in the file ``path``; safe from any thread. One process at a time."""

    def __init__(self, path: Path, now_ms: int) -> None:
        """Open the book; where the process before died, its hour and this one are not whole.

        Raises StoreError where it cannot be opened, or is in use.
        """
        try:
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1.0)
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.executescript(_TABLES)
        except sqlite3.Error as error:
            raise StoreError(f"{path} cannot be opened, or another proxy uses it: {error}") from error
        self._lock = threading.Lock()
        self._fresh: dict[tuple[int, str], Counted] = {}
        life = self._database.execute("SELECT seen_ms, is_clean FROM life").fetchone()
        self._reach_ms = hour_of(now_ms if life is None else min(life[0], now_ms))
        # What is said to be all of an hour stays all of it, whatever the clock does later.
        done = self._database.execute("SELECT max(hour_ms) FROM hours WHERE is_handed_in").fetchone()[0]
        self._open_from_ms = 0 if done is None else done + HOUR_MS
        is_gap = life is None or not life[1]
        if is_gap:
            self._mark_gap(self._reach_ms, hour_of(now_ms))
        self.write(now_ms)

    def _mark_gap(self, first_ms: int, last_ms: int) -> None:
        rows = [(hour,) for hour in range(first_ms, last_ms + 1, HOUR_MS)]
        self._database.executemany(
            "INSERT INTO hours VALUES (?, 0, 0) ON CONFLICT (hour_ms) DO UPDATE SET is_whole = 0", rows
        )

    def add(self, sni: str, now_ms: int, counted: Counted) -> None:
        """Count something to a name, now; written within a second.

        Raises StoreError, and counts nothing, where too many names wait to be written: then nothing may pass.
        """
        with self._lock:
            key = (max(hour_of(now_ms), self._open_from_ms), sni)
            if key not in self._fresh and len(self._fresh) >= NAMES_MAX:
                raise StoreError("too many server names wait to be counted")
            self._fresh[key] = self._fresh.get(key, Counted()).plus(counted)

    def write(self, now_ms: int, *, is_last: bool = False) -> None:
        """Write what was counted since; ``is_last`` says that nothing passes any more. Durable when this returns."""
        with self._lock:
            fresh, self._fresh = self._fresh, {}
            reach_ms = hour_of(now_ms)
            hours = [(hour,) for hour in range(self._reach_ms, reach_ms + 1, HOUR_MS)]
            try:
                self._database.execute("BEGIN IMMEDIATE")
                self._database.executemany("INSERT INTO hours VALUES (?, 1, 0) ON CONFLICT DO NOTHING", hours)
                self._database.executemany(
                    _ADD, [(hour, sni, *counted) for (hour, sni), counted in fresh.items()]
                )
                self._database.execute(_LIVE, (now_ms, int(is_last)))
                self._database.execute("COMMIT")
            except sqlite3.Error as error:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                for key, counted in fresh.items():
                    self._fresh[key] = counted.plus(self._fresh.get(key, Counted()))
                raise StoreError(f"counts cannot be written: {error}") from error
            self._reach_ms = max(self._reach_ms, reach_ms)

    def load_over(self, now_ms: int) -> list[Hour]:
        """The hours that are over, all of them written, and were not handed in, the oldest first."""
        with self._opened():
            before_ms = min([hour_of(now_ms), *(hour for hour, _ in self._fresh)])
            found = self._database.execute(
                "SELECT hour_ms, is_whole FROM hours WHERE hour_ms < ? AND NOT is_handed_in ORDER BY hour_ms",
                (before_ms,),
            ).fetchall()
            return [Hour(hour, bool(is_whole), self._names(hour)) for hour, is_whole in found]

    def _names(self, hour_ms: int) -> list[tuple[str, Counted]]:
        rows = self._database.execute(
            "SELECT sni, connections, bytes_up, bytes_down FROM counts WHERE hour_ms = ? ORDER BY sni",
            (hour_ms,),
        )
        return [(sni, Counted(*numbers)) for sni, *numbers in rows]

    def note_handed_in(self, hour_ms: int) -> None:
        """Keep that an hour's counts are in the log."""
        with self._opened():
            self._database.execute("UPDATE hours SET is_handed_in = 1 WHERE hour_ms = ?", (hour_ms,))
            self._open_from_ms = max(self._open_from_ms, hour_ms + HOUR_MS)

    @contextmanager
    def _opened(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise StoreError(f"counts cannot be read or marked: {error}") from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()
