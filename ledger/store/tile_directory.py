"""A published log as a directory of files, to be verified (transparency formats, section 4.4).

Implements :class:`ledger.ports.LogSource`. Nothing read here is trusted; what cannot be read becomes the fault of a block
or a missing tile, and the verifier says what follows from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from pathlib import Path

from ledger.core.checkpoint import parse_checkpoint
from ledger.core.note import parse_note
from ledger.core.published_blocks import read_published
from ledger.core.tiles import ENTRIES_LEVEL, TILE_WIDTH, TileId, format_path
from ledger.errors import FormatError, StoreError
from ledger.ports import Block


@dataclass(frozen=True, slots=True)
class TileDirectory:
    """The log in ``directory`` as far as its checkpoint ``note`` says that it reaches (``size``, unchecked).

    The checkpoint is read once: what is published while the log is read belongs to the next verification.
    """

    directory: Path
    size: int
    note: bytes

    @classmethod
    def open(cls, directory: Path) -> TileDirectory:
        """The log in ``directory``; raises StoreError when there is no checkpoint.

        Where the checkpoint is not one, the log reaches as far as there are bundles.
        """
        try:
            note = (directory / "checkpoint").read_bytes()
        except OSError as error:
            raise StoreError(f"{directory}/checkpoint: {error.strerror}; is this a published log?") from error
        try:
            return cls(directory, parse_checkpoint(parse_note(note).text).size, note)
        except FormatError:
            return cls(directory, _size_of_bundles(directory), note)

    def describe(self) -> str:
        """The directory's path."""
        return str(self.directory)

    def size_available(self) -> int:
        """The size that the checkpoint claims."""
        return self.size

    def checkpoint(self) -> bytes | None:
        """The checkpoint as it was published when the log was opened."""
        return self.note

    def read_block(self, first: int, count: int) -> Block:
        """Entries of whole bundles: ``first`` is a multiple of 256, and so is ``count`` unless the log ends there."""
        return Block(first, *read_published(first, count, self.size, self._load))

    def read_bundle(self, index: int, into: memoryview) -> int | None:
        """Read a full bundle of the log; None where there is none by its name."""
        if (index + 1) * TILE_WIDTH > self.size:
            return None
        path = format_path(TileId(ENTRIES_LEVEL, index, TILE_WIDTH))
        try:
            with (self.directory / path).open("rb", buffering=0) as file:
                done = 0
                while done < len(into) and (count := file.readinto(into[done:])):
                    done += count
                return done
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{self.directory}/{path}: {error.strerror}") from error

    def read_tile(self, path: str) -> bytes | None:
        """A published hash tile, or None where there is none."""
        return self._read(path)

    def _load(self, tile: TileId) -> bytes | None:
        return self._read(format_path(tile))

    def _read(self, path: str) -> bytes | None:
        try:
            with (self.directory / path).open("rb", buffering=0) as file:
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{self.directory}/{path}: {error.strerror}") from error


def _size_of_bundles(directory: Path) -> int:
    """How many entries the bundles in ``directory`` seem to hold, from the first one on."""
    for index in count():
        if not (directory / format_path(TileId(ENTRIES_LEVEL, index, TILE_WIDTH))).exists():
            break
    widths = [
        width
        for width in range(1, TILE_WIDTH)
        if (directory / format_path(TileId(ENTRIES_LEVEL, index, width))).exists()
    ]
    return index * TILE_WIDTH + max(widths, default=0)
