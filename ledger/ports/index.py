"""The index over a log that grows, as the sealer needs it (ledger format, section 1.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class GrowingIndex(Protocol):
    """The trees of all index keys and the map over their rows, in memory; it begins empty. Used from one thread.

    Each part costs time for what is new: an entry for its keys, a root for the keys that changed since the last one.
    """

    def number_of(self, key: str) -> int:
        """The number that stands for ``key`` in this index, made where it is new."""
        ...

    def append(self, first: int, leaf_hashes: Sequence[bytes], keys: Sequence[Sequence[int]]) -> None:
        """Append consecutive entries, the first of them at the seq ``first``.

        For each its leaf hash (32 bytes) and the numbers of its keys, each once. Seqs ascend from one call to the next;
        another order is a mistake of the caller (``AssertionError``), after which the index is not to be used again.
        """
        ...

    def root(self) -> bytes:
        """The root of the map over the rows of all keys, 32 bytes."""
        ...
