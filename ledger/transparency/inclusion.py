"""Proofs that an entry stands under the published checkpoint (ledger format, section 1.3; formats, section 4.5).

A proof is made from the stored tiles and checked against the stored entry before anybody sees it, so what is
handed out always holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.core.chain import leaf_hash
from ledger.core.checkpoint import Checkpoint, open_checkpoint
from ledger.core.merkle import prove_inclusion
from ledger.core.note import Verifier
from ledger.core.tiles import TileId, format_path, node_reader
from ledger.core.tlog_proof import TlogProof, check_tlog_proof
from ledger.errors import ForkError, FormatError, SignatureError
from ledger.ports import EntryStore, StoredEntry


@dataclass(frozen=True, slots=True)
class Published:
    """The published checkpoint, opened, and the signed ``note`` it came in."""

    checkpoint: Checkpoint
    note: bytes


def load_published(store: EntryStore, origin: str, verifiers: Iterable[Verifier]) -> Published | None:
    """The published checkpoint of the log ``origin``, or None before the first seal.

    Raises SignatureError when what is published is not a checkpoint of that log which one of ``verifiers`` signed.
    """
    note = store.load_checkpoint()
    if note is None:
        return None
    try:
        return Published(open_checkpoint(note, origin, verifiers).checkpoint, note)
    except FormatError as error:
        raise SignatureError(
            f"what is published is no checkpoint of {origin} ({error}); run `grantledger verify`"
        ) from error


def prove_entry(
    store: EntryStore, row: StoredEntry, published: Published | None, verifiers: Iterable[Verifier]
) -> TlogProof | None:
    """The proof that ``row`` stands in the tree of ``published``; None while that does not cover it.

    Raises ForkError or ProofError when the entry's bytes are not those that were appended and sealed.
    """
    if leaf_hash(row.data) != row.leaf_hash:
        raise ForkError(f"entry {row.seq} in the database is not what was appended; run `grantledger verify`")
    if published is None or row.seq >= published.checkpoint.size:
        return None

    def load_tile(tile: TileId) -> bytes | None:
        return store.load_tile(format_path(tile))

    size = published.checkpoint.size
    proof = TlogProof(
        row.seq, tuple(prove_inclusion(row.seq, size, node_reader(size, load_tile))), published.note
    )
    check_tlog_proof(proof, row.leaf_hash, published.checkpoint.origin, verifiers)
    return proof
