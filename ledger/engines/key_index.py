"""The index over a growing log by the text of its keys; implements ``ledger.ports.GrowingIndex``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np

from ledger.core.index import key_position
from ledger.engines.hash_rows import Hashes, as_hashes, hash_key_leaves
from ledger.engines.shard_index import ShardIndex


class _Numbers(dict[str, int]):
    """``key -> number``; a key that is looked up for the first time gets the next number."""

    def __init__(self) -> None:
        super().__init__()
        self._fresh: list[bytes] = []

    def __missing__(self, key: str) -> int:
        number = self[key] = len(self)
        self._fresh.append(key_position(key))
        return number

    def take_fresh(self) -> Hashes:
        """The positions of the keys that are new since the last call, in the order of their numbers."""
        fresh, self._fresh = self._fresh, []
        return as_hashes(b"".join(fresh))


class KeyIndex:
    """The index of one log, in memory: about 400 bytes and the key's text for each key. Not safe for threads."""

    def __init__(self) -> None:
        """Start without any entry."""
        self._numbers = _Numbers()
        self._index = ShardIndex()
        # The look-up itself: a method around it would cost more than it does.
        self.number_of: Callable[[str], int] = self._numbers.__getitem__

    def append(self, first: int, leaf_hashes: Sequence[bytes], keys: Sequence[Sequence[int]]) -> None:
        """Append consecutive entries, the first of them at the seq ``first``: leaf hashes and the numbers of their keys."""
        index = self._index
        index.add_keys(self._numbers.take_fresh())
        counts = np.fromiter(map(len, keys), np.int64, len(keys))
        numbers = np.fromiter(chain.from_iterable(keys), np.int64, int(counts.sum()))
        leaves = hash_key_leaves(first, as_hashes(b"".join(leaf_hashes)))
        index.append(first, leaves, np.repeat(np.arange(len(keys)), counts), numbers)

    def root(self) -> bytes:
        """The root of the map over the rows of all keys, 32 bytes."""
        return self._index.subtree().node
