"""Scratch files between the processes of one verification; none outlives it.

For the chunk that begins at entry ``first``: ``rows-<first>.arrow`` (delivery rows), ``uids-<first>.bin`` (64-bit uid
hashes), ``state-<first>.bin`` (entries that a fold needs, a line each: canonical bytes hold no newline),
``keys-<first>.bin`` (index keys of each entry, by shard). All integers are of this machine's byte order.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ledger.engines.keys import KeyInterner
from ledger.engines.rows import RowTable

_TYPES = {"q": pa.int64(), "i": pa.int32(), "b": pa.int8()}
SHARDS = 2


def chunk_path(scratch: Path, name: str, first: int) -> Path:
    """Where a chunk's file of one name lies."""
    return scratch / f"{name}-{first:016d}"


def write_rows(scratch: Path, first: int, table: RowTable) -> None:
    """Write delivery rows as an Arrow file, which can be mapped instead of read."""
    columns: dict[str, Any] = {}
    for name in RowTable.__dataclass_fields__:
        values = getattr(table, name)
        if isinstance(values, array):
            buffers = [None, pa.py_buffer(values)]
            columns[name] = pa.Array.from_buffers(_TYPES[values.typecode], len(values), buffers)
        else:
            columns[name] = pa.array(values, pa.string())
    made = pa.table(columns)
    with (
        pa.OSFile(str(chunk_path(scratch, "rows", first)), "wb") as sink,
        pa.ipc.new_file(sink, made.schema) as out,
    ):
        out.write_table(made)


def map_rows(scratch: Path, firsts: Sequence[int]) -> Any:
    """All delivery rows as one Arrow table over mapped files."""
    tables = []
    for first in firsts:
        mapped = pa.memory_map(str(chunk_path(scratch, "rows", first)))
        tables.append(pa.ipc.open_file(mapped).read_all())
    return pa.concat_tables(tables)


def write_state(scratch: Path, first: int, state: list[bytes], uids: array[int]) -> None:
    """Write the entries that a fold needs, and the uid hashes of all."""
    chunk_path(scratch, "state", first).write_bytes(b"\n".join(state))
    with chunk_path(scratch, "uids", first).open("wb") as out:
        uids.tofile(out)


def read_state(scratch: Path, first: int) -> list[bytes]:
    """The entries of a chunk that a fold needs, in order."""
    data = chunk_path(scratch, "state", first).read_bytes()
    return data.split(b"\n") if data else []


def read_uids(scratch: Path, first: int) -> Any:
    """The uid hashes of a chunk as an Arrow array."""
    data = chunk_path(scratch, "uids", first).read_bytes()
    return pa.Array.from_buffers(pa.int64(), len(data) // 8, [None, pa.py_buffer(data)])


_HEADER = struct.Struct("=QQQQQQ")


class KeyFileWriter:
    """Collects the index keys of one chunk."""

    def __init__(self, scratch: Path, first: int, interner: KeyInterner) -> None:
        self._path = chunk_path(scratch, "keys", first)
        self._interner = interner
        self._counts = (array("H"), array("H"))
        self._ids = (array("I"), array("I"))
        self._leaves: list[bytes] = []

    def add(self, leaves: list[bytes], ids_of_entries: Sequence[Sequence[int]]) -> None:
        """Add consecutive entries: their leaf hashes, and for each the ids of its keys."""
        (counts_0, counts_1), (ids_0, ids_1) = self._counts, self._ids
        self._leaves += leaves
        for ids in ids_of_entries:
            ones = 0
            for key_id in ids:
                if key_id & 1:
                    ids_1.append(key_id)
                    ones += 1
                else:
                    ids_0.append(key_id)
            counts_0.append(len(ids) - ones)
            counts_1.append(ones)

    def close(self) -> None:
        """Write the file, new keys first."""
        fresh = "\n".join(f"{key_id} {key}" for key_id, key in self._interner.take_fresh()).encode()
        with self._path.open("wb") as out:
            count = len(self._leaves)
            sizes = [len(ids) for ids in self._ids]
            out.write(_HEADER.pack(self._interner.worker, len(fresh), count, sizes[0], sizes[1], 0))
            out.write(fresh)
            out.write(b"".join(self._leaves))
            for shard in range(SHARDS):
                self._counts[shard].tofile(out)
                self._ids[shard].tofile(out)


@dataclass(frozen=True, slots=True)
class ChunkKeys:
    """One shard's part of a chunk: ``counts[i]`` of ``ids`` belong to its entry i, with leaf hash i."""

    worker: int
    fresh: list[tuple[int, str]]
    leaves: bytes
    counts: array[int]
    ids: array[int]


def read_keys(scratch: Path, first: int, shard: int) -> ChunkKeys:
    """Read back one shard's part of a chunk; fresh keys of the other shard are left out."""
    with chunk_path(scratch, "keys", first).open("rb") as source:
        worker, fresh_bytes, count, size_0, size_1, _ = _HEADER.unpack(source.read(_HEADER.size))
        fresh = list(_fresh_keys(source.read(fresh_bytes).decode(), shard))
        leaves = source.read(count * 32)
        counts, ids = array("H"), array("I")
        for which, size in enumerate((size_0, size_1)):
            counts_of, ids_of = array("H"), array("I")
            counts_of.fromfile(source, count)
            ids_of.fromfile(source, size)
            if which == shard:
                counts, ids = counts_of, ids_of
    return ChunkKeys(worker, fresh, leaves, counts, ids)


def _fresh_keys(text: str, shard: int) -> Iterator[tuple[int, str]]:
    for line in text.split("\n") if text else ():
        number, key = line.split(" ", 1)
        if int(number) & 1 == shard:
            yield int(number), key
