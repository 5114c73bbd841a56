"""Where exports lie, and whose turn it is to work on one (exports, section 5.5).

::

    <directory>/<export>/           the bag
    <directory>/<export>.sealed     the sealed file
    <directory>/.<export>.making      a run that is under way, or was killed; nobody reads it, the next run removes it
    <directory>/.<export>.unrecorded  the bag, if there is one, may be what a run left that was killed before its entry
    <directory>/.<export>.lock        held by the one process that works on this export

The directory may hold other people's files. Nothing is removed but what one of the two hidden names says is a run's.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.durable import sync_directory
from ledger.errors import StoreError, UsageError

MAKING, UNRECORDED = ".making", ".unrecorded"

_match_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII).fullmatch


def is_name(export: str) -> bool:
    """Whether ``export`` can be an export's id: no other file's name, nor that of a directory above, comes of it."""
    return _match_name(export) is not None


def check_name(export: str) -> str:
    """``export`` where it can be an export's id; else UsageError."""
    if not is_name(export):
        raise UsageError(
            f"{export[:80]!a} cannot be the id of an export: write 1 to 64 letters, digits, - and _, the first no mark"
        )
    return export


class Places:
    """The files of exports in ``directory``, which is made when it is first needed."""

    def __init__(self, directory: Path) -> None:
        """Nothing is touched yet."""
        self.directory = directory

    def bag(self, export: str) -> Path:
        """The bag of ``export``."""
        return self.directory / check_name(export)

    def sealed(self, export: str) -> Path:
        """The sealed file of ``export``."""
        return self.directory / f"{check_name(export)}.sealed"

    def making(self, export: str) -> Path:
        """What a run of ``export`` writes to, before it has a name."""
        return self.directory / f".{check_name(export)}{MAKING}"

    def publish(self, export: str) -> None:
        """Give the finished run of ``export`` its name, marked until :meth:`record` says that an entry tells of it."""
        (self.directory / f".{export}{UNRECORDED}").touch()
        sync_directory(self.directory)
        self.making(export).rename(self.bag(export))
        sync_directory(self.directory)

    def record(self, export: str) -> None:
        """An entry tells of the bag of ``export`` now."""
        (self.directory / f".{export}{UNRECORDED}").unlink(missing_ok=True)

    def sweep(self, is_known: Callable[[str], bool]) -> None:
        """Remove what killed runs left of exports that nobody works on; ``is_known`` where an entry tells of one."""
        if not self.directory.is_dir():
            return
        for path in sorted(self.directory.iterdir()):
            export = path.name[1:].removesuffix(MAKING).removesuffix(UNRECORDED)
            if path.name not in (f".{export}{MAKING}", f".{export}{UNRECORDED}") or not is_name(export):
                continue
            try:
                with self.turn(export):
                    self.settle(export, is_known=is_known(export))
            except StoreError:
                continue  # Somebody works on it.

    def settle(self, export: str, *, is_known: bool) -> None:
        """Remove the bag that a killed run left of ``export``, unless ``is_known``; only during its turn."""
        marked = self.directory / f".{check_name(export)}{UNRECORDED}"
        if marked.exists() and not is_known:
            self.discard(self.bag(export))
        marked.unlink(missing_ok=True)

    @contextmanager
    def turn(self, export: str) -> Iterator[None]:
        """Work on ``export`` alone during the block; StoreError where another process does.

        What a run left that was killed is removed first.
        """
        check_name(export)
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
