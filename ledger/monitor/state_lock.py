"""One process at a time keeps what it remembers of logs in a directory."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

from ledger.errors import StoreError, UsageError


class StateLock:
    """Holds the state directory for one process."""

    def __init__(self, directory: Path) -> None:
        """Take it; UsageError where another process has it."""
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = (directory / "lock").open("ab")
        except OSError as error:
            raise StoreError(f"{directory}: {error.strerror}; name another directory with --state") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise UsageError(
                f"another monitor keeps its state in {directory}: name another directory with --state"
            ) from None

    def close(self) -> None:
        """Give it back."""
        self._file.close()
