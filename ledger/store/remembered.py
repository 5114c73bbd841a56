"""The last checkpoint that this user's ``verify`` accepted, for each log (ledger format, section 1.3).

Kept in the user's state directory, outside of anything that the log's operator writes; so a log that is rolled back, or
shown differently to different people, is noticed at the next look.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import StoreError


@dataclass(frozen=True, slots=True)
class RememberedCheckpoints:
    """Checkpoints in ``directory``, a file for each origin and key."""

    directory: Path

    def path(self, vkey: str) -> Path:
        """Where the checkpoint of the log with this key is kept; the key's name is the log's origin."""
        return self.directory / hashlib.sha256(vkey.encode()).hexdigest()[:32]

    def load(self, vkey: str) -> bytes | None:
        """The checkpoint accepted last, or None."""
        try:
            return self.path(vkey).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(
                f"{self.path(vkey)}: {error.strerror}; set GRANTLEDGER_STATE_DIR elsewhere"
            ) from error

    def save(self, vkey: str, note: bytes) -> None:
        """Remember ``note`` instead, atomically."""
        path = self.path(vkey)
        beside = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                file.write(note)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except OSError as error:
            raise StoreError(
                f"the checkpoint cannot be remembered in {self.directory}: {error.strerror}; "
                "set GRANTLEDGER_STATE_DIR to a directory that can be written"
            ) from error
