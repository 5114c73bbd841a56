"""Tiles: how the tree and the entries lie in files (transparency formats, section 4.4).

::

    tile/0/x001/x234/067         level 0, tile 1,234,067: 256 leaf hashes, 8,192 bytes
    tile/1/000.p/17              level 1, tile 0, so far 17 hashes: the roots of the full level-0 tiles 0..16
    tile/entries/005.p/3         bundle 5, so far 3 entries, each behind its length as a big-endian uint16

Hash i of tile n at level l is the root of the full subtree ``D[(n*256+i) * 256^l : (n*256+i+1) * 256^l]``. A
tree of size s has ``floor(s / 256^l)`` hashes at level l: full tiles of 256, and one partial tile of what
remains; a width of 0 is no tile. Tiles never change: a partial one is the beginning of the wider ones that
follow it.

Here are names, arithmetic and bytes; who stores and fetches tiles comes in as ``load_tile`` and
``leaf_hashes``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ledger.core.canonical import ENTRY_BYTES_MAX
from ledger.core.merkle import HASH_BYTES, NodeId, ReadNodes, root_of_full
from ledger.core.strict import INTEGER_MAX, format_decimal, parse_decimal, shown
from ledger.errors import FormatError, ProofError

TILE_HEIGHT = 8
TILE_WIDTH = 256
TILE_BYTES = TILE_WIDTH * HASH_BYTES
ENTRIES_LEVEL = -1
"""The level of an entry bundle's :class:`TileId`; bundles are as wide as the tiles of level 0."""
LEVEL_MAX = 6
"""The highest level with hashes in a tree of less than 2^53 leaves."""

_LENGTH_BYTES = 2

_match_path = re.compile(
    r"tile/(?P<level>entries|[0-9]{1,2})/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[0-9]{1,3}))?",
    re.ASCII,
).fullmatch


@dataclass(frozen=True, slots=True, order=True)
class TileId:
    """A tile of ``width`` hashes (1..256), or at ``ENTRIES_LEVEL`` a bundle of ``width`` entries."""

    level: int
    index: int
    width: int

    @property
    def start(self) -> int:
        """The first hash of the tile, counted along its level (of a bundle: the seq of its first entry)."""
        return self.index * TILE_WIDTH

    @property
    def end(self) -> int:
        """One past the last hash of the tile, counted along its level."""
        return self.index * TILE_WIDTH + self.width

    @property
    def size_min(self) -> int:
        """The smallest tree size that has this tile."""
        return self.end << (TILE_HEIGHT * max(self.level, 0))

    def full(self) -> TileId:
        """The same tile when it is complete."""
        return TileId(self.level, self.index, TILE_WIDTH)


LoadTile = Callable[[TileId], bytes | None]
"""Returns the bytes of exactly this tile (the width included), or None where it is not kept."""


def format_path(tile: TileId) -> str:
    """The path of a tile below the log's prefix: ``tile/0/x001/x234/067.p/5``, ``tile/entries/005``.

    Raises FormatError for a tile that no tree of less than 2^53 leaves has.
    """
    if not (ENTRIES_LEVEL <= tile.level <= LEVEL_MAX and tile.index >= 0 and 1 <= tile.width <= TILE_WIDTH):
        raise FormatError(f"there is no {tile}")
    if tile.size_min > INTEGER_MAX:
        raise FormatError(f"no log is large enough for {tile}")
    digits = format_decimal(tile.index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[place : place + 3] for place in range(0, len(digits), 3)]
    index = "/".join(["x" + group for group in groups[:-1]] + groups[-1:])
    level = "entries" if tile.level == ENTRIES_LEVEL else str(tile.level)
    width = "" if tile.width == TILE_WIDTH else f".p/{tile.width}"
    return f"tile/{level}/{index}{width}"


