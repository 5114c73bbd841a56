"""One verification's way through one log, on several processes and DuckDB; implements ``ledger.ports.Reading``."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ledger.core.entries import Entry
from ledger.core.history import History
from ledger.engines.chunk import ScanJob
from ledger.engines.deliveries import DeliveryDecoder
from ledger.engines.files import read_state
from ledger.engines.joint import Joint
from ledger.engines.pool import scan_chunks
from ledger.engines.recurring import Fresh
from ledger.engines.replay import replay_index
from ledger.engines.rows import Resolved, merge_resolved
from ledger.engines.structs import known_entry_type
from ledger.ports import ChunkFacts, Codec, LogSource, Sweep

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Progress = Callable[[str, int, int], None]
DUCKDB_MEMORY = "1500MB"
SECRET_BYTES = 16
AGAIN_ENTRIES = 256


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
        group_entries: int,
        on_progress: Progress,
    ) -> None:
        self._source = source
        self._size = size
        self._codec = codec
        self._processes = processes
        self._on_progress = on_progress
        self._scratch = Path(tempfile.mkdtemp(prefix="grantledger-verify-"))
        secret = secrets.token_bytes(SECRET_BYTES)
        self._job = ScanJob(source, self._scratch, with_index, with_identities, secret, group_entries)
        self._decode_list = msgspec.json.Decoder(list[known_entry_type()]).decode  # type: ignore[misc]
        self._connecting: Future[DuckDBPyConnection] | None = None
        self.firsts: list[int] = []
        self.rows = 0
        self.recurring: list[Fresh] = []
        self.resolved: Resolved = {}
        self._joint = Joint(secret)
        self._background = ThreadPoolExecutor(2, "sweep")
        self._uids: Future[list[int]] | None = None

    def chunks(self) -> Iterator[ChunkFacts]:
        """Read the log once, in order."""
        done = 0
        # The library takes a while to load: best while the processes begin to read.
        self._connecting = self._background.submit(self._connect)
        for result in scan_chunks(self._job, self._size, self._processes):
            self.firsts.append(result.facts.first)
            self.rows += result.rows
            self._joint.add(result.facts.first, result.left_over)
            self.recurring += result.recurring
            merge_resolved(self.resolved, result.resolved)
            done += result.facts.count
            self._on_progress("reading entries", done, self._size)
            yield result.facts

    def state_entries(self, chunk: ChunkFacts) -> Iterable[Entry]:
        """The entries of a chunk that a fold over the log needs, in order."""
        data = read_state(self._scratch, chunk.first)
        try:
            # Each was found sound when it was scanned; nothing has to be checked again but its members' names.
            entries: list[Entry] = self._decode_list(b"[" + b",".join(data) + b"]")
        except msgspec.MsgspecError:
            return [self._codec.decode(each) for each in data]
        return entries

    def _connect(self) -> DuckDBPyConnection:
        """A DuckDB connection with as many threads as this reading has processes."""
        import duckdb

        connection = duckdb.connect(":memory:")
        connection.execute(f"SET threads = {max(1, self._processes)}")
        connection.execute(f"SET memory_limit = '{DUCKDB_MEMORY}'")
        connection.execute("SET temp_directory = ?", [str(self._scratch / "spill")])
        connection.execute("SET preserve_insertion_order = false")
        return connection

    def repeated_uids(self) -> list[int]:
        """Seqs of entries whose ``uid`` an earlier entry has, ascending."""
        return (self._uids or self._start_uids()).result()

    def _start_uids(self) -> Future[list[int]]:
        from ledger.engines.uids import repeated_uids

        return self._background.submit(repeated_uids, self._scratch, self.firsts, self._source)

    def map_roots(self, map_sizes: Sequence[int]) -> list[bytes]:
        """The index map's root over the first n entries, for each n (ascending)."""
        self._on_progress("replaying the index", 0, self._size)
        roots = replay_index(self._scratch, self.firsts, map_sizes, self._processes)
        self._on_progress("replaying the index", self._size, self._size)
        return roots

    def deliveries(self, size: int) -> Iterator[tuple[int, Entry]]:
        """Every sound entry about an attempt once more."""
        decoder = DeliveryDecoder()
        for first in range(0, size, AGAIN_ENTRIES):
            entries = self._source.read_block(first, min(AGAIN_ENTRIES, size - first)).entries
            yield from decoder.deliveries(first, entries)

    def start_sweep(
        self, history: History, tree_size: int, ledger_time_ms: int, doubted: Sequence[int] = ()
    ) -> Callable[[], Sweep]:
        """Begin to tell the attempts that are surely clean from the others; what is returned waits for the end."""
        from ledger.engines.sweep import DuckSweep

        self._on_progress("judging deliveries", 0, self.rows)
        joining, recurring, left_over = self._joint.take()
        assert self._connecting is not None, "a log is read before it is swept"
        connection = self._connecting.result()
        sweep = DuckSweep(connection, self._scratch, self.firsts, joining, history)
        sweep.prepare(self.recurring + recurring, left_over, doubted)
        # What needs no grants goes on beside making the spans in which they are live.
        self._uids = self._start_uids()
        repeated = self._background.submit(sweep.find_repeated, left_over)
        live_spans = sweep.live_spans()
        repeated.result()
        sweeping = self._background.submit(sweep.run, live_spans, left_over, self.resolved)

        def finish() -> Sweep:
            swept = sweeping.result()
            self._on_progress("judging deliveries", self.rows, self.rows)
            return swept

        return finish

    def close(self) -> None:
        """Remove what the reading left on disk."""
        self._background.shutdown()
        if self._connecting is not None:
            self._connecting.result().close()
            self._connecting = None
        shutil.rmtree(self._scratch, ignore_errors=True)
