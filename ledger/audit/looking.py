"""One look at a log that is followed: what it publishes now, against everything it showed before (ledger format, 1.3).

A look takes in what is new only if the signed root says that it belongs to the one log that was followed so far: the
checkpoint is signed (and cosigned, where a policy asks for that), the tree over all entries, those read before included,
has its root, and so it continues every checkpoint that was accepted before. What is wrong becomes faults:

- *Evidence* are two states that the log's own key signed and that no one log explains: it stands for ever.
- What a server failed to show, or showed otherwise than it was signed, stands until a later look finds it right.

A checkpoint that is smaller than an accepted one and the beginning of the same tree is *stale*: a copy that lags, or a log
that was rolled back. Which of them, only time tells; whoever looks says how long that may take.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from ledger.audit.cosigners import WitnessDemand, check_cosigners
from ledger.audit.following import LogFollower, ShortLogError
from ledger.audit.growing_tree import GrowingTree
from ledger.core.checkpoint import Checkpoint, open_checkpoint
from ledger.core.faults import Fault, FaultList
from ledger.core.merkle import compute_root, root_of_full
from ledger.core.note import Verifier
from ledger.core.tiles import TILE_WIDTH, TileId, format_path, node_reader, tiles_added
from ledger.errors import FormatError, ProofError, SignatureError
from ledger.ports import LogSource

Progress = Callable[[int, int], None]
State = Literal["followed", "nothing new", "stale", "broken"]


class Accepted(Protocol):
    """The checkpoints of one log that were accepted."""

    def last(self) -> Checkpoint | None:
        """The largest one."""
        ...

    def root_at(self, size: int) -> bytes | None:
        """The root of the one over ``size`` entries, where one was accepted."""
        ...


@dataclass(slots=True)
class Looked:
    """What a look came to. ``evidence`` are faults that stand for ever, ``faults`` those of this look.

    ``checkpoint`` and ``note`` are what was shown, where it is signed. ``is_spoiled`` says that entries were taken in which
    turned out not to be the log's: whoever follows has to go back to what was kept before.
    """

    state: State
    checkpoint: Checkpoint | None = None
    note: bytes | None = None
    faults: list[Fault] = field(default_factory=list)
    evidence: list[Fault] = field(default_factory=list)
    is_spoiled: bool = False


class Looker:
    """Looks at one log again and again for a follower."""

    def __init__(
        self,
        verifier: Verifier,
        accepted: Accepted,
        *,
        witnesses: WitnessDemand | None = None,
        with_unsealed: bool = False,
        with_tiles: bool = True,
    ) -> None:
        """``verifier`` is the log's key, its name the origin; ``with_unsealed`` also follows what no checkpoint covers."""
        self._verifier = verifier
        self._accepted = accepted
        self._witnesses = witnesses
        self._with_unsealed = with_unsealed
        self._with_tiles = with_tiles

    def look(
        self, follower: LogFollower, source: LogSource, on_progress: Progress, *, is_proposed: bool = False
    ) -> Looked:
        """Take in what is new; StoreError where the source cannot be read now, which says nothing about the log.

        A checkpoint that ``is_proposed`` is not published yet, so that nobody can have cosigned it.
        """
        note = source.checkpoint()
        opened = None
        if note is not None:
            try:
                opened = open_checkpoint(note, self._verifier.name, [self._verifier])
            except (SignatureError, FormatError) as error:
                return _broken(0, "CHECKPOINT_SIGNATURE_INVALID", f"the published checkpoint: {error}")
            if self._witnesses is not None and not is_proposed:
                missing = FaultList()
                check_cosigners(note, self._witnesses, missing)
                if missing.kept:
                    return Looked("broken", faults=missing.kept)
        looked = Looked("nothing new", None if opened is None else opened.checkpoint, note)
        last = self._accepted.last()
        if opened is not None and last is not None and self._is_behind(looked, last, follower, source):
            return looked
        if opened is None and last is not None:
            return _broken(
                0, "TRUNCATED", f"there is no checkpoint any more, and one over {last.size} was there"
            )
        self._follow(looked, last, follower, source, on_progress)
        return looked

    def _is_behind(self, looked: Looked, last: Checkpoint, follower: LogFollower, source: LogSource) -> bool:
        """Whether the checkpoint has nothing new, or contradicts the last one."""
        shown = looked.checkpoint
        assert shown is not None, "asked only of a signed checkpoint"
        if shown.size > last.size:
            return False
        root = self._accepted.root_at(shown.size)
        if root is None:
            try:
                root = follower.root_at(shown.size, source) if shown.size <= follower.tree.size else None
            except ProofError:
                # What a server shows otherwise than before, or no more, is no statement of the log's.
                self._weigh_older(looked, shown, last, follower, source)
                return True
        if root is not None and root != shown.root:
            looked.state = "broken"
            looked.evidence.append(
                _fork(shown, f"the log was followed to {last.size} and had another root there")
            )
            return True
        if shown.size < last.size:
            looked.state = "stale"
            return True
        return follower.tree.size >= last.size and not self._with_unsealed

    def _weigh_older(
        self, looked: Looked, shown: Checkpoint, last: Checkpoint, follower: LogFollower, source: LogSource
    ) -> None:
        """Judge an older checkpoint that cuts a group of 256 which is known by its root alone: by the groups before it.

        It contradicts what was followed where the tiles shown make up the signed tree and have other groups. Where they have
        the same it is stale.
        """
        looked.state = "stale"
        full = shown.size - shown.size % TILE_WIDTH
        try:
            if _root_of_tiles(shown.size, shown.size, source) != shown.root:
                text = f"the tiles do not make up the tree that is signed for size {shown.size}"
                _break(looked, Fault(shown.size - 1, "ROOT_MISMATCH", text))
            elif full and _root_of_tiles(full, shown.size, source) != follower.root_at(full, source):
                looked.state = "broken"
                text = f"the log was followed to {last.size} and had others among its first {full} entries"
                looked.evidence.append(_fork(shown, text))
        except (ProofError, FormatError):
            return

    def _follow(
        self,
        looked: Looked,
        last: Checkpoint | None,
        follower: LogFollower,
        source: LogSource,
        on_progress: Progress,
    ) -> None:
        shown = looked.checkpoint
        size = source.size_available() if self._with_unsealed else 0
        size = max(size, 0 if shown is None else shown.size)
        # Where it has to stop and compare: at what was accepted before (after a restart), at what is shown now, at the end.
        stops = [each for each in (last, shown) if each is not None and each.size > follower.tree.size]
        served = FaultList()
        old_size = 0 if last is None else last.size
        try:
            if shown is not None and old_size < shown.size <= follower.tree.size:
                # Entries that were read before anything covered them: now something does.
                root = follower.root_at(shown.size, source)
                if root != shown.root:
                    self._blame(looked, _other_root(shown, root), source)
                    looked.is_spoiled = True
                    return
            for stop in sorted(stops, key=lambda each: each.size):
                self._advance(looked, stop.size, stop, follower, source, size, served, on_progress)
                looked.is_spoiled = looked.state == "broken" and follower.tree.size > old_size
                if looked.state == "broken":
                    return
            if size > follower.tree.size:
                self._advance(looked, size, None, follower, source, size, served, on_progress)
        except ShortLogError as error:
            _break(looked, Fault(error.position, "TRUNCATED", str(error)))
            looked.faults += served.kept
            return
        except ProofError as error:
            self._blame(looked, Fault(follower.tree.size, "ROOT_MISMATCH", str(error)), source)
            return
        if shown is not None and shown.size > old_size:
            looked.state = "followed"
            follower.check_last(shown.size)
            if self._with_tiles:
                served.extend(check_new_tiles(follower.tree, old_size, shown.size, source))
        looked.faults += served.kept
        follower.finish()
        judge_read(looked, follower)

    def _advance(
        self,
        looked: Looked,
        to_size: int,
        stop: Checkpoint | None,
        follower: LogFollower,
        source: LogSource,
        size: int,
        served: FaultList,
        on_progress: Progress,
    ) -> None:
        """Take in entries up to ``to_size``, where ``stop`` says what the root has to be."""
        while follower.tree.size < to_size:
            entries = follower.fetch(source, to_size, served)
            is_last = follower.tree.size + len(entries) == to_size
            if stop is not None and is_last and follower.root_after_fetched() != stop.root:
                self._blame(looked, _other_root(stop, follower.root_after_fetched()), source)
                return
            follower.take(entries, size)
            follower.judge()
            on_progress(follower.tree.size, size)

    def _blame(self, looked: Looked, fault: Fault, source: LogSource) -> None:
        """Say what is wrong where the entries do not have the signed root, or are others than before.

        Where the tiles that are shown now make up the signed tree, and it is not a continuation of the last one that was
        accepted, the log's key has signed two histories.
        """
        shown, last = looked.checkpoint, self._accepted.last()
        if shown is not None and last is not None and last.size < shown.size:
            try:
                if _root_of_tiles(shown.size, shown.size, source) == shown.root:
                    root = _root_of_tiles(last.size, shown.size, source)
                    if root != last.root:
                        looked.state = "broken"
                        looked.evidence.append(
                            _fork(
                                shown,
                                f"its first {last.size} entries have the root {root.hex()}, not {last.root.hex()}",
                            )
                        )
                        return
            except (ProofError, FormatError):
                pass
        _break(looked, fault)


