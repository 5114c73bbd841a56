"""The index keys of each chunk, from the processes that scan a log to those that replay its index.

For the chunk that begins at entry ``first`` one file ``keys-<first>`` of NumPy arrays, one after the other::

    leaves           V32 [entries]   the leaf hash that each entry has in the trees of its keys
    and for shard 0, then for shard 1 of the map (the top bit of a key's position):
    fresh ids        u64 [keys]      keys that the process which scanned the chunk had not told before
    fresh positions  V32 [keys]      the map position of each
    places           u32 [rows]      ascending: the place of an entry in the chunk, once for each of its keys
    ids              u64 [rows]      the key

A key's *id* is a number of 64 bits that all processes of one verification give to it. Two keys with one id (by chance
only: the ids are keyed) would make a wrong root, which is a false alarm and never a false "good".

The tree's leaf (``u64 seq || leaf_hash``) is hashed here, once for both shards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ledger.engines.hash_rows import HASH, Hashes, Numbers, as_hashes, hash_key_leaves

SHARD_BITS = 1
SHARDS = 1 << SHARD_BITS

Ids = npt.NDArray[np.uint64]
Bytes = bytes | npt.NDArray[np.uint8]
"""Joined hashes, as bytes or as a contiguous array of bytes of any shape."""
ShardRows = tuple[npt.ArrayLike, npt.ArrayLike]
"""The places and the ids of one shard's rows, equally many."""


@dataclass(frozen=True, slots=True)
class ChunkKeys:
    """One shard's part of a chunk: row i says that the entry at ``places[i]`` carries the key ``ids[i]``.

    ``fresh_ids`` are keys of this shard with their ``fresh_positions``; each place of ``leaves`` is an entry.
    """

    leaves: Hashes
    fresh_ids: Ids
    fresh_positions: Hashes
    places: Numbers
    ids: Ids


def write_keys(
    scratch: Path,
    first: int,
    leaves: Bytes,
    fresh_ids: npt.ArrayLike,
    fresh_positions: Bytes,
    shards: Sequence[ShardRows],
) -> None:
    """Write the keys of the chunk that begins at ``first``.

    ``leaves`` are the leaf hashes of its entries, ``fresh_positions`` the positions of ``fresh_ids``, 32 bytes each;
    ``shards`` has for each shard the places of its rows, ascending, and their ids.
    """
    ids, positions = np.asarray(fresh_ids, np.uint64), as_hashes(fresh_positions)
    if len(ids) != len(positions) or len(shards) != SHARDS:
        raise AssertionError(f"{len(ids)} ids with {len(positions)} positions, {len(shards)} shards")
    shard_of_fresh = np.ascontiguousarray(positions).view(np.uint8)[:: HASH.itemsize] >> 7
    with _path(scratch, first).open("wb") as out:
        np.save(out, hash_key_leaves(first, as_hashes(leaves)))
        for shard, (places, row_ids) in enumerate(shards):
            mine = shard_of_fresh == shard
            np.save(out, ids[mine])
            np.save(out, positions[mine])
            np.save(out, np.asarray(places, np.uint32))
            np.save(out, np.asarray(row_ids, np.uint64))


def read_keys(scratch: Path, first: int, shard: int) -> ChunkKeys:
    """Read back one shard's part of the chunk that begins at ``first``."""
    with _path(scratch, first).open("rb") as source:
        leaves = np.load(source, allow_pickle=False)
        parts = [np.load(source, allow_pickle=False) for _ in range(4 * (shard + 1))]
    fresh_ids, fresh_positions, places, ids = parts[4 * shard :]
    return ChunkKeys(leaves, fresh_ids, fresh_positions, places.astype(np.int64), ids)


def _path(scratch: Path, first: int) -> Path:
    return scratch / f"keys-{first:016d}"
