"""Records as rows of a Parquet file, streamed (ledger format, section 1.6).

A column is a member; a nested object is a struct column, or a column for each of its members with a dot in the name
(``observed.host``). A null is a member left out, an object of nulls alone as well. Column types decide once for all
rows: timestamps must carry a zone (they become milliseconds, cut off), a whole number in a column of floats, as tools
write it that have no integer null, is that integer. The kind of each record and its members are checked like a line's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ledger.errors import UsageError

PARQUET_MAGIC = b"PAR1"

Row = dict[str, object]
_Values = Callable[[Any], list[Any]]


def read_rows(path: Path, rows_max: int) -> Iterator[tuple[float, list[Row]]]:
    """The rows of ``path`` in batches of at most ``rows_max``, each with the share of the file that is read by then.

    Raises UsageError when it is no Parquet file or has a column that no member can be read from.
    """
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UsageError(f"{path} is not a Parquet file that can be read: {error}") from error
    with file:
        columns = [
            (field.name, *_split(field.name), _reader(field.name, field.type)) for field in file.schema_arrow
        ]
        names = [name for name, *_ in columns]
        if len(set(names)) != len(names):
            raise UsageError(f"{path} has a column twice")
        rows_total = file.metadata.num_rows
        rows_done = 0
        try:
            for batch in file.iter_batches(batch_size=rows_max):
                rows: list[Row] = [{} for _ in range(batch.num_rows)]
                for place, (_, outer, name, values) in enumerate(columns):
                    _fill(rows, outer, name, values(batch.column(place)))
                rows_done += batch.num_rows
                yield rows_done / rows_total, rows
        except (pa.ArrowException, OSError) as error:
            raise UsageError(f"{path} is damaged after row {rows_done}: {error}") from error


def _split(column: str) -> tuple[str, str]:
    """The outer member (or nothing) and the member that a column stands for."""
    outer, dot, name = column.partition(".")
    return (outer, name) if dot else ("", column)


def _fill(rows: list[Row], outer: str, name: str, values: list[Any]) -> None:
    for row, value in zip(rows, values, strict=True):
        if value is None:
            continue
        holder: Any = row.setdefault(outer, {}) if outer else row
        if not isinstance(holder, dict):
            continue  # the column of that name holds no objects, which is refused when the record is read
        held = holder.get(name)
        if isinstance(held, dict) and isinstance(value, dict):
            held.update(value)
        else:
            holder[name] = value


def _reader(name: str, kind: Any) -> _Values:
    """How to read the values of a column of the type ``kind``; None is a null."""
    if pa.types.is_dictionary(kind):
        inner = _reader(name, kind.value_type)
        return lambda column: inner(column.dictionary_decode())
    if pa.types.is_timestamp(kind):
        if kind.tz is None:
            raise UsageError(
                f"the column {name} holds timestamps without a zone: nobody knows which instants they are"
            )
        # The zone is how they are shown; what is stored is UTC already.
        cut = pa.timestamp("ms", tz=kind.tz)
        return lambda column: _plain(pc.cast(pc.cast(column, cut, safe=False), pa.int64()))
    if pa.types.is_floating(kind):
        return lambda column: [_whole(value) for value in _plain(column)]
    if pa.types.is_struct(kind):
        readers = [(field.name, _reader(f"{name}.{field.name}", field.type)) for field in kind]
        return lambda column: _objects(column, readers)
    if (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_null(kind)
        or pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
    ):
        return _plain
    raise UsageError(f"the column {name} is of the type {kind}, from which no member is read")


def _plain(column: Any) -> list[Any]:
    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        values = [_decoded(value) for value in column]
    return values


def _decoded(value: Any) -> Any:
    """A value; where it is not UTF-8, something that no member can be, so that this one record is refused."""
    try:
        return value.as_py()
    except UnicodeDecodeError:
        return b""


def _whole(value: float | None) -> float | int | None:
    return int(value) if value is not None and value.is_integer() else value


def _objects(column: Any, readers: list[tuple[str, _Values]]) -> list[Any]:
    """One object for each value, of the members that are not null; None where there is none."""
    flat = column.flatten()
    objects: list[Row] = [{} for _ in range(len(column))]
    for inner, (name, values) in zip(flat, readers, strict=True):
        _fill(objects, "", name, values(inner))
    return [made or None for made in objects]
