"""The entries of an export, read once in order: their places, the index keys, the views, the openings (exports, section 5.5).

Whatever is long is read as it goes by; what is held is a few hashes for the tree and for each key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ledger.core.bag import EACH, TOGETHER, committed_fields
from ledger.core.bag_lists import StatedLists
from ledger.core.canonical import decode
from ledger.core.checkpoint import Checkpoint
from ledger.core.export_filter import is_about, is_within, keys_of
from ledger.core.flat import COLUMNS, entry_row, finding_line, timeline_line
from ledger.core.index import index_keys, key_leaf_hash
from ledger.core.jcs import decode_file
from ledger.core.merkle import Frontier, check_inclusion, hash_leaf
from ledger.core.openings import OPENING, Opening, check_openings
from ledger.core.selection import SelectionFold, plan_gap
from ledger.core.shapes import HASH, read_shape
from ledger.core.tlog_proof import parse_tlog_proof
from ledger.errors import ProofError

SUBTREE = {"first": int, "level": int, "hash": HASH}
"""A line of the inclusion proofs where entries are proven together."""
SINGLE = {"seq": int, "proof": str}
"""A line of the inclusion proofs where each entry has its own."""
REDACTION = {"seq": int, "field": str, "reason": str}
"""A line that says what was withheld, and why."""

Lines = Iterator[bytes]


class KeyCount:
    """The entries of one index key as they go by: how many, the last one, their tree."""

    def __init__(self) -> None:
        self.count = 0
        self.last_seq = 0
        self.tree = Frontier()

    def add(self, seq: int, leaf_hash: bytes) -> None:
        """Count the entry ``seq``."""
        self.count += 1
        self.last_seq = seq
        self.tree.append_subtree(0, key_leaf_hash(seq, leaf_hash))


class ExpectedLines:
    """A file whose lines are known beforehand, one by one; ``code`` names the refusal."""

    def __init__(self, lines: Lines, what: str) -> None:
        self._lines = lines
        self._what = what

    def expect(self, line: str) -> None:
        """Raise ProofError unless ``line`` is the next one."""
        if next(self._lines, None) != line.encode():
            raise ProofError(f"{self._what} does not say what the entries say", "VIEW_MISMATCH")

    def expect_end(self) -> None:
        """Raise ProofError where there are more lines."""
        if next(self._lines, None) is not None:
            raise ProofError(f"{self._what} has more than the entries say", "VIEW_MISMATCH")


class LinesBySeq:
    """JSON lines about entries, in order of seq."""

    def __init__(self, lines: Lines, shape: Mapping[str, object], what: str) -> None:
        self._lines = lines
        self._shape = shape
        self._what = what
        self._next: Any = None
        self._advance()

    def take(self, seq: int) -> list[Any]:
        """The lines about the entry ``seq``; those about an earlier one, not asked for, are an error."""
        taken = []
        while self._next is not None and self._next["seq"] <= seq:
            if self._next["seq"] < seq:
                raise ProofError(f"{self._what} is about an entry that is not here", "OPENING_MISPLACED")
            taken.append(self._next)
            self._advance()
        return taken

    def expect_end(self) -> None:
        """Raise ProofError where there are lines left."""
        if self._next is not None:
            raise ProofError(f"{self._what} is about an entry that is not here", "OPENING_MISPLACED")

    def _advance(self) -> None:
        line = next(self._lines, None)
        self._next = None if line is None else read_shape(decode_file(line), self._shape, self._what)


class EntriesCheck:
    """Checks the entries of an export against its ``manifest`` (as read) and its opened checkpoint, in one pass.

    ``lines(path)`` opens a file; ``map_size`` is how many entries the index is over.
    """

    def __init__(
        self,
        manifest: Mapping[str, Any],
        checkpoint: Checkpoint,
        note: bytes,
        map_size: int,
        inclusion: Lines,
        views: tuple[Lines, Lines, Lines],
        openings: Lines,
        redactions: Lines,
    ) -> None:
        self._filter = manifest["filter"]
        self._checkpoint = checkpoint
        self._note = note
        self._map_size = map_size
        self._inclusion = inclusion
        self._is_each = manifest["proofs"] == EACH
        self._fold = SelectionFold()
        table, findings, timeline = views
        self._table = ExpectedLines(table, "entries.csv")
        self._findings = ExpectedLines(findings, "findings.jsonl")
        self._timeline = ExpectedLines(timeline, "timeline.jsonl")
        self._openings = LinesBySeq(openings, OPENING, "openings.jsonl")
        self._redactions = LinesBySeq(redactions, REDACTION, "redactions.jsonl")
        self._wanted = frozenset(keys_of(self._filter))
        self.keys = {key: KeyCount() for key in self._wanted}
        self.count = 0
        self.first_seq = 0
        self.last_seq = -1
        self.kinds: dict[str, int] = {}
        self.spans: dict[str, dict[str, int]] = {}
        self.lists = StatedLists()

    def run(self, entries: Lines) -> None:
        """Check all of ``entries``, their canonical bytes; ProofError or FormatError where something does not hold."""
        self._table.expect(",".join(COLUMNS))
        for data in entries:
            self._check(data)
        if not self._is_each:
            self._fold_gap(self._checkpoint.size)
            if self._fold.root() != self._checkpoint.root:
                raise ProofError("the entries do not lead to the root of the checkpoint", "INCLUSION_INVALID")
        if next(self._inclusion, None) is not None:
            raise ProofError("inclusion.jsonl has more than the entries need", "INCLUSION_INVALID")
        for rest in (self._table, self._findings, self._timeline, self._openings, self._redactions):
            rest.expect_end()

    def _check(self, data: bytes) -> None:
        members, leaf = decode(data), hash_leaf(data)
        seq = members.get("seq")
        if type(seq) is not int or not self.last_seq < seq < self._checkpoint.size:
            raise ProofError("an entry is out of order, or states no place in the log", "ENTRY_MISPLACED")
        self._prove(seq, leaf, data)
        self._count(seq, members, leaf)
        self._table.expect(entry_row(members, leaf.hex()))
        views: tuple[tuple[ExpectedLines, Callable[[Mapping[str, Any]], str | None]], ...]
        views = (self._findings, finding_line), (self._timeline, timeline_line)
        for lines, view in views:
            line = view(members)
            if line is not None:
                lines.expect(line)
        self._check_commitments(seq, members, data)
        self.last_seq = seq

    def _prove(self, seq: int, leaf: bytes, data: bytes) -> None:
        if not self._is_each:
            self._fold_gap(seq)
            self._fold.add_leaf(leaf)
            return
        line = read_shape(decode_file(next(self._inclusion, b"")), SINGLE, "inclusion.jsonl")
        proof = parse_tlog_proof(line["proof"].encode())
        if line["seq"] != seq or proof.index != seq or proof.checkpoint != self._note or proof.extra != data:
            raise ProofError(f"the proof of entry {seq} is another one's", "INCLUSION_INVALID")
        check_inclusion(proof.hashes, seq, self._checkpoint.size, leaf, self._checkpoint.root)

    def _fold_gap(self, end: int) -> None:
        for node in plan_gap(self._fold.end, end):
            line = read_shape(decode_file(next(self._inclusion, b"")), SUBTREE, "inclusion.jsonl")
            if (line["first"], line["level"]) != (self._fold.end, node.level):
                raise ProofError("inclusion.jsonl does not fit the entries", "INCLUSION_INVALID")
            self._fold.add_subtree(node, line["hash"])

    def _count(self, seq: int, members: Mapping[str, Any], leaf: bytes) -> None:
        if self.count == 0:
            self.first_seq = seq
        self.count += 1
        kind = str(members.get("kind"))
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        note_spans(self.spans, members)
        self.lists.add(self._filter, members)
        if not is_within(self._filter, members):
            raise ProofError(f"entry {seq} is not one that the filter selects", "NOT_SELECTED")
        is_linked = self._filter.incident is not None
        if not is_linked and not is_about(self._filter, self._wanted, members):
            raise ProofError(f"entry {seq} is not one that the filter selects", "NOT_SELECTED")
        if self._wanted and seq < self._map_size:
            for key in index_keys(members):
                if key in self._wanted:
                    self.keys[key].add(seq, leaf)

    def _check_commitments(self, seq: int, members: Mapping[str, Any], data: bytes) -> None:
        opened, withheld = self._openings.take(seq), self._redactions.take(seq)
        check_openings([Opening(**line) for line in opened], {seq: data})
        fields = sorted([line["field"] for line in (*opened, *withheld)])
        if fields != committed_fields(members):
            raise ProofError(
                f"a commitment of entry {seq} is neither opened nor listed as withheld, or both",
                "OPENING_MISSING",
            )


def note_spans(spans: dict[str, dict[str, int]], members: Mapping[str, Any]) -> None:
    """Widen ``spans`` so that they hold the instants of ``members``: ``at`` and ``recorded_at``, each first and last."""
    for name in ("at", "recorded_at"):
        value = members.get(name)
        if type(value) is not int or value < 0:
            continue
        span = spans.setdefault(name, {"first": value, "last": value})
        span["first"], span["last"] = min(span["first"], value), max(span["last"], value)


def choose_proofs(count: int) -> str:
    """How the inclusion of ``count`` entries is proven: few each by itself, for other tools; many together."""
    return EACH if count <= EACH_MAX else TOGETHER


EACH_MAX = 10_000
"""Of more entries than these a proof for each would be longer than the entries."""
