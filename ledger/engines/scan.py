"""Reading a chunk of entries: hashing, linking, and every member from the bytes alone (ledger format, section 1.1).

A :class:`ChunkScanner` lives in one worker process and is given chunks in any order. What can be checked inside a chunk
is checked here: canonical form, members, links, sequence, recorded times, the hashes that the source keeps beside the
entries. What joins chunks together is left to :mod:`ledger.audit.structure`.

Three ways lead through a chunk, each for what the one before it leaves: whole columns of entries of one layout
(:mod:`ledger.engines.layout_match`), lists of entries decoded and encoded again (:mod:`ledger.engines.known`), and the
core's codec, entry by entry, which says which entry is wrong and why.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ledger.core.duty_clocks import DUTY_KINDS
from ledger.core.entries import decode_entry
from ledger.core.faults import Edge, Fault, FaultList, edge_of, seam_faults, stored_faults
from ledger.core.history import bears_state
from ledger.core.ledger_findings import schema_finding
from ledger.core.merkle import HASH_BYTES, hash_leaves
from ledger.core.source_keys import SECOND_SOURCE_KINDS
from ledger.engines.chunk_bytes import ChunkBytes, Integers
from ledger.engines.groups import Group
from ledger.engines.known import KnownDecoder
from ledger.engines.layout_match import LayoutMatcher
from ledger.engines.recurring import Notes
from ledger.engines.text_hash import Bytes
from ledger.errors import FormatError
from ledger.ports import Block

LIST_ENTRIES = 256
"""Entries decoded as one list; longer lists are slower, because their objects no longer fit into the processor's cache."""

GROUP_ENTRIES = 24
"""Entries of one layout that are worth being looked at as columns."""


@dataclass(slots=True)
class ChunkScan:
    """What a chunk says of itself.

    ``leaves`` holds the leaf hashes (32 bytes each). Every entry is in one of ``groups`` or, by its place, in ``typed``
    (None where malformed). ``seqs`` and ``recorded_at`` are -1 where malformed.
    """

    first: int
    cut: ChunkBytes
    leaves: list[bytes]
    seqs: Integers
    recorded_at: Integers
    groups: list[Group] = field(default_factory=list)
    typed: dict[int, Any] = field(default_factory=dict)
    faults: FaultList = field(default_factory=FaultList)


LOG_STATE_KINDS = frozenset({"ledger.opened", "index.sealed", "key.rotated"})


class ChunkScanner:
    """Scans chunks; holds the decoders and what recurs in the entries that one process has seen."""

    def __init__(self, notes: Notes, group_entries: int = GROUP_ENTRIES) -> None:
        self._decoder = KnownDecoder()
        self._matcher = LayoutMatcher(self._decoder.decode, notes.note, group_entries)

    def scan(self, first: int, blocks: Iterable[Block]) -> ChunkScan:
        """Check everything that can be checked inside of ``blocks``, which follow each other from entry ``first`` on."""
        taken = list(blocks)
        scan = self.scan_cut(first, ChunkBytes.of([entry for block in taken for entry in block.entries]))
        for block in taken:
            start, count = block.first - first, len(block.entries)
            leaves = scan.leaves[start : start + count]
            scan.faults.extend(stored_faults(block.first, leaves, block.stored_hashes))
            if block.fault is not None:
                scan.faults.tell(block.first + count, "ENTRY_MALFORMED", block.fault)
        return scan

    def scan_cut(self, first: int, cut: ChunkBytes) -> ChunkScan:
        """:meth:`scan` of entries without what a source keeps beside them."""
        unknown = np.full(len(cut), -1, np.int64)
        scan = ChunkScan(first, cut, hash_leaves(cut.views()), unknown, unknown.copy())
        scan.groups, left = self._matcher.match(cut)
        self._decode_left(scan, left.tolist())
        self._check_seams(scan)
        return scan

    def typed_at(self, scan: ChunkScan, places: Sequence[int]) -> list[Any]:
        """The typed entries at some places of a scanned chunk; None where malformed."""
        matched = [place for place in places if place not in scan.typed]
        entries = self._decoder.decode_all([scan.cut.entry(place) for place in matched]) if matched else []
        assert entries is not None, "what was matched with a layout can be decoded"
        found = dict(zip(matched, entries, strict=True))
        return [scan.typed[place] if place in scan.typed else found[place] for place in places]

    def edge_at(self, scan: ChunkScan, place: int) -> Edge | None:
        """The edge of the entry at a place of a scanned chunk; None where malformed."""
        return edge_of(self.typed_at(scan, [place])[0])

    def _decode_left(self, scan: ChunkScan, places: list[int]) -> None:
        for start in range(0, len(places), LIST_ENTRIES):
            piece = places[start : start + LIST_ENTRIES]
            entries = self._decoder.decode_all([scan.cut.entry(place) for place in piece])
            if entries is None:
                entries = [self._decode_slowly(scan, place) for place in piece]
            scan.typed.update(zip(piece, entries, strict=True))

    @staticmethod
    def _decode_slowly(scan: ChunkScan, place: int) -> Any:
        position = scan.first + place
        try:
            decoded = decode_entry(scan.cut.entry(place))
        except FormatError as error:
            scan.faults.tell(position, "ENTRY_MALFORMED", str(error))
            return None
        odd = schema_finding(position, decoded.entry.kind, decoded.known, decoded.unknown)
        if odd is not None:
            scan.faults.add(Fault(odd.seq, odd.code, odd.text, odd.severity))
        return decoded.entry

    def _check_seams(self, scan: ChunkScan) -> None:
        """Compare neighbours; only where something may be wrong is it asked what."""
        count = len(scan.cut)
        linked = np.ones(count, bool)
        links = _links(scan.leaves)
        for group in scan.groups:
            scan.seqs[group.places] = group.number("seq")
            scan.recorded_at[group.places] = group.number("recorded_at")
            linked[group.places] = (group.text("prev") == links[group.places]).all(axis=1)
        for place, entry in scan.typed.items():
            if entry is None:
                linked[place] = False
                continue
            scan.seqs[place], scan.recorded_at[place] = entry.seq, entry.recorded_at
            linked[place] = place > 0 and entry.prev == scan.leaves[place - 1].hex()
        doubtful = ~linked
        doubtful[1:] |= np.diff(scan.seqs) != 1
        doubtful[1:] |= np.diff(scan.recorded_at) < 0
        for place in np.flatnonzero(doubtful).tolist():
            if place:
                tail, head = self.edge_at(scan, place - 1), self.edge_at(scan, place)
                scan.faults.extend(seam_faults(scan.first + place, tail, scan.leaves[place - 1], head))


def _links(leaves: Sequence[bytes]) -> Bytes:
    """For each place what ``prev`` has to be: the hex leaf hash of the entry before it (for the first one: zeros)."""
    digits = (bytes(HASH_BYTES) + b"".join(leaves[:-1])).hex() if leaves else ""
    return np.frombuffer(digits.encode(), np.uint8).reshape(-1, 2 * HASH_BYTES)


_TOLD_KINDS = LOG_STATE_KINDS | SECOND_SOURCE_KINDS | DUTY_KINDS


def is_state(kind: str) -> bool:
    """Whether the way over the log needs entries of ``kind``: a party or grant event, a seal, what second sources tell,
    what the deadlines of incidents rest on.

    ``account.registered`` is left out: it limits nothing (verdict rules, section 2.5) and there are many.
    """
    return (bears_state(kind) and kind != "account.registered") or kind in _TOLD_KINDS
