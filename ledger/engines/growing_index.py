"""The index over a log that is followed, replayed seal by seal (ledger format, section 1.4).

The two halves of the map that :mod:`ledger.engines.replay` replays from files are kept in memory here and grow with the
log. They may live in processes beside the one that follows, together or, the halves knowing nothing of each other, each in
its own: with a seal every thousand entries the index costs as much as all the rest of following.

Which part of the log a seal speaks of is known only when the seal is read. So what was read is held back until then, and
appended up to the ``map_size`` that is asked for.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ledger.core.sparse_map import Subtree, combine_shards
from ledger.engines.hash_rows import HASH, Numbers, as_hashes, hash_key_leaves
from ledger.engines.key_files import SHARDS, ChunkKeys
from ledger.engines.keys import FoundKeys
from ledger.engines.replay import Replay
from ledger.errors import StoreError

STOP_SECONDS = 5.0


@dataclass(slots=True)
class _Waiting:
    """Keys of a stretch that begins at ``first``, of which the first ``done`` entries are in the index."""

    first: int
    chunk: ChunkKeys
    slots: Numbers | None = None
    done: int = 0

    @property
    def next(self) -> int:
        return self.first + self.done


class _Half:
    """One half of the index, with what was read and not yet asked for."""

    def __init__(self, shard: int, saved: Path | None) -> None:
        if saved is None:
            self._replay = Replay(shard)
        else:
            with saved.open("rb") as source:
                self._replay = Replay.load(shard, source)
        self._waiting: deque[_Waiting] = deque()

    def add(self, first: int, chunk: ChunkKeys) -> None:
        self._waiting.append(_Waiting(first, chunk))

    def roots(self, map_sizes: Sequence[int]) -> list[Subtree]:
        found: list[Subtree] = []
        for size in map_sizes:
            while self._waiting and self._waiting[0].next < size:
                self._append(self._waiting[0], size)
            found.append(self._replay.seal())
        return found

    def _append(self, waiting: _Waiting, size: int) -> None:
        chunk = waiting.chunk
        if waiting.slots is None:
            waiting.slots = self._replay.slots_of(chunk)
        end = min(size - waiting.first, len(chunk.leaves))
        self._replay.append(waiting.first, chunk, waiting.slots, waiting.done, end)
        waiting.done = end
        if end == len(chunk.leaves):
            self._waiting.popleft()

    def save(self, path: Path) -> None:
        with path.open("wb") as out:
            self._replay.save(out)


class _Halves:
    """Some halves of the index, by shard."""

    def __init__(self, shards: Sequence[int], saved: Path | None) -> None:
        self._halves = {
            shard: _Half(shard, None if saved is None else saved / _name(shard)) for shard in shards
        }

    def add(self, first: int, chunks: Mapping[int, ChunkKeys]) -> None:
        for shard, half in self._halves.items():
            half.add(first, chunks[shard])

    def roots(self, map_sizes: Sequence[int]) -> dict[int, list[Subtree]]:
        return {shard: half.roots(map_sizes) for shard, half in self._halves.items()}

    def save(self, directory: Path) -> None:
        for shard, half in self._halves.items():
            half.save(directory / _name(shard))


class _Caller(Protocol):
    """Some halves, here or in another process; answers come in the order of the questions."""

    def add(self, first: int, chunks: Mapping[int, ChunkKeys]) -> None: ...

    def ask(self, map_sizes: Sequence[int]) -> None: ...

    def answer(self) -> dict[int, list[Subtree]]: ...

    def save(self, directory: Path) -> None: ...

    def close(self) -> None: ...


class _Here:
    """Halves in this process."""

    def __init__(self, shards: Sequence[int], saved: Path | None) -> None:
        self._halves = _Halves(shards, saved)
        self._answers: list[dict[int, list[Subtree]]] = []

    def add(self, first: int, chunks: Mapping[int, ChunkKeys]) -> None:
        self._halves.add(first, chunks)

    def ask(self, map_sizes: Sequence[int]) -> None:
        self._answers.append(self._halves.roots(map_sizes))

    def answer(self) -> dict[int, list[Subtree]]:
        return self._answers.pop(0)

    def save(self, directory: Path) -> None:
        self._halves.save(directory)

    def close(self) -> None:
        self._answers.clear()


def _serve(pipe: Connection, shards: Sequence[int], saved: Path | None) -> None:
    """Be some halves for whoever holds the other end of ``pipe``; its end is this process's."""
    halves = _Halves(shards, saved)
    try:
        while True:
            what, *values = pipe.recv()
            if what == "add":
                halves.add(*values)
            elif what == "roots":
                pipe.send(halves.roots(*values))
            elif what == "save":
                halves.save(*values)
                pipe.send(None)
            else:
                return
    except (EOFError, KeyboardInterrupt):
        return


