"""One log that is followed: looked at, judged, written down, and kept for the next start.

Like :mod:`ledger.verifying` it opens no ledger and takes neither key nor state from the log that it follows. What it keeps
is its own: a book of checkpoints and findings, and snapshots of what it has read.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from ledger.audit.cosigners import WitnessDemand
from ledger.audit.findings import of_fault
from ledger.audit.followed_sources import SourceCheck
from ledger.audit.following import LogFollower, Whose
from ledger.audit.looking import Looked, Looker, Progress, judge_read
from ledger.core.checkpoint import Checkpoint, parse_checkpoint
from ledger.core.faults import Fault
from ledger.core.note import parse_note, parse_vkey
from ledger.core.verdicts import exit_status
from ledger.engines.codec import MsgspecCodec
from ledger.engines.growth import LogGrowth
from ledger.errors import LedgerError, StoreError, UsageError
from ledger.monitor.patience import Patience
from ledger.ports import LogSource
from ledger.store.database_log import DatabaseLog
from ledger.store.monitor_book import Change, KeptCheckpoint, MonitorBook
from ledger.store.snapshots import Snapshots
from ledger.store.tile_directory import TileDirectory
from ledger.transport.remote_log import RemoteLog
from ledger.vault.ed25519 import is_signed, verifier_from_vkey
from ledger.verifying import open_published

log = structlog.get_logger()

CONTENT, LOOK, EVIDENCE = "content", "look", "evidence"
"""Scopes of findings: what the log's entries give, what one look met, what stands for ever."""

SNAPSHOT_ENTRIES_MIN = 100_000
SNAPSHOT_SHARE = 8
"""A snapshot is kept when a share of the log, one in so many entries, is new since the last one."""

CATCH_UP_ENTRIES_MIN = 200_000
"""Within a look that takes long a snapshot is kept after so many entries at least, so that a kill costs no more."""


@dataclass(frozen=True, slots=True)
class Target:
    """A log to be followed: the directory or URL where it is published, or ``place`` None for the database at ``url``."""

    name: str
    vkey: str
    place: Path | str | None = None
    database_url: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Strictness:
    """How a log is followed."""

    with_index: bool = True
    require_tickets: bool = False
    processes: int = 1
    stale_seconds: float = 60.0
    witnesses: WitnessDemand | None = None


@dataclass(slots=True)
class Round:
    """What one look came to, for whoever shows it."""

    state: str
    size: int
    checkpoint: Checkpoint | None
    read: int = 0
    told: int = 0
    seconds: float = 0.0
    verdicts: Counter[str] = field(default_factory=Counter)


class _Accepted:
    """The checkpoints of one log in the book."""

    def __init__(self, book: MonitorBook, log: str, origin: str) -> None:
        self._book, self._log, self._origin = book, log, origin

    def last(self) -> Checkpoint | None:
        kept = self._book.last_checkpoint(self._log)
        return None if kept is None else Checkpoint(self._origin, kept.size, kept.root)

    def root_at(self, size: int) -> bytes | None:
        return self._book.root_at(self._log, size)


