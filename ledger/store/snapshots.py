"""What a monitor keeps of a log between two starts, so that it need not read all of it again.

A snapshot is a directory that appears whole or not at all: written beside, synced, renamed. Entries that only ever get
more lie in one file beside the snapshots, which each of them knows as far as it was then.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ledger.durable import sync_directory
from ledger.errors import StoreError

_PREFIX = "snapshot-"
_HALF_MADE = "half-made"
_FACTS = "facts.json"
_ENTRIES = "entries"
_HEAD = struct.Struct(">QH")


class Snapshots:
    """The snapshots of one log in ``directory``; one process uses them at a time. Raises StoreError."""

    def __init__(self, directory: Path) -> None:
        """Make the directory where there is none, and clear away what a crash left half made."""
        self._directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(directory / _HALF_MADE, ignore_errors=True)
        except OSError as error:
            raise self._failed(error) from error

    def newest(self) -> tuple[Path, dict[str, Any]] | None:
        """The directory and the facts of the last one, or None; StoreError where it is not as it was written."""
        sizes = self._sizes()
        if not sizes:
            return None
        path = self._path(sizes[-1])
        try:
            facts: dict[str, Any] = json.loads((path / _FACTS).read_bytes())
            found = {name: _digest(path / name) for name in facts["digests"]}
            found[_ENTRIES] = _digest(self._directory / _ENTRIES, facts["entries_end"])
        except (OSError, ValueError, KeyError) as error:
            raise StoreError(f"{path}: {error}") from error
        if found != facts["digests"] | {_ENTRIES: facts["entries_digest"]}:
            raise StoreError(f"{path} is not as it was written")
        return path, facts

    def entries(self, end: int) -> Iterator[tuple[int, bytes]]:
        """The entries kept up to byte ``end`` of their file, with their positions."""
        with (self._directory / _ENTRIES).open("rb") as file:
            done = 0
            while done < end:
                position, length = _HEAD.unpack(file.read(_HEAD.size))
                yield position, file.read(length)
                done += _HEAD.size + length

    def save(
        self,
        size: int,
        write: Callable[[Path], dict[str, Any]],
        entries: Iterable[tuple[int, bytes]],
        entries_end: int,
        settled: int = 0,
    ) -> int:
        """Keep a snapshot at ``size``; where the entries' file ends then.

        ``write`` fills a directory and gives the facts; ``entries`` come after those that end at ``entries_end``. It
        takes the place of all others but the last over at most ``settled`` entries: whoever follows may have to go back.
        """
        try:
            end = self._add_entries(entries, entries_end)
            made = self._directory / _HALF_MADE
            made.mkdir()
            facts = {**write(made), "entries_end": end}
            facts["digests"] = {path.name: _digest(path) for path in made.iterdir()}
            facts["entries_digest"] = _digest(self._directory / _ENTRIES, end)
            (made / _FACTS).write_text(json.dumps(facts), encoding="ascii")
            for path in made.iterdir():
                _sync(path)
            sync_directory(made)
            path = self._path(size)
            shutil.rmtree(path, ignore_errors=True)
            made.rename(path)
            sync_directory(self._directory)
            back = max((other for other in self._sizes() if other <= settled), default=size)
            for other in self._sizes():
                if other not in (size, back):
                    shutil.rmtree(self._path(other), ignore_errors=True)
        except OSError as error:
            shutil.rmtree(self._directory / _HALF_MADE, ignore_errors=True)
            raise self._failed(error) from error
        return end

    def drop(self, above: int = -1) -> None:
        """Remove the snapshots over more than ``above`` entries."""
        for size in self._sizes():
            if size > above:
                shutil.rmtree(self._path(size), ignore_errors=True)

    def _add_entries(self, entries: Iterable[tuple[int, bytes]], start: int) -> int:
        with (self._directory / _ENTRIES).open("ab") as file:
            # What a snapshot that was never finished has added.
            file.truncate(start)
            file.seek(start)
            for position, data in entries:
                file.write(_HEAD.pack(position, len(data)) + data)
            file.flush()
            os.fsync(file.fileno())
            return file.tell()

    def _sizes(self) -> list[int]:
        names = (path.name.removeprefix(_PREFIX) for path in self._directory.glob(f"{_PREFIX}*"))
        return sorted(int(name) for name in names if name.isascii() and name.isdigit())

    def _path(self, size: int) -> Path:
        return self._directory / f"{_PREFIX}{size:016d}"

    def _failed(self, error: OSError) -> StoreError:
        return StoreError(f"{self._directory}: {error.strerror}; name another directory with --state")


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _digest(path: Path, end: int | None = None) -> str:
    """SHA-256 of a file, or of its first ``end`` bytes."""
    state = hashlib.sha256()
    left = path.stat().st_size if end is None else end
    with path.open("rb") as file:
        while left and (part := file.read(min(left, 1 << 20))):
            state.update(part)
            left -= len(part)
    return state.hexdigest()