def parse_path(path: str) -> TileId:
    """The tile whose path is exactly ``path``; FormatError for any path that :func:`format_path` does not write."""
    match = _match_path(path)
    if match is None:
        raise FormatError(f"{shown(path)} is not the path of a tile")
    level, index, width = match["level"], match["index"], match["width"]
    tile = TileId(
        ENTRIES_LEVEL if level == "entries" else parse_decimal(level),
        parse_decimal(index.replace("/", "").replace("x", "").lstrip("0") or "0"),
        TILE_WIDTH if width is None else parse_decimal(width),
    )
    if format_path(tile) != path:
        raise FormatError(f"{shown(path)} is not the canonical path of a tile")
    return tile


def level_size(level: int, size: int) -> int:
    """How many hashes a tree of ``size`` leaves has at tile level ``level`` (entries: how many entries)."""
    return size >> (TILE_HEIGHT * max(level, 0))


def tile_at(level: int, index: int, size: int) -> TileId | None:
    """Tile ``index`` of ``level`` as wide as a tree of ``size`` leaves has it, or None where it has none."""
    width = min(TILE_WIDTH, level_size(level, size) - index * TILE_WIDTH)
    return TileId(level, index, width) if width > 0 else None


def tiles_added(old_size: int, new_size: int) -> Iterator[TileId]:
    """The hash tiles that a tree of ``new_size`` has and one of ``old_size`` has not, lowest level first.

    Within a level in order, the partial tile last; partial tiles of sizes in between are left out.
    """
    for level in range(LEVEL_MAX + 1):
        yield from _added_at(level, old_size, new_size)


def bundles_added(old_size: int, new_size: int) -> Iterator[TileId]:
    """The entry bundles that a log of ``new_size`` has and one of ``old_size`` has not, in order, the partial
    one last.
    """
    return _added_at(ENTRIES_LEVEL, old_size, new_size)


