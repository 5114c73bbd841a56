"""The durable sequence of entries, and the record of the last signed checkpoint (ledger format, section 1.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol


class NewEntry(NamedTuple):
    """One row to append: ``seq`` is its place, ``leaf_hash`` 32 bytes, ``bears_state`` whether a fold needs it."""

    seq: int
    uid: str
    leaf_hash: bytes
    data: bytes
    bears_state: bool


class StoredEntry(NamedTuple):
    """One row as read back; nothing but ``data`` is evidence."""

    seq: int
    uid: str
    leaf_hash: bytes
    data: bytes


class Change(NamedTuple):
    """A change of a table beside the log that becomes durable together with an entry, or not at all.

    ``statement`` is the adapter's own, made where the table is defined, and runs with ``values``; whoever carries it
    does not look into it.
    """

    statement: Any
    values: Mapping[str, Any]


class Turn(Protocol):
    """The log's one turn to write, held: nobody else, in whatever process, appends before it ends."""

    @property
    def size(self) -> int:
        """How many entries are durable, and stay so many until :meth:`append`."""
        ...

    def append(self, entries: Sequence[NewEntry], changes: Sequence[Change] = ()) -> None:
        """Add ``entries`` at :attr:`size`, as :meth:`EntryStore.append`; at most once, durable when this returns."""
        ...


class EntryStore(Protocol):
    """The durable sequence of entries; one appends at a time, of any number of processes, and many read."""

    def size(self) -> int:
        """How many entries are durable."""
        ...

    def append(self, expected_size: int, entries: Sequence[NewEntry], changes: Sequence[Change] = ()) -> None:
        """Add ``entries`` at ``expected_size`` and make ``changes``, in order, in one transaction, durable when this returns.

        The guard is part of the statement: if the store's size is not ``expected_size`` nothing is written and
        ForkError is raised (a second writer). StoreError means that nothing is known: re-read ``size`` before going on.
        """
        ...

    def turn(self) -> AbstractContextManager[Turn]:
        """Wait for the turn to write and hold it during the block, so that nobody can be faster once more.

        For a writer that was overtaken: it reads what the others appended, judges anew and appends. Reads of this store
        inside the block see what is durable.
        """
        ...

    def fetch_by_uids(self, uids: Sequence[str]) -> dict[str, StoredEntry]:
        """Those of ``uids`` that are taken, with their entries."""
        ...

    def fetch_range(self, start: int, end: int) -> Iterator[StoredEntry]:
        """Entries ``start <= seq < end`` in order, streamed."""
        ...

    def fetch_state(self, start: int = 0) -> Iterator[StoredEntry]:
        """Every entry from ``start`` on that was appended with ``bears_state``, in order, streamed."""
        ...

    def leaf_hashes(self, start: int, end: int) -> bytes:
        """The leaf hashes of ``start <= seq < end``, 32 bytes each, joined."""
        ...

    def load_tile(self, path: str) -> bytes | None:
        """A stored hash tile by its path (``tile/0/005.p/3``), or None."""
        ...

    def put_tiles(self, tiles: Iterable[tuple[str, bytes]]) -> None:
        """Store tiles durably; a tile that is there with the same bytes stays, with other bytes is a ForkError."""
        ...

    def load_checkpoint(self) -> bytes | None:
        """The last published checkpoint, or None before the first."""
        ...

    def put_checkpoint(self, tree_size: int, checkpoint: bytes) -> None:
        """Publish durably; never moves to a smaller size."""
        ...


class CheckpointRecord(Protocol):
    """The last signed checkpoint, kept outside the ledger's database (ledger format, section 1.3)."""

    def load(self) -> bytes | None:
        """The last signed checkpoint, or None when none was ever signed."""
        ...

    def compare_and_swap(self, expected: bytes | None, new: bytes) -> None:
        """Durably replace ``expected`` by ``new``; raises ForkError and changes nothing when another one is there."""
        ...

    def lock(self) -> AbstractContextManager[None]:
        """Held by the one sealer of this log; raises StoreError when another process holds it."""
        ...
