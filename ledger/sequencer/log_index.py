"""The index over the log's first entries, replayed from their bytes (ledger format, section 1.4).

The sealer's view: it starts empty, goes through the entries once and then only through those that are new. On the way
it holds each row's leaf hash against its bytes, because the next signature will commit to both. How trees and map grow
is left to a :class:`~ledger.ports.GrowingIndex`; which keys an entry has is said by :mod:`ledger.core.index`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from itertools import islice
from typing import Any, TypedDict

import msgspec

from ledger.core.index import index_keys
from ledger.errors import ForkError
from ledger.ports import EntryStore, GrowingIndex, StoredEntry

BLOCK_ENTRIES = 1 << 15
"""Entries that the index takes in at once."""

PAIRS_REMEMBERED_MAX = 1 << 17
"""Pairs of account and developer whose keys are at hand; when there are more, remembering begins anew."""


class _Indexed(TypedDict, total=False):
    """The members that keys come from, of any type: a decoder for them skips all others."""

    account: Any
    developer: Any
    previous_developer: Any
    processor: Any
    received_by: Any
    subjects: Any


class _Receiver(msgspec.Struct, gc=False):
    developer: str | None = None


class _Common(msgspec.Struct, gc=False):
    """The same members where they are of the types that entries of known kinds have; null is no key, as none is."""

    account: str | None = None
    developer: str | None = None
    previous_developer: Any = None
    processor: Any = None
    received_by: _Receiver | None = None
    subjects: list[str] | None = None


_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises for a row's bytes, which may have been edited to anything."""

_decode_indexed = msgspec.json.Decoder(_Indexed).decode
_decode_common = msgspec.json.Decoder(_Common).decode


class LogIndex:
    """The index over the first ``size`` entries of the log; ``index``, empty at first, only grows."""

    def __init__(self, index: GrowingIndex) -> None:
        self.size = 0
        self._index = index
        self._number_of = index.number_of
        self._keys_of_pairs: dict[tuple[str | None, str | None], tuple[int, ...]] = {}

    def extend(self, store: EntryStore, size: int) -> None:
        """Take in the entries up to ``size``; raises ForkError where a row's bytes do not fit it.

        After an error the index is not to be used again.
        """
        assert size >= self.size, f"the index is over {self.size} entries already"
        rows, keys_of = checked_rows(store, self.size, size), self._keys_of
        while self.size < size:
            leaf_hashes, keys = [], []
            # Row by row: a block of rows kept alive would be gone through by every collection of garbage.
            for row in islice(rows, BLOCK_ENTRIES):
                leaf_hashes.append(row.leaf_hash)
                keys.append(keys_of(row))
            self._index.append(self.size, leaf_hashes, keys)
            self.size += len(keys)

    def root(self) -> bytes:
        """The root of the map over the rows of all keys, 32 bytes."""
        return self._index.root()

    def _keys_of(self, row: StoredEntry) -> tuple[int, ...]:
        """The numbers of the keys of one entry."""
        try:
            entry = _decode_common(row.data)
        except _UNREADABLE:
            return self._numbers_of(_members_of(row))
        account, developer, receiver = entry.account, entry.developer, entry.received_by
        if (
            entry.previous_developer is not None
            or entry.processor is not None
            or (receiver is not None and receiver.developer != developer)
        ):
            return self._numbers_of(_members_of(row))
        keys = self._keys_of_pairs.get((account, developer))
        if keys is None:
            if len(self._keys_of_pairs) == PAIRS_REMEMBERED_MAX:
                self._keys_of_pairs = {}
            keys = self._numbers_of({"account": account, "developer": developer})
            self._keys_of_pairs[(account, developer)] = keys
        subjects = entry.subjects
        if not subjects:
            return keys
        if len(subjects) == 1:
            return (*keys, self._number_of("subj:" + subjects[0]))
        return (*keys, *self._numbers_of({"subjects": subjects}))

    def _numbers_of(self, members: Mapping[str, object]) -> tuple[int, ...]:
        return tuple(map(self._number_of, index_keys(members)))


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


def _members_of(row: StoredEntry) -> Mapping[str, object]:
    """The members that keys come from, whatever they are; raises ForkError where the row is no entry."""
    try:
        return _decode_indexed(row.data)
    except _UNREADABLE as error:
        raise ForkError(f"entry {row.seq} in the database is no entry ({error}); run `verify`") from error
