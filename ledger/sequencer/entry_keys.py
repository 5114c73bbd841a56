"""The index keys of entries, from the bytes of their rows (ledger format, sections 1.4 and 1.7).

What :func:`ledger.core.index.index_keys` says of an entry's members, found without decoding the others, and as numbers,
because most entries repeat the keys of earlier ones. An entry of any other form than those of known kinds is left to that
function itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

import msgspec

from ledger.core.index import index_keys
from ledger.errors import ForkError
from ledger.ports import StoredEntry

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


class EntryKeys:
    """Finds the keys of entries, as the numbers that ``number_of`` gives them; good as long as those are."""

    def __init__(self, number_of: Callable[[str], int]) -> None:
        self._number_of = number_of
        self._keys_of_pairs: dict[tuple[str | None, str | None], tuple[int, ...]] = {}

    def find(self, row: StoredEntry) -> tuple[int, ...]:
        """The numbers of the keys of one entry, each once; raises ForkError where the row is no entry."""
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


def _members_of(row: StoredEntry) -> Mapping[str, object]:
    """The members that keys come from, whatever they are; raises ForkError where the row is no entry."""
    try:
        return _decode_indexed(row.data)
    except _UNREADABLE as error:
        raise ForkError(f"entry {row.seq} in the database is no entry ({error}); run `verify`") from error
