"""A log followed as it grows: everything a verification finds, kept up to date (verdict rules, section 2.3).

::

    new entries -> chain, tree                       growing tree
    index.sealed -> replayed map roots               seals
    party and grant events -> history                entry findings, collisions
    receipts, egress counts -> book, hours           followed sources
    deliveries -> quick or scalar rule               standing

The same parts as :mod:`ledger.audit.verify`, in the same order, over what is new; what stands behind it is in memory. What
was signed, by whom and whether it continues what was signed before is :mod:`ledger.audit.looking`'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.audit.entry_reader import EntryReader
from ledger.audit.findings import (
    Finding,
    keep_finding,
    kept_finding,
    of_collision,
    of_entry,
    of_fault,
    of_missed,
)
from ledger.audit.followed_sources import WEIGHED_KINDS, FollowedSources, SourceCheck
from ledger.audit.growing_tree import GrowingTree, KnownGroups
from ledger.audit.seals import Seals
from ledger.audit.second_sources import of_sighting
from ledger.audit.standing import Standing
from ledger.audit.watched_history import WatchedHistory
from ledger.core.duty_clocks import DutyClocks
from ledger.core.entries import Entry
from ledger.core.faults import Fault, FaultList, stored_faults
from ledger.core.ledger_findings import Sighting, find_collisions, find_entry_findings, rests_on_what_follows
from ledger.core.merkle import hash_leaves
from ledger.core.tiles import TILE_WIDTH
from ledger.errors import ProofError
from ledger.ports import Block, Codec, LogSource
from ledger.ports.growth import Growth, Stretch

STRETCH_ENTRIES = TILE_WIDTH * TILE_WIDTH
"""Entries read at once, at most."""

STRETCH_BYTES = 1 << 28
"""When no more of them are read: entries of 64 KiB each would fill the memory of whoever follows."""

PIECE_ENTRIES = 16 * TILE_WIDTH

Progress = Callable[[int, int], None]


class ShortLogError(ProofError):
    """The source gives fewer entries than it claims; ``position`` is the first that is missing."""

    def __init__(self, position: int, text: str) -> None:
        super().__init__(text)
        self.position = position


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose log is followed and how strictly: ``origin`` and ``vkey`` of its key, and what is an exposure.

    Without ``sources`` nobody can verify signatures, and receipts and egress counts are not weighed.
    """

    origin: str
    vkey: str
    with_index: bool = True
    require_tickets: bool = False
    sources: SourceCheck | None = None


