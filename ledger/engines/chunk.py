"""One chunk of the log in one worker process: entries in, facts and files out.

A chunk is 65,536 entries, so that it holds whole tiles of level 0 and one of level 1. What the parent needs at once comes
back as a small :class:`ChunkResult`; what is as long as the log goes to files in a scratch directory, in the layouts of
:mod:`ledger.engines.files` and :mod:`ledger.engines.key_files`, so that no process ever holds the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ledger.core.faults import stored_faults
from ledger.core.tiles import TILE_WIDTH, TileId, format_path
from ledger.engines.account_events import account_events
from ledger.engines.bundles import BundleReader
from ledger.engines.chunk_reader import ChunkReader
from ledger.engines.files import write_state, write_table, write_uids
from ledger.engines.key_files import write_keys
from ledger.engines.keys import KeyColumns
from ledger.engines.recurring import Fresh
from ledger.engines.rows import Resolved
from ledger.engines.scan import GROUP_ENTRIES, ChunkScan
from ledger.ports import Block, ChunkFacts, LogSource

CHUNK_ENTRIES = TILE_WIDTH * TILE_WIDTH


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
        self._reader = ChunkReader(job.secret, worker, job.group_entries)
        self._bundles = BundleReader(job.source)
        self._keys = KeyColumns.under(job.secret)

    def scan_chunk(self, first: int, count: int) -> ChunkResult:
        """Scan entries ``first <= position < first + count`` (``first`` a multiple of :data:`CHUNK_ENTRIES`)."""
        job = self._job
        reader = self._reader
        scan = self._scan_bundles(first, count) or reader.scanner.scan(first, self._read(first, count))
        rows = reader.rows(scan)
        result = ChunkResult(
            reader.facts(scan),
            rows=len(rows.columns["attempt_seq"]),
            left_over=[(position, scan.cut.entry(position - first)) for _, position in rows.left_over],
            recurring=reader.notes.take_fresh(),
            resolved=rows.resolved,
        )
        write_table(job.scratch, "rows", first, rows.columns)
        write_table(job.scratch, "events", first, account_events(scan))
        state = [scan.cut.entry(place) for place in reader.state_places(scan, job.with_identities)]
        write_state(job.scratch, first, state)
        write_uids(job.scratch, first, reader.uid_hashes(scan))
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
        scan = self._reader.scanner.scan_cut(first, cut)
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
