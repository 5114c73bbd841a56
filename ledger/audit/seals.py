"""The seals in the log: where each may stand, and the index map that it states (ledger format, sections 1.3 and 1.4)."""

from __future__ import annotations

from dataclasses import dataclass, field

from ledger.core.entries import Entry, IndexSealed
from ledger.core.faults import FaultList
from ledger.core.index import MAP_FN
from ledger.ports import Reading


@dataclass(slots=True)
class Seals:
    """The seals that a log holds, in order; those that stand where they must are replayed."""

    faults: FaultList
    last_seq: int = -1
    seqs: set[int] = field(default_factory=set)
    lawful: list[tuple[int, int, str]] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        """Take one ``index.sealed``: seq of the seal before it < ``map_size`` <= its own seq."""
        assert entry.kind == "index.sealed", "only seals come here"
        seal: IndexSealed = entry  # type: ignore[assignment]
        if not self.last_seq < seal.map_size <= seal.seq:
            text = f"map_size {seal.map_size} is not above {self.last_seq} and at most {seal.seq}"
            self.faults.tell(seal.seq, "MAP_ROOT_MISMATCH", text)
        elif seal.map_fn != MAP_FN:
            self.faults.tell(seal.seq, "MAP_ROOT_MISMATCH", f"index function {seal.map_fn} is not {MAP_FN}")
        else:
            self.lawful.append((seal.seq, seal.map_size, seal.map_root))
        # Seqs are what the entries say of themselves: where one goes back, the roots must still be asked for in order.
        self.last_seq = max(self.last_seq, seal.seq)
        self.seqs.add(seal.seq)

    def check_last(self, size: int) -> None:
        """A checkpoint over ``size`` entries covers a seal as its last one, or it commits to no index."""
        if size and size - 1 not in self.seqs:
            text = f"the checkpoint covers {size} entries, and the last of them is no index.sealed"
            self.faults.tell(size - 1, "MAP_ROOT_MISMATCH", text)

    def check_roots(self, reading: Reading, size: int) -> None:
        """Replay the index over the ``size`` entries that were read and compare each seal's ``map_root``."""
        covered = [seal for seal in self.lawful if seal[1] <= size]
        for seq, map_size, _ in self.lawful[len(covered) :]:
            self.faults.tell(
                seq, "MAP_ROOT_MISMATCH", f"map_size {map_size} is above the {size} entries that are there"
            )
        roots = reading.map_roots([map_size for _, map_size, _ in covered])
        for (seq, map_size, stated), computed in zip(covered, roots, strict=True):
            if computed.hex() != stated:
                text = f"map_root over {map_size} entries is {computed.hex()}, the seal states {stated}"
                self.faults.tell(seq, "MAP_ROOT_MISMATCH", text)