class LogMonitor:
    """Follows one log: looks at it, writes what it found into ``book``, keeps what it has read in ``directory``."""

    def __init__(
        self,
        target: Target,
        strictness: Strictness,
        book: MonitorBook,
        directory: Path,
        *,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        """Nothing is read or connected to yet."""
        self.target = target
        self.origin = parse_vkey(target.vkey).name
        self._strictness = strictness
        self._book = book
        self._clock_s = clock_s
        # Another way of following makes other findings of the same log.
        how = f"{target.vkey}\n{target.place is None}{strictness.with_index}{strictness.require_tickets}"
        self._log = hashlib.sha256(how.encode()).hexdigest()[:32]
        self._snapshots = Snapshots(directory / self._log)
        self._looker = Looker(
            verifier_from_vkey(target.vkey),
            _Accepted(book, self._log, self.origin),
            witnesses=strictness.witnesses,
            with_unsealed=target.place is None,
            with_tiles=target.place is not None,
        )
        self._follower: LogFollower | None = None
        self._kept_size = 0
        self._entries_end = 0
        self._is_whole_due = True
        self._patience = Patience(strictness.stale_seconds)
        self._counts: Mapping[tuple[str, str], int] | None = None
        self._database: DatabaseLog | None = None

    @property
    def size(self) -> int:
        """How far the log was read."""
        return 0 if self._follower is None else self._follower.tree.size

    @property
    def is_index_right(self) -> bool:
        """Whether nothing is wrong with the log itself, every index that it ever stated included."""
        return self._strictness.with_index and self._follower is not None and self._follower.index_is_right

    def findings(self) -> dict[str, dict[str, Any]]:
        """What stands about the log, by key."""
        return self._book.findings(self._log)

    def counts(self) -> Mapping[tuple[str, str], int]:
        """How many findings stand about the log, by code and severity."""
        if self._counts is None:
            self._counts = self._book.count(self._log)
        return self._counts

    def exit_status(self) -> int:
        """As of a verification: 0 clean, 1 exposures, 2 the ledger itself is broken."""
        return exit_status(severity for _, severity in self.counts())  # type: ignore[misc]

    def look(
        self, on_progress: Progress, *, proposed: bytes | None = None, wait_for_stale: bool = True
    ) -> Round:
        """Look once, and write down what was found, all or nothing.

        With ``proposed``, a checkpoint that the log has signed and not published yet, the log is followed up to that one.
        ``on_progress`` is called between stretches and may raise: then nothing is written down, and what was read is kept.
        StoreError where the log or the monitor's own state could not be read: nothing is known then, and nothing changes.
        """
        started_s = self._clock_s()
        source = self._open() if proposed is None else self._open_at(proposed)
        try:
            follower = self._follower or self._load(source)
            self._follower = follower
            before = follower.tree.size
            looked = self._looker.look(
                follower, source, self._keeping(follower, on_progress), is_proposed=proposed is not None
            )
            if looked.state in ("followed", "nothing new") and self._is_whole_due:
                judge_read(looked, follower)
            is_good = looked.state in ("followed", "nothing new")
        except BaseException:
            if self._follower is not None and self._follower.is_torn:
                self._drop()
            raise
        finally:
            close = getattr(source, "close", None)
            if close is not None and source is not self._database:
                close()
        made = Round(looked.state, follower.tree.size, looked.checkpoint, follower.tree.size - before)
        changes: list[Change] = []
        whole: list[str] = []
        if looked.is_spoiled:
            self._forget_spoiled(made)
        elif is_good:
            # What was taken in and is not known to be the log's says nothing yet.
            changes, whole = self._content_changes(follower)
            # A proposal shows nothing of what is published, and ends no complaint about that.
            whole += [LOOK] if proposed is None else []
            made.verdicts = follower.verdicts()
        changes += self._look_changes(looked, wait_for_stale, proposed is None)
        made.told = self._book.record(
            self._log,
            {"log": self.origin, "tree_size": made.size, "at": int(self._clock_s() * 1_000)},
            changes,
            checkpoint=self._kept_of(looked, proposed is None),
            whole=whole,
        )
        if made.told:
            self._counts = None
        if is_good:
            self._is_whole_due = False
            self._keep_when_due(follower, SNAPSHOT_ENTRIES_MIN)
        made.seconds = self._clock_s() - started_s
        return made

    def _open(self) -> LogSource:
        """The log as it is now; a database stays open between two looks."""
        if self.target.place is not None:
            return open_published(self.target.place, self.target.api_key)
        if self._database is None:
            assert self.target.database_url is not None, "a log is published, or in a database"
            self._database = DatabaseLog(self.target.database_url)
        return self._database

    def _open_at(self, note: bytes) -> LogSource:
        """The published log as far as the checkpoint ``note`` reaches, which need not be published."""
        place = self.target.place
        assert place is not None, "what is published has a place"
        size = parse_checkpoint(parse_note(note).text).size
        if isinstance(place, Path) or not place.startswith(("http://", "https://")):
            return TileDirectory(Path(place), size, note)
        return RemoteLog(place.rstrip("/"), size, note, self.target.api_key)

    def has_accepted(self, shown: Checkpoint) -> bool:
        """Whether the log was followed to exactly this checkpoint."""
        return self.size >= shown.size and self._book.root_at(self._log, shown.size) == shown.root

    def _kept_of(self, looked: Looked, is_published: bool) -> KeptCheckpoint | None:
        """The checkpoint to be accepted: one that the entries were found to have."""
        shown, note = looked.checkpoint, looked.note
        if shown is None or note is None or looked.state not in ("followed", "nothing new"):
            return None
        if looked.state == "nothing new" and self._book.published_size(self._log) >= shown.size:
            return None
        return KeptCheckpoint(shown.size, shown.root, note, is_published)

    def _content_changes(self, follower: LogFollower) -> tuple[list[Change], list[str]]:
        changed = follower.take_changed()
        if self._is_whole_due:
            # After a start: what is in the book is held against all that stands.
            found = {key: each.to_json() for key, each in follower.findings().items()}
            return [Change(key, row, CONTENT) for key, row in found.items()], [CONTENT]
        # Until it is written down the book is behind: where that fails, all of it is compared the next time.
        self._is_whole_due = True
        rows = {key: None if each is None else each.to_json() for key, each in changed.items()}
        return [Change(key, row, CONTENT) for key, row in rows.items()], []

    def _look_changes(self, looked: Looked, wait_for_stale: bool, is_published: bool) -> list[Change]:
        faults = list(looked.faults)
        published_size = self._book.published_size(self._log)
        if is_published and self._patience.is_over(
            looked, published_size, self._clock_s(), waits=wait_for_stale
        ):
            faults.append(self._stale_fault(looked))
        told = [
            Change(f"look:{fault.code}:{fault.position}", of_fault(fault).to_json(), LOOK) for fault in faults
        ]
        for fault in looked.evidence:
            row = of_fault(fault).to_json() | {"evidence": self._evidence(looked)}
            told.append(Change(f"evidence:{fault.position}:{fault.text}", row, EVIDENCE))
        return told

    def _stale_fault(self, looked: Looked) -> Fault:
        last = self._book.last_checkpoint(self._log)
        assert last is not None, "nothing is older than nothing"
        assert looked.checkpoint is not None, "a stale checkpoint is signed"
        text = f"a checkpoint over {last.size} entries was shown before, now one over {looked.checkpoint.size}: an older copy"
        return Fault(looked.checkpoint.size, "TRUNCATED", text)

    def _evidence(self, looked: Looked) -> dict[str, str]:
        """Both notes: whoever has the log's key can see that it signed both."""
        last = self._book.last_checkpoint(self._log)
        assert last is not None, "a fork is one of something"
        assert looked.note is not None, "and was signed"
        return {
            "vkey": self.target.vkey,
            "known": last.note.decode("utf-8", "replace"),
            "shown": looked.note.decode("utf-8", "replace"),
        }

    # What is kept.

    def _load(self, source: LogSource) -> LogFollower:
        """A follower that goes on from the last snapshot; from nothing, where that cannot be read."""
        with suppress(OSError, ValueError, KeyError, LedgerError):
            found = self._snapshots.newest()
            if found is not None:
                path, facts = found
                follower = self._new_follower(source, path)
                end: int = facts["entries_end"]
                decode = MsgspecCodec().decode
                state = ((position, decode(data)) for position, data in self._snapshots.entries(end))
                follower.restore(facts["follower"], state)
                self._kept_size, self._entries_end = follower.tree.size, end
                return follower
        self._snapshots.drop()
        self._kept_size = self._entries_end = 0
        return self._new_follower(source, None)

    def _new_follower(self, source: LogSource, saved: Path | None) -> LogFollower:
        how = self._strictness
        growth = LogGrowth(with_index=how.with_index, processes=how.processes, saved=saved)
        sources = SourceCheck(verifier_from_vkey(self.target.vkey), is_signed)
        whose = Whose(self.origin, self.target.vkey, how.with_index, how.require_tickets, sources)
        return LogFollower(whose, growth, MsgspecCodec(), source)

    def _keep_when_due(self, follower: LogFollower, entries_min: int) -> None:
        size = follower.tree.size
        if size - self._kept_size >= max(entries_min, size // SNAPSHOT_SHARE):
            try:
                self.keep()
            except StoreError as error:
                # A snapshot spares reading again. What was found is told without one.
                log.warning("monitor.not_kept", log=self.target.name, reason=str(error))

    def _keeping(self, follower: LogFollower, on_progress: Progress) -> Progress:
        """``on_progress``, and keeping what was read now and then."""

        def on_stretch(done: int, total: int) -> None:
            on_progress(done, total)
            self._keep_when_due(follower, CATCH_UP_ENTRIES_MIN)

        return on_stretch

    def keep(self) -> None:
        """Keep what was read, so that the next start goes on from here.

        Within a look nothing signed may cover it yet. The next look compares the root over all of it before anything is told.
        """
        follower = self._follower
        if follower is None or follower.tree.size == self._kept_size or not follower.is_judged:
            # What waits to be judged is in memory alone: a start reads it again.
            return
        follower.finish()

        def write(directory: Path) -> dict[str, Any]:
            follower.growth.save(directory)
            return {"follower": json.loads(json.dumps(follower.to_json()))}

        size = follower.tree.size
        last = self._book.last_checkpoint(self._log)
        settled = 0 if last is None else last.size
        self._entries_end = self._snapshots.save(size, write, follower.state, self._entries_end, settled)
        follower.state = []
        self._kept_size = size

    def _forget_spoiled(self, made: Round) -> None:
        """Go back to what was kept before entries were taken in that are not the log's."""
        last = self._book.last_checkpoint(self._log)
        made.size = 0 if last is None else last.size
        self._snapshots.drop(above=made.size)
        self._drop()

    def _drop(self) -> None:
        if self._follower is not None:
            self._follower.growth.close()
        self._follower = None
        self._is_whole_due = True

    def close(self) -> None:
        """Keep what was read and give everything back."""
        try:
            self.keep()
        finally:
            self._drop()
            if self._database is not None:
                self._database.close()


def read_vkey(path: Path) -> str:
    """The log key in the file at ``path``; UsageError for anything else."""
    try:
        text = path.read_text("ascii").strip()
        parse_vkey(text)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except (LedgerError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} holds no log key: {error}") from error
    return text
