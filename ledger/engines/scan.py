"""Reading a block of entries: hashing, linking, decoding, and the rows that the sweep needs (ledger format, 1.1).

A :class:`BlockScanner` lives in one worker process and is given blocks in any order. What can be checked inside a block
is checked here, from the bytes alone: canonical form, members, links, sequence, recorded times, the hashes that the
source keeps beside the entries. What joins blocks together is left to :mod:`ledger.audit.structure`.

The quick way decodes and re-encodes a whole block at once. If that does not give back the very same bytes, the block is
read again entry by entry with the core's codec, which says which entry is wrong and why.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import msgspec

from ledger.core.canonical import ENTRY_BYTES_MAX
from ledger.core.entries import KINDS, decode_entry
from ledger.core.entries.members import HASH_REGEX
from ledger.core.faults import Edge, Fault, FaultList, edge_of, seam_faults, stored_faults
from ledger.core.history import bears_state
from ledger.core.ledger_findings import schema_finding
from ledger.core.merkle import hash_leaves
from ledger.engines.codec import is_plain
from ledger.engines.patterns import KindColumns
from ledger.engines.recurring import CHECKED_HERE, DeliveryRecurring
from ledger.engines.structs import known_entry_type
from ledger.errors import FormatError
from ledger.ports import Block


@dataclass(slots=True)
class BlockScan:
    """What a block says of itself.

    ``leaves`` holds the leaf hashes (32 bytes each), ``entries`` the typed entries in order (None where malformed).
    ``recurring`` are the ids of what each repeats (see :mod:`ledger.engines.recurring`); empty where ``quick`` is false.
    ``quick`` tells that all are of known kinds without unlisted members, so that their attributes are all there is.
    """

    first: int
    count: int
    leaves: list[bytes]
    entries: list[Any] = field(default_factory=list)
    recurring: list[int] = field(default_factory=list)
    quick: bool = False
    faults: FaultList = field(default_factory=FaultList)


LOG_STATE_KINDS = frozenset({"ledger.opened", "index.sealed", "key.rotated"})
_is_hash = re.compile(HASH_REGEX).fullmatch
_first_byte, _last_byte = itemgetter(0), itemgetter(-1)


class BlockScanner:
    """Scans blocks; holds the decoder and what recurs in the entries that one process has seen."""

    def __init__(self, recurring: DeliveryRecurring) -> None:
        self._recurring = recurring
        self._decode_list = msgspec.json.Decoder(list[known_entry_type()]).decode  # type: ignore[misc]
        self._encode = msgspec.json.Encoder(order="sorted").encode
        # `prev` is left out: every link but the first is compared with a hash anyway, which says more.
        self._columns = {
            kind: KindColumns(kind, CHECKED_HERE.get(kind, frozenset()) | {"prev"}) for kind in KINDS
        }

    def scan(self, block: Block) -> BlockScan:
        """Check everything that can be checked inside ``block``."""
        data = block.entries
        scan = BlockScan(block.first, len(data), hash_leaves(data))
        if not self._decode_quickly(scan, data):
            scan.entries = [self._decode_slowly(scan, block, place) for place in range(len(data))]
        if not (scan.quick and self._is_in_sequence(scan)):
            self._check_seams(scan)
        scan.faults.extend(stored_faults(block.first, scan.leaves, block.stored_hashes))
        if block.fault is not None:
            scan.faults.tell(block.first + len(data), "ENTRY_MALFORMED", block.fault)
        return scan

    def _decode_quickly(self, scan: BlockScan, data: Sequence[bytes]) -> bool:
        """Decode all entries, if all are surely canonical, known, well typed and linked; else leave ``scan`` alone."""
        joined = b"[" + b",".join(data) + b"]"
        if not data or not is_plain(joined) or max(map(len, data)) > ENTRY_BYTES_MAX:
            return False
        try:
            entries: list[Any] = self._decode_list(joined)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        # One entry's bytes could hold two objects, or half of one: the number and each seam must be as cut.
        count = len(data)
        if len(entries) != count or self._encode(entries) != joined:
            return False
        if bytes(map(_first_byte, data)) != b"{" * count or bytes(map(_last_byte, data)) != b"}" * count:
            return False
        # A seam may lie inside of a text as well: then the seam between those two entries is one more.
        if joined.count(b"},{") != count - 1:
            return False
        links = [leaf.hex() for leaf in scan.leaves]
        if [entry.prev for entry in entries[1:]] != links[:-1] or not _is_hash(entries[0].prev):
            return False
        recurring = self._recurring.ids_of(entries)
        if recurring is None:
            return False
        groups: dict[str, list[Any]] = {}
        for entry in entries:
            groups.setdefault(entry.kind, []).append(entry)
        if not all(self._columns[kind].match(group) for kind, group in groups.items()):
            return False
        scan.entries, scan.recurring, scan.quick = entries, recurring, True
        return True

    def _decode_slowly(self, scan: BlockScan, block: Block, place: int) -> Any:
        try:
            decoded = decode_entry(block.entries[place])
        except FormatError as error:
            scan.faults.tell(block.first + place, "ENTRY_MALFORMED", str(error))
            return None
        odd = schema_finding(block.first + place, decoded.entry.kind, decoded.known, decoded.unknown)
        if odd is not None:
            scan.faults.add(Fault(odd.seq, odd.code, odd.text, odd.severity))
        return decoded.entry

    @staticmethod
    def _is_in_sequence(scan: BlockScan) -> bool:
        """Whether all seqs are as the positions say, and recorded times never decrease."""
        recorded = [entry.recorded_at for entry in scan.entries]
        seqs = [entry.seq for entry in scan.entries]
        return seqs == list(range(scan.first, scan.first + scan.count)) and recorded == sorted(recorded)

    @staticmethod
    def _check_seams(scan: BlockScan) -> None:
        tail: Edge | None = None
        for place, entry in enumerate(scan.entries):
            head = edge_of(entry)
            if place:
                scan.faults.extend(seam_faults(scan.first + place, tail, scan.leaves[place - 1], head))
            tail = head


def is_state(entry: Any) -> bool:
    """Whether the fold over the log needs this entry: a party or grant event, a seal, or the ledger's own.

    ``account.registered`` is left out: it limits nothing (verdict rules, section 2.5) and there are many.
    """
    kind = entry.kind
    return (bears_state(kind) and kind != "account.registered") or kind in LOG_STATE_KINDS
