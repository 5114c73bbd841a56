"""Entries that repeat a ``uid`` (ledger format, section 1.1), found by hashes and confirmed by bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ledger.core.entries import decode_entry
from ledger.engines.files import read_uids
from ledger.errors import FormatError
from ledger.ports import LogSource

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TILE_WIDTH = 256


def repeated_uids(
    connection: DuckDBPyConnection, scratch: Path, firsts: Sequence[int], source: LogSource
) -> list[int]:
    """Positions of entries whose ``uid`` an earlier entry of the log has, ascending.

    Equal uids have equal hashes, so only entries whose hash stands more than once are looked at.
    """
    uids = pa.table({"uid": pa.chunked_array([read_uids(scratch, first) for first in firsts], pa.int64())})
    connection.register("uids", uids)
    found = connection.execute("SELECT uid FROM uids GROUP BY uid HAVING count(*) > 1").fetchall()
    connection.unregister("uids")
    if not found:
        return []
    wanted = pa.array([row[0] for row in found], pa.int64())
    seen: set[str] = set()
    repeated: list[int] = []
    for first in firsts:
        hits = pc.indices_nonzero(pc.is_in(read_uids(scratch, first), wanted))
        for position in (first + hit for hit in hits.to_pylist()):
            uid = _uid_at(source, position)
            if uid in seen:
                repeated.append(position)
            elif uid is not None:
                seen.add(uid)
    return repeated


def _uid_at(source: LogSource, position: int) -> str | None:
    start = position // TILE_WIDTH * TILE_WIDTH
    entries = source.read_block(start, TILE_WIDTH).entries
    try:
        return decode_entry(entries[position - start]).entry.uid
    except (FormatError, IndexError):
        return None
