"""Making a judged batch durable, and finding out whether it is when nobody says so (ledger format, section 1.1).

A commit can fail in two ways, and nobody can tell them apart by the exception: it did not happen, or it happened and
was reported as failed. So the log is looked at: each leaf commits to every entry before it, and the batch's last one
there means that all are there. If it is not, another writer may have been faster; that is no harm as long as the log
still is the one that the batch was judged on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from ledger.core.chain import ZERO_PREV
from ledger.errors import ForkError, LedgerError, StoreError
from ledger.ports import Change, EntryStore, NewEntry
from ledger.sequencer.batch import Batch

log = structlog.get_logger()

Append = Callable[[Sequence[NewEntry], Sequence[Change]], None]


class OvertakenError(LedgerError):
    """Another writer appended first: nothing of this batch is durable, and it has to be judged anew."""


def make_durable(store: EntryStore, batch: Batch, append: Append) -> None:
    """Hand the rows and changes of ``batch`` to ``append``; when this returns they are durable.

    Raises OvertakenError (nothing is durable), ForkError when the log is no continuation of the one that was judged on,
    StoreError when nothing is known, and whatever ``append`` raised where it did not happen.
    """
    start, last = batch.rows[0].seq, batch.rows[-1]
    try:
        append(batch.rows, batch.changes)
    except Exception as failure:
        try:
            durable_size = store.size()
            is_durable = (
                durable_size > last.seq and store.leaf_hashes(last.seq, last.seq + 1) == last.leaf_hash
            )
            is_continued = durable_size > start and is_same_log(store, start, batch.prev)
        except LedgerError as blind:
            raise StoreError(
                f"{failure}; and the log cannot be read to see whether it was appended ({blind}): repeat the call"
            ) from failure
        if is_durable:
            log.warning("sequencer.append_reported_as_failed", error=str(failure), seq=start)
            return
        if is_continued:
            raise OvertakenError(f"another writer appended at {start}") from failure
        if durable_size != start:
            raise ForkError(
                f"the log has {durable_size} entries and is not the one that this sequencer left at {start}: "
                "somebody put another database in its place; run `grantledger verify`"
            ) from failure
        raise


def is_same_log(store: EntryStore, size: int, prev: str) -> bool:
    """Whether the first ``size`` entries of the log end in the leaf hash ``prev`` (as links write it)."""
    return prev == (store.leaf_hashes(size - 1, size).hex() if size else ZERO_PREV)
