"""One chunk of the log in one worker process: blocks in, facts and files out.

A chunk is 65,536 entries, so that it holds whole tiles of level 0 and one of level 1. What the parent needs at once comes
back as a small :class:`ChunkResult`; what is as long as the log goes to files in a scratch directory, in the layouts of
:mod:`ledger.engines.files`, so that no process ever holds the log.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ledger.core import canonical
from ledger.core.faults import edge_of, seam_faults
from ledger.core.index import index_keys
from ledger.core.merkle import root_of_full
from ledger.engines.files import KeyFileWriter, write_rows, write_state
from ledger.engines.keys import KeyInterner
from ledger.engines.recurring import NO_RECURRING, DeliveryRecurring, Fresh
from ledger.engines.rows import LeftOver, Resolved, RowMaker
from ledger.engines.scan import BlockScan, BlockScanner, is_state
from ledger.errors import FormatError
from ledger.ports import ChunkFacts, LogSource

TILE_WIDTH = 256
CHUNK_ENTRIES = TILE_WIDTH * TILE_WIDTH
BLOCK_ENTRIES = TILE_WIDTH
"""Entries decoded at once; larger blocks are slower, because their objects no longer fit into the processor's cache."""


@dataclass(frozen=True, slots=True)
class ScanJob:
    """What every worker is told once: where the log is, where files go, whether index keys are wanted."""

    source: LogSource
    scratch: Path
    with_index: bool
    with_identities: bool


@dataclass(slots=True)
class ChunkResult:
    """What the parent learns of a chunk: its facts, how many rows it has, and what recurs in them.

    ``left_over`` attempts and settlements did not meet in this chunk; ``recurring`` are the routes and arrivals that are
    new since this process's last chunk.
    """

    facts: ChunkFacts
    rows: int = 0
    left_over: list[LeftOver] = field(default_factory=list)
    recurring: list[Fresh] = field(default_factory=list)
    resolved: Resolved = field(default_factory=dict)


class ChunkWorker:
    """The state of one worker process: decoders and intern tables live as long as it does."""

    def __init__(self, job: ScanJob, worker: int) -> None:
        self._job = job
        self._recurring = DeliveryRecurring(worker)
        self._scanner = BlockScanner(self._recurring)
        self._rows = RowMaker(self._recurring)
        self._keys = KeyInterner(worker)

    def scan_chunk(self, first: int, count: int) -> ChunkResult:
        """Scan entries ``first <= position < first + count`` (``first`` a multiple of :data:`CHUNK_ENTRIES`)."""
        job = self._job
        facts = ChunkFacts(first)
        result = ChunkResult(facts)
        uids = array("q")
        add_rows = self._rows.add
        state: list[bytes] = []
        keys = KeyFileWriter(job.scratch, first, self._keys) if job.with_index else None
        for start in range(first, first + count, BLOCK_ENTRIES):
            wanted = min(BLOCK_ENTRIES, first + count - start)
            block = job.source.read_block(start, wanted)
            scan = self._scanner.scan(block)
            self._join(facts, scan.first, scan)
            # A malformed entry has no uid, but keeps its place: hash n of a chunk is that of its entry n.
            uids.extend([start if entry is None else hash(entry.uid) for entry in scan.entries])
            recurring = scan.recurring if scan.quick else self._ids_of_slow(scan)
            add_rows(start, scan.entries, recurring)
            state += [
                block.entries[place]
                for place, entry in enumerate(scan.entries)
                if recurring[place] < 0
                and entry is not None
                and (is_state(entry) or (job.with_identities and entry.kind == "account.registered"))
            ]
            if keys is not None:
                keys.add(scan.leaves, self._key_ids(scan, block.entries))
            if block.fault is not None or len(block.entries) < wanted:
                break
        table, result.left_over, result.resolved = self._rows.take()
        result.rows = len(table.account)
        result.recurring = self._recurring.take_fresh()
        write_rows(job.scratch, first, table)
        write_state(job.scratch, first, state, uids)
        if keys is not None:
            keys.close()
        return result

    def _ids_of_slow(self, scan: BlockScan) -> list[int]:
        """The recurring ids of a block that was read entry by entry; malformed entries have none."""
        return [
            NO_RECURRING if entry is None else (self._recurring.ids_of([entry]) or [NO_RECURRING])[0]
            for entry in scan.entries
        ]

    def _key_ids(self, scan: BlockScan, data: Sequence[bytes]) -> list[list[int]]:
        """The ids of the index keys of each entry of a block."""
        if scan.quick:
            return [self._keys.ids_of(entry) for entry in scan.entries]
        ids: list[list[int]] = []
        for entry_bytes in data:
            try:
                ids.append(self._keys.ids_of_keys(index_keys(canonical.decode(entry_bytes))))
            except FormatError:
                ids.append([])
        return ids

    @staticmethod
    def _join(facts: ChunkFacts, start: int, scan: BlockScan) -> None:
        """Add a block's scan to the chunk's facts, and check the seam between it and the block before it."""
        facts.faults.join(scan.faults)
        entries = scan.entries
        if not entries:
            return
        head, tail = edge_of(entries[0]), edge_of(entries[-1])
        if facts.count:
            facts.faults.extend(seam_faults(start, facts.tail, facts.last_leaf, head))
        else:
            facts.head = head
        leaves = facts.rest + scan.leaves
        full = len(leaves) // TILE_WIDTH * TILE_WIDTH
        for at in range(0, full, TILE_WIDTH):
            facts.tile_roots.append(root_of_full(b"".join(leaves[at : at + TILE_WIDTH])))
        facts.rest = leaves[full:]
        facts.tail, facts.last_leaf = tail, scan.leaves[-1]
        facts.latest_ms = max(
            facts.latest_ms, *(entry.recorded_at for entry in entries if entry is not None), 0
        )
        facts.count += scan.count
        for entry in entries:
            if entry is not None:
                facts.kinds[entry.kind] = facts.kinds.get(entry.kind, 0) + 1
