"""A database put back from a backup, brought up to what was published, before it serves (ledger format, section 1.2).

A backup knows nothing of who was erased since, and lacks the entries that say so. The published log has them: whoever put the
database back hands it over, and its entries behind the database's last one are appended as they are, byte for byte. Nothing
of it is trusted: each entry links to the one before it, from the database's own last entry on, and the last one has to stand
in the tree that the log's key signed, so that all before it do; and it must not be older than the record of what was signed
last. All of that is checked before the first entry is appended. Then the erasures that the log has are carried out again
(:meth:`ledger.privacy.destroying.Destroyer.replay`), as at every start.

What this cannot bring back is what only the lost tables had: bodies that waited, tokens and keys given out since the backup.
What was taken back since is dead where the log says so (grants); API keys and tokens are not in the log, and those that were
revoked since have to be revoked again.

If the process dies while it appends, some entries are there, each as a whole; run again, it goes on behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from ledger.core.chain import leaf_hash, link
from ledger.core.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from ledger.core.history import bears_state
from ledger.core.merkle import check_inclusion, prove_inclusion
from ledger.core.note import Verifier, parse_note
from ledger.core.tiles import TILE_WIDTH, TileId, build_tiles, format_path, node_reader
from ledger.errors import ForkError, FormatError, LedgerError, SignatureError, StoreError, UsageError
from ledger.ports import CheckpointRecord, Codec, EntryStore, LogSource, NewEntry

BLOCK_ENTRIES = 16 * TILE_WIDTH


@dataclass(frozen=True, slots=True)
class Restored:
    """The database had ``size_before`` entries, and has ``size_after`` now."""

    size_before: int
    size_after: int


class BehindRecordError(StoreError):
    """The database is behind what was signed last: it was put back from a backup, and must not serve like that."""


def check_not_behind(
    store: EntryStore, record: CheckpointRecord, origin: str, verifiers: Iterable[Verifier]
) -> None:
    """Raise BehindRecordError where ``store`` has fewer entries than the record of what was signed last.

    Where there is no record here (another machine seals) nothing is known. Raises SignatureError where the record is none.
    """
    signed = _signed(record, origin, verifiers)
    size = store.size()
    if signed is not None and size < signed.size:
        raise BehindRecordError(
            f"the database has {size:,} entries, and {signed.size:,} were signed: it was put back from a backup. Before it "
            "serves, bring it up to the published log: `grantledger restore --log DIR|URL`"
        )


def restore(
    store: EntryStore,
    source: LogSource,
    record: CheckpointRecord,
    codec: Codec,
    *,
    origin: str,
    verifiers: Iterable[Verifier],
    on_progress: Callable[[int, int], None],
) -> Restored:
    """Append to ``store`` what the published log ``source`` has behind its last entry; durable when this returns.

    Nobody else appends meanwhile. ``on_progress`` is told how many of how many entries there are. Raises UsageError where
    the published log is older than what was signed, SignatureError where it is not signed by the log's key, ForkError where
    it does not continue the database, StoreError where either cannot be read or written.
    """
    keys = list(verifiers)
    note = source.checkpoint()
    if note is None:
        raise UsageError(f"{source.describe()} has no checkpoint: name a published log")
    try:
        published = open_checkpoint(note, origin, keys).checkpoint
    except FormatError as error:
        raise SignatureError(f"{source.describe()}: its checkpoint is none of {origin}: {error}") from error
    signed = _signed(record, origin, keys)
    if signed is not None and published.size < signed.size:
        raise UsageError(
            f"{source.describe()} has {published.size:,} entries, and {signed.size:,} were signed: erasures may be missing "
            "from it; name a copy of the published log that is newer"
        )
    size = store.size()
    if size < published.size:
        checked = _check_continues(store, source, size, published)
        _append(store, source, codec, size, published.size, checked, on_progress)
    if signed is not None:
        # The sealer begins by looking at the tree that was signed; what follows on it makes the next seal.
        _put_tiles(store, signed.size)
    return Restored(size, max(size, published.size))


def _append(
    store: EntryStore,
    source: LogSource,
    codec: Codec,
    size: int,
    end: int,
    checked: Sequence[bytes],
    on_progress: Callable[[int, int], None],
) -> None:
    """Append what ``source`` has from ``size`` to ``end``, block by block, where it is what was ``checked``."""
    for place, (first, block) in enumerate(_blocks(source, size, end)):
        hashes = [leaf_hash(data) for data in block]
        if sha256(b"".join(hashes)).digest() != checked[place]:
            raise ForkError(
                f"{source.describe()} answered otherwise from entry {first:,} on than a moment ago: what is appended by now "
                "was checked; run it again on a copy that nobody changes"
            )
        for start in range(0, len(block), TILE_WIDTH):
            rows: list[NewEntry] = []
            for offset in range(start, min(start + TILE_WIDTH, len(block))):
                entry = codec.decode(block[offset])
                rows.append(
                    NewEntry(
                        first + offset, entry.uid, hashes[offset], block[offset], bears_state(entry.kind)
                    )
                )
            store.append(first + start, rows)
            # Dying here leaves whole entries that continue the log; run again, it goes on behind them.
            on_progress(first + start + len(rows), end)


def _put_tiles(store: EntryStore, size: int) -> None:
    """Store the tiles of the first ``size`` entries, as far as the database's published tree does not reach."""
    note = store.load_checkpoint()
    old_size = 0 if note is None else parse_checkpoint(parse_note(note).text).size

    def load(tile: TileId) -> bytes | None:
        return store.load_tile(format_path(tile))

    if old_size < size:
        built = build_tiles(old_size, size, store.leaf_hashes, load)
        store.put_tiles((format_path(tile), data) for tile, data in built)


