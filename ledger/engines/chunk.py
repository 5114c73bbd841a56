"""One chunk of the log in one worker process: entries in, facts and files out.

A chunk is 65,536 entries, so that it holds whole tiles of level 0 and one of level 1. What the parent needs at once comes
back as a small :class:`ChunkResult`; what is as long as the log goes to files in a scratch directory, in the layouts of
:mod:`ledger.engines.files` and :mod:`ledger.engines.key_files`, so that no process ever holds the log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ledger.core.faults import stored_faults
from ledger.core.merkle import root_of_full
from ledger.core.tiles import TILE_WIDTH, TileId, format_path
from ledger.engines.account_events import account_events
from ledger.engines.bundles import BundleReader
from ledger.engines.chunk_bytes import Integers
from ledger.engines.files import write_state, write_table, write_uids
from ledger.engines.key_files import write_keys
from ledger.engines.keys import KeyColumns
from ledger.engines.recurring import Fresh, Notes
from ledger.engines.row_columns import RowColumns
from ledger.engines.rows import Columns, Resolved, RowHashes, RowMaker, joined, merge_resolved
from ledger.engines.scan import GROUP_ENTRIES, ChunkScan, ChunkScanner, is_state
from ledger.engines.text_hash import TextHash, signed, signed_one
from ledger.ports import Block, ChunkFacts, LogSource

CHUNK_ENTRIES = TILE_WIDTH * TILE_WIDTH
ROW_KINDS = frozenset({"delivery.attempted", "delivery.settled", "delivery.imported"})


@dataclass(frozen=True, slots=True)
class ScanJob:
    """What every worker is told once: where the log is, where files go, whether index keys are wanted.

    ``secret`` is drawn for this verification; all hashes that stand for texts depend on it. ``group_entries`` is the
    least number of entries of one layout that are looked at as columns.
    """

    source: LogSource
    scratch: Path
    with_index: bool
    with_identities: bool
    secret: bytes
    group_entries: int = GROUP_ENTRIES


@dataclass(slots=True)
class ChunkResult:
    """What the parent learns of a chunk: its facts, how many rows it has, and what recurs in them.

    ``left_over`` are the attempts and settlements that did not meet in this chunk, with their positions; ``recurring`` are
    the routes and arrivals that are new since this process's last chunk.
    """

    facts: ChunkFacts
    rows: int = 0
    left_over: list[tuple[int, bytes]] = field(default_factory=list)
    recurring: list[Fresh] = field(default_factory=list)
    resolved: Resolved = field(default_factory=dict)


class ChunkWorker:
    """The state of one worker process: decoders and what recurs live as long as it does."""

    def __init__(self, job: ScanJob, worker: int) -> None:
        self._job = job
        self._notes = Notes(worker)
        self._scanner = ChunkScanner(self._notes, job.group_entries)
        self._hashes = RowHashes(job.secret)
        self._bundles = BundleReader(job.source)
        self._uids = TextHash(job.secret, "uid")
        self._keys = KeyColumns.under(job.secret)

    def scan_chunk(self, first: int, count: int) -> ChunkResult:
        """Scan entries ``first <= position < first + count`` (``first`` a multiple of :data:`CHUNK_ENTRIES`)."""
        job = self._job
        scan = self._scan_bundles(first, count) or self._scanner.scan(first, self._read(first, count))
        result = ChunkResult(self._facts(scan))
        rows = self._rows(scan, result)
        result.rows = len(rows["attempt_seq"])
        result.recurring = self._notes.take_fresh()
        write_table(job.scratch, "rows", first, rows)
        write_table(job.scratch, "events", first, account_events(scan))
        write_state(job.scratch, first, self._state(scan))
        write_uids(job.scratch, first, self._uid_hashes(scan))
        if job.with_index:
            found = self._keys.find(scan)
            leaves = b"".join(scan.leaves)
            write_keys(job.scratch, first, leaves, found.fresh_ids, found.fresh_positions, found.shards)
        return result

    def _scan_bundles(self, first: int, count: int) -> ChunkScan | None:
        """The chunk from whole bundles, with tiles beside them; None where the source has them otherwise."""
        cut = self._bundles.read(first, count)
        if cut is None:
            return None
        tiles = []
        for index in range(first // TILE_WIDTH, (first + count) // TILE_WIDTH):
            tile = self._job.source.read_tile(format_path(TileId(0, index, TILE_WIDTH)))
            if tile is None:
                return None
            tiles.append(tile)
        scan = self._scanner.scan_cut(first, cut)
        for start, tile in zip(range(0, count, TILE_WIDTH), tiles, strict=True):
            scan.faults.extend(stored_faults(first + start, scan.leaves[start : start + TILE_WIDTH], tile))
        return scan

    def _read(self, first: int, count: int) -> Iterator[Block]:
        """The chunk's blocks of 256 entries, up to the first that is not whole."""
        for start in range(first, first + count, TILE_WIDTH):
            wanted = min(TILE_WIDTH, first + count - start)
            block = self._job.source.read_block(start, wanted)
            yield block
            if block.fault is not None or len(block.entries) < wanted:
                return

    def _facts(self, scan: ChunkScan) -> ChunkFacts:
        facts = ChunkFacts(scan.first, len(scan.cut), faults=scan.faults)
        if not len(scan.cut):
            return facts
        full = len(scan.leaves) // TILE_WIDTH * TILE_WIDTH
        facts.tile_roots = [
            root_of_full(b"".join(scan.leaves[start : start + TILE_WIDTH]))
            for start in range(0, full, TILE_WIDTH)
        ]
        facts.rest, facts.last_leaf = scan.leaves[full:], scan.leaves[-1]
        facts.head = self._scanner.edge_at(scan, 0)
        facts.tail = self._scanner.edge_at(scan, len(scan.cut) - 1)
        facts.latest_ms = max(int(scan.recorded_at.max()), 0)
        kinds = Counter(entry.kind for entry in scan.typed.values() if entry is not None)
        for group in scan.groups:
            kinds[group.layout.kind] += len(group.places)
        facts.kinds = dict(kinds)
        return facts

    def _rows(self, scan: ChunkScan, result: ChunkResult) -> Columns:
        """The chunk's rows; those of columns first."""
        columns = RowColumns(scan.first, scan.cut, self._hashes)
        imported, resolved = columns.imported(scan.groups)
        paired, alone = columns.pairs(scan.groups)
        single = RowMaker(self._notes, self._hashes)
        places = {
            place for place, entry in scan.typed.items() if entry is not None and entry.kind in ROW_KINDS
        }
        ordered = sorted(places.union((alone - scan.first).tolist()))
        for place, entry in zip(ordered, self._scanner.typed_at(scan, ordered), strict=True):
            single.add(entry, scan.first + place)
        merge_resolved(resolved, single.resolved)
        result.left_over = [
            (position, scan.cut.entry(position - scan.first)) for _, position in single.left_over()
        ]
        result.resolved = resolved
        return joined([imported, paired, single.columns()])

    def _state(self, scan: ChunkScan) -> list[bytes]:
        """The entries that a fold over the log needs, in order."""
        places: list[int] = []
        for group in scan.groups:
            if self._is_wanted(group.layout.kind):
                places += group.places.tolist()
        places += [
            place for place, entry in scan.typed.items() if entry is not None and self._is_wanted(entry.kind)
        ]
        return [scan.cut.entry(place) for place in sorted(places)]

    def _is_wanted(self, kind: str) -> bool:
        return is_state(kind) or (self._job.with_identities and kind == "account.registered")

    def _uid_hashes(self, scan: ChunkScan) -> Integers:
        """A hash of each entry's uid; a malformed entry has none, but keeps its place."""
        hashes = scan.first + np.arange(len(scan.cut), dtype=np.int64)
        for group in scan.groups:
            hashes[group.places] = signed(self._uids.of_columns(group.text("uid")))
        for place, entry in scan.typed.items():
            if entry is not None:
                hashes[place] = signed_one(self._uids.of_text(entry.uid))
        return hashes
