"""The index over the log: as the sealer makes it grow, and as proofs are made from it (ledger format, section 1.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from ledger.core.index import KeyRow
from ledger.core.map_proof import MapProof


class IndexState(NamedTuple):
    """Which index is stored: over the first ``map_size`` entries (at least 1), with the root ``map_root``.

    ``head`` is the leaf hash of the last of these entries, which commits to all before it, so that the index of another
    log, or of another copy of this one, is told apart. ``note`` is the published checkpoint that ends with the
    ``index.sealed`` of this map; None where there is none (yet), as while the index is being built.
    """

    map_size: int
    map_root: bytes
    head: bytes
    note: bytes | None


class TileRow(NamedTuple):
    """Tile ``number`` at ``level`` of the tree of the key at ``position``; see :mod:`ledger.core.key_tiles`."""

    position: bytes
    level: int
    number: int
    root: bytes
    data: bytes


class IndexChanges(NamedTuple):
    """What an index grew by: rows of keys by position and pages of the map by prefix, in ascending order; new tiles."""

    rows: Sequence[tuple[bytes, bytes]] = ()
    pages: Sequence[tuple[str, bytes]] = ()
    tiles: Sequence[TileRow] = ()


class IndexRows(Protocol):
    """The stored index, as bytes by primary key. One writes, who holds the lock of the log's sealer; many read.

    Nothing in it is evidence: it is made from the entries, and whoever reads it checks it.
    """

    def load_state(self) -> IndexState | None:
        """The state, or None where no index is stored."""
        ...

    def load_rows(self, positions: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The rows of the keys at ``positions`` that have one."""
        ...

    def load_pages(self, prefixes: Sequence[str]) -> Mapping[str, bytes]:
        """The pages of the map with these prefixes that are there."""
        ...

    def load_tile_roots(self, position: bytes, level: int, start: int, end: int) -> Sequence[bytes]:
        """The roots of a key's tiles ``[start, end)`` at ``level``, in order; those that are not there are left out."""
        ...

    def commit(self, expected: IndexState | None, state: IndexState, changes: IndexChanges) -> None:
        """Make ``changes`` and put ``state`` in the place of ``expected``, in one transaction, or change nothing.

        Raises StoreError where another state is there: somebody else has written. When the machine dies afterwards the
        commit may be lost as a whole, with those after it, but never a part of it.
        """
        ...

    def clear(self) -> None:
        """Forget everything, also what is damaged beyond reading."""
        ...


class GrowingIndex(Protocol):
    """The trees of all index keys and the map over their rows, grown from what is stored. Used from one thread.

    Entries are appended in memory, :meth:`grow` computes what they change, :meth:`commit` stores it: until then what is
    stored is the older state, whole. Costs time and memory for the keys that change, and not for those that are there.
    """

    def state(self) -> IndexState | None:
        """What is stored, or None where nothing is."""
        ...

    def number_of(self, key: str) -> int:
        """The number that stands for ``key``; numbers are good until the next :meth:`commit` or :meth:`discard`."""
        ...

    def append(self, first: int, leaf_hashes: Sequence[bytes], keys: Sequence[Sequence[int]]) -> None:
        """Append consecutive entries, the first of them at the seq ``first``.

        For each its leaf hash (32 bytes) and the numbers of its keys, each once. Seqs follow those of the last call, or the
        stored state (``AssertionError``).
        """
        ...

    def grow(self) -> IndexState:
        """The state over everything appended, which is not stored yet.

        Raises DamagedIndexError where what is stored is not what its state stands for.
        """
        ...

    def commit(self, note: bytes | None) -> None:
        """Store what the last :meth:`grow` made, with ``note``; raises as :meth:`IndexRows.commit`."""
        ...

    def discard(self) -> None:
        """Forget what was appended since the last commit."""
        ...

    def clear(self) -> None:
        """Begin anew, from nothing."""
        ...


class KeyPage(NamedTuple):
    """Consecutive entries of one key, and the proof that they stand where they do in the key's tree.

    ``first`` is the place of the first one, 0 for the key's oldest; ``seqs`` ascend; ``leaf_hashes`` are those of the
    entries themselves, 32 bytes each; ``proof`` is :func:`ledger.core.page_proof.prove_page` over their leaves in the
    key's tree (:func:`ledger.core.index.key_leaf_hash`).
    """

    first: int
    seqs: tuple[int, ...]
    leaf_hashes: tuple[bytes, ...]
    proof: tuple[bytes, ...]


class IndexSnapshot(Protocol):
    """The index of one published checkpoint, unchanged as long as the snapshot is open. Used from one thread.

    Whatever it hands out is checked against :attr:`map_root` first; StoreError where the index does not hold what it
    should, with what to do about it.
    """

    @property
    def map_size(self) -> int:
        """How many entries the index is over."""
        ...

    @property
    def map_root(self) -> bytes:
        """The root of the map, 32 bytes."""
        ...

    @property
    def note(self) -> bytes:
        """The published checkpoint whose last entry is the ``index.sealed`` that states :attr:`map_root`."""
        ...

    def load_row(self, key: str) -> KeyRow | None:
        """The row of ``key``, or None where none of the first :attr:`map_size` entries carries it."""
        ...

    def prove_map(self, key: str) -> MapProof:
        """The proof of the row of ``key``, or of its absence, against :attr:`map_root`."""
        ...

    def load_page(self, key: str, first: int, count: int) -> KeyPage:
        """The entries of ``key`` from place ``first`` on, ``count`` of them or as many as there are, with their proof.

        Takes time for the page, not for the key's history. Raises UsageError where the key has no entry at ``first``, or
        ``count`` is less than 1.
        """
        ...


class ProvableIndex(Protocol):
    """The index as it was published, to make proofs from. Safe for use from any number of threads."""

    def snapshot(self) -> AbstractContextManager[IndexSnapshot]:
        """The newest state that there is a published checkpoint for.

        Raises UsageError before anything was sealed, StoreError while the index is being built or made anew.
        """
        ...
