"""The tree over a log that is read as it grows (ledger format, section 1.1; transparency formats, section 4.1).

Kept are the roots of its full groups of 256 leaves, the leaf hashes after them and the frontier: 32 bytes for 256 entries.
That is enough to go on, to root any size reached, and to tell whether entries that are read a second time are those that
were read the first time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from ledger.core.faults import Edge, FaultList, first_faults, seam_faults
from ledger.core.merkle import Frontier, hash_leaves, root_of_full
from ledger.core.tiles import TILE_WIDTH
from ledger.errors import ProofError
from ledger.ports import Block, LogSource
from ledger.ports.growth import Stretch

GROUPS_KEPT = 256
"""Groups of 256 entries kept as bytes: a stretch."""


class GrowingTree:
    """The first ``size`` entries of one log, by their hashes."""

    def __init__(self) -> None:
        """Start empty."""
        self.size = 0
        self.ledger_time_ms = 0
        self.group_roots: list[bytes] = []
        self.rest: list[bytes] = []
        self._frontier = Frontier()
        self._tail: Edge | None = None
        self._last_leaf = b""

    def add(self, stretch: Stretch, faults: FaultList) -> None:
        """Join the next stretch, and tell what is wrong with it or with the seam."""
        facts = stretch.facts
        faults.join(facts.faults)
        if not stretch.leaves:
            return
        assert stretch.first == self.size, "a log is read in order"
        if self.size:
            faults.extend(seam_faults(self.size, self._tail, self._last_leaf, facts.head))
        else:
            faults.extend(first_faults(facts.head))
        self.extend(stretch.leaves)
        self._tail, self._last_leaf = facts.tail, facts.last_leaf
        self.ledger_time_ms = max(self.ledger_time_ms, facts.latest_ms)

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add leaves by their hashes alone."""
        self._frontier.extend(leaves)
        self.size += len(leaves)
        rest = [*self.rest, *leaves]
        full = len(rest) // TILE_WIDTH * TILE_WIDTH
        self.group_roots += [
            root_of_full(b"".join(rest[at : at + TILE_WIDTH])) for at in range(0, full, TILE_WIDTH)
        ]
        self.rest = rest[full:]

    def root(self) -> bytes:
        """The root over all of it."""
        return self._frontier.root()

    def root_after(self, leaves: Sequence[bytes]) -> bytes:
        """What the root would be after ``leaves``."""
        frontier = self._frontier.copy()
        frontier.extend(leaves)
        return frontier.root()

    def root_at(self, size: int, source: LogSource | KnownGroups) -> bytes:
        """The root over the first ``size`` entries; those of the last group of 256 are read again for it.

        Raises ProofError where the source does not give them as they were.
        """
        assert size <= self.size, "nothing is known of what was not read"
        groups, rest = divmod(size, TILE_WIDTH)
        frontier = Frontier()
        for root in self.group_roots[:groups]:
            frontier.append_subtree(TILE_WIDTH.bit_length() - 1, root)
        if rest:
            leaves = self.rest
            if groups < len(self.group_roots):
                leaves = hash_leaves(read_group(source, groups, self))
            frontier.extend(leaves[:rest])
        return frontier.root()

    def check_group(self, group: int, leaves: Sequence[bytes]) -> None:
        """Raise ProofError unless ``leaves`` are those of the ``group``-th 256 entries, as far as they were read."""
        if group < len(self.group_roots):
            is_same = len(leaves) >= TILE_WIDTH and (
                root_of_full(b"".join(leaves[:TILE_WIDTH])) == self.group_roots[group]
            )
        else:
            is_same = list(leaves[: len(self.rest)]) == self.rest
        if not is_same:
            first = group * TILE_WIDTH
            raise ProofError(f"the entries from {first} on are not those that were read there before")

    def to_json(self) -> dict[str, Any]:
        """All of it, for a file."""
        return {
            "size": self.size,
            "ledger_time_ms": self.ledger_time_ms,
            "group_roots": b"".join(self.group_roots).hex(),
            "rest": b"".join(self.rest).hex(),
            "peaks": b"".join(self._frontier.peaks).hex(),
            "tail": None if self._tail is None else list(self._tail),
            "last_leaf": self._last_leaf.hex(),
        }

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> GrowingTree:
        """What was kept."""
        tree = cls()
        tree.size, tree.ledger_time_ms = kept["size"], kept["ledger_time_ms"]
        tree.group_roots, tree.rest = _hashes(kept["group_roots"]), _hashes(kept["rest"])
        tree._frontier = Frontier.from_peaks(tree.size, _hashes(kept["peaks"]))
        tree._tail = None if kept["tail"] is None else Edge(*kept["tail"])
        tree._last_leaf = bytes.fromhex(kept["last_leaf"])
        return tree


def read_group(source: LogSource | KnownGroups, group: int, tree: GrowingTree) -> list[bytes]:
    """The ``group``-th 256 entries, read again; ProofError where they are not those that were read before."""
    entries = source.read_block(group * TILE_WIDTH, TILE_WIDTH).entries
    tree.check_group(group, hash_leaves(entries))
    return entries


def _hashes(digits: str) -> list[bytes]:
    joined = bytes.fromhex(digits)
    return [joined[at : at + 32] for at in range(0, len(joined), 32)]


class KnownGroups:
    """A source of entries that were read before: groups of 256 kept from the last stretches, others read again and checked.

    Implements what :class:`~ledger.audit.entry_reader.EntryReader` asks of a :class:`~ledger.ports.LogSource`.
    """

    def __init__(self, source: LogSource, tree: GrowingTree) -> None:
        """Over what ``tree`` knows."""
        self._source = source
        self.tree = tree
        self._recent: OrderedDict[int, list[bytes]] = OrderedDict()

    def remember(self, first: int, entries: list[bytes]) -> None:
        """Keep groups that were just read; ``first`` is the first entry of one."""
        for start in range(0, len(entries), TILE_WIDTH):
            group = (first + start) // TILE_WIDTH
            self._recent[group] = entries[start : start + TILE_WIDTH]
            self._recent.move_to_end(group)
        while len(self._recent) > GROUPS_KEPT:
            self._recent.popitem(last=False)

    def turn_to(self, source: LogSource) -> None:
        """Read from ``source`` from now on."""
        self._source = source

    def read_block(self, first: int, count: int) -> Block:
        """The group that begins at ``first``; ProofError where it is another one than before."""
        assert (first % TILE_WIDTH, count) == (0, TILE_WIDTH), "groups are read whole"
        known = self._recent.get(first // TILE_WIDTH)
        if known is not None:
            return Block(first, known)
        return Block(first, read_group(self._source, first // TILE_WIDTH, self.tree))
