"""The stored index, brought up to the log (ledger format, section 1.4).

The sealer's view of the index: over which entries it is, what it takes to go on, and when what is new is stored. The
entries are read once, when they are new; on the way each row's leaf hash is held against its bytes, because the next
signature will commit to both. How trees and map grow is left to a :class:`~ledger.ports.index.GrowingIndex`, which keys an
entry has to :mod:`ledger.sequencer.entry_keys`.

What is stored is never evidence. An index of other entries than this log's is dropped and made anew; one that says of the
entries that were sealed last anything but what ``index.sealed`` says of them is damaged, and stops the sealer. What a seal
adds is stored only after its checkpoint was published, so the stored index is that of the published checkpoint, or an
older one. The exception is an index that has far to go, as at the first seal of a large import: it is stored in pieces on
the way, and no proof can be made from it until the seal is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import islice
from typing import NamedTuple

from ledger.errors import DamagedIndexError, ForkError
from ledger.ports import EntryStore, StoredEntry
from ledger.ports.index import GrowingIndex, IndexState
from ledger.sequencer.entry_keys import EntryKeys

BLOCK_ENTRIES = 1 << 15
"""Entries that the index takes in at once."""

CHUNK_ENTRIES = 1 << 18
"""Entries after which an index that has farther to go is stored, so that it need not begin anew when it is interrupted.

They are held in memory until then, about 800 bytes for each. Smaller pieces would write the rows of the same keys more
often.
"""

_REINDEX = "make it anew with `grantledger reindex`"


class SealedMap(NamedTuple):
    """What the last published ``index.sealed`` states, and the checkpoint that it was published under."""

    map_size: int
    map_root: bytes
    note: bytes


def _ignore(_done: int, _total: int) -> None:
    """Tell nobody."""


class LogIndex:
    """The index over the first entries of ``store``, stored in ``index``.

    ``on_progress`` is told how many entries of how many were taken in, after each block of them.
    """

    def __init__(
        self, store: EntryStore, index: GrowingIndex, on_progress: Callable[[int, int], None] = _ignore
    ) -> None:
        self._store = store
        self._index = index
        self._on_progress = on_progress

    def catch_up(self, sealed: SealedMap) -> None:
        """Have the index of the last published checkpoint stored, or one that is over more entries than that.

        Raises DamagedIndexError where the index is not the one that was sealed, ForkError where the entries are not.
        """
        self._index.discard()
        state = self._own_state()
        if state is None or state.map_size < sealed.map_size:
            root = self.extend(sealed.map_size)
            if root != sealed.map_root:
                self._index.discard()
                if state is None:
                    raise ForkError(
                        f"the first {sealed.map_size} entries give another map root than the one that was sealed"
                    )
                raise DamagedIndexError(
                    "the index that is stored does not lead to the map root that was sealed over "
                    f"{sealed.map_size} entries: {_REINDEX}"
                )
            self._index.commit(sealed.note)
        elif state.map_size == sealed.map_size:
            if state.map_root != sealed.map_root:
                raise DamagedIndexError(
                    f"the index that is stored is not the one that was sealed over {sealed.map_size} entries: {_REINDEX}"
                )
            self._say(sealed.note, state)
        else:
            # More entries than were sealed: a large import's, interrupted before its seal; or the checkpoint went back.
            self._say(None, state)

    def make_anew(self, sealed: SealedMap) -> None:
        """Make the index of the last published checkpoint from the entries; goes on where it was interrupted."""
        self._index.discard()
        try:
            state = self._index.state()
            if state is None or state.note is not None or state.map_size >= sealed.map_size:
                self._index.clear()
            self.catch_up(sealed)
        except DamagedIndexError:
            self._index.clear()
            self.catch_up(sealed)

    def build(self, size: int) -> None:
        """Store the index in pieces until there is no more than one piece left to ``size`` entries."""
        state = self._own_state()
        done = state.map_size if state else 0
        while size - done > CHUNK_ENTRIES:
            self._take(done, done + CHUNK_ENTRIES, size)
            self._index.grow()
            self._index.commit(None)
            done += CHUNK_ENTRIES

    def extend(self, size: int) -> bytes:
        """The map root over ``size`` entries; what is new is held until :meth:`publish`.

        Raises DamagedIndexError where the index is not what its state says, ForkError where a row's bytes do not fit it.
        """
        self._index.discard()
        state = self._own_state()
        if state is not None and state.map_size > size:
            # There is no way back, but only through a database that was put together from several copies.
            self._index.clear()
            state = None
        self.build(size)
        state = self._index.state()
        self._take(state.map_size if state else 0, size, size)
        return self._index.grow().map_root

    def publish(self, note: bytes) -> None:
        """Store what :meth:`extend` made, under the published checkpoint that states its root."""
        self._index.commit(note)

    def _say(self, note: bytes | None, state: IndexState) -> None:
        if state.note != note:
            self._index.grow()
            self._index.commit(note)

    def _own_state(self) -> IndexState | None:
        """The stored state where it is one of this log; one of other entries is dropped."""
        state = self._index.state()
        if state is None:
            return None
        leaf_hash = self._store.leaf_hashes(state.map_size - 1, state.map_size)
        if leaf_hash != state.head:
            self._index.clear()
            return None
        return state

    def _take(self, start: int, end: int, total: int) -> None:
        """Append the entries ``[start, end)`` to the index, which will be over ``total`` of them."""
        rows, keys_of = checked_rows(self._store, start, end), EntryKeys(self._index.number_of).find
        while start < end:
            leaf_hashes, keys = [], []
            # Row by row: a block of rows kept alive would be gone through by every collection of garbage.
            for row in islice(rows, BLOCK_ENTRIES):
                leaf_hashes.append(row.leaf_hash)
                keys.append(keys_of(row))
            self._index.append(start, leaf_hashes, keys)
            start += len(keys)
            self._on_progress(start, total)


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
