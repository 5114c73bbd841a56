"""One verification's way through one log, on several processes and DuckDB; implements ``ledger.ports.Reading``."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.core.entries import Entry
from ledger.core.history import History
from ledger.engines.chunk import ScanJob
from ledger.engines.files import read_state
from ledger.engines.index_replay import replay_index
from ledger.engines.pool import scan_chunks
from ledger.engines.recurring import Fresh
from ledger.engines.rows import LeftOver, Resolved
from ledger.ports import ChunkFacts, Codec, LogSource, Sweep

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Progress = Callable[[str, int, int], None]
DUCKDB_MEMORY = "1500MB"


class ParallelReading:
    """Reads ``source`` with ``processes`` workers; what is as long as the log lies in a scratch directory."""

    def __init__(
        self,
        source: LogSource,
        size: int,
        codec: Codec,
        *,
        with_index: bool,
        with_identities: bool,
        processes: int,
        on_progress: Progress,
    ) -> None:
        self._source = source
        self._size = size
        self._codec = codec
        self._processes = processes
        self._on_progress = on_progress
        self._scratch = Path(tempfile.mkdtemp(prefix="grantledger-verify-"))
        self._job = ScanJob(source, self._scratch, with_index, with_identities)
        self._connection: DuckDBPyConnection | None = None
        self.firsts: list[int] = []
        self.rows = 0
        self.left_over: list[LeftOver] = []
        self.recurring: list[Fresh] = []
        self.resolved: Resolved = {}

    def chunks(self) -> Iterator[ChunkFacts]:
        """Read the log once, in order."""
        done = 0
        for result in scan_chunks(self._job, self._size, self._processes):
            self.firsts.append(result.facts.first)
            self.rows += result.rows
            self.left_over += result.left_over
            self.recurring += result.recurring
            for place, (first, last) in result.resolved.items():
                seen = self.resolved.get(place, (first, last))
                self.resolved[place] = (min(first, seen[0]), max(last, seen[1]))
            done += result.facts.count
            self._on_progress("reading entries", done, self._size)
            yield result.facts

    def state_entries(self, chunk: ChunkFacts) -> Iterable[Entry]:
        """The entries of a chunk that a fold over the log needs, in order."""
        decode = self._codec.decode
        return [decode(data) for data in read_state(self._scratch, chunk.first)]

    def connection(self) -> DuckDBPyConnection:
        """The DuckDB connection of this reading, with as many threads as it has processes."""
        if self._connection is None:
            import duckdb

            self._connection = duckdb.connect(":memory:")
            self._connection.execute(f"SET threads = {max(1, self._processes)}")
            self._connection.execute(f"SET memory_limit = '{DUCKDB_MEMORY}'")
            self._connection.execute("SET temp_directory = ?", [str(self._scratch / "spill")])
            self._connection.execute("SET preserve_insertion_order = false")
        return self._connection

    def repeated_uids(self) -> list[int]:
        """Seqs of entries whose ``uid`` an earlier entry has, ascending."""
        from ledger.engines.uids import repeated_uids

        return repeated_uids(self.connection(), self._scratch, self.firsts, self._source)

    def map_roots(self, map_sizes: Sequence[int]) -> list[bytes]:
        """The index map's root over the first n entries, for each n (ascending)."""
        self._on_progress("replaying the index", 0, self._size)
        roots = replay_index(self._scratch, self.firsts, map_sizes, self._processes)
        self._on_progress("replaying the index", self._size, self._size)
        return roots

    def sweep(self, history: History, tree_size: int, ledger_time_ms: int) -> Sweep:
        """Tell the attempts that are surely clean from the others."""
        from ledger.engines.sweep import DuckSweep

        self._on_progress("judging deliveries", 0, self.rows)
        swept = DuckSweep(self.connection(), self._scratch, self.firsts, history).run(
            self.recurring, self.left_over, self.resolved
        )
        self._on_progress("judging deliveries", self.rows, self.rows)
        return swept

    def close(self) -> None:
        """Remove what the reading left on disk."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        shutil.rmtree(self._scratch, ignore_errors=True)
