"""Scratch files between the processes of one verification; none outlives it.

For the chunk that begins at entry ``first``: ``rows-<first>`` (delivery rows) and ``events-<first>`` (events about
accounts), both Arrow files, ``uids-<first>`` (64-bit uid hashes), ``state-<first>`` (entries that a fold needs, a line
each: canonical bytes hold no newline). Index keys have files of their own (:mod:`ledger.engines.key_files`). All integers
are of this machine's byte order.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ledger.engines.rows import Columns


def chunk_path(scratch: Path, name: str, first: int) -> Path:
    """Where a chunk's file of one name lies."""
    return scratch / f"{name}-{first:016d}"


def as_table(columns: Columns) -> Any:
    """Arrays by name as an Arrow table."""
    return pa.table({name: pa.array(values) for name, values in columns.items()})


def write_table(scratch: Path, name: str, first: int, columns: Columns) -> None:
    """Write arrays as an Arrow file, which can be mapped instead of read."""
    made = as_table(columns)
    with (
        pa.OSFile(str(chunk_path(scratch, name, first)), "wb") as sink,
        pa.ipc.new_file(sink, made.schema) as out,
    ):
        out.write_table(made)


def map_table(scratch: Path, name: str, firsts: Sequence[int]) -> Any:
    """The tables of one name of all chunks as one over mapped files."""
    tables = []
    for first in firsts:
        mapped = pa.memory_map(str(chunk_path(scratch, name, first)))
        tables.append(pa.ipc.open_file(mapped).read_all())
    return pa.concat_tables(tables)


def write_state(scratch: Path, first: int, state: Sequence[bytes]) -> None:
    """Write the entries that a fold needs."""
    chunk_path(scratch, "state", first).write_bytes(b"\n".join(state))


def read_state(scratch: Path, first: int) -> list[bytes]:
    """The entries of a chunk that a fold needs, in order."""
    data = chunk_path(scratch, "state", first).read_bytes()
    return data.split(b"\n") if data else []


def write_uids(scratch: Path, first: int, hashes: NDArray[np.int64]) -> None:
    """Write the uid hashes of all entries of a chunk."""
    chunk_path(scratch, "uids", first).write_bytes(hashes.tobytes())


def read_uids(scratch: Path, first: int) -> NDArray[np.int64]:
    """The uid hashes of a chunk."""
    return np.fromfile(chunk_path(scratch, "uids", first), np.int64)
