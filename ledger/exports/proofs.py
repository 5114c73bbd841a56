"""The proofs of an export: that its entries stand in the log, and that none of a key is missing (exports, section 5.5).

Everything is checked as it is made, so that what is handed out always holds: entries that do not lead to the signed root are
a ForkError of the database's keeper and no export.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from ledger.core.bag import EACH
from ledger.core.canonical import JsonValue
from ledger.core.chain import leaf_hash
from ledger.core.checkpoint import Checkpoint
from ledger.core.completeness import format_map_proof, format_row
from ledger.core.jcs import encode_file
from ledger.core.merkle import check_inclusion, prove_inclusion
from ledger.core.note import NoteSignature, format_note, parse_note
from ledger.core.selection import SelectionFold, plan_gap
from ledger.core.tiles import TileId, format_path, node_reader
from ledger.core.tlog_proof import TlogProof, format_tlog_proof
from ledger.errors import ForkError, ProofError
from ledger.exports.selecting import KeyFacts
from ledger.ports import EntryStore, StoredEntry

TILES_KEPT = 512


class InclusionProofs:
    """The lines of inclusion.jsonl, made entry by entry, in order; ``form`` is one of :mod:`ledger.core.bag`."""

    def __init__(self, store: EntryStore, checkpoint: Checkpoint, note: bytes, form: str) -> None:
        """For entries of the tree of ``checkpoint``, which stands in ``note``."""
        self._checkpoint = checkpoint
        self._note = note
        self._is_each = form == EACH
        self._fold = SelectionFold()
        load = lru_cache(maxsize=TILES_KEPT)(lambda tile: store.load_tile(format_path(tile)))

        def load_tile(tile: TileId) -> bytes | None:
            return load(tile)

        self._read = node_reader(checkpoint.size, load_tile)

    def add(self, row: StoredEntry) -> Iterator[bytes]:
        """The lines before and for the entry ``row``."""
        leaf = leaf_hash(row.data)
        if not self._is_each:
            yield from self._gap(row.seq)
            self._fold.add_leaf(leaf)
            return
        path = tuple(prove_inclusion(row.seq, self._checkpoint.size, self._read))
        try:
            check_inclusion(path, row.seq, self._checkpoint.size, leaf, self._checkpoint.root)
        except ProofError as error:
            raise _not_sealed(str(error)) from error
        proof = format_tlog_proof(TlogProof(row.seq, path, self._note, row.data))
        yield encode_file({"seq": row.seq, "proof": proof.decode()})

    def finish(self) -> Iterator[bytes]:
        """The lines behind the last entry; ForkError unless everything leads to the signed root."""
        if self._is_each:
            return
        yield from self._gap(self._checkpoint.size)
        if self._fold.root() != self._checkpoint.root:
            raise _not_sealed("the entries do not lead to the signed root")

    def _gap(self, end: int) -> Iterator[bytes]:
        nodes = plan_gap(self._fold.end, end)
        for node, made in zip(nodes, self._read(nodes) if nodes else (), strict=True):
            first = self._fold.end
            self._fold.add_subtree(node, made)
            yield encode_file({"first": first, "level": node.level, "hash": made.hex()})


def index_lines(store: EntryStore, checkpoint: Checkpoint, facts: Sequence[KeyFacts]) -> Iterator[bytes]:
    """The lines of index.jsonl: the seal of the tree of ``checkpoint``, then each key's row, or its absence."""
    seq = checkpoint.size - 1
    row = next(iter(store.fetch_range(seq, seq + 1)), None)
    if row is None:
        raise _not_sealed(f"entry {seq} is not there")
    read = node_reader(checkpoint.size, lambda tile: store.load_tile(format_path(tile)))
    path = prove_inclusion(seq, checkpoint.size, read)
    sealed: dict[str, JsonValue] = {
        "entry": row.data.decode(),
        "index": seq,
        "proof": [step.hex() for step in path],
    }
    yield encode_file({"index_sealed": sealed})
    for key, key_row, proof in facts:
        line: dict[str, JsonValue] = {"key": key, "map_proof": format_map_proof(proof)}
        if key_row is not None:
            line["row"] = format_row(key_row)
        yield encode_file(line)


def known_lines(note: bytes, known: Mapping[tuple[str, bytes], str]) -> tuple[bytes, list[str]]:
    """``note`` with one signature of each key of ``known`` (name and id -> vkey), and the vkeys of those, ascending."""
    parsed = parse_note(note)
    kept: dict[tuple[str, bytes], NoteSignature] = {}
    for line in parsed.signatures:
        if (line.name, line.key_id) in known:
            kept.setdefault((line.name, line.key_id), line)
    return format_note(parsed.text, list(kept.values())), sorted(known[key] for key in kept)


def _not_sealed(why: str) -> ForkError:
    return ForkError(f"the database does not hold what was sealed ({why}); run `grantledger verify`")
