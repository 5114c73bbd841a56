"""The index over the log's first entries, replayed from their bytes (ledger format, section 1.4).

The sealer's view: it starts empty, goes through the entries once and then only through those that are new. On the way
it holds each row's leaf hash against its bytes, because the next signature will commit to both.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, TypedDict

import msgspec

from ledger.core.index import index_keys
from ledger.core.key_trees import KeyTrees
from ledger.core.sparse_map import SparseMap
from ledger.errors import ForkError
from ledger.ports import EntryStore, StoredEntry


class _Indexed(TypedDict, total=False):
    """The members that keys come from, of any type: a decoder for them skips all others."""

    account: Any
    developer: Any
    previous_developer: Any
    processor: Any
    received_by: Any
    subjects: Any


_decode_indexed = msgspec.json.Decoder(_Indexed).decode


class LogIndex:
    """The index over the first ``size`` entries of the log; it only grows."""

    def __init__(self) -> None:
        self.size = 0
        self._trees = KeyTrees()
        self._map = SparseMap()

    def extend(self, store: EntryStore, size: int) -> None:
        """Take in the entries up to ``size``; raises ForkError where a row's bytes do not fit it.

        After an error the index is not to be used again.
        """
        assert size >= self.size, f"the index is over {self.size} entries already"
        append_entry = self._trees.append_entry
        for row in checked_rows(store, self.size, size):
            try:
                members = _decode_indexed(row.data)
            except msgspec.MsgspecError as error:
                raise ForkError(
                    f"entry {row.seq} in the database is no entry ({error}); run `verify`"
                ) from error
            append_entry(index_keys(members), row.seq, row.leaf_hash)
        self.size = size

    def root(self) -> bytes:
        """The root of the map over the rows of all keys, 32 bytes."""
        self._map.update(self._trees.changed_rows())
        self._trees.mark_sealed()
        return self._map.root()


def checked_rows(store: EntryStore, start: int, end: int) -> Iterator[StoredEntry]:
    """The entries ``start <= seq < end``, all of them; raises ForkError where one is missing or not as hashed."""
    expected = start
    for row in store.fetch_range(start, end):
        if row.seq != expected or sha256(b"\x00" + row.data).digest() != row.leaf_hash:
            raise ForkError(f"entry {expected} in the database is not what was appended; run `verify`")
        expected += 1
        yield row
    if expected != end:
        raise ForkError(f"entry {expected} is missing from the database; run `verify`")
