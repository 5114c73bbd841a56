"""A scratch copy of a ledger to try records on: nothing that is appended to it lasts (ledger format, section 1.6).

``--strict`` must know of every rejection before anything is appended. The rule that decides is the sequencer's, so a
real sequencer runs here, on a store that shows the real log as it is now and keeps what is added in a file that is
removed with it. People who have no tag yet get one that only lasts as long.
"""

from __future__ import annotations

import hmac
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from ledger.errors import RejectedError, StoreError
from ledger.ingest.preparing import ImportVault
from ledger.ports import Change, EntryStore, NewEntry, StoredEntry, Subject, Turn

SECRET_BYTES = 32

_UIDS_PER_STATEMENT = 500


class ScratchStore:
    """An :class:`~ledger.ports.EntryStore` over ``base``: reads what is there now, keeps additions to itself.

    For a sequencer alone: it has no tiles and no checkpoint. Close it, or use it as a context manager.
    """

    def __init__(self, base: EntryStore) -> None:
        self._base = base
        self._base_size = self._size = base.size()
        self._lock = threading.Lock()
        # An unnamed database: SQLite keeps it in memory while it is small, else in a file that nobody else can see.
        self._added = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._added.execute(
            "CREATE TABLE entries (seq INTEGER PRIMARY KEY, uid TEXT UNIQUE, leaf_hash BLOB, state INTEGER, data BLOB)"
        )

    def __enter__(self) -> Self:
        """Return the store; the end of the block closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Forget what was added."""
        self._added.close()

    def size(self) -> int:
        """How many entries there are, with the additions."""
        return self._size

    def append(self, expected_size: int, entries: Sequence[NewEntry], changes: Sequence[Change] = ()) -> None:
        """Add ``entries``; raises StoreError where the scratch file cannot grow."""
        assert expected_size == self._size, "a scratch store has one writer"
        assert not changes, "a record changes no table beside the log"
        rows = [(entry.seq, entry.uid, entry.leaf_hash, entry.bears_state, entry.data) for entry in entries]
        with self._lock:
            try:
                self._added.execute("BEGIN")
                self._added.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", rows)
                self._added.execute("COMMIT")
            except sqlite3.Error as error:
                raise StoreError(f"the scratch copy of a strict import cannot be written: {error}") from error
        self._size += len(entries)

    def turn(self) -> AbstractContextManager[Turn]:
        """Refuse."""
        raise AssertionError("a scratch store has one writer, which nobody overtakes")

    def fetch_by_uids(self, uids: Sequence[str]) -> dict[str, StoredEntry]:
        """Those of ``uids`` that are taken, in the log or by an addition."""
        found = self._base.fetch_by_uids(uids)
        for start in range(0, len(uids), _UIDS_PER_STATEMENT):
            block = uids[start : start + _UIDS_PER_STATEMENT]
            marks = ", ".join("?" * len(block))
            rows = self._fetch(f"uid IN ({marks})", block)
            found.update((row.uid, row) for row in rows)
        return found

    def fetch_range(self, start: int, end: int) -> Iterator[StoredEntry]:
        """Entries ``start <= seq < end`` in order."""
        yield from self._base.fetch_range(start, min(end, self._base_size))
        yield from self._fetch("seq >= ? AND seq < ? ORDER BY seq", (start, end))

    def fetch_state(self, start: int = 0) -> Iterator[StoredEntry]:
        """Every entry from ``start`` on that bears state, in order."""
        for row in self._base.fetch_state(start):
            if row.seq >= self._base_size:
                break
            yield row
        yield from self._fetch("state AND seq >= ? ORDER BY seq", (start,))

    def leaf_hashes(self, start: int, end: int) -> bytes:
        """The leaf hashes of ``start <= seq < end``, joined."""
        there = self._base.leaf_hashes(start, min(end, self._base_size)) if start < self._base_size else b""
        return there + b"".join(
            [row.leaf_hash for row in self._fetch("seq >= ? AND seq < ? ORDER BY seq", (start, end))]
        )

    def load_tile(self, path: str) -> bytes | None:
        """None: a scratch store is never sealed."""
        return None

    def put_tiles(self, tiles: Iterable[tuple[str, bytes]]) -> None:
        """Refuse."""
        raise AssertionError("a scratch store is never sealed")

    def load_checkpoint(self) -> bytes | None:
        """None: a scratch store is never sealed."""
        return None

    def put_checkpoint(self, tree_size: int, checkpoint: bytes) -> None:
        """Refuse."""
        raise AssertionError("a scratch store is never sealed")

    def _fetch(self, condition: str, values: Sequence[object]) -> list[StoredEntry]:
        with self._lock:
            rows = self._added.execute(
                f"SELECT seq, uid, leaf_hash, data FROM entries WHERE {condition}",  # noqa: S608  # constants only
                tuple(values),
            ).fetchall()
        return [StoredEntry(*row) for row in rows]


class ScratchVault:
    """A vault over ``base`` that mints nothing in it: new people get tags that nobody will see again.

    Those are made of ``secret``, 32 random bytes for one rehearsal: whichever of its processes meets somebody gives the
    same tag.
    """

    def __init__(self, base: ImportVault, secret: bytes) -> None:
        assert len(secret) == SECRET_BYTES, "the secret of a rehearsal has 32 bytes"
        self._base = base
        self._secret = secret

    def subjects_of(self, account_ids: Iterable[str]) -> dict[str, Subject]:
        """A subject for every id, the vault's own or a passing one; raises RejectedError when one is erased."""
        ids = list(dict.fromkeys(account_ids))
        subjects = self._base.find(ids)
        missing = [account_id for account_id in ids if account_id not in subjects]
        if missing and self._base.erased_among(missing):
            raise RejectedError("an id is erased")
        return subjects | {account_id: self._passing(account_id) for account_id in missing}

    def find(self, account_ids: Iterable[str]) -> dict[str, Subject]:
        """Those that the vault has."""
        return self._base.find(account_ids)

    def account_of(self, tags: Iterable[str]) -> dict[str, str]:
        """Those that the vault knows."""
        return self._base.account_of(tags)

    def erased_among(self, account_ids: Sequence[str]) -> set[str]:
        """Those that are erased."""
        return self._base.erased_among(account_ids)

    def _passing(self, account_id: str) -> Subject:
        # Made of the id, so that a source of any length needs no memory for who was met.
        key = hmac.digest(self._secret, account_id.encode(), "sha256")
        return Subject("a_" + key[:16].hex(), hmac.digest(self._secret, key, "sha256"))