def _added_at(level: int, old_size: int, new_size: int) -> Iterator[TileId]:
    assert 0 <= old_size <= new_size <= INTEGER_MAX, "a tree only grows, up to 2^53 - 1"
    old_hashes, new_hashes = level_size(level, old_size), level_size(level, new_size)
    if old_hashes == new_hashes:
        return
    full, rest = divmod(new_hashes, TILE_WIDTH)
    for index in range(old_hashes // TILE_WIDTH, full):
        yield TileId(level, index, TILE_WIDTH)
    if rest:
        yield TileId(level, full, rest)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node lies: it is the root over ``count`` (a power of two) hashes of ``tile`` from hash ``offset`` on."""

    tile: TileId
    offset: int
    count: int


def locate(node: NodeId, size: int) -> Place:
    """The place of ``node`` in the tiles of a tree of ``size`` leaves; ProofError when that tree has no such node."""
    level, depth = divmod(node.level, TILE_HEIGHT)
    count = 1 << depth
    index, offset = divmod(node.index << depth, TILE_WIDTH)
    tile = tile_at(level, index, size) if node.level >= 0 and node.index >= 0 else None
    if tile is None or offset + count > tile.width:
        raise ProofError(f"there is no {node} in a tree of size {size}")
    return Place(tile, offset, count)


def hash_from_tile(data: bytes, offset: int, count: int) -> bytes:
    """The root over ``count`` hashes (a power of two) of a tile's bytes from hash ``offset`` on."""
    return root_of_full(data[offset * HASH_BYTES : (offset + count) * HASH_BYTES])


def check_tile(tile: TileId, data: bytes) -> bytes:
    """``data`` if it is as long as the hash tile ``tile``; else FormatError."""
    if len(data) != tile.width * HASH_BYTES:
        raise FormatError(f"{format_path(tile)} has {len(data)} bytes, not {tile.width * HASH_BYTES}")
    return data


def read_tile(tile: TileId, load_tile: LoadTile) -> bytes:
    """The bytes of a hash tile; of a partial one that is not kept, the beginning of the full one.

    Raises ProofError when neither is there, FormatError when a tile has another length.
    """
    data = load_tile(tile)
    if data is not None:
        return check_tile(tile, data)
    if tile.width < TILE_WIDTH:
        data = load_tile(tile.full())
        if data is not None:
            return check_tile(tile.full(), data)[: tile.width * HASH_BYTES]
    raise ProofError(f"{format_path(tile)} is missing")


def read_nodes(nodes: Sequence[NodeId], size: int, load_tile: LoadTile) -> list[bytes]:
    """The hashes of ``nodes`` in order, from the tiles of a tree of ``size`` leaves; loads each tile at most once.

    Raises ProofError when a node is not in that tree or its tile is missing, FormatError when a tile is
    ill-formed.
    """
    loaded: dict[TileId, bytes] = {}
    hashes = []
    for node in nodes:
        place = locate(node, size)
        data = loaded.get(place.tile)
        if data is None:
            data = loaded[place.tile] = read_tile(place.tile, load_tile)
        hashes.append(hash_from_tile(data, place.offset, place.count))
    return hashes


def node_reader(size: int, load_tile: LoadTile) -> ReadNodes:
    """:func:`read_nodes` of a tree of ``size`` leaves, as :mod:`ledger.core.merkle` wants it for proofs."""

    def read(nodes: Sequence[NodeId]) -> list[bytes]:
        return read_nodes(nodes, size, load_tile)

    return read


def build_tiles(
    old_size: int,
    new_size: int,
    leaf_hashes: Callable[[int, int], bytes],
    load_tile: LoadTile,
) -> Iterator[tuple[TileId, bytes]]:
    """The tiles of :func:`tiles_added` with their bytes, in that order, each level computed from the one below it.

    ``leaf_hashes(start, end)`` gives the joined leaf hashes of that range; ``load_tile`` the tiles of the
    tree of ``old_size`` (not called when that is 0: so everything is recomputed from the leaves alone). Only
    the last tile of a level is loaded, to go on from. Holds the roots of one level at a time, 32 bytes for
    256 leaves.
    """
    added: bytes | None = None
    for level in range(LEVEL_MAX + 1):
        old_hashes = level_size(level, old_size)
        first = old_hashes // TILE_WIDTH
        if added is not None and old_hashes > first * TILE_WIDTH:
            added = read_tile(TileId(level, first, old_hashes - first * TILE_WIDTH), load_tile) + added
        roots = []
        for tile in _added_at(level, old_size, new_size):
            if added is None:
                data = check_tile(tile, leaf_hashes(tile.start, tile.end))
            else:
                start = (tile.index - first) * TILE_BYTES
                data = check_tile(tile, added[start : start + tile.width * HASH_BYTES])
            yield tile, data
            if tile.width == TILE_WIDTH:
                roots.append(root_of_full(data))
        if not roots:
            return
        added = b"".join(roots)


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """The bytes of a bundle of 1 to 256 entries, each of at most 65,535 bytes; FormatError beyond that."""
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise FormatError(f"a bundle does not hold {len(entries)} entries")
    parts = []
    for entry in entries:
        if len(entry) > ENTRY_BYTES_MAX:
            raise FormatError(f"an entry of {len(entry)} bytes does not fit into a bundle")
        parts.append(len(entry).to_bytes(_LENGTH_BYTES, "big"))
        parts.append(entry)
    return b"".join(parts)


def decode_bundle(data: bytes) -> list[bytes]:
    """The entries of a bundle, in order; FormatError when the bytes are not those of 1 to 256 entries.

    Whether there are as many as the bundle's path says is for the caller to compare.
    """
    entries = []
    start, total = 0, len(data)
    while start < total:
        entry_start = start + _LENGTH_BYTES
        if entry_start > total:
            raise FormatError("the bundle ends within a length")
        start = entry_start + (data[entry_start - 2] << 8 | data[entry_start - 1])
        entries.append(data[entry_start:start])
    if start > total:
        raise FormatError("the bundle ends within an entry")
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise FormatError(f"the bundle holds {len(entries)} entries")
    return entries
