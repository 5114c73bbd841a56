"""Publish the log as files that any tlog-tiles reader can check (ledger format, section 1.3; formats, section 4.4).

::

    DIR/tile/<L>/<N>[.p/<W>]      hash tiles, lowest level first
    DIR/tile/entries/<N>[.p/<W>]  entry bundles
    DIR/log.vkey                  the log's public key, a line
    DIR/checkpoint                the signed checkpoint, last of all

Each file appears whole or not at all, even after a power failure: written beside, synced, renamed. The checkpoint
comes last, so whatever it covers is there; a later run begins where it ends, and a run that was killed goes on with
the first file that is missing. The directory can be served as it is. It is never made to go back: another log's
directory, or one that is ahead of the store, is a ForkError.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ledger.core.checkpoint import Checkpoint, parse_checkpoint
from ledger.core.note import parse_note
from ledger.core.tiles import TileId, bundles_added, encode_bundle, format_path, tiles_added
from ledger.durable import sync_directory
from ledger.errors import ForkError, FormatError, StoreError, UsageError
from ledger.ports import EntryStore

CHECKPOINT_NAME = "checkpoint"
VKEY_NAME = "log.vkey"
WRITERS = 8
"""Threads that write: a sync waits for the disk, and several wait together."""
FILES_AHEAD = 64

Progress = Callable[[int, int], None]
"""Called with how many entries are covered by the files so far, and how many there will be."""


def _no_progress(done: int, total: int) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class Published:
    """What lies in the directory now, and how many files this run has written."""

    checkpoint: Checkpoint
    files_written: int


@dataclass(frozen=True, slots=True)
class _File:
    """A file to be written; ``seq_end`` is how far its entries reach (0 for a tile)."""

    path: Path
    data: bytes
    seq_end: int


def publish(store: EntryStore, directory: Path, vkey: str, progress: Progress = _no_progress) -> Published:
    """Bring ``directory`` up to the published checkpoint of ``store``, with the log's key ``vkey`` beside it.

    Raises UsageError when nothing is sealed yet, ForkError when the directory holds a checkpoint that is not an
    earlier state of this log, StoreError when a file cannot be written: run it again after that.
    """
    note = store.load_checkpoint()
    if note is None:
        raise UsageError("nothing is sealed yet: run `grantledger seal` first")
    checkpoint = parse_checkpoint(parse_note(note).text)
    old_size = _published_size(directory, checkpoint)
    written = 0
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for file in _write_all(_missing_files(store, directory, old_size, checkpoint.size)):
            written += 1
            if file.seq_end:
                progress(file.seq_end, checkpoint.size)
        # A file's name is durable only with its directory; without this a power failure could keep the checkpoint and lose
        # a tile that it covers, which no later run would write again. Earlier runs that were killed are covered too.
        _sync_directories(directory)
        # Dying up to here leaves the old checkpoint, and files that nothing refers to yet.
        for name, data in ((VKEY_NAME, f"{vkey}\n".encode()), (CHECKPOINT_NAME, note)):
            if not _holds(directory / name, data):
                _write(_File(directory / name, data, 0))
                written += 1
        sync_directory(directory)
    except OSError as error:
        raise StoreError(
            f"publishing to {directory}: {error.strerror or error} ({error.filename}); what was published before is "
            "untouched: free some space or fix the permissions, then run it again"
        ) from error
    progress(checkpoint.size, checkpoint.size)
    return Published(checkpoint, written)


def _published_size(directory: Path, checkpoint: Checkpoint) -> int:
    """How many entries the directory covers; raises ForkError when it is no earlier state of ``checkpoint``."""
    path = directory / CHECKPOINT_NAME
    try:
        found = parse_checkpoint(parse_note(path.read_bytes()).text)
    except FileNotFoundError:
        return 0
    except FormatError as error:
        raise ForkError(f"{path} is not a checkpoint ({error}): publish into an empty directory") from error
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
    if found.origin != checkpoint.origin:
        raise ForkError(f"{directory} holds the log {found.origin}, not {checkpoint.origin}")
    if found.size > checkpoint.size:
        raise ForkError(
            f"{directory} holds {found.size} entries, the database has published {checkpoint.size}: "
            "the database is an older copy"
        )
    if found.size == checkpoint.size and found.root != checkpoint.root:
        raise ForkError(
            f"{directory} holds {found.size} entries with the root {found.root.hex()}, "
            f"the database with the root {checkpoint.root.hex()}"
        )
    return found.size


def _missing_files(store: EntryStore, directory: Path, old_size: int, size: int) -> Iterator[_File]:
    for tile in tiles_added(old_size, size):
        path = directory / format_path(tile)
        if not path.exists():
            data = store.load_tile(format_path(tile))
            if data is None:
                raise ForkError(f"{format_path(tile)} is not in the database, although it is sealed")
            yield _File(path, data, 0)
    for bundle in bundles_added(old_size, size):
        path = directory / format_path(bundle)
        if not path.exists():
            yield _File(path, encode_bundle(_fetch_bundle(store, bundle)), bundle.end)


def _fetch_bundle(store: EntryStore, bundle: TileId) -> list[bytes]:
    entries = [row.data for row in store.fetch_range(bundle.start, bundle.end)]
    if len(entries) != bundle.width:
        raise ForkError(f"entries {bundle.start} to {bundle.end} are not all in the database")
    return entries


def _write_all(files: Iterator[_File]) -> Iterator[_File]:
    """Write ``files`` in several threads, at most ``FILES_AHEAD`` in memory; yields each when it is durable."""
    with ThreadPoolExecutor(WRITERS) as pool:
        while block := list(islice(files, FILES_AHEAD)):
            yield from pool.map(_write, block)


def _write(file: _File) -> _File:
    file.path.parent.mkdir(parents=True, exist_ok=True)
    beside = file.path.with_name(f".{file.path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with beside.open("wb") as opened:
            opened.write(file.data)
            opened.flush()
            os.fsync(opened.fileno())
        beside.replace(file.path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    return file


def _sync_directories(directory: Path) -> None:
    """Make the names in ``directory`` and everything below it durable; there is one directory for a thousand files."""
    for path, _, _ in os.walk(directory):
        sync_directory(Path(path))


def _holds(path: Path, data: bytes) -> bool:
    return path.exists() and path.read_bytes() == data
