"""The sequencer's state, rebuilt from what is durable: at start, and after a write whose outcome was unclear.

The entries' bytes are the only source. Before anything is appended to them, the end of the log must agree with itself:
the head row counts exactly the rows, and the last row's bytes are those of its place and its leaf hash. The whole log
is not checked here; that is what ``verify`` does.
"""

from __future__ import annotations

from ledger.core.chain import leaf_hash
from ledger.core.entries import Entry
from ledger.core.history import History
from ledger.errors import ForkError, FormatError
from ledger.ports import Codec, EntryStore
from ledger.sequencer.committing import is_same_log
from ledger.sequencer.state import Head, State


def recover(store: EntryStore, codec: Codec) -> State:
    """The state after the last durable entry of ``store``.

    Raises ForkError when the end of the log contradicts itself (somebody edited the database), StoreError when it
    cannot be read.
    """
    head = load_head(store, codec)
    state = State(History(), head, [])
    for row in store.fetch_state():
        if row.seq >= head.size:
            if row.seq >= store.size():
                raise ForkError(f"there is an entry {row.seq} in a log of {head.size} entries")
            break  # another writer's, since the head was read
        state.add(_decode(codec, row.seq, row.data))
    return state


def catch_up(store: EntryStore, codec: Codec, state: State) -> list[Entry]:
    """Bring ``state`` up to the end of the log; the entries of other writers that it folded, in order.

    Raises ForkError when the log is no continuation of the one that ``state`` is of, otherwise as :func:`recover`;
    ``state`` is then of no use any more.
    """
    start, link = state.head.size, state.head.link
    head = load_head(store, codec)
    if head.size < start or not is_same_log(store, start, link):
        raise ForkError(
            f"the log of {head.size} entries does not continue the one of {start} that this sequencer knows: "
            "somebody put another database in its place; run `grantledger verify`"
        )
    news = load_bearing(store, codec, start, head.size)
    for entry in news:
        state.add(entry)
    state.head = head
    return news


def load_bearing(store: EntryStore, codec: Codec, start: int, end: int) -> list[Entry]:
    """The entries ``start <= seq < end`` that bear state, in order."""
    return [_decode(codec, row.seq, row.data) for row in store.fetch_state(start) if row.seq < end]


def load_head(store: EntryStore, codec: Codec) -> Head:
    """The end of the log, checked; errors as :func:`recover`."""
    while True:
        size = store.size()
        rows = list(store.fetch_range(max(0, size - 1), size + 1))
        if store.size() == size:
            break
        # Another writer appended in between; nothing that was read is wrong, it only does not fit together.
    if [row.seq for row in rows] != ([size - 1] if size else []):
        raise ForkError(f"the head row counts {size} entries, but the rows there are not those: run `verify`")
    if not rows:
        return Head()
    last = rows[0]
    entry = _decode(codec, last.seq, last.data)
    if leaf_hash(last.data) != last.leaf_hash or entry.seq != last.seq or entry.uid != last.uid:
        raise ForkError(
            f"entry {last.seq} is not what was appended: its bytes do not fit its row; run `verify`"
        )
    return Head(size, last.leaf_hash, entry.recorded_at)


def _decode(codec: Codec, seq: int, data: bytes) -> Entry:
    try:
        return codec.decode(data)
    except FormatError as error:
        raise ForkError(f"entry {seq} is not what was appended: {error}; run `verify`") from error
