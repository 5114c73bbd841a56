"""Key files, and the index replayed from them: the map roots of the core, whatever the chunks and the seals."""

from __future__ import annotations

import random
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest

from ledger.core.index import key_leaf_hash, key_position
from ledger.core.key_trees import KeyTrees
from ledger.core.merkle import hash_leaf
from ledger.core.sparse_map import SparseMap, shard_of
from ledger.engines import replay
from ledger.engines.key_files import SHARDS, read_keys, write_keys
from ledger.engines.replay import replay_index
from ledger.errors import StoreError

CHUNK = 50
ENTRIES = 230


def made_log() -> list[list[str]]:
    source = random.Random(1)
    keys = [f"dev:{number}" for number in range(60)]
    return [source.sample(keys[: 3 + number // 4], min(3, number % 4)) for number in range(ENTRIES)]


LOG = made_log()
LEAVES = [hash_leaf(b"entry %d" % seq) for seq in range(ENTRIES)]
FIRSTS = range(0, ENTRIES, CHUNK)


def id_of(key: str) -> int:
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest())


def write_log(scratch: Path, processes: int) -> None:
    """Write the chunks in turn by so many processes, each of which tells of a key once."""
    told: list[set[str]] = [set() for _ in range(processes)]
    for number, first in enumerate(FIRSTS):
        chunk = LOG[first : first + CHUNK]
        known = told[number % processes]
        fresh = sorted({key for keys in chunk for key in keys} - known)
        known.update(fresh)
        rows: list[tuple[list[int], list[int]]] = [([], []) for _ in range(SHARDS)]
        for place, keys in enumerate(chunk):
            for key in keys:
                places, ids = rows[shard_of(key_position(key), 1)]
                places.append(place)
                ids.append(id_of(key))
        positions = b"".join(map(key_position, fresh))
        leaves = b"".join(LEAVES[first : first + CHUNK])
        write_keys(scratch, first, leaves, list(map(id_of, fresh)), positions, rows)


def core_roots(map_sizes: Sequence[int]) -> list[bytes]:
    trees, sparse, roots, done = KeyTrees(), SparseMap(), [], 0
    for size in map_sizes:
        for seq in range(done, size):
            trees.append_entry(LOG[seq], seq, LEAVES[seq])
        sparse.update(trees.changed_rows())
        trees.mark_sealed()
        roots.append(sparse.root())
        done = size
    return roots


@pytest.mark.parametrize(
    "map_sizes",
    [
        [ENTRIES],
        [0, 1, ENTRIES],
        [CHUNK, 2 * CHUNK],
        [7, 7, 8, 49, 51, 120, 229],
        list(range(ENTRIES + 1)),
        [],
    ],
    ids=["end", "beginning", "seams", "inside", "every", "none"],
)
def test_replayed_map_roots_are_the_cores_wherever_seals_lie(tmp_path: Path, map_sizes: list[int]) -> None:
    write_log(tmp_path, 1)
    assert replay_index(tmp_path, FIRSTS, map_sizes, 1) == core_roots(map_sizes)


@pytest.mark.parametrize("processes", [2, 3])
def test_a_key_that_several_processes_tell_of_is_one_key(tmp_path: Path, processes: int) -> None:
    write_log(tmp_path, processes)
    assert replay_index(tmp_path, FIRSTS, [100, ENTRIES], 1) == core_roots([100, ENTRIES])


def test_two_processes_replay_what_one_does(tmp_path: Path) -> None:
    write_log(tmp_path, 2)
    assert replay_index(tmp_path, FIRSTS, [60, ENTRIES], 2) == core_roots([60, ENTRIES])


def test_a_chunk_without_keys_is_replayed(tmp_path: Path) -> None:
    write_keys(tmp_path, 0, b"".join(LEAVES[:2]), [], b"", [([], []), ([], [])])
    assert replay_index(tmp_path, [0], [1, 2], 1) == [bytes(32), bytes(32)]


def test_a_process_that_dies_is_a_store_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_log(tmp_path, 1)
    # What a spawned process cannot even load ends it before it has an answer.
    monkeypatch.setattr(replay, "replay_shard", _Deadly())
    with pytest.raises(StoreError, match="replayed the index died"):
        replay_index(tmp_path, FIRSTS, [ENTRIES], 2)


class _Deadly:
    def __reduce__(self) -> tuple[object, ...]:
        import os

        return os._exit, (3,)


def test_a_chunk_is_read_back_by_shard(tmp_path: Path) -> None:
    fresh = sorted(LOG[199])
    positions = b"".join(map(key_position, fresh))
    rows = [([0, 1], [11, 12]), ([1], [13])]
    write_keys(tmp_path, 200, b"".join(LEAVES[200:202]), list(map(id_of, fresh)), positions, rows)
    for shard, (places, ids) in enumerate(rows):
        chunk = read_keys(tmp_path, 200, shard)
        mine = [key for key in fresh if shard_of(key_position(key), 1) == shard]
        assert chunk.leaves.tolist() == [key_leaf_hash(seq, LEAVES[seq]) for seq in (200, 201)]
        assert (chunk.places.tolist(), chunk.ids.tolist()) == (places, ids)
        assert chunk.fresh_ids.tolist() == list(map(id_of, mine))
        assert chunk.fresh_positions.tolist() == list(map(key_position, mine))


def test_arrays_are_written_as_bytes_are(tmp_path: Path) -> None:
    positions = np.frombuffer(key_position("a") + key_position("b"), np.uint8).reshape(2, 32)
    leaves = np.frombuffer(b"".join(LEAVES[:3]), np.uint8).reshape(3, 32)
    write_keys(tmp_path, 0, leaves, np.array([1, 2], np.uint64), positions, [([], []), ([], [])])
    as_arrays = (tmp_path / "keys-0000000000000000").read_bytes()
    write_keys(tmp_path, 0, leaves.tobytes(), [1, 2], positions.tobytes(), [([], []), ([], [])])
    assert (tmp_path / "keys-0000000000000000").read_bytes() == as_arrays
