"""A log to be verified, and the engine that reads and judges it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ledger.core.entries import Entry
from ledger.core.faults import Edge, FaultList
from ledger.core.history import History


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive entries as read from a published log or a database, nothing of it checked.

    ``stored_hashes`` are the leaf hashes that the source keeps beside them, 32 bytes each, or None where it keeps none.
    ``fault`` says why fewer entries than asked for could be read, or None.
    """

    first: int
    entries: list[bytes]
    stored_hashes: bytes | None = None
    fault: str | None = None


class LogSource(Protocol):
    """A log to be verified: a published directory or a live database. Picklable, so that processes can share it."""

    def describe(self) -> str:
        """What this is, for a report: a path or an address without credentials."""
        ...

    def size_available(self) -> int:
        """How many entries the source seems to hold; a claim."""
        ...

    def checkpoint(self) -> bytes | None:
        """The published checkpoint, or None."""
        ...

    def read_block(self, first: int, count: int) -> Block:
        """Entries ``first <= position < first + count``; unreadable ones end the block with a ``fault``."""
        ...

    def read_bundle(self, index: int, into: memoryview) -> int | None:
        """Read the full bundle that begins at entry ``256 * index``: its size, or None where the source has no such.

        Unchecked; of one that does not fit only the beginning is read.
        """
        ...

    def read_tile(self, path: str) -> bytes | None:
        """A published hash tile, or None where there is none."""
        ...


@dataclass(slots=True)
class ChunkFacts:
    """What is known of a stretch of the log once it was read: ``count`` entries from ``first`` on.

    ``tile_roots`` are the roots of its full groups of 256 entries, ``rest`` the leaf hashes after them. ``head`` and
    ``tail`` are the edges of its first and last entry (None where malformed), ``last_leaf`` the last leaf hash.
    ``kinds`` counts well-formed entries, ``latest_ms`` is the highest ``recorded_at`` of them.
    """

    first: int
    count: int = 0
    tile_roots: list[bytes] = field(default_factory=list)
    rest: list[bytes] = field(default_factory=list)
    head: Edge | None = None
    tail: Edge | None = None
    last_leaf: bytes = b""
    faults: FaultList = field(default_factory=FaultList)
    kinds: dict[str, int] = field(default_factory=dict)
    latest_ms: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """The positions of the entries of one delivery attempt: attempted or imported, and its settlements."""

    seqs: tuple[int, ...]


@dataclass(slots=True)
class Sweep:
    """What an engine found: ``clean`` attempts that are backed and carry no code at all; the rest one by one.

    ``clean_observed`` of the clean ones have an observed destination.
    ``copies`` are groups of attempts that may be copies of one delivery of the same event to the same endpoint, and
    ``resolved`` what deliveries say about addresses: ``(endpoint, resolved_ip) -> (first, last)`` instants in ms.
    """

    clean: int
    clean_observed: int
    suspects: Iterable[Attempt]
    copies: Iterable[Sequence[Attempt]]
    resolved: dict[tuple[str, str], tuple[int, int]]


class Reading(Protocol):
    """One verification's way through one log; closed at the end, which removes its scratch files."""

    def chunks(self) -> Iterator[ChunkFacts]:
        """Read the log once, in order, up to the first group of 256 entries that is not whole."""
        ...

    def state_entries(self, chunk: ChunkFacts) -> Iterable[Entry]:
        """The entries of a chunk just read that a fold over the log needs, in order."""
        ...

    def repeated_uids(self) -> list[int]:
        """Seqs of entries whose ``uid`` an earlier entry has, ascending."""
        ...

    def map_roots(self, map_sizes: Sequence[int]) -> list[bytes]:
        """The index map's root over the first n entries, for each n (ascending)."""
        ...

    def deliveries(self, size: int) -> Iterator[tuple[int, Any]]:
        """Every sound entry about a delivery's attempt, settlement or import below ``size``, in order, with its place."""
        ...

    def start_sweep(
        self, history: History, tree_size: int, ledger_time_ms: int, doubted: Sequence[int] = ()
    ) -> Callable[[], Sweep]:
        """Begin to tell the attempts that are surely clean from the others; everything said to be clean is.

        ``history`` is whole and stays as it is. Those that begin at the places ``doubted`` are never called clean. What is
        returned waits for the end, once.
        """
        ...

    def close(self) -> None:
        """Remove what the reading left on disk."""
        ...


class Engine(Protocol):
    """A way to read and sweep a log; all of them give the same report."""

    name: str

    def read(
        self,
        source: LogSource,
        size: int,
        *,
        with_index: bool,
        with_identities: bool,
        on_progress: Callable[[str, int, int], None],
    ) -> Reading:
        """Begin to read the first ``size`` entries; ``on_progress(phase, done, total)`` is called now and then."""
        ...
