"""The marks of erased people outside the database, so that one put back from a backup knows them (ledger format, 1.2).

Implements :class:`ledger.ports.privacy.Suppressions` as a file of lines, each the 64 hex digits of a mark: a keyed hash of an
id, which says nothing without the operator's key. It lies beside the record of the last signed checkpoint, outside the
database as that does, because the vault of an older copy may not even know the person whom the log says is erased: then
nothing but the mark keeps an import from giving that id a new tag.

A line is durable before the vault's row is destroyed. A line that a crash cut short is no mark, and is passed over: the row
was not destroyed then, and its mark is written again.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable
from pathlib import Path

from ledger.durable import sync_directory
from ledger.errors import StoreError

SUFFIX = ".erased"
"""What the file's name has behind that of the record of the last signed checkpoint."""

_LINE = re.compile(rb"^[0-9a-f]{64}$", re.MULTILINE)


class SuppressionFile:
    """Marks in the file ``path``, which the first one makes; safe for use from any number of processes."""

    def __init__(self, path: Path) -> None:
        """Use ``path``, whose directory exists."""
        self._path = path

    def keep(self, marks: Iterable[bytes]) -> None:
        """Add ``marks``, durably; raises StoreError where the file cannot be written."""
        lines = b"".join(b"\n" + mark.hex().encode() + b"\n" for mark in marks)
        if not lines:
            return
        try:
            # One write at the end of the file, whoever else writes; the line feed before it ends one that was cut short.
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                if os.write(descriptor, lines) != len(lines):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            sync_directory(self._path.parent)
        except OSError as error:
            raise StoreError(
                f"keeping who was erased: {self._path}: {error.strerror or error}; nothing was destroyed: free some space or "
                "fix the permissions, then run it again"
            ) from error

    def load(self) -> set[bytes]:
        """All marks; raises StoreError where the file is there and cannot be read."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return set()
        except OSError as error:
            raise StoreError(f"{self._path} cannot be read: {error.strerror or error}") from error
        return {bytes.fromhex(line.decode()) for line in _LINE.findall(data)}
