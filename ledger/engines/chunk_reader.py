"""What is read out of a scanned stretch of the log: facts, delivery rows, state entries, uids.

One reading for whoever goes through a log: the workers of a verification (:mod:`ledger.engines.chunk`), who write it to
files, and whoever follows a log as it grows (:mod:`ledger.engines.growth`), who keeps it in memory. A stretch may begin at
any entry; what joins stretches together is left to the caller.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from ledger.core.merkle import root_of_full
from ledger.core.tiles import TILE_WIDTH
from ledger.engines.chunk_bytes import Integers
from ledger.engines.recurring import Notes
from ledger.engines.row_columns import RowColumns
from ledger.engines.rows import Columns, Resolved, RowHashes, RowMaker, joined, merge_resolved
from ledger.engines.scan import GROUP_ENTRIES, ChunkScan, ChunkScanner, is_state
from ledger.engines.text_hash import TextHash, signed, signed_one
from ledger.ports import ChunkFacts

ROW_KINDS = frozenset({"delivery.attempted", "delivery.settled", "delivery.imported"})


@dataclass(slots=True)
class ReadRows:
    """The delivery rows of a stretch, the typed entries with positions that are in none, and where endpoints resolved to."""

    columns: Columns
    left_over: list[tuple[Any, int]]
    resolved: Resolved


class ChunkReader:
    """Reads stretch after stretch; decoders and what recurs live as long as it does. For one thread."""

    def __init__(self, secret: bytes, worker: int = 0, group_entries: int = GROUP_ENTRIES) -> None:
        """``secret`` keys all hashes that stand for texts; ``worker`` tells apart the ids of several readers."""
        self.notes = Notes(worker)
        self.scanner = ChunkScanner(self.notes, group_entries)
        self.hashes = RowHashes(secret)
        self._uids = TextHash(secret, "uid")

    def facts(self, scan: ChunkScan) -> ChunkFacts:
        """What joins the stretch to others; ``tile_roots`` are of its groups of 256 as counted from its first entry."""
        facts = ChunkFacts(scan.first, len(scan.cut), faults=scan.faults)
        if not len(scan.cut):
            return facts
        full = len(scan.leaves) // TILE_WIDTH * TILE_WIDTH
        facts.tile_roots = [
            root_of_full(b"".join(scan.leaves[start : start + TILE_WIDTH]))
            for start in range(0, full, TILE_WIDTH)
        ]
        facts.rest, facts.last_leaf = scan.leaves[full:], scan.leaves[-1]
        facts.head = self.scanner.edge_at(scan, 0)
        facts.tail = self.scanner.edge_at(scan, len(scan.cut) - 1)
        facts.latest_ms = max(int(scan.recorded_at.max()), 0)
        kinds = Counter(entry.kind for entry in scan.typed.values() if entry is not None)
        for group in scan.groups:
            kinds[group.layout.kind] += len(group.places)
        facts.kinds = dict(kinds)
        return facts

    def rows(self, scan: ChunkScan) -> ReadRows:
        """The stretch's rows; those of columns first."""
        columns = RowColumns(scan.first, scan.cut, self.hashes)
        imported, resolved = columns.imported(scan.groups)
        paired, alone = columns.pairs(scan.groups)
        single = RowMaker(self.notes, self.hashes)
        places = {
            place for place, entry in scan.typed.items() if entry is not None and entry.kind in ROW_KINDS
        }
        ordered = sorted(places.union((alone - scan.first).tolist()))
        for place, entry in zip(ordered, self.scanner.typed_at(scan, ordered), strict=True):
            single.add(entry, scan.first + place)
        merge_resolved(resolved, single.resolved)
        return ReadRows(joined([imported, paired, single.columns()]), single.left_over(), resolved)

    @staticmethod
    def state_places(scan: ChunkScan, with_identities: bool = False) -> list[int]:
        """The places of the entries that a fold over the log needs, ascending."""

        def is_wanted(kind: str) -> bool:
            return is_state(kind) or (with_identities and kind == "account.registered")

        places: list[int] = []
        for group in scan.groups:
            if is_wanted(group.layout.kind):
                places += group.places.tolist()
        places += [
            place for place, entry in scan.typed.items() if entry is not None and is_wanted(entry.kind)
        ]
        return sorted(places)

    def uid_hashes(self, scan: ChunkScan) -> Integers:
        """A hash of each entry's uid; a malformed entry has none, but keeps its place."""
        hashes = scan.first + np.arange(len(scan.cut), dtype=np.int64)
        for group in scan.groups:
            hashes[group.places] = signed(self._uids.of_columns(group.text("uid")))
        for place, entry in scan.typed.items():
            if entry is not None:
                hashes[place] = signed_one(self._uids.of_text(entry.uid))
        return hashes
