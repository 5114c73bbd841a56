"""The record of the last signed checkpoint, as a file of its own (ledger format, section 1.3).

Implements :class:`ledger.ports.CheckpointRecord`. The file lies outside the ledger's database on purpose: a database
that was put back from a backup then stands behind its record, and nothing more is signed. It is replaced as a whole:
written beside, synced, renamed, directory synced. Two lock files stand beside it: ``.lock`` is held by the one sealer
for as long as it works, ``.swap`` for the moment of a compare-and-swap, so that the swap is a guard of its own.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.durable import sync_directory
from ledger.errors import ForkError, StoreError

LOCK_POLL_S = 0.02
"""How often a held lock is tried again; a seal takes tens of milliseconds."""
SWAP_WAIT_S = 10.0
"""A swap takes two writes of a small file; who holds it longer hangs."""


def _no_step(step: str) -> None:
    """Pass by: outside tests nothing happens between two steps."""


def _try_lock(descriptor: int) -> bool:
    """Whether the file was locked now; False when somebody else holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class FileCheckpointRecord:
    """A :class:`~ledger.ports.CheckpointRecord` in the file ``path``; ``reached`` is called at each step of a write."""

    def __init__(
        self, path: Path, reached: Callable[[str], None] = _no_step, *, lock_wait_s: float = 0.0
    ) -> None:
        """Use the file ``path``, which the first swap makes; its directory exists. ``lock`` waits ``lock_wait_s``."""
        self._path = path
        self._lock_wait_s = lock_wait_s
        self._reached = reached

    def load(self) -> bytes | None:
        """The last signed checkpoint, or None when none was ever signed."""
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed("reading", error) from error

    def compare_and_swap(self, expected: bytes | None, new: bytes) -> None:
        """Durably replace ``expected`` by ``new``; raises ForkError and changes nothing when another one is there."""
        beside = self._path.with_name(self._path.name + ".new")
        with self._locked(".swap", SWAP_WAIT_S):
            if self.load() != expected:
                raise ForkError(f"{self._path} was moved by somebody else: another sealer signs for this log")
            try:
                with beside.open("wb") as file:
                    file.write(new)
                    file.flush()
                    os.fsync(file.fileno())
                # Dying here leaves the old record and a file that nobody reads.
                self._reached("record.written")
                beside.replace(self._path)
                # Dying here leaves the old or the new record, each whole; both are legal for a restart.
                self._reached("record.renamed")
                sync_directory(self._path.parent)
            except OSError as error:
                raise self._failed("writing", error) from error
        self._reached("record.swapped")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Held by the one sealer of this log; raises StoreError when another process does not give it up in time."""
        with self._locked(".lock", self._lock_wait_s):
            yield

    @contextmanager
    def _locked(self, suffix: str, wait_s: float) -> Iterator[None]:
        path = self._path.with_name(self._path.name + suffix)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._failed("locking", error) from error
        until = time.monotonic() + wait_s
        while not _try_lock(descriptor):
            if time.monotonic() >= until:
                os.close(descriptor)
                raise StoreError(
                    f"another sealer has held {path} for {wait_s:g} s: one log has one sealer; wait for it or stop it"
                )
            time.sleep(LOCK_POLL_S)
        try:
            yield
        finally:
            # Closing gives the lock up; the empty file stays, because removing it would race with its next holder.
            os.close(descriptor)

    def _failed(self, doing: str, error: OSError) -> StoreError:
        reason = error.strerror or str(error)
        return StoreError(
            f"{doing} the record of the last signed checkpoint {self._path}: {reason}; make the directory writable "
            "and free some space, never delete the record"
        )
