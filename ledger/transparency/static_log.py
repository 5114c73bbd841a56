"""The published log as files that are made when they are asked for (transparency formats, sections 4.3 and 4.4).

The same files that :mod:`ledger.transparency.publish` writes to a directory, straight from the store, and never more than
a signed checkpoint covers: what is durable and not signed is nobody's to see yet. What is signed binds the log, and a witness
that reads what it cosigns (:mod:`ledger.monitor.cosigning`) has to see it before it is published. A tile or bundle is
shown at any width that the log has reached, because a narrower one is the beginning of the wider ones; readers with an
older checkpoint still find what they need.
"""

from __future__ import annotations

from collections.abc import Callable

from ledger.core.checkpoint import parse_checkpoint
from ledger.core.merkle import HASH_BYTES
from ledger.core.note import parse_note
from ledger.core.tiles import (
    ENTRIES_LEVEL,
    TileId,
    check_tile,
    encode_bundle,
    format_path,
    level_size,
    tile_at,
)
from ledger.errors import FormatError, StoreError
from ledger.ports import EntryStore


class StaticLog:
    """The published log in ``store``; safe from any number of threads."""

    def __init__(self, store: EntryStore, load_signed: Callable[[], bytes | None] | None = None) -> None:
        """``load_signed`` gives the checkpoint that was signed last, which may be ahead of the published one."""
        self._store = store
        self._load_signed = load_signed
        self._size = 0
        """How far a checkpoint that was published reaches, as last seen: it may lie behind, and never goes back."""

    def load_checkpoint(self) -> bytes | None:
        """The published checkpoint, byte for byte, or None before the first seal."""
        return self._store.load_checkpoint()

    def load(self, tile: TileId) -> bytes | None:
        """The bytes of a hash tile or an entry bundle; None where the published log has none of that width.

        Raises StoreError when the store does not hold what it has published.
        """
        if not self._covers(tile):
            self._size = self._published_size()
            if not self._covers(tile):
                return None
        return self._bundle(tile) if tile.level == ENTRIES_LEVEL else self._tile(tile)

    def _covers(self, tile: TileId) -> bool:
        return tile.end <= level_size(tile.level, self._size)

    def _published_size(self) -> int:
        signed = None if self._load_signed is None else self._load_signed()
        notes = [note for note in (self._store.load_checkpoint(), signed) if note is not None]
        try:
            return max(self._size, *(parse_checkpoint(parse_note(note).text).size for note in notes), 0)
        except FormatError as error:
            raise StoreError(
                f"what is published is no checkpoint ({error}); run `grantledger verify`"
            ) from error

    def _tile(self, tile: TileId) -> bytes:
        """From the tile as wide as the published size has it: the store holds this one for sure."""
        stored = tile_at(tile.level, tile.index, self._size)
        assert stored is not None, "a tile that is covered is there at this size"
        data = self._store.load_tile(format_path(stored))
        if data is None:
            raise StoreError(
                f"{format_path(stored)} is published and not in the database; run `grantledger verify`"
            )
        return check_tile(stored, data)[: tile.width * HASH_BYTES]

    def _bundle(self, bundle: TileId) -> bytes:
        entries = [row.data for row in self._store.fetch_range(bundle.start, bundle.end)]
        if len(entries) != bundle.width:
            raise StoreError(
                f"entries {bundle.start} to {bundle.end} are published and not all in the database; "
                "run `grantledger verify`"
            )
        return encode_bundle(entries)
