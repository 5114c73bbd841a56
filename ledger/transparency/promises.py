"""A ticket held against the log that signed it: is the promised entry there (ledger format, sections 1.3 and 1.5)?

What a published directory shows counts only under a checkpoint that the log signed, and an entry only with its proof of
inclusion; a directory that contradicts itself is an exception, because then nothing can be said about the promise.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from ledger.core.chain import leaf_hash
from ledger.core.checkpoint import open_checkpoint
from ledger.core.merkle import check_inclusion, prove_inclusion
from ledger.core.note import Verifier
from ledger.core.ticket import Ticket
from ledger.core.tiles import TILE_WIDTH, TileId, format_path, node_reader
from ledger.errors import StoreError
from ledger.ports import EntryStore, LogSource

Promise = Literal["kept", "broken", "not there yet"]
"""``not there yet``: the log's checkpoint does not reach so far."""


def check_published_promise(ticket: Ticket, source: LogSource, verifiers: Iterable[Verifier]) -> Promise:
    """What the published log ``source`` makes of ``ticket``, whose signature is checked already.

    Raises SignatureError where its checkpoint is not one that this log signed, ProofError where its entry or tiles do not
    belong to that checkpoint, StoreError where they cannot be read.
    """
    note = source.checkpoint()
    if note is None:
        raise StoreError(f"{source.describe()} has no checkpoint; is this a published log?")
    checkpoint = open_checkpoint(note, ticket.origin, verifiers).checkpoint
    if ticket.seq >= checkpoint.size:
        return "not there yet"
    first = ticket.seq // TILE_WIDTH * TILE_WIDTH
    block = source.read_block(first, min(TILE_WIDTH, checkpoint.size - first))
    if ticket.seq - first >= len(block.entries):
        raise StoreError(f"{source.describe()}: entry {ticket.seq} cannot be read: {block.fault}")
    leaf = leaf_hash(block.entries[ticket.seq - first])

    def load_tile(tile: TileId) -> bytes | None:
        return source.read_tile(format_path(tile))

    proof = prove_inclusion(ticket.seq, checkpoint.size, node_reader(checkpoint.size, load_tile))
    check_inclusion(proof, ticket.seq, checkpoint.size, leaf, checkpoint.root)
    return "kept" if leaf == ticket.leaf_hash else "broken"


def check_recorded_promise(ticket: Ticket, store: EntryStore) -> Promise:
    """What the log's own database makes of ``ticket``, whose signature is checked already; raises StoreError.

    A ticket is given for an entry that is durable, so one that is not there is a broken promise.
    """
    row = next(iter(store.fetch_range(ticket.seq, ticket.seq + 1)), None)
    return "kept" if row is not None and leaf_hash(row.data) == ticket.leaf_hash else "broken"