def _check_continues(store: EntryStore, source: LogSource, size: int, published: Checkpoint) -> list[bytes]:
    """Raise ForkError unless the published entries continue the database's, and end in the signed tree.

    A hash of each block as it was read, for whoever reads it once more.
    """
    last = store.leaf_hashes(size - 1, size) if size else None
    checked: list[bytes] = []
    for first, block in _blocks(source, size, published.size):
        hashes: list[bytes] = []
        for seq, data in enumerate(block, first):
            # The link is a member of canonical bytes: a text holds no quotation mark, so this is the member itself.
            if f'"prev":"{link(last)}"'.encode() not in data:
                raise ForkError(
                    f"entry {seq:,} of {source.describe()} does not continue the database's last entry: one of them is "
                    "another log; nothing was appended"
                )
            last = leaf_hash(data)
            hashes.append(last)
        checked.append(sha256(b"".join(hashes)).digest())
    assert last is not None, "there is an entry behind the database's"

    def load(tile: TileId) -> bytes | None:
        return source.read_tile(format_path(tile))

    try:
        proof = prove_inclusion(published.size - 1, published.size, node_reader(published.size, load))
        check_inclusion(proof, published.size - 1, published.size, last, published.root)
    except LedgerError as error:
        raise ForkError(
            f"{source.describe()} does not hold what was signed for it ({error}); nothing was appended"
        ) from error
    return checked


def _blocks(source: LogSource, start: int, end: int) -> Iterator[tuple[int, Sequence[bytes]]]:
    """The entries from ``start`` to ``end``, in blocks that begin and end in the same places each time."""
    first = start // TILE_WIDTH * TILE_WIDTH
    while first < end:
        wanted = min(BLOCK_ENTRIES, end - first)
        entries: list[bytes] = []
        while len(entries) < wanted:
            at = first + len(entries)
            block: Any = source.read_block(at, wanted - len(entries))
            if block.fault is not None or not block.entries:
                raise ForkError(
                    f"{source.describe()} cannot be read from entry {at + len(block.entries):,} on: {block.fault}"
                )
            entries += block.entries
        skipped = max(0, start - first)
        yield first + skipped, entries[skipped:]
        first += wanted


def _signed(record: CheckpointRecord, origin: str, verifiers: Iterable[Verifier]) -> Checkpoint | None:
    note = record.load()
    if note is None:
        return None
    try:
        return open_checkpoint(note, origin, verifiers).checkpoint
    except FormatError as error:
        raise SignatureError(f"the record of what was signed last is no checkpoint: {error}") from error
