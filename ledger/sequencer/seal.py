"""Sealing: from durable entries to a signed, published checkpoint (ledger format, section 1.3).

One seal, in this order: index over the first ``map_size`` entries, ``index.sealed`` appended through the sequencer,
tiles from the lowest level up, checkpoint signed, record swapped, witnesses' cosignatures where a policy asks for them,
checkpoint published, index stored. Appends go on meanwhile. The
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
from ledger.core.merkle import (
    HASH_BYTES,
    check_consistency,
    check_inclusion,
    compute_root,
    prove_consistency,
    prove_inclusion,
)
from ledger.core.note import Signer, Verifier
from ledger.core.tiles import TileId, build_tiles, format_path, node_reader
from ledger.core.uids import default_uid
from ledger.errors import ForkError, FormatError, ProofError, SignatureError, StoreError, UsageError
from ledger.ports import CheckpointRecord, EntryStore
from ledger.ports.cosigning import Cosigning
from ledger.ports.index import GrowingIndex
from ledger.sequencer.draft import Draft, expect
from ledger.sequencer.log_index import LogIndex, SealedMap, checked_rows
from ledger.sequencer.sequencer import Sequencer

ACTOR = "system:sealer"
READ_AHEAD_LEAVES = 1 << 16


def _no_step(step: str) -> None:
    """Pass by: outside tests nothing happens between two steps."""


def _ignore(_done: int, _total: int) -> None:
    """Tell nobody."""


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
    that the last checkpoint may be signed by. ``index`` is the stored index, which nobody else writes to; ``on_progress`` is
    told how many entries of how many it has taken in.
    ``cosigning`` gets the witnesses' lines without which nothing is published. ``reached`` is called at each named step.
    Use from one thread.
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
        index: GrowingIndex,
        cosigning: Cosigning | None = None,
        on_progress: Callable[[int, int], None] = _ignore,
        reached: Callable[[str], None] = _no_step,
    ) -> None:
        self._store = store
        self._sequencer = sequencer
        self._record = record
        self._origin = origin
        self._signers = signers
        self._verifiers = verifiers
        self._cosigning = cosigning
        self._is_compared = cosigning is None
        self._reached = reached
        self._index = LogIndex(store, index, on_progress)

    def seal(self) -> Sealed:
        """Seal what is durable now and publish the checkpoint; does nothing when nothing is new.

        Raises ForkError when the database is not a continuation of what was signed last (the text is the evidence),
        SignatureError when the record, or what is published, is not a checkpoint signed by a known key, StoreError when
        another sealer is at work or something could not be read or written, QuorumError when too few witnesses cosigned,
        so that nothing new is published: then call it again, at any time. DamagedIndexError, a StoreError, comes back until
        the index was made anew.
        """
        with self._record.lock():
            self._reached("seal.locked")
            last = self._reconcile()
            if last is not None:
                self._index.catch_up(self._sealed_map(last))
                self._reached("seal.index_caught_up")
            if last is not None and self._store.size() == last.checkpoint.size:
                return Sealed(last.checkpoint, self._store.load_checkpoint() or last.note, created=False)
            return self._seal_after(last)

    def reindex(self) -> Sealed:
        """Make the stored index anew, from the entries, and under the last published checkpoint; signs nothing new.

        Goes on where it was interrupted. Raises as :meth:`seal`, and UsageError where nothing was ever sealed.
        """
        with self._record.lock():
            last = self._reconcile()
            if last is None:
                raise UsageError("nothing is sealed yet: `grantledger seal` makes the index")
            sealed = self._sealed_map(last)
            self._index.make_anew(sealed)
            return Sealed(last.checkpoint, sealed.note, created=False)

    def _sealed_map(self, signed: _Signed) -> SealedMap:
        """What the last entry of the signed tree states; raises ForkError where it is not the one that was signed."""
        checkpoint = signed.checkpoint
        place = checkpoint.size - 1
        (row,) = checked_rows(self._store, place, place + 1)
        try:
            proof = prove_inclusion(place, checkpoint.size, node_reader(checkpoint.size, self._load_tile))
            check_inclusion(proof, place, checkpoint.size, row.leaf_hash, checkpoint.root)
        except (ProofError, FormatError) as error:
            raise ForkError(
                f"entry {place} is not the one that was signed ({error}); run `verify`"
            ) from error
        stated = json.loads(row.data)
        if stated["kind"] != "index.sealed":
            raise ForkError(
                f"entry {place} ends the tree that was signed, and is {stated['kind']}, not index.sealed"
            )
        note = self._store.load_checkpoint() or signed.note
        return SealedMap(stated["map_size"], bytes.fromhex(stated["map_root"]), note)

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
        note = self._publish(_Signed(checkpoint, note))
        # Dying here leaves the index one seal behind, over the checkpoint before: proofs are that one's, and the next
        # seal catches up.
        self._reached("seal.published")
        self._index.publish(note)
        self._reached("seal.index_stored")
        return Sealed(checkpoint, note, created=True)

    def _publish(self, signed: _Signed) -> bytes:
        """Publish ``signed`` with the witnesses' lines, where a policy asks for them; the note as it was published.

        Where the quorum is not reached nothing is published, and no other checkpoint is signed before this one is. What
        a witness says against it is a ForkError.
        """
        note, size = signed.note, signed.checkpoint.size
        if self._cosigning is not None:
            note = self._cosigning.cosign(note, lambda old: self._prove_growth(old, size))
            self._is_compared = True
            # Dying here leaves witnesses that know a checkpoint which nobody else does: asked again they cosign again.
            self._reached("seal.cosigned")
        self._store.put_checkpoint(size, note)
        return note

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
        # Either we died between the record and the publication, or had no quorum; or this is the start, at which the
        # witnesses are asked about what they know already: whoever is behind them signs nothing.
        if published is None or published.checkpoint.size < signed.checkpoint.size or not self._is_compared:
            self._publish(signed)
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
        if not pending:
            self._index.build(size)
            # Dying here leaves an index over more entries than were sealed, for the next seal to go on from.
            size = self._store.size()
        map_size = end["map_size"] if pending else size
        map_root = self._index.extend(map_size).hex()
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
                proof = self._prove_growth(old.size, size)
                check_consistency(proof, old.size, size, old.root, root)
            except ProofError as error:
                raise ForkError(
                    f"the tree of {size} entries does not continue {_shown(last)}: {error}"
                ) from error
        return root

    def _prove_growth(self, old_size: int, size: int) -> Sequence[bytes]:
        return prove_consistency(old_size, size, node_reader(size, self._load_tile))

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
