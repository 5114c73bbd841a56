"""Entries and leaf hashes out of a log's published files, wherever those lie (transparency formats, section 4.4).

What a file holds is handed in by ``load``; nothing of it is trusted, and nothing is checked here but the framing of a
bundle: whether entries and hashes belong to a signed tree is for whoever reads them.
"""

from __future__ import annotations

from typing import NamedTuple

from ledger.core.merkle import HASH_BYTES
from ledger.core.tiles import ENTRIES_LEVEL, TILE_WIDTH, LoadTile, TileId, decode_bundle, format_path, tile_at
from ledger.errors import FormatError


class PublishedEntries(NamedTuple):
    """Consecutive entries, the joined leaf hashes that lie beside them, and why there are fewer than asked for, or None."""

    entries: list[bytes]
    leaf_hashes: bytes
    fault: str | None


def read_published(first: int, count: int, size: int, load: LoadTile) -> PublishedEntries:
    """Entries of whole bundles of a log that has ``size`` of them.

    ``first`` is a multiple of 256, and so is ``count`` unless the log ends there. What cannot be read ends them.
    """
    entries: list[bytes] = []
    hashes: list[bytes] = []
    for index in range(first // TILE_WIDTH, -(-(first + count) // TILE_WIDTH)):
        bundle = tile_at(ENTRIES_LEVEL, index, size)
        if bundle is None:
            break
        found, fault = read_bundle_entries(bundle, load)
        entries += found
        hashes.append(read_leaf_hashes(TileId(0, index, bundle.width), load))
        if fault is not None:
            return PublishedEntries(entries, b"".join(hashes), fault)
    return PublishedEntries(entries, b"".join(hashes), None)


def read_bundle_entries(bundle: TileId, load: LoadTile) -> tuple[list[bytes], str | None]:
    """The entries of ``bundle``, and why there are fewer than its width, or None.

    A full bundle may stand in for a partial one that the log's size names.
    """
    path = format_path(bundle)
    data = load(bundle)
    if data is None and bundle.width < TILE_WIDTH:
        data = load(bundle.full())
    if data is None:
        return [], f"{path} is missing"
    try:
        entries = decode_bundle(data)
    except FormatError as error:
        return [], f"{path}: {error}"
    if len(entries) < bundle.width:
        return entries, f"{path} holds {len(entries)} entries"
    return entries[: bundle.width], None


def read_leaf_hashes(tile: TileId, load: LoadTile) -> bytes:
    """The bytes of a hash tile, of a partial one that is gone the beginning of the full one; nothing where neither is."""
    data = load(tile)
    if data is None and tile.width < TILE_WIDTH:
        full = load(tile.full())
        data = None if full is None else full[: tile.width * HASH_BYTES]
    return data or b""