class LogFollower:
    """One log as far as it was read, and what is wrong with it. For one thread.

    ``tree`` says how far that is; ``index_is_right`` whether every seal so far stated the index that its entries give;
    ``is_torn`` that it failed in the middle of taking something in, and is of no use any more; ``is_judged`` that nothing
    that was taken in waits to be judged.
    """

    def __init__(self, whose: Whose, growth: Growth, codec: Codec, source: LogSource) -> None:
        """Nothing read yet; ``growth`` is empty."""
        self._whose = whose
        self.growth = growth
        self._history = WatchedHistory()
        self._faults = FaultList()
        self._faults_told = 0
        self._seals = Seals(self._faults)
        self._asked: list[tuple[int, int, str]] = []
        self._fetched: tuple[int, list[bytes], list[bytes]] = (0, [], [])
        self._undecided: dict[str, list[tuple[int, Entry]]] = {}
        self._entries_found: dict[str, dict[str, Finding]] = {}
        self._collisions: dict[str, Finding] = {}
        self._sourced: dict[str, Finding] = {}
        self._clocks = DutyClocks()
        self._missed: dict[str, Finding] = {}
        self._sightings: dict[tuple[str, str], tuple[int, int]] | None = {}
        self._changed: dict[str, Finding | None] = {}
        self._resting: dict[str, Finding] = {}
        self._weighed_keys: list[str] = []
        self.is_torn = False
        self.is_judged = True
        self.tree = GrowingTree()
        self.state: list[tuple[int, bytes]] = []
        self._known = KnownGroups(source, self.tree)
        self._codec = codec
        self._sources = (
            None if whose.sources is None else FollowedSources(whose.sources, growth, self._history)
        )
        self._standing = Standing(
            self._history,
            growth.book,
            require_tickets=whose.require_tickets,
            receipts=None if self._sources is None else self._sources.receipts,
        )

    # Reading.

    def fetch(self, source: LogSource, size: int, faults: FaultList) -> list[bytes]:
        """The next entries of ``source``, up to ``size`` in all and at most a stretch; nothing is taken in yet.

        What the source keeps beside them is compared; differences go to ``faults``. Raises ShortLogError where it gives
        fewer, ProofError where it gives others than before for those that are read a second time.
        """
        group, known = divmod(self.tree.size, TILE_WIDTH)
        first = group * TILE_WIDTH
        block, is_short = _read_stretch(source, first, min(size - first, STRETCH_ENTRIES))
        leaves = hash_leaves(block.entries)
        if known:
            self.tree.check_group(group, leaves)
        if is_short:
            position = first + len(block.entries)
            reason = f": {block.fault}" if block.fault else ""
            raise ShortLogError(position, f"entry {position} of {size} cannot be read{reason}")
        faults.extend(stored_faults(first, leaves, block.stored_hashes))
        self._known.turn_to(source)
        self._fetched = (first, block.entries, leaves)
        return block.entries[known:]

    def root_after_fetched(self) -> bytes:
        """The root over what was read and what was fetched last."""
        first, _, leaves = self._fetched
        return self.tree.root_after(leaves[self.tree.size - first :])

    def root_at(self, size: int, source: LogSource) -> bytes:
        """The root over the first ``size`` entries that were read; ProofError where some are not there any more."""
        self._known.turn_to(source)
        return self.tree.root_at(size, self._known)

    def take(self, entries: Sequence[bytes], size: int) -> None:
        """Take in entries that were fetched; ``size`` is how many there are in all, as far as is known now."""
        first, fetched, _ = self._fetched
        self.is_torn = True
        self.is_judged = False
        stretch = self.growth.read(self.tree.size, entries)
        self._known.remember(first, fetched)
        self.tree.add(stretch, self._faults)
        self._fold(stretch, size)
        reader = self._reader()
        for position, earlier in stretch.repeated:
            self._check_uid(position, earlier, reader)
        if self._whose.with_index:
            self._compare_roots()
            self._ask_roots()
        self.is_torn = False

    def _fold(self, stretch: Stretch, size: int) -> None:
        for (position, entry), data in zip(stretch.state, stretch.data, strict=True):
            if entry.kind not in WEIGHED_KINDS:
                self.state.append((position, data))
            self._fold_one(position, entry, size)

    def _fold_one(self, position: int, entry: Entry, size: int) -> None:
        if entry.kind == "index.sealed":
            self._seals.add(entry)
        elif entry.kind in ("ledger.opened", "key.rotated"):
            self._check_own(entry)
        else:
            if rests_on_what_follows(entry):
                grant: str = entry.grant  # type: ignore[attr-defined]
                self._undecided.setdefault(grant, []).append((position, entry))
            else:
                self._resting_on_before(position, entry)
            if entry.kind == "canary.seen" and (leak := of_sighting(entry)) is not None:
                key = f"entry:{position}:{leak.code}"
                self._resting[key] = self._changed[key] = leak
            self._clocks.add(entry)
            if entry.kind in WEIGHED_KINDS and self._sources is not None:
                self._sources.add(position, entry)
            # A seq beyond the log is a lie: what nobody knows as of its size is no history.
            if entry.seq < size:
                self._history.add(entry)

    def _resting_on_before(self, position: int, entry: Entry) -> None:
        for found in find_entry_findings(entry, self._history):
            key = f"entry:{position}:{found.code}"
            self._resting[key] = self._changed[key] = of_entry(found)
            if entry.kind in WEIGHED_KINDS:
                self._weighed_keys.append(key)

    def _check_own(self, entry: Any) -> None:
        if entry.kind == "ledger.opened" and entry.origin != self._whose.origin:
            text = f"the log says that it is {entry.origin}, the key is for {self._whose.origin}"
            self._faults.tell(entry.seq, "CHECKPOINT_SIGNATURE_INVALID", text)

    def _reader(self) -> EntryReader:
        """A reader of entries as of now: one that is older may hold the last group as it was."""
        return EntryReader(self._known, self._codec)

    def _check_uid(self, position: int, earlier: int, reader: EntryReader) -> None:
        entry, other = reader.entry(position), reader.entry(earlier)
        if entry is not None and other is not None and entry.uid == other.uid:
            self._faults.tell(position, "ENTRY_MALFORMED", "the uid is another entry's")

    # The index.

    def _ask_roots(self) -> None:
        self._asked, self._seals.lawful = self._seals.lawful, []
        covered = [seal for seal in self._asked if seal[1] <= self.tree.size]
        for seq, map_size, _ in self._asked[len(covered) :]:
            text = f"map_size {map_size} is above the {self.tree.size} entries that are there"
            self._faults.tell(seq, "MAP_ROOT_MISMATCH", text)
        self._asked = covered
        if covered:
            self.growth.ask_roots([map_size for _, map_size, _ in covered])

    def _compare_roots(self) -> None:
        """Take the answer to what was asked last; it was worked out while other things were done."""
        if not self._asked:
            return
        for (seq, map_size, stated), root in zip(self._asked, self.growth.answer_roots(), strict=True):
            if root.hex() != stated:
                text = f"map_root over {map_size} entries is {root.hex()}, the seal states {stated}"
                self._faults.tell(seq, "MAP_ROOT_MISMATCH", text)
        self._asked = []

    def check_last(self, size: int) -> None:
        """A checkpoint over ``size`` entries covers a seal as its last one, or it commits to no index."""
        self._seals.check_last(size)

    # Judging.

    def judge(self) -> None:
        """Bring what stands about deliveries, events and endpoints up to what was read."""
        for grant in sorted(self._history.changed_grants):
            self._judge_undecided(grant)
        self._find_collisions()
        self._standing.judge(self._reader(), self.tree.size, self.tree.ledger_time_ms)
        if self._sources is not None:
            self._sources.compare(self._known, self.tree.size)
            found = self._sources.findings()
            self._put(self._sourced, found)
            self._sourced = found
        missed = [
            of_missed(one) for one in self._clocks.overdue(self.tree.ledger_time_ms, self._history.holds)
        ]
        overdue = {f"missed:{each.text}": each for each in missed}
        self._put(self._missed, overdue)
        self._missed = overdue
        self._history.forget_changes()
        self.is_judged = True

    def finish(self) -> None:
        """Wait for what is still being computed."""
        if self._whose.with_index:
            self.is_torn = True
            self._compare_roots()
            self.is_torn = False

    def _judge_undecided(self, grant: str) -> None:
        found = {
            f"entry:{position}:{each.code}": of_entry(each)
            for position, entry in self._undecided.get(grant, ())
            for each in find_entry_findings(entry, self._history)
        }
        before = self._entries_found.pop(grant, {})
        if found:
            self._entries_found[grant] = found
        self._put(before, found)

    def _find_collisions(self) -> None:
        resolved = self.growth.resolved
        if not self._history.changed_parties and resolved == self._sightings:
            return
        self._sightings = dict(resolved)
        sightings = [Sighting(*place, *seen) for place, seen in sorted(resolved.items())]
        found = {}
        for collision in find_collisions(self._history, sightings):
            endpoints, developers = collision.endpoints, collision.developers
            spot = f"{collision.address}:{collision.port}{collision.path}"
            found[f"collision:{','.join(endpoints)}:{','.join(developers)}:{spot}"] = of_collision(collision)
        self._put(self._collisions, found)
        self._collisions = found

    def _put(self, before: dict[str, Finding], found: dict[str, Finding]) -> None:
        self._changed.update(dict.fromkeys(before.keys() - found.keys()))
        self._changed.update({key: each for key, each in found.items() if before.get(key) != each})

    # What was found.

    @property
    def index_is_right(self) -> bool:
        """Whether nothing is wrong with the log itself: its chain, its tree, and every index that a seal stated."""
        return not any((fault.severity or "I") == "I" for fault in self._faults.kept)

    @property
    def faults(self) -> Mapping[str, int]:
        """How many faults there are in the log itself by code, those too many to list included."""
        return {str(code): count for code, count in self._faults.counts.items()}

    def take_changed(self) -> dict[str, Finding | None]:
        """The findings that came or changed since the last call, by key; None for what does not stand any more."""
        changed, self._changed = self._changed, {}
        changed.update(self._standing.take_changed())
        new = self._faults.kept[self._faults_told :]
        self._faults_told = len(self._faults.kept)
        changed.update({_key(fault): of_fault(fault) for fault in new})
        return changed

    def findings(self) -> dict[str, Finding]:
        """All findings that stand, by key."""
        found = {_key(fault): of_fault(fault) for fault in self._faults.kept}
        found.update(self._resting)
        for each in self._entries_found.values():
            found.update(each)
        found.update(self._collisions)
        found.update(self._sourced)
        found.update(self._missed)
        found.update(self._standing.findings())
        return found

    def verdicts(self) -> Counter[str]:
        """Attempts by verdict."""
        return self._standing.verdicts()

    # What is kept.

    def to_json(self) -> dict[str, Any]:
        """What is kept beside the state entries and the growth's own."""
        return {
            "tree": self.tree.to_json(),
            "seal": self._seals.last_seq,
            "faults": [[each.position, each.code, each.text, each.severity] for each in self._faults.kept],
            "fault_counts": self._faults.counts,
            "weighed": {key: keep_finding(self._resting[key]) for key in self._weighed_keys},
            "sources": None if self._sources is None else self._sources.to_json(),
        }

    def restore(self, kept: dict[str, Any], state: Iterable[tuple[int, Entry]]) -> None:
        """Take, into a follower that is new, what was kept; what stands about deliveries is judged at the next call."""
        self.tree = GrowingTree.from_json(kept["tree"])
        self._known.tree = self.tree
        for position, entry in state:
            if entry.kind not in ("index.sealed", "ledger.opened", "key.rotated"):
                self._fold_one(position, entry, self.tree.size)
        self._weighed_keys = list(kept["weighed"])
        self._resting.update({key: kept_finding(row) for key, row in kept["weighed"].items()})
        if self._sources is not None:
            self._sources.restore(kept["sources"])
        # The attempts are as they were judged; what rests on the whole history is looked at again.
        self._history.forget_changes(keep_grants=True)
        self._sightings = None
        self._faults.restore([Fault(*each) for each in kept["faults"]], kept["fault_counts"])
        self._seals.last_seq = kept["seal"]
        self._seals.seqs = {kept["seal"]}


def _read_stretch(source: LogSource, first: int, count: int) -> tuple[Block, bool]:
    """The ``count`` entries from ``first`` on, or fewer where they are long; and whether the source gave too few."""
    entries: list[bytes] = []
    stored: list[bytes | None] = []
    read_bytes = 0
    while len(entries) < count and read_bytes < STRETCH_BYTES:
        asked = min(count - len(entries), PIECE_ENTRIES)
        block = source.read_block(first + len(entries), asked)
        entries += block.entries
        stored.append(block.stored_hashes)
        read_bytes += sum(map(len, block.entries))
        if len(block.entries) < asked:
            return Block(first, entries, _join(stored), block.fault), True
    return Block(first, entries, _join(stored)), False


def _join(stored: Sequence[bytes | None]) -> bytes | None:
    return None if None in stored else b"".join(each for each in stored if each is not None)


def _key(fault: Fault) -> str:
    return f"log:{fault.position}:{fault.code}:{fault.text}"
