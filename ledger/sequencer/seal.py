"""Sealing: from durable entries to a signed, published checkpoint (ledger format, section 1.3).

One seal, in this order: index over the first ``map_size`` entries, ``index.sealed`` appended through the sequencer,
tiles from the lowest level up, checkpoint signed, record swapped, checkpoint published. Appends go on meanwhile. The
record lies outside the database, and nothing is signed unless the database still holds, root for root, the tree
that was signed last: a restored backup or a second writer stops here with a ForkError and never signs a fork.

Recovery is the same code: each step looks at what is there already, and the comments say what is true if the process
dies at that point.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ledger.core.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.core.index import MAP_FN
from ledger.core.merkle import HASH_BYTES, check_consistency, compute_root, prove_consistency
from ledger.core.note import Signer, Verifier
from ledger.core.tiles import TileId, build_tiles, format_path, node_reader
from ledger.core.uids import default_uid
from ledger.errors import ForkError, FormatError, ProofError, SignatureError, StoreError
from ledger.ports import CheckpointRecord, EntryStore, GrowingIndex
from ledger.sequencer.draft import Draft, expect
from ledger.sequencer.log_index import LogIndex, checked_rows
from ledger.sequencer.sequencer import Sequencer

ACTOR = "system:sealer"
READ_AHEAD_LEAVES = 1 << 16


def _no_step(step: str) -> None:
    """Pass by: outside tests nothing happens between two steps."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """The published checkpoint and its signed note; ``created`` is false when nothing was new."""

    checkpoint: Checkpoint
    note: bytes
    created: bool


@dataclass(frozen=True, slots=True)
class _Signed:
    """A checkpoint with the note that it was read from."""

    checkpoint: Checkpoint
    note: bytes


class Sealer:
    """Seals the log ``origin`` in ``store``; one at a time for a log, which ``record.lock`` sees to.

    ``signers`` sign in order (two of them at the first checkpoint after a ``key.rotated``); ``verifiers`` are the keys
    that the last checkpoint may be signed by. ``new_index`` makes an empty index, which is kept in memory between seals.
    ``reached`` is called at each named step. Use from one thread.
    """

    def __init__(
        self,
        store: EntryStore,
        sequencer: Sequencer,
        record: CheckpointRecord,
        *,
        origin: str,
        signers: Sequence[Signer],
        verifiers: Sequence[Verifier],
        new_index: Callable[[], GrowingIndex],
        reached: Callable[[str], None] = _no_step,
    ) -> None:
        self._store = store
        self._sequencer = sequencer
        self._record = record
        self._origin = origin
        self._signers = signers
        self._verifiers = verifiers
        self._new_index = new_index
        self._reached = reached
        self._index = LogIndex(new_index())

    def seal(self) -> Sealed:
        """Seal what is durable now and publish the checkpoint; does nothing when nothing is new.

        Raises ForkError when the database is not a continuation of what was signed last (the text is the evidence),
        SignatureError when the record, or what is published, is not a checkpoint signed by a known key, StoreError when
        another sealer is at work or something could not be read or written: then call it again, at any time.
        """
        with self._record.lock():
            self._reached("seal.locked")
            last = self._reconcile()
            if last is not None and self._store.size() == last.checkpoint.size:
                return Sealed(last.checkpoint, last.note, created=False)
            return self._seal_after(last)

    def _seal_after(self, last: _Signed | None) -> Sealed:
        size = self._append_index()
        # Dying here leaves an index.sealed that no checkpoint covers: the next seal takes it up, or, when entries
        # have followed it, appends another one.
        self._reached("seal.index_appended")
        old_size = last.checkpoint.size if last else 0
        self._put_tiles(old_size, size)
        # Dying within or after the tiles leaves tiles that nothing refers to; the next seal makes the same ones again
        # for what it covers, and the store keeps those that are there.
        self._reached("seal.tiles_put")
        checkpoint = Checkpoint(self._origin, size, self._check_growth(last, size))
        note = sign_checkpoint(checkpoint, self._signers)
        # Dying here leaves a signature that nobody has seen.
        self._reached("seal.signed")
        self._record.compare_and_swap(last.note if last else None, note)
        # Dying here leaves the record ahead of what is published: the next seal finds the tree in the database and
        # publishes it. From here on this checkpoint binds us.
        self._reached("seal.recorded")
        self._store.put_checkpoint(size, note)
        self._reached("seal.published")
        return Sealed(checkpoint, note, created=True)

    def _reconcile(self) -> _Signed | None:
        """The checkpoint that was signed last, published by now; None when none ever was."""
        signed = self._open("the record of the last signature", self._record.load())
        published = self._open("what is published", self._store.load_checkpoint())
        if signed is None:
            if published is None:
                return None
            raise ForkError(
                f"{_shown(published)} is published, but there is no record of its signature: put the record file back; "
                "without it a restored database could be signed into a fork"
            )
        size = self._store.size()
        if size < signed.checkpoint.size:
            raise ForkError(
                f"{_shown(signed)} was signed, but the database holds only {size} entries: it is an older copy. "
                "Restore the newest one; what is missing can be read from the published log"
            )
        if published is not None and published.checkpoint.size > signed.checkpoint.size:
            raise ForkError(
                f"{_shown(published)} is published, but the record of signatures ends at {_shown(signed)}: "
                "the record is an older copy, or another sealer has its own"
            )
        if published is not None and published.checkpoint.size == signed.checkpoint.size:
            if published.checkpoint != signed.checkpoint:
                raise ForkError(f"{_shown(published)} is published, but {_shown(signed)} was signed")
        self._check_tree(signed)
        if published is None or published.checkpoint.size < signed.checkpoint.size:
            # We died between the record and the publication.
            self._store.put_checkpoint(signed.checkpoint.size, signed.note)
            self._reached("seal.republished")
        return signed

    def _check_tree(self, signed: _Signed) -> None:
        """Raise ForkError unless the stored tiles have the signed root."""
        try:
            root = self._root(signed.checkpoint.size)
        except (ProofError, FormatError) as error:
            raise ForkError(
                f"{_shown(signed)} was signed, but the database does not hold its tiles ({error}): "
                "it is an older copy with other entries, or was edited"
            ) from error
        if root != signed.checkpoint.root:
            raise ForkError(
                f"{_shown(signed)} was signed, but the tiles in the database have the root {root.hex()}"
            )

    def _append_index(self) -> int:
        """Append ``index.sealed``, or find the one at the end; the size of the tree that commits to it."""
        size = self._store.size()
        if size == 0:
            raise StoreError("the log is empty: run `grantledger init` first")
        end = json.loads(next(iter(checked_rows(self._store, size - 1, size))).data)
        pending = end["kind"] == "index.sealed"
        map_size = end["map_size"] if pending else size
        map_root = self._map_root(map_size).hex()
        self._reached("seal.indexed")
        if pending:
            if end["map_root"] != map_root:
                raise ForkError(f"entry {size - 1} states another map root than its {map_size} entries give")
            return size
        stated = {"kind": "index.sealed", "map_fn": MAP_FN, "map_root": map_root, "map_size": map_size}
        members = {**stated, "uid": default_uid("index.sealed", stated), "actor": ACTOR, "via": "system"}
        appended = expect(self._sequencer.append(Draft(members)))
        # What came in while the index was made lies between; the tree takes it in, the next index too.
        for _ in checked_rows(self._store, map_size, appended.seq + 1):
            pass
        return appended.seq + 1

    def _map_root(self, map_size: int) -> bytes:
        index = self._index
        if index.size > map_size:
            index = LogIndex(self._new_index())
        # After an error in between the index is half extended, so it is given up first.
        self._index = LogIndex(self._new_index())
        index.extend(self._store, map_size)
        root = index.root()
        self._index = index
        return root

    def _put_tiles(self, old_size: int, new_size: int) -> None:
        level = -1

        def announce(tile: TileId) -> str:
            nonlocal level
            if tile.level != level:
                level = tile.level
                self._reached(f"seal.tiles.level_{level}")
            return format_path(tile)

        read_leaves = _ReadAhead(self._store, new_size)
        built = build_tiles(old_size, new_size, read_leaves, self._load_tile)
        self._store.put_tiles((announce(tile), data) for tile, data in built)

    def _check_growth(self, last: _Signed | None, size: int) -> bytes:
        """The root of ``size`` entries from the stored tiles; raises ForkError unless it continues the last one."""
        root = self._root(size)
        if last is not None:
            old = last.checkpoint
            try:
                proof = prove_consistency(old.size, size, node_reader(size, self._load_tile))
                check_consistency(proof, old.size, size, old.root, root)
            except ProofError as error:
                raise ForkError(
                    f"the tree of {size} entries does not continue {_shown(last)}: {error}"
                ) from error
        return root

    def _root(self, size: int) -> bytes:
        return compute_root(size, node_reader(size, self._load_tile))

    def _load_tile(self, tile: TileId) -> bytes | None:
        return self._store.load_tile(format_path(tile))

    def _open(self, what: str, note: bytes | None) -> _Signed | None:
        if note is None:
            return None
        try:
            return _Signed(open_checkpoint(note, self._origin, self._verifiers).checkpoint, note)
        except FormatError as error:
            raise SignatureError(
                f"{what} is no checkpoint of {self._origin} ({error}): put back the one that was signed last"
            ) from error


class _ReadAhead:
    """Leaf hashes by ranges that only move forward, read from the store in larger pieces."""

    def __init__(self, store: EntryStore, size: int) -> None:
        self._store = store
        self._size = size
        self._start = 0
        self._leaves = b""

    def __call__(self, start: int, end: int) -> bytes:
        if end > self._start + len(self._leaves) // HASH_BYTES:
            self._start = start
            self._leaves = self._store.leaf_hashes(
                start, min(self._size, max(end, start + READ_AHEAD_LEAVES))
            )
        offset = self._start
        return self._leaves[(start - offset) * HASH_BYTES : (end - offset) * HASH_BYTES]


def _shown(signed: _Signed) -> str:
    checkpoint = signed.checkpoint
    return f"a checkpoint of {checkpoint.size} entries with the root {checkpoint.root.hex()}"
