"""Tables of any selection of entries, as long as they are: CSV, JSON Lines, Parquet (exports, section 5.5).

They are views and prove nothing: an export does. Rows are written as entries go by; a Parquet file in groups of 20,000.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import IO, Any

from ledger.core.chain import leaf_hash
from ledger.core.flat import COLUMNS, TIME_COLUMNS, entry_row, flat_values
from ledger.exports.selecting import Selected

FORMATS = ("csv", "jsonl", "parquet")
GROUP_ROWS = 20_000
PART_BYTES = 1 << 18
INTEGER_COLUMNS = frozenset(["seq", "attempt", "status", *[f"{name}_ms" for name in TIME_COLUMNS]])


def csv_lines(entries: Iterable[Selected]) -> Iterator[bytes]:
    """The table as CSV (RFC 4180), a line at a time, safe to be opened in a spreadsheet."""
    yield ",".join(COLUMNS).encode() + b"\r\n"
    for row, members in entries:
        yield entry_row(members, leaf_hash(row.data).hex()).encode() + b"\r\n"


def json_lines(entries: Iterable[Selected]) -> Iterator[bytes]:
    """The entries' exact bytes, one a line."""
    for row, _ in entries:
        yield row.data + b"\n"


def table_parts(entries: Iterable[Selected], form: str) -> Iterator[bytes]:
    """The table as ``csv`` or ``jsonl``, some lines at a time."""
    part = bytearray()
    for line in csv_lines(entries) if form == "csv" else json_lines(entries):
        part += line
        if len(part) >= PART_BYTES:
            yield bytes(part)
            part.clear()
    yield bytes(part)


class Counted:
    """``entries``, counted as they go by."""

    def __init__(self, entries: Iterable[Selected]) -> None:
        """None has gone by."""
        self._entries = iter(entries)
        self.count = 0

    def __iter__(self) -> Iterator[Selected]:
        """Those that have not gone by yet."""
        for one in self._entries:
            self.count += 1
            yield one


def write_parquet(entries: Iterable[Selected], out: IO[bytes]) -> int:
    """Write the table as a Parquet file to ``out``; the number of rows."""
    # Slow to load, and only this form needs it.
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    schema = pa.schema([(name, pa.int64() if name in INTEGER_COLUMNS else pa.string()) for name in COLUMNS])
    count = 0
    iterator = iter(entries)
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        while group := list(islice(iterator, GROUP_ROWS)):
            rows = [flat_values(members, leaf_hash(row.data).hex()) for row, members in group]
            columns = [
                pa.array([_fit(name, row[place]) for row in rows], schema.field(place).type)
                for place, name in enumerate(COLUMNS)
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            count += len(group)
    return count


def _fit(name: str, value: object) -> Any:
    """``value`` as the column ``name`` holds it: what is no number is left out of a column of numbers."""
    if value is None:
        return None
    if name in INTEGER_COLUMNS:
        return value if type(value) is int else None
    return value if isinstance(value, str) else str(value)
