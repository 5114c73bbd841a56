"""Something wrong with one entry, and the seams between stretches of a log (ledger format, section 1.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from ledger.core.chain import ZERO_PREV
from ledger.core.merkle import HASH_BYTES
from ledger.core.verdicts import Code, Severity


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong at ``position`` of the log: a code of the verdict rules, section 2.3, and what was seen.

    ``severity`` is given where it is not the code's usual one.
    """

    position: int
    code: Code
    text: str
    severity: Severity | None = None


@dataclass(slots=True)
class FaultList:
    """Faults as they are found: at most :attr:`PER_CODE_MAX` of each code and severity are kept, all are counted.

    Of each severity by itself: a thousand advisories must not hide the first fault of the same code that breaks the log.
    """

    PER_CODE_MAX: ClassVar[int] = 1_000

    kept: list[Fault] = field(default_factory=list)
    counts: dict[Code, int] = field(default_factory=dict)
    _kept_by: dict[tuple[Code, Severity | None], int] = field(default_factory=dict, init=False, compare=False)

    def __post_init__(self) -> None:
        """Count what is kept from the beginning."""
        for fault in self.kept:
            self._note_kept(fault)

    def _note_kept(self, fault: Fault) -> None:
        how = (fault.code, fault.severity)
        self._kept_by[how] = self._kept_by.get(how, 0) + 1

    def restore(self, kept: list[Fault], counts: dict[Code, int]) -> None:
        """Take the place of what there is."""
        self.kept, self.counts = kept, counts
        self._kept_by = {}
        self.__post_init__()

    def add(self, fault: Fault) -> None:
        """Take one fault."""
        self.counts[fault.code] = self.counts.get(fault.code, 0) + 1
        if self._kept_by.get((fault.code, fault.severity), 0) < self.PER_CODE_MAX:
            self.kept.append(fault)
            self._note_kept(fault)

    def tell(self, position: int, code: Code, text: str) -> None:
        """Take one fault, given by its parts."""
        self.add(Fault(position, code, text))

    def extend(self, faults: Iterable[Fault]) -> None:
        """Take several faults."""
        for fault in faults:
            self.add(fault)

    def join(self, later: FaultList) -> None:
        """Take the faults of the next stretch of the log."""
        kept = dict.fromkeys(later.counts, 0)
        for fault in later.kept:
            self.add(fault)
            kept[fault.code] += 1
        for code, count in later.counts.items():
            self.counts[code] += count - kept[code]


class Edge(NamedTuple):
    """What the neighbour of a well-formed entry has to fit."""

    prev: str
    seq: int
    recorded_at: int
    kind: str


def seam_faults(position: int, tail: Edge | None, last_leaf: bytes, head: Edge | None) -> list[Fault]:
    """What is wrong between an entry and the next one, which stands at ``position``.

    ``tail`` and ``head`` are their edges (None where malformed: then nothing is known of that side), ``last_leaf`` the
    leaf hash of the first, which the second must link to.
    """
    faults: list[Fault] = []
    if head is None:
        return faults
    if head.prev != last_leaf.hex():
        faults.append(Fault(position, "CHAIN_BROKEN", f"prev is not the leaf hash {last_leaf.hex()}"))
    if tail is not None:
        if head.seq != tail.seq + 1:
            code: Code = "SEQ_GAP" if head.seq > tail.seq + 1 else "SEQ_DUPLICATE"
            faults.append(Fault(position, code, f"seq {head.seq} follows seq {tail.seq}"))
        if head.recorded_at < tail.recorded_at:
            text = f"recorded at {head.recorded_at} after {tail.recorded_at}"
            faults.append(Fault(position, "TIME_REGRESSION", text))
    return faults


def first_faults(head: Edge | None) -> list[Fault]:
    """What is wrong with the first entry of a log; ``head`` is its edge, None where it is malformed."""
    faults: list[Fault] = []
    if head is None:
        return faults
    if head.kind != "ledger.opened":
        faults.append(Fault(0, "ENTRY_MALFORMED", f"entry 0 is {head.kind}, not ledger.opened"))
    if head.seq != 0:
        faults.append(Fault(0, "SEQ_GAP", f"the log begins at seq {head.seq}"))
    if head.prev != ZERO_PREV:
        faults.append(Fault(0, "CHAIN_BROKEN", "prev of the first entry is not 64 zeros"))
    return faults


def edge_of(entry: Any) -> Edge | None:
    """The edge of a typed entry; None for a malformed one, which is None itself."""
    return None if entry is None else Edge(entry.prev, entry.seq, entry.recorded_at, entry.kind)


def stored_faults(first: int, leaves: Sequence[bytes], stored: bytes | None) -> list[Fault]:
    """Where the leaf hashes that a source keeps beside its entries are not those that the entries give.

    ``stored`` are 32 bytes for each of ``leaves``, which begin at position ``first``; None where it keeps none.
    """
    faults: list[Fault] = []
    if stored is None or stored == b"".join(leaves):
        return faults
    for place, leaf in enumerate(leaves):
        kept = stored[place * HASH_BYTES : (place + 1) * HASH_BYTES]
        if kept != leaf:
            what = kept.hex() if kept else "nothing"
            text = f"the source keeps {what} for leaf hash {leaf.hex()}"
            faults.append(Fault(first + place, "TILE_MISMATCH", text))
    if len(stored) > len(leaves) * HASH_BYTES:
        text = "the source keeps hashes of entries that it does not hold"
        faults.append(Fault(first + len(leaves), "TILE_MISMATCH", text))
    return faults
