"""The tree of one index key as it is stored: a row and tiles of 64 (ledger format, section 1.4).

To append to a tree and to know its root takes its *row*; to prove a page of it takes a few *tiles* more::

    row                 u64 count || u64 last_seq || peaks || tail
    tile n at level 0   the root of leaves [64n, 64n + 64), and the u64 seqs of these entries
    tile n at level l   the root of the 64 tiles [64n, 64n + 64) at level l - 1, and their roots

``peaks`` are the roots of the full subtrees, largest first, one for each set bit of the count; ``tail`` are the seqs of
the last ``count mod 64`` entries, which no full tile holds. A tile is written once, when it is full. The leaves ``u64 seq
|| leaf_hash`` are not stored: an entry's leaf hash is the log's, and to keep it again would make rows three times as long.

All of it can be checked: the peaks against the row's value in the map (:mod:`ledger.core.map_pages`), the tiles and the
tail against the peaks, as soon as a page is proven from them. Nothing is signed that rests on a tile or a tail. Many trees
at once are grown by :mod:`ledger.engines.tile_trees`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ledger.core.index import KeyRow, key_leaf_hash
from ledger.core.merkle import (
    HASH_BYTES,
    Frontier,
    NodeId,
    root_of,
    root_of_full,
)
from ledger.core.page_proof import check_page, prove_page
from ledger.core.strict import INTEGER_MAX
from ledger.errors import FormatError, ProofError

TILE_BITS = 6
TILE_WIDTH = 1 << TILE_BITS
SEQ_BYTES = 8
ROW_HEAD_BYTES = 16

_unpack_head = struct.Struct(">QQ").unpack_from


@dataclass(frozen=True, slots=True)
class StoredRow:
    """The row of one key: ``count`` entries (at least 1), the last at ``last_seq``; ``peaks``; the seqs of the ``tail``."""

    count: int
    last_seq: int
    peaks: tuple[bytes, ...]
    tail: tuple[int, ...]

    def key_row(self) -> KeyRow:
        """What the map says about the key."""
        return KeyRow(self.count, self.last_seq, Frontier.from_peaks(self.count, self.peaks).root())


class TileName(NamedTuple):
    """Tile ``number`` at ``level`` of the tree of the key at ``position``."""

    position: bytes
    level: int
    number: int


class Tile(NamedTuple):
    """A full tile: its root, and the seqs (level 0) or roots (above) of what it holds, joined."""

    root: bytes
    data: bytes


def encode_row(row: StoredRow) -> bytes:
    """The bytes of ``row``."""
    seqs = b"".join([seq.to_bytes(SEQ_BYTES, "big") for seq in row.tail])
    return struct.pack(">QQ", row.count, row.last_seq) + b"".join(row.peaks) + seqs


def decode_row(data: bytes) -> StoredRow:
    """The row whose bytes are ``data``; FormatError where no row has such bytes."""
    if len(data) < ROW_HEAD_BYTES:
        raise FormatError("a row is too short")
    count, last_seq = _unpack_head(data)
    if not 1 <= count <= last_seq + 1 <= INTEGER_MAX:
        raise FormatError(f"a row of {count} entries up to seq {last_seq}")
    peaks_end = ROW_HEAD_BYTES + HASH_BYTES * count.bit_count()
    if len(data) != peaks_end + SEQ_BYTES * (count % TILE_WIDTH):
        raise FormatError(f"{len(data)} bytes for a row of {count} entries")
    peaks = [data[at : at + HASH_BYTES] for at in range(ROW_HEAD_BYTES, peaks_end, HASH_BYTES)]
    return StoredRow(count, last_seq, tuple(peaks), decode_seqs(data[peaks_end:]))


def decode_seqs(data: bytes) -> tuple[int, ...]:
    """The seqs that ``data`` joins."""
    return struct.unpack(f">{len(data) // SEQ_BYTES}Q", data)


LoadTiles = Callable[[int, int, int], Sequence[Tile]]
"""Returns the key's tiles ``[start, end)`` of a level, in order; fewer where some are missing."""
LeafHashes = Callable[[Sequence[int]], Sequence[bytes]]
"""Returns the leaf hashes of the entries at these seqs, in order."""


class Page(NamedTuple):
    """Consecutive entries of a key with their proof; see :class:`ledger.ports.KeyPage`."""

    seqs: tuple[int, ...]
    leaf_hashes: tuple[bytes, ...]
    proof: tuple[bytes, ...]


