"""Proofs for people outside, made from the index, the tiles and the entries (ledger format, sections 1.3 and 1.4).

What is handed out always holds: everything here is checked, as a stranger would, before it is returned. A proof that does not
hold is an exception of the database's keeper (ForkError), never a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ledger.core.chain import leaf_hash
from ledger.core.checkpoint import Checkpoint, open_checkpoint
from ledger.core.completeness import (
    CompletenessBundle,
    KeyEntry,
    PagePlace,
    SealedIndex,
    check_key,
    check_parsed_completeness,
)
from ledger.core.consistency import ConsistencyBundle, OldState, check_consistency_bundle
from ledger.core.merkle import compute_root, prove_consistency, prove_inclusion
from ledger.core.note import NoteSignature, Verifier, format_note, parse_note
from ledger.core.openings import Opening
from ledger.core.tiles import TileId, format_path, node_reader
from ledger.errors import ForkError, LedgerError, ProofError, SignatureError, UsageError
from ledger.ports import EntryStore, StoredEntry
from ledger.ports.index import IndexSnapshot, ProvableIndex

ENTRIES_MAX = 10_000
"""How many entries a bundle holds without being asked for a page: some 7 MB."""

_GAP_MAX = 8
"""Entries that lie closer together than this are read at once, with those between them."""


@dataclass(frozen=True, slots=True)
class Page:
    """Which entries of a key are wanted: ``count`` from place ``first`` on (0 is the oldest), or the ``last`` so many.

    None is as many as there are.
    """

    first: int = 0
    count: int | None = None
    last: int | None = None

    def bounds(self, recorded: int) -> tuple[int, int]:
        """``first`` and ``count`` where ``recorded`` entries are there."""
        first = max(0, recorded - self.last) if self.last is not None else self.first
        left = recorded - first
        return first, left if self.count is None else min(self.count, left)


Opener = Callable[[Sequence[KeyEntry]], Sequence[Opening]]
"""What opens those commitments of entries that it can."""


def open_nothing(_entries: Sequence[KeyEntry]) -> Sequence[Opening]:
    """Open no commitment."""
    return ()


class Prover:
    """Makes bundles about one log. Safe for use from any number of threads."""

    def __init__(
        self, store: EntryStore, index: ProvableIndex, origin: str, verifiers: Iterable[Verifier]
    ) -> None:
        """``verifiers`` are the keys that bundles may carry signatures of: the log's own, first of all."""
        self._store = store
        self._index = index
        self._origin = origin
        self._verifiers = list(verifiers)

    def prove_key(
        self, key: str, page: Page | None = None, opener: Opener = open_nothing
    ) -> CompletenessBundle:
        """The bundle of what is recorded under ``key``, all of it or a ``page``; that nothing is, where nothing is.

        ``opener`` says which commitments of these entries are opened. Raises FormatError where no entry could carry
        ``key``, UsageError before the first seal, where the page begins beyond the end, or where all would be more than
        10,000 entries; ForkError or StoreError where the database does not hold what was sealed.
        """
        check_key(key)
        with self._index.snapshot() as snapshot:
            bundle = self._bundle(snapshot, key, page or Page(), opener, is_page=page is not None)
        try:
            check_parsed_completeness(bundle, self._origin, self._verifiers, key)
        except (ProofError, SignatureError) as error:
            raise ForkError(
                f"what the database holds under {key} is not what was sealed: {error}; run `grantledger verify`"
            ) from error
        return bundle

    def fetch_by_uids(self, uids: Sequence[str]) -> list[StoredEntry]:
        """The entries with those of ``uids`` that are there, unproven."""
        return list(self._store.fetch_by_uids(uids).values())

    def prove_growth(self, old: int | bytes, new: bytes | None = None) -> ConsistencyBundle:
        """The bundle that the log has only grown since ``old``: a tree size, or a checkpoint that the log signed.

        Until the published checkpoint, or ``new``, another one of this log. Raises UsageError where there is no way from
        one to the other, ForkError where the log is not a continuation of ``old``: both are then the evidence.
        """
        note = self._published() if new is None else new
        newer = self._open(note)
        earlier = self._open(old) if isinstance(old, bytes) else None
        size = earlier.size if earlier is not None else old
        assert isinstance(size, int), "a checkpoint has a size"
        if not 0 < size <= newer.size:
            raise UsageError(
                f"there is no proof from size {size} to size {newer.size}: name an earlier state than the newer one"
            )
        read = node_reader(newer.size, self._load_tile)
        path = tuple(prove_consistency(size, newer.size, read))
        state: OldState | bytes
        state = self._known_lines(old) if isinstance(old, bytes) else OldState(size, compute_root(size, read))
        bundle = ConsistencyBundle(self._known_lines(note), state, path)
        try:
            check_consistency_bundle(bundle, self._origin, self._verifiers)
        except LedgerError as error:
            raise ForkError(
                f"the log does not continue the state of size {size} ({error}): keep that checkpoint and the newer one; "
                "both together are the evidence"
            ) from error
        return bundle

    def _bundle(
        self, snapshot: IndexSnapshot, key: str, page: Page, opener: Opener, is_page: bool
    ) -> CompletenessBundle:
        row = snapshot.load_row(key)
        note = self._known_lines(snapshot.note)
        sealed = self._sealed(self._open(note).size)
        proof = snapshot.prove_map(key)
        if row is None:
            return CompletenessBundle(note, key, sealed, proof, None, ())
        first, count = page.bounds(row.count)
        if count > ENTRIES_MAX:
            raise UsageError(
                f"{row.count:,} entries are recorded under {key}: ask for a page of up to {ENTRIES_MAX:,} with --first and "
                "--count"
            )
        shown = snapshot.load_page(key, first, count)
        entries = tuple(self._entries(shown.seqs, shown.leaf_hashes))
        place = None if not is_page and len(entries) == row.count else PagePlace(shown.first, shown.proof)
        opened = tuple(sorted(opener(entries), key=lambda one: (one.seq, one.field)))
        return CompletenessBundle(note, key, sealed, proof, row, entries, place, opened)

    def _entries(self, seqs: Sequence[int], leaves: Sequence[bytes]) -> Iterator[KeyEntry]:
        """The entries at ``seqs``, whose leaf hashes the index says are ``leaves``."""
        for start, end in _runs(seqs):
            rows = {row.seq: row for row in self._store.fetch_range(seqs[start], seqs[end - 1] + 1)}
            for place in range(start, end):
                row = rows.get(seqs[place])
                if row is None or leaf_hash(row.data) != leaves[place]:
                    raise ForkError(
                        f"entry {seqs[place]} in the database is not what was sealed; run `grantledger verify`"
                    )
                yield KeyEntry(row.seq, row.data)

    def _sealed(self, tree_size: int) -> SealedIndex:
        row = next(iter(self._store.fetch_range(tree_size - 1, tree_size)), None)
        if row is None:
            raise ForkError(f"entry {tree_size - 1} is not in the database, although it is sealed")
        path = prove_inclusion(row.seq, tree_size, node_reader(tree_size, self._load_tile))
        return SealedIndex(row.data, row.seq, tuple(path))

    def _published(self) -> bytes:
        note = self._store.load_checkpoint()
        if note is None:
            raise UsageError("nothing is sealed yet: run `grantledger seal` first")
        return note

    def _open(self, note: bytes) -> Checkpoint:
        return open_checkpoint(note, self._origin, self._verifiers).checkpoint

    def _known_lines(self, note: bytes) -> bytes:
        """``note`` with only those signatures that a bundle states the keys of, each once."""
        known = {(verifier.name, verifier.key_id) for verifier in self._verifiers}
        parsed = parse_note(note)
        kept: dict[tuple[str, bytes], NoteSignature] = {}
        for line in parsed.signatures:
            if (line.name, line.key_id) in known:
                kept.setdefault((line.name, line.key_id), line)
        if not kept:
            raise SignatureError("no known key has signed the checkpoint")
        return format_note(parsed.text, list(kept.values()))

    def _load_tile(self, tile: TileId) -> bytes | None:
        return self._store.load_tile(format_path(tile))


def _runs(seqs: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ranges of places whose ``seqs`` lie close enough together to be read at once."""
    start = 0
    for place in range(1, len(seqs) + 1):
        if place == len(seqs) or seqs[place] - seqs[place - 1] > _GAP_MAX:
            yield start, place
            start = place
