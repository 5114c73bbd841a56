"""Is this one unbroken log: chain, sequence, tree, tiles (ledger format, sections 1.1 and 1.3).

Stretches of the log come in order, each checked within itself (:class:`~ledger.ports.ChunkFacts`); here they are joined,
and the tree is built over all of them from the entries' own hashes. Nothing that the source keeps beside the entries is
used to compute anything: stored hashes and tiles are compared with what the entries give.
"""

from __future__ import annotations

from ledger.core.faults import Edge, FaultList, first_faults, seam_faults
from ledger.core.merkle import HASH_BYTES, Frontier, hash_leaves, root_of_full
from ledger.core.tiles import LEVEL_MAX, TILE_HEIGHT, TILE_WIDTH, TileId, format_path, level_size, tile_at
from ledger.ports import ChunkFacts, LogSource


class Structure:
    """The tree over a log that is read in order.

    ``tile_roots`` are the roots of its full groups of 256 leaves. ``whole`` is false once entries were missing in the
    middle: then there is no tree, and whoever asks for a root gets None.
    """

    def __init__(self, source: LogSource, faults: FaultList) -> None:
        self._source = source
        self._faults = faults
        self._tail: Edge | None = None
        self._last_leaf = b""
        self._rest: list[bytes] = []
        self.tile_roots: list[bytes] = []
        self.size = 0
        self.whole = True
        self.kinds: dict[str, int] = {}
        self.ledger_time_ms = 0
        self.last_kind = ""

    def add(self, facts: ChunkFacts) -> None:
        """Join the next stretch of the log."""
        self._faults.join(facts.faults)
        if not facts.count:
            return
        if facts.first != self.size:
            self.whole = False
        if self.size:
            self._faults.extend(seam_faults(facts.first, self._tail, self._last_leaf, facts.head))
        else:
            self._faults.extend(first_faults(facts.head))
        self.tile_roots += facts.tile_roots
        self._rest = facts.rest
        self.size = facts.first + facts.count
        self._tail, self._last_leaf = facts.tail, facts.last_leaf
        for kind, count in facts.kinds.items():
            self.kinds[kind] = self.kinds.get(kind, 0) + count
        if facts.tail is not None:
            self.last_kind = facts.tail.kind
        self.ledger_time_ms = max(self.ledger_time_ms, facts.latest_ms)

    def root_at(self, size: int) -> bytes | None:
        """The root over the first ``size`` entries, or None where they are not all there.

        Where ``size`` ends inside a group of 256, its entries are read again; they count only if they still give the
        group's root.
        """
        if not self.whole or size > self.size:
            return None
        groups, rest = divmod(size, TILE_WIDTH)
        frontier = Frontier()
        for root in self.tile_roots[:groups]:
            frontier.append_subtree(TILE_HEIGHT, root)
        if rest:
            leaves = self._leaves_of_group(groups)
            if leaves is None:
                return None
            frontier.extend(leaves[:rest])
        return frontier.root()

    def _leaves_of_group(self, group: int) -> list[bytes] | None:
        """The leaf hashes of a group of 256, or of the rest after the last one; None when they are others than before."""
        if group >= len(self.tile_roots):
            return self._rest
        leaves = hash_leaves(self._source.read_block(group * TILE_WIDTH, TILE_WIDTH).entries)
        if len(leaves) != TILE_WIDTH or root_of_full(b"".join(leaves)) != self.tile_roots[group]:
            return None
        return leaves

    def check_tiles(self, size: int, level_min: int) -> None:
        """Compare the stored tiles of a tree of ``size`` from ``level_min`` up with what the entries give.

        A tile that is missing, short or other than computed is a ``TILE_MISMATCH``, told once for each tile.
        """
        if not self.whole or size > self.size:
            return
        roots = self.tile_roots
        for level in range(1, LEVEL_MAX + 1):
            count = level_size(level, size)
            if level == 1 and level_min == 0:
                self._check_leaf_tiles(size)
            if not count:
                return
            for index in range(-(-count // TILE_WIDTH)):
                tile = tile_at(level, index, size)
                assert tile is not None, "the tree has this many hashes at this level"
                self._check_tile(tile, b"".join(roots[tile.start : tile.end]))
            roots = [
                root_of_full(b"".join(roots[start : start + TILE_WIDTH]))
                for start in range(0, len(roots) - TILE_WIDTH + 1, TILE_WIDTH)
            ]

    def _check_leaf_tiles(self, size: int) -> None:
        for index in range(-(-size // TILE_WIDTH)):
            tile = tile_at(0, index, size)
            assert tile is not None, "the tree has this many leaves"
            data = self._load(tile)
            if data is None or len(data) != tile.width * HASH_BYTES:
                self._tell_tile(tile, data)
            elif tile.width == TILE_WIDTH:
                if root_of_full(data) != self.tile_roots[index]:
                    self._tell_tile(tile, data)
            elif data != b"".join((self._leaves_of_group(index) or [])[: tile.width]):
                self._tell_tile(tile, data)

    def _check_tile(self, tile: TileId, expected: bytes) -> None:
        data = self._load(tile)
        if data != expected:
            self._tell_tile(tile, data)

    def _load(self, tile: TileId) -> bytes | None:
        data = self._source.read_tile(format_path(tile))
        if data is None and tile.width < TILE_WIDTH:
            full = self._source.read_tile(format_path(tile.full()))
            data = None if full is None else full[: tile.width * HASH_BYTES]
        return data

    def _tell_tile(self, tile: TileId, data: bytes | None) -> None:
        what = "is missing" if data is None else "does not hold the hashes that the entries give"
        position = tile.start << (TILE_HEIGHT * tile.level)
        self._faults.tell(position, "TILE_MISMATCH", f"{format_path(tile)} {what}")
