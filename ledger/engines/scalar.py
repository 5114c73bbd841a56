"""The engine that only repeats the core's definitions, one entry after another: the oracle of the others.

It holds every delivery of the log in memory and calls every one a suspect, so that each is judged by the scalar rule. Use
it for logs of some hundred thousand entries, or to check another engine's report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from ledger.core import canonical
from ledger.core.duty_clocks import DUTY_KINDS
from ledger.core.entries import Entry, decode_entry
from ledger.core.faults import Fault, edge_of, seam_faults, stored_faults
from ledger.core.history import History, bears_state
from ledger.core.index import index_keys
from ledger.core.key_trees import KeyTrees
from ledger.core.ledger_findings import schema_finding
from ledger.core.merkle import hash_leaf, root_of
from ledger.core.source_keys import SECOND_SOURCE_KINDS
from ledger.core.sparse_map import SparseMap
from ledger.core.tiles import TILE_WIDTH
from ledger.errors import FormatError
from ledger.ports import Attempt, Block, ChunkFacts, LogSource, Sweep

CHUNK_ENTRIES = 16 * TILE_WIDTH
ROW_KINDS = frozenset({"delivery.attempted", "delivery.settled", "delivery.imported"})
LOG_STATE_KINDS = frozenset({"ledger.opened", "index.sealed", "key.rotated"})
_TOLD_KINDS = LOG_STATE_KINDS | SECOND_SOURCE_KINDS | DUTY_KINDS


class ScalarEngine:
    """Implements ``ledger.ports.Engine``."""

    name = "scalar"

    def read(
        self,
        source: LogSource,
        size: int,
        *,
        with_index: bool,
        with_identities: bool,
        on_progress: Callable[[str, int, int], None],
    ) -> ScalarReading:
        """Begin to read the first ``size`` entries."""
        return ScalarReading(source, size, with_index, with_identities, on_progress)


class ScalarReading:
    """Implements ``ledger.ports.Reading`` by plain loops."""

    def __init__(
        self,
        source: LogSource,
        size: int,
        with_index: bool,
        with_identities: bool,
        on_progress: Callable[[str, int, int], None],
    ) -> None:
        self._source = source
        self._size = size
        self._with_index = with_index
        self._with_identities = with_identities
        self._on_progress = on_progress
        self._state: dict[int, list[Entry]] = {}
        self._uids: dict[str, int] = {}
        self._repeated: list[int] = []
        self._attempts: dict[tuple[str, int], list[int]] = {}
        self._resolved: dict[tuple[str, str], tuple[int, int]] = {}
        self._keyed: list[tuple[list[str], bytes]] = []

    def chunks(self) -> Iterator[ChunkFacts]:
        """Read the log once, in order."""
        for first in range(0, self._size, CHUNK_ENTRIES):
            wanted = min(CHUNK_ENTRIES, self._size - first)
            facts = self._read(first, wanted)
            yield facts
            self._on_progress("reading entries", first + facts.count, self._size)
            if facts.count < wanted:
                return

    def _read(self, first: int, count: int) -> ChunkFacts:
        facts = ChunkFacts(first)
        state = self._state[first] = []
        leaves: list[bytes] = []
        for start in range(first, first + count, TILE_WIDTH):
            wanted = min(TILE_WIDTH, first + count - start)
            block = self._source.read_block(start, wanted)
            leaves += self._read_block(facts, state, block)
            if block.fault is not None:
                facts.faults.tell(start + len(block.entries), "ENTRY_MALFORMED", block.fault)
            if len(block.entries) < wanted:
                break
        facts.count = len(leaves)
        full = len(leaves) // TILE_WIDTH * TILE_WIDTH
        facts.tile_roots = [root_of(leaves[at : at + TILE_WIDTH]) for at in range(0, full, TILE_WIDTH)]
        facts.rest = leaves[full:]
        return facts

    def _read_block(self, facts: ChunkFacts, state: list[Entry], block: Block) -> list[bytes]:
        """Take the entries of one block; returns their leaf hashes."""
        leaves: list[bytes] = []
        for place, data in enumerate(block.entries):
            position = block.first + place
            leaf = hash_leaf(data)
            entry = self._decode(facts, position, data)
            edge = edge_of(entry)
            if position == facts.first:
                facts.head = edge
            else:
                facts.faults.extend(seam_faults(position, facts.tail, facts.last_leaf, edge))
            facts.tail, facts.last_leaf = edge, leaf
            leaves.append(leaf)
            if entry is not None:
                facts.kinds[entry.kind] = facts.kinds.get(entry.kind, 0) + 1
                facts.latest_ms = max(facts.latest_ms, entry.recorded_at)
                self._take(position, entry, state)
            if self._with_index:
                self._keyed.append((self._keys(data), leaf))
        facts.faults.extend(stored_faults(block.first, leaves, block.stored_hashes))
        return leaves

    @staticmethod
    def _decode(facts: ChunkFacts, position: int, data: bytes) -> Entry | None:
        try:
            decoded = decode_entry(data)
        except FormatError as error:
            facts.faults.tell(position, "ENTRY_MALFORMED", str(error))
            return None
        odd = schema_finding(position, decoded.entry.kind, decoded.known, decoded.unknown)
        if odd is not None:
            facts.faults.add(Fault(odd.seq, odd.code, odd.text, odd.severity))
        return decoded.entry

    @staticmethod
    def _keys(data: bytes) -> list[str]:
        try:
            return index_keys(canonical.decode(data))
        except FormatError:
            return []

    def _take(self, position: int, entry: Entry, state: list[Entry]) -> None:
        if entry.uid in self._uids:
            self._repeated.append(position)
        else:
            self._uids[entry.uid] = position
        kind = entry.kind
        if kind in ROW_KINDS:
            delivery: str = entry.delivery  # type: ignore[attr-defined]
            attempt: int = entry.attempt  # type: ignore[attr-defined]
            self._attempts.setdefault((delivery, attempt), []).append(position)
        elif kind == "account.registered":
            if self._with_identities:
                state.append(entry)
        elif bears_state(kind) or kind in _TOLD_KINDS:
            state.append(entry)
        if kind == "delivery.imported":
            self._see_address(entry)

    def _see_address(self, entry: Entry) -> None:
        endpoint: str = entry.endpoint  # type: ignore[attr-defined]
        address: str | None = entry.resolved_ip  # type: ignore[attr-defined]
        at: int = entry.started_at  # type: ignore[attr-defined]
        if address is not None:
            first, last = self._resolved.get((endpoint, address), (at, at))
            self._resolved[(endpoint, address)] = (min(first, at), max(last, at))

    def state_entries(self, chunk: ChunkFacts) -> Iterable[Entry]:
        """The entries of a chunk just read that a fold over the log needs, in order."""
        return self._state.pop(chunk.first)

    def repeated_uids(self) -> list[int]:
        """Seqs of entries whose ``uid`` an earlier entry has, ascending."""
        return self._repeated

    def map_roots(self, map_sizes: Sequence[int]) -> list[bytes]:
        """The index map's root over the first n entries, for each n (ascending)."""
        trees, index_map, roots, done = KeyTrees(), SparseMap(), [], 0
        for size in map_sizes:
            for seq in range(done, size):
                keys, leaf = self._keyed[seq]
                trees.append_entry(keys, seq, leaf)
            index_map.update(trees.changed_rows())
            trees.mark_sealed()
            roots.append(index_map.root())
            done = size
        return roots

    def deliveries(self, size: int) -> Iterator[tuple[int, Entry]]:
        """Every sound entry about an attempt once more."""
        for first in range(0, size, TILE_WIDTH):
            block = self._source.read_block(first, min(TILE_WIDTH, size - first))
            for place, data in enumerate(block.entries):
                try:
                    entry = decode_entry(data).entry
                except FormatError:
                    continue
                if entry.kind in ROW_KINDS:
                    yield first + place, entry

    def start_sweep(
        self, history: History, tree_size: int, ledger_time_ms: int, doubted: Sequence[int] = ()
    ) -> Callable[[], Sweep]:
        """Call every attempt a suspect, and all of them possible copies of each other."""
        attempts = [Attempt(tuple(seqs)) for seqs in self._attempts.values()]
        return lambda: Sweep(0, 0, attempts, [attempts], self._resolved)

    def close(self) -> None:
        """Forget everything."""
        self._keyed.clear()
        self._attempts.clear()
