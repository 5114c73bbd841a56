"""Rows of Parquet are the records that lines would be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ledger.errors import RejectedError, UsageError
from ledger.ingest.parquet import read_rows
from ledger.ingest.records import RecordReader
from ledger.ingest.sources import FileSource
from tests.support.record_samples import AT_MS, DELIVERY, SAMPLES

UTC_SECONDS = pa.timestamp("s", tz="UTC")


def written(directory: Path, table: Any, **options: Any) -> Path:
    path = directory / "records.parquet"
    pq.write_table(table, path, **options)
    return path


def rows_of(path: Path, rows_max: int = 100) -> list[dict[str, object]]:
    return [row for _, rows in read_rows(path, rows_max) for row in rows]


def as_text(record: dict[str, Any]) -> dict[str, Any]:
    """The record with every instant as text, because a column has one type."""
    instants = ("at", "started_at", "ended_at", "expires_at", "until", "from_at", "to_at")
    return {n: "2017-06-01T12:00:00Z" if n in instants else value for n, value in record.items()}


def test_the_records_of_a_mixed_table_are_those_of_the_lines(tmp_path: Path) -> None:
    records = [as_text(sample) for sample in SAMPLES]
    rows = rows_of(written(tmp_path, pa.Table.from_pylist(records, schema=mixed_schema(records))))
    reader = RecordReader(at_required=True)
    assert [reader.read(row) for row in rows] == [
        reader.read(json.dumps(record).encode()) for record in records
    ]


def mixed_schema(records: list[dict[str, Any]]) -> Any:
    """A column for every member of any record."""
    columns = {name: value for record in records for name, value in record.items()}
    return pa.schema([(name, pa.array([value]).type) for name, value in columns.items()])


def test_a_dotted_column_is_a_member_of_a_nested_object(tmp_path: Path) -> None:
    flat: dict[str, Any] = {f"observed.{name}": value for name, value in DELIVERY["observed"].items()}
    flat |= {name: value for name, value in DELIVERY.items() if name != "observed"}
    assert rows_of(written(tmp_path, pa.Table.from_pylist([flat]))) == [DELIVERY]


def test_a_null_is_a_member_left_out(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([{"kind": "x", "status": 200}, {"kind": "y", "status": None}])
    assert rows_of(written(tmp_path, table)) == [{"kind": "x", "status": 200}, {"kind": "y"}]


def test_an_object_of_nulls_is_left_out(tmp_path: Path) -> None:
    table = pa.table(
        {"kind": ["x", "y"], "observed": [{"host": None, "port": None}, {"host": "h", "port": None}]}
    )
    assert rows_of(written(tmp_path, table)) == [{"kind": "x"}, {"kind": "y", "observed": {"host": "h"}}]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_timestamp_with_a_zone_becomes_milliseconds_cut_off(tmp_path: Path, unit: str) -> None:
    scale = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}[unit]
    value = AT_MS // 1_000 * scale + (scale - 1)
    table = pa.table({"at": pa.array([value], pa.timestamp(unit, tz="Europe/Dublin"))})
    assert rows_of(written(tmp_path, table)) == [{"at": AT_MS + (0 if unit == "s" else 999)}]


def test_a_timestamp_without_a_zone_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, pa.table({"at": pa.array([0], pa.timestamp("ms"))}))
    with pytest.raises(UsageError, match="without a zone"):
        rows_of(path)


def test_a_whole_number_among_floats_is_an_integer_and_another_stays_what_it_is(tmp_path: Path) -> None:
    table = pa.table({"status": [200.0, None, 200.5]})
    assert rows_of(written(tmp_path, table)) == [{"status": 200}, {}, {"status": 200.5}]


def test_dictionaries_and_large_types_are_read_like_plain_ones(tmp_path: Path) -> None:
    table = pa.table(
        {
            "kind": pa.array(["a", "b"]).dictionary_encode(),
            "worker": pa.array(["w", None], pa.large_string()),
            "subjects": pa.array([["1"], []], pa.large_list(pa.string())),
        }
    )
    path = written(tmp_path, table)
    assert rows_of(path) == [{"kind": "a", "worker": "w", "subjects": ["1"]}, {"kind": "b", "subjects": []}]


def test_a_column_of_a_type_that_no_member_has_is_refused_by_name(tmp_path: Path) -> None:
    path = written(tmp_path, pa.table({"kind": ["x"], "day": pa.array([0], pa.date32())}))
    with pytest.raises(UsageError, match="day"):
        rows_of(path)


def test_rows_come_in_batches_and_are_numbered_through(tmp_path: Path) -> None:
    path = written(tmp_path, pa.table({"kind": [f"k{n}" for n in range(1, 11)]}), row_group_size=4)
    source = FileSource(path)
    batches = list(source.batches(3))
    assert max(len(batch.records) for batch in batches) <= 3
    assert [record for batch in batches for record in batch.records] == [
        (n, {"kind": f"k{n}"}) for n in range(1, 11)
    ]
    assert batches[-1].bytes_done == source.bytes_total


def test_a_table_without_rows_holds_no_records(tmp_path: Path) -> None:
    assert rows_of(written(tmp_path, pa.table({"kind": pa.array([], pa.string())}))) == []


def test_a_glob_in_the_name_is_part_of_the_name(tmp_path: Path) -> None:
    path = tmp_path / "r[1]*.parquet"
    pq.write_table(pa.table({"kind": ["x"]}), path)
    assert rows_of(path) == [{"kind": "x"}]


@pytest.mark.parametrize("kept", [0, 4, 100])
def test_torn_parquet_is_refused(tmp_path: Path, kept: int) -> None:
    path = written(tmp_path, pa.table({"kind": ["x"] * 1_000}))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UsageError):
        rows_of(path)


def test_damage_inside_parquet_is_a_clear_error(tmp_path: Path) -> None:
    table = pa.table({"kind": [f"{n:064x}" for n in range(10_000)]})
    path = written(tmp_path, table, compression="zstd", use_dictionary=False, write_page_checksum=True)
    data = bytearray(path.read_bytes())
    data[200:400] = bytes(200)
    path.write_bytes(bytes(data))
    with pytest.raises(UsageError, match="damaged"):
        rows_of(path)


def test_text_that_is_not_utf_8_refuses_its_row_alone(tmp_path: Path) -> None:
    text = pa.array(["dev-a", "dev-b"]).buffers()[2].to_pybytes()[:10].replace(b"a", b"\xff")
    offsets = pa.array([0, 5, 10], pa.int32()).buffers()[1]
    developers = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(text)])
    table = pa.table({"kind": ["developer.registered"] * 2, "developer": developers, "at": [AT_MS] * 2})
    reader = RecordReader(at_required=True)
    bad, good = rows_of(written(tmp_path, table))
    with pytest.raises(RejectedError, match="developer"):
        reader.read(bad)
    assert reader.read(good).members["developer"] == "dev-b"


@pytest.mark.parametrize("order", [1, -1])
def test_a_column_of_text_beside_its_own_dotted_columns_is_refused_row_by_row(
    tmp_path: Path, order: int
) -> None:
    flat = {name: value for name, value in DELIVERY.items() if name != "observed"}
    columns = {"observed": "a.example", "observed.host": "a.example"}
    table = pa.Table.from_pylist([flat | dict(list(columns.items())[::order])])
    (row,) = rows_of(written(tmp_path, table))
    with pytest.raises(RejectedError, match="observed"):
        RecordReader(at_required=True).read(row)
