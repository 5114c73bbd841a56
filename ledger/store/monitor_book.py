"""What a monitor remembers of the logs that it follows: checkpoints, findings, and what it has yet to tell.

One SQLite file of the monitor's own. Everything that a look changed is written in one transaction, so a monitor that is
killed goes on as if the look had been before or after. What is to be told is written in the same transaction, numbered, and
taken out only once it was told: so each line is told once, if whoever hears it can say how far he has heard.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.errors import StoreError

_TABLES = """
CREATE TABLE IF NOT EXISTS checkpoints (
    log TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, note BLOB NOT NULL,
    published INTEGER NOT NULL, PRIMARY KEY (log, size)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS findings (
    log TEXT NOT NULL, key TEXT NOT NULL, scope TEXT NOT NULL, finding TEXT NOT NULL, PRIMARY KEY (log, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lines (n INTEGER PRIMARY KEY AUTOINCREMENT, line TEXT NOT NULL);
"""

WAIT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class KeptCheckpoint:
    """A checkpoint that was accepted; ``is_published`` where the log showed it to everybody."""

    size: int
    root: bytes
    note: bytes
    is_published: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """A finding that came or changed (``row``), or went (None), by ``key``.

    ``scope`` tells apart findings that are kept up by different hands: those of one look, of the log's content, for ever.
    """

    key: str
    row: Mapping[str, Any] | None
    scope: str


class MonitorBook:
    """The book in ``file``; safe from any number of threads of one process."""

    def __init__(self, file: Path) -> None:
        """Open it, made where there is none; raises StoreError."""
        self._lock = threading.Lock()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                file, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + _TABLES)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{file}: {error}; name another directory with --state") from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise StoreError(f"the monitor's state cannot be written: {error}") from error

    # Checkpoints.

    def last_checkpoint(self, log: str) -> KeptCheckpoint | None:
        """The largest checkpoint that was accepted."""
        found = self._rows(
            "SELECT size, root, note, published FROM checkpoints WHERE log = ? ORDER BY size DESC LIMIT 1",
            log,
        )
        if not found:
            return None
        size, root, note, published = found[0]
        return KeptCheckpoint(size, root, note, bool(published))

    def published_size(self, log: str) -> int:
        """The size of the largest checkpoint that was published; 0 for none."""
        found = self._rows("SELECT max(size) FROM checkpoints WHERE log = ? AND published", log)
        return found[0][0] or 0

    def root_at(self, log: str, size: int) -> bytes | None:
        """The root of the accepted checkpoint of this size, or None."""
        found = self._rows("SELECT root FROM checkpoints WHERE log = ? AND size = ?", log, size)
        return found[0][0] if found else None

    # Findings.

    def findings(self, log: str) -> dict[str, dict[str, Any]]:
        """What stands about a log, by key."""
        rows = self._rows("SELECT key, finding FROM findings WHERE log = ?", log)
        return {key: json.loads(finding) for key, finding in rows}

    def count(self, log: str) -> dict[tuple[str, str], int]:
        """How many findings stand about a log, by code and severity."""
        rows = self._rows(
            "SELECT finding ->> '$.code', finding ->> '$.severity', count(*) FROM findings WHERE log = ? GROUP BY 1, 2",
            log,
        )
        return {(code, severity): count for code, severity, count in rows}

    def record(
        self,
        log: str,
        told: Mapping[str, Any],
        changes: Sequence[Change],
        *,
        checkpoint: KeptCheckpoint | None = None,
        whole: Sequence[str] = (),
    ) -> int:
        """Write what a look came to, all or nothing; how many lines there are to tell of it.

        ``told`` are members of every line. Of the scopes in ``whole`` the changes are all that stands: what is not among
        them is withdrawn.
        """
        lines: list[str] = []
        with self._transaction() as connection:
            if checkpoint is not None:
                connection.execute(
                    "INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?) "
                    "ON CONFLICT DO UPDATE SET published = max(published, excluded.published)",
                    (log, checkpoint.size, checkpoint.root, checkpoint.note, checkpoint.is_published),
                )
            changes = [*changes, *self._gone(connection, log, changes, whole)]
            for change in changes:
                line = _apply(connection, log, change)
                if line is not None:
                    lines.append(_encode({**told, **line}))
            connection.executemany("INSERT INTO lines (line) VALUES (?)", ((line,) for line in lines))
        return len(lines)

    @staticmethod
    def _gone(
        connection: sqlite3.Connection, log: str, changes: Sequence[Change], whole: Sequence[str]
    ) -> list[Change]:
        stands = {change.key for change in changes}
        gone = []
        for scope in whole:
            rows = connection.execute("SELECT key FROM findings WHERE log = ? AND scope = ?", (log, scope))
            gone += [Change(key, None, scope) for (key,) in rows.fetchall() if key not in stands]
        return gone

    def tell(self, line: Mapping[str, Any]) -> None:
        """Have a line told that is about no finding."""
        with self._transaction() as connection:
            connection.execute("INSERT INTO lines (line) VALUES (?)", (_encode(line),))

    def begin_after(self, number: int, *, is_others: bool = False) -> None:
        """Number lines above ``number`` where none here ever had it, or it ``is_others``: the last that another book told.

        Lines that wait are numbered anew, so that whoever has heard that many does not pass over these.
        """
        with self._transaction() as connection:
            found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'lines'").fetchone()
            last = 0 if found is None else found[0]
            if number <= last and not is_others:
                return
            waiting = connection.execute("SELECT line FROM lines ORDER BY n").fetchall()
            connection.execute("DELETE FROM lines")
            connection.execute("DELETE FROM sqlite_sequence WHERE name = 'lines'")
            connection.execute("INSERT INTO sqlite_sequence VALUES ('lines', ?)", (max(number, last),))
            connection.executemany("INSERT INTO lines (line) VALUES (?)", waiting)

    def untold(self) -> list[tuple[int, str]]:
        """The lines that are to be told, by number, in order."""
        return self._rows("SELECT n, line FROM lines ORDER BY n")

    def mark_told(self, number: int) -> None:
        """The lines up to ``number`` were told, durably."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM lines WHERE n <= ?", (number,))

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self._lock:
            try:
                return self._connection.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise StoreError(f"the monitor's state cannot be read: {error}") from error


def _apply(connection: sqlite3.Connection, log: str, change: Change) -> dict[str, Any] | None:
    """Write one change; the members of its line, or None where nothing is new."""
    row = connection.execute(
        "SELECT finding FROM findings WHERE log = ? AND key = ?", (log, change.key)
    ).fetchone()
    before = None if row is None else json.loads(row[0])
    if change.row is None:
        if before is None:
            return None
        connection.execute("DELETE FROM findings WHERE log = ? AND key = ?", (log, change.key))
        return {"line": "withdrawn", "finding": before}
    after = dict(change.row)
    if before is not None and _said(before) == _said(after):
        return None
    connection.execute(
        "INSERT OR REPLACE INTO findings VALUES (?, ?, ?, ?)", (log, change.key, change.scope, _encode(after))
    )
    return {"line": "finding" if before is None else "changed", "finding": after}


def _said(finding: Mapping[str, Any]) -> dict[str, Any]:
    """What a finding says, whatever the size at which it was found again."""
    return {name: value for name, value in finding.items() if name != "tree_size"}


def _encode(members: Mapping[str, Any]) -> str:
    return json.dumps(members, separators=(",", ":"))