def _root_of_tiles(size: int, shown_size: int, source: LogSource) -> bytes:
    """The root over the first ``size`` entries by the tiles that are shown for ``shown_size``."""
    read = node_reader(shown_size, lambda tile: source.read_tile(format_path(tile)))
    return compute_root(size, read)


def judge_read(looked: Looked, follower: LogFollower) -> None:
    """Bring what stands up to what was read; where entries read again are others than before, that is what the look met."""
    try:
        follower.judge()
    except ProofError as error:
        _break(looked, Fault(max(follower.tree.size - 1, 0), "ROOT_MISMATCH", str(error)))


def _broken(position: int, code: str, text: str) -> Looked:
    return Looked("broken", faults=[Fault(max(position, 0), code, text)])  # type: ignore[arg-type]


def _break(looked: Looked, fault: Fault) -> None:
    looked.state = "broken"
    looked.faults.append(fault)


def _other_root(signed: Checkpoint, root: bytes) -> Fault:
    text = (
        f"the root signed for size {signed.size} is {signed.root.hex()}, that of the entries is {root.hex()}"
    )
    return Fault(signed.size - 1, "ROOT_MISMATCH", text)


def _fork(shown: Checkpoint, text: str) -> Fault:
    return Fault(
        shown.size - 1,
        "CHECKPOINT_INCONSISTENT",
        f"the checkpoint over {shown.size} entries with root {shown.root.hex()} is signed, and {text}",
    )


def check_new_tiles(tree: GrowingTree, old_size: int, new_size: int, source: LogSource) -> list[Fault]:
    """Compare the tiles above level 0 that came with the last growth with what the entries give."""
    faults = []
    for tile in tiles_added(old_size, new_size):
        if tile.level == 0:
            continue
        data = source.read_tile(format_path(tile))
        if data is None and tile.width < TILE_WIDTH:
            full = source.read_tile(format_path(tile.full()))
            data = None if full is None else full[: tile.width * 32]
        if data != b"".join(_hashes_of(tree, tile)):
            what = "is missing" if data is None else "does not hold the hashes that the entries give"
            position = tile.start << (8 * tile.level)
            faults.append(Fault(position, "TILE_MISMATCH", f"{format_path(tile)} {what}"))
    return faults


def _hashes_of(tree: GrowingTree, tile: TileId) -> list[bytes]:
    """The hashes of a tile above level 0, from the roots of the tree's groups."""
    below = TILE_WIDTH ** (tile.level - 1)
    return [
        root_of_full(b"".join(tree.group_roots[index * below : (index + 1) * below]))
        for index in range(tile.start, tile.end)
    ]
