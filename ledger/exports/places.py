"""Where exports lie, and whose turn it is to work on one (exports, section 5.5).

::

    <directory>/<export>/           the bag
    <directory>/<export>.sealed     the sealed file
    <directory>/.<export>.making    a run that is under way, or was killed; nobody reads it, the next run removes it
    <directory>/.<export>.lock      held by the one process that works on this export
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.errors import StoreError


class Places:
    """The files of exports in ``directory``, which is made when it is first needed."""

    def __init__(self, directory: Path) -> None:
        """Nothing is touched yet."""
        self.directory = directory

    def bag(self, export: str) -> Path:
        """The bag of ``export``."""
        return self.directory / export

    def sealed(self, export: str) -> Path:
        """The sealed file of ``export``."""
        return self.directory / f"{export}.sealed"

    def making(self, export: str) -> Path:
        """What a run of ``export`` writes to, before it has a name."""
        return self.directory / f".{export}.making"

    @contextmanager
    def turn(self, export: str) -> Iterator[None]:
        """Work on ``export`` alone during the block; StoreError where another process does.

        What a run left that was killed is removed first.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.directory / f".{export}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreError(f"another process works on the export {export}: wait for it") from None
            self.discard(self.making(export))
            yield
        finally:
            os.close(descriptor)

    def discard(self, path: Path) -> None:
        """Remove ``path``, a file or a directory with all in it, where it is there."""
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