def prove_key_page(
    row: StoredRow, first: int, count: int, load_tiles: LoadTiles, leaf_hashes: LeafHashes
) -> Page:
    """The ``count`` entries from place ``first`` on of the key with ``row``, whose root the caller has checked.

    Reads the tiles that the page lies in and those that the roots beside it are made of: at most some 190 for each
    doubling of the tree's height by 6, whatever the key's count. Raises ProofError where what was read does not lead to
    the row's root.
    """
    reader = _TreeReader(row, load_tiles, leaf_hashes)
    reader.read_ahead(first, first + count)
    proof = prove_page(first, count, row.count, reader.read)
    seqs, hashes = reader.entries(first, first + count)
    leaves = [key_leaf_hash(seq, leaf_hash) for seq, leaf_hash in zip(seqs, hashes, strict=True)]
    check_page(leaves, first, row.count, proof, row.key_row().key_root)
    return Page(seqs, hashes, tuple(proof))


class _TreeReader:
    """The nodes of one key's tree, from its row and its tiles, about a page of it."""

    def __init__(self, row: StoredRow, load_tiles: LoadTiles, leaf_hashes: LeafHashes) -> None:
        self._row = row
        self._load_tiles = load_tiles
        self._leaf_hashes = leaf_hashes
        self._peaks = _peaks_by_node(row)
        self._loaded: dict[tuple[int, int], Tile] = {}
        self._start = 0
        self._seqs: tuple[int, ...] = ()
        self._hashes: tuple[bytes, ...] = ()

    def read_ahead(self, start: int, end: int) -> None:
        """Read the entries at the places ``[start, end)``, and those that share a tile with one of them.

        No proof of this page needs any other entry: the nodes beside it that are not made of tiles are peaks.
        """
        full = self._row.count // TILE_WIDTH
        first, last = start // TILE_WIDTH, (end - 1) // TILE_WIDTH
        seqs: list[int] = []
        for tile in self._tiles(0, first, min(last + 1, full)):
            seqs += decode_seqs(tile.data)
        if last >= full:
            seqs += self._row.tail
        self._start, self._seqs = first * TILE_WIDTH, tuple(seqs)
        self._hashes = tuple(self._leaf_hashes(seqs))

    def entries(self, start: int, end: int) -> tuple[tuple[int, ...], tuple[bytes, ...]]:
        """Seqs and leaf hashes of the entries at the places ``[start, end)``, which were read."""
        part = slice(start - self._start, end - self._start)
        return self._seqs[part], self._hashes[part]

    def read(self, nodes: Sequence[NodeId]) -> list[bytes]:
        """The hashes of ``nodes``, as :mod:`ledger.core.merkle` wants them for proofs."""
        return [self._node(node) for node in nodes]

    def _node(self, node: NodeId) -> bytes:
        peak = self._peaks.get(node)
        if peak is not None:
            return peak
        level, depth = divmod(node.level, TILE_BITS)
        start, end = node.index << depth, (node.index + 1) << depth
        if level == 0:
            return root_of(map(key_leaf_hash, *self.entries(start, end)))
        return root_of_full(b"".join(self._roots(level - 1, start, end)))

    def _roots(self, level: int, start: int, end: int) -> list[bytes]:
        """The roots of the tiles ``[start, end)`` of ``level``, from the tile above them where it is full."""
        above, offset = divmod(start, TILE_WIDTH)
        if (above + 1) * TILE_WIDTH << TILE_BITS * (level + 1) > self._row.count:
            return [tile.root for tile in self._tiles(level, start, end)]
        (tile,) = self._tiles(level + 1, above, above + 1)
        data = tile.data[offset * HASH_BYTES : (offset + end - start) * HASH_BYTES]
        return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]

    def _tiles(self, level: int, start: int, end: int) -> list[Tile]:
        numbers = range(start, end)
        if any((level, number) not in self._loaded for number in numbers):
            tiles = self._load_tiles(level, start, end)
            if len(tiles) != len(numbers):
                raise ProofError(f"tiles {start} to {end} of level {level} of a key's tree are missing")
            for number, tile in zip(numbers, tiles, strict=True):
                width = SEQ_BYTES if level == 0 else HASH_BYTES
                if len(tile.root) != HASH_BYTES or len(tile.data) != width * TILE_WIDTH:
                    raise ProofError(f"tile {number} of level {level} of a key's tree has another length")
                self._loaded[(level, number)] = tile
        return [self._loaded[(level, number)] for number in numbers]


def _peaks_by_node(row: StoredRow) -> dict[NodeId, bytes]:
    peaks, start = {}, 0
    for bit, peak in zip(_set_bits(row.count), row.peaks, strict=True):
        peaks[NodeId(bit, start >> bit)] = peak
        start += 1 << bit
    return peaks


def _set_bits(count: int) -> list[int]:
    return [bit for bit in range(count.bit_length() - 1, -1, -1) if count >> bit & 1]