class _Elsewhere:
    """Halves in a process of their own; StoreError where that has died."""

    def __init__(self, shards: Sequence[int], saved: Path | None) -> None:
        context = multiprocessing.get_context("spawn")
        self._shards = shards
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, shards, saved), daemon=True)
        self._process.start()
        theirs.close()

    def add(self, first: int, chunks: Mapping[int, ChunkKeys]) -> None:
        self._send("add", first, {shard: chunks[shard] for shard in self._shards})

    def ask(self, map_sizes: Sequence[int]) -> None:
        self._send("roots", map_sizes)

    def answer(self) -> dict[int, list[Subtree]]:
        subtrees: dict[int, list[Subtree]] = self._receive()
        return subtrees

    def save(self, directory: Path) -> None:
        self._send("save", directory)
        self._receive()

    def close(self) -> None:
        self._pipe.close()
        self._process.join(STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()

    def _receive(self) -> Any:
        try:
            return self._pipe.recv()
        except (EOFError, OSError) as error:
            raise StoreError("a process that replays the index died (out of memory?)") from error

    def _send(self, *message: object) -> None:
        try:
            self._pipe.send(message)
        except (BrokenPipeError, OSError) as error:
            raise StoreError("a process that replays the index died (out of memory?)") from error


class GrowingReplay:
    """The whole index.

    ``processes`` counts this one: with two another replays the index, with more each half has its own.
    """

    def __init__(self, processes: int, saved: Path | None = None) -> None:
        """Start empty, or with what :meth:`save` wrote into the directory ``saved``."""
        made = _Here if processes <= 1 else _Elsewhere
        groups = [[shard] for shard in range(SHARDS)] if processes > SHARDS else [list(range(SHARDS))]
        self._callers: list[_Caller] = [made(shards, saved) for shards in groups]

    def add(self, first: int, leaves: Sequence[bytes], found: FoundKeys) -> None:
        """Take the keys of the entries from ``first`` on, in order of the log."""
        hashed = hash_key_leaves(first, as_hashes(b"".join(leaves)))
        ids, positions = np.asarray(found.fresh_ids, np.uint64), as_hashes(found.fresh_positions)
        shard_of_fresh = np.ascontiguousarray(positions).view(np.uint8)[:: HASH.itemsize] >> 7
        chunks = {}
        for shard in range(SHARDS):
            mine = shard_of_fresh == shard
            places, row_ids = found.shards[shard]
            chunks[shard] = ChunkKeys(
                hashed,
                ids[mine],
                positions[mine],
                np.asarray(places, np.int64),
                np.asarray(row_ids, np.uint64),
            )
        for caller in self._callers:
            caller.add(first, chunks)

    def ask(self, map_sizes: Sequence[int]) -> None:
        """Begin to compute the map's root over the first n entries, for each n (ascending, none below the last ones)."""
        for caller in self._callers:
            caller.ask(map_sizes)

    def answer(self) -> list[bytes]:
        """The roots that were asked for longest ago."""
        by_shard: dict[int, list[Subtree]] = {}
        for caller in self._callers:
            by_shard |= caller.answer()
        answers = [by_shard[shard] for shard in range(SHARDS)]
        return [combine_shards(halves).node for halves in zip(*answers, strict=True)]

    def save(self, directory: Path) -> None:
        """Write both halves into ``directory``; nothing is waiting to be appended, and all was asked for."""
        for caller in self._callers:
            caller.save(directory)

    def close(self) -> None:
        """End the processes."""
        for caller in self._callers:
            caller.close()


def _name(shard: int) -> str:
    return f"index-{shard}"


def saved_ids(directory: Path, shard: int) -> npt.NDArray[np.uint64]:
    """The ids of the keys that one half saved in ``directory`` has."""
    with (directory / _name(shard)).open("rb") as source:
        ids: npt.NDArray[np.uint64] = np.load(source, allow_pickle=False)
    return ids
