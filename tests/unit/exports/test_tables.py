"""Tables of selected entries, and cells that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.cells import format_row, safe_cell
from ledger.core.entries import COMMON_MEMBERS, KINDS
from ledger.core.export_filter import Filter
from ledger.core.flat import COLUMNS, entry_row, flat_values, format_instant
from ledger.exports.dictionary import code_rows, field_rows, field_words
from ledger.exports.selecting import Selection
from ledger.exports.tables import csv_lines, json_lines, write_parquet
from tests.support.export_world import ExportWorld, export_world

FORMATS_PAGE = Path(__file__).resolve().parents[3] / "docs" / "formats.md"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExportWorld]:
    with export_world(tmp_path_factory.mktemp("tables")) as made:
        yield made


def select(world: ExportWorld, wanted: Filter) -> Selection:
    return Selection(world.ledger.store, wanted, world.ledger.store.size(), None)


FORMULAS = [
    "=1+1",
    "+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =1",
    "=cmd|' /C calc'!A0",
    "a;=1+1",
    "a\t@b",
    "x; -1",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula_whatever_a_spreadsheet_takes_for_the_end_of_a_cell(text: str) -> None:
    (cell,) = next(csv.reader([format_row([text])]))
    for mark in (";", "\t"):
        for part in cell.split(mark):
            assert not part.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


@pytest.mark.parametrize(
    "value", ["dev-a", "a=b", "2017-05-03T08:00:00.000Z", "a_0123", "x,y", 'say "hi"', "", "1-2"]
)
def test_a_plain_cell_stays_as_it_is(value: str) -> None:
    assert next(csv.reader([format_row(["first", value])])) == ["first", value]


def test_numbers_are_left_as_they_are() -> None:
    assert (safe_cell(-5), safe_cell(None), safe_cell(17)) == ("-5", "", "17")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=1))
def test_every_row_is_read_back_as_its_safe_cells(values: list[str]) -> None:
    written = io.StringIO(format_row(["x", *values]) + "\r\n", newline="")
    assert next(csv.reader(written)) == ["x", *map(safe_cell, values)]


def test_a_row_leaves_nothing_out() -> None:
    members = {
        "seq": 5, "kind": "delivery.settled", "v": 1, "at": 1, "account": "a_1", "subjects": ["a_1", "a_2"],
        "observed": {"host": "h", "port": 443}, "received_by": {"developer": "d", "unknown": 1}, "new": {"x": [True]},
    }  # fmt: skip
    row = dict(zip(COLUMNS, flat_values(members, "ff"), strict=True))
    assert (row["observed_host"], row["observed_port"], row["subjects"]) == ("h", 443, "a_1 a_2")
    assert json.loads(str(row["other"])) == {
        "new": {"x": [True]},
        "received_by": {"developer": "d", "unknown": 1},
    }


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_493_596_800_123, "2017-05-01T00:00:00.123Z"),
        (2**53 - 1, None),
        ("1", None),
    ],
)
def test_instants_are_told_where_a_calendar_has_them(at_ms: object, text: str | None) -> None:
    assert format_instant(at_ms) == text


def test_csv_json_lines_and_parquet_have_the_same_rows(world: ExportWorld, tmp_path: Path) -> None:
    selection = select(world, Filter())
    rows = list(csv.DictReader(io.StringIO(b"".join(csv_lines(selection.entries())).decode(), newline="")))
    lines = [json.loads(line) for line in json_lines(selection.entries())]
    with (tmp_path / "t.parquet").open("wb") as out:
        assert write_parquet(selection.entries(), out) == len(lines)
    table = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert (
        [int(row["seq"]) for row in rows] == [line["seq"] for line in lines] == [row["seq"] for row in table]
    )
    assert [row["kind"] for row in rows] == [row["kind"] for row in table]


def test_what_is_selected_by_a_key_is_what_the_whole_log_has_about_it(world: ExportWorld) -> None:
    wanted = Filter(accounts=(world.tag,), developers=("dev-b",))
    with world.ledger.proofs.snapshot() as snapshot:
        by_index = Selection(world.ledger.store, wanted, world.ledger.store.size(), snapshot)
    found = [one.row.seq for one in by_index.entries()]
    assert found == [one.row.seq for one in select(world, wanted).entries()]
    assert found == sorted(set(found))
    assert found


@pytest.mark.parametrize(
    "wanted",
    [
        Filter(kinds=("grant.issued",)),
        Filter(seq_from=3, seq_to=7),
        Filter(at_to=1_494_000_000_000),
        Filter(recorded_to=0),
    ],
)
def test_bounds_leave_out_just_what_is_outside(world: ExportWorld, wanted: Filter) -> None:
    inside = []
    for one in select(world, Filter()).entries():
        members = one.members
        if wanted.kinds is not None and members["kind"] not in wanted.kinds:
            continue
        if wanted.seq_from is not None and not wanted.seq_from <= members["seq"] < (wanted.seq_to or 0):
            continue
        if wanted.at_to is not None and members["at"] >= wanted.at_to:
            continue
        if wanted.recorded_to is not None and members["recorded_at"] >= wanted.recorded_to:
            continue
        inside.append(one.row.seq)
    assert [one.row.seq for one in select(world, wanted).entries()] == inside


def test_the_dictionary_has_words_for_every_member_as_the_page_of_formats_has_them() -> None:
    page = FORMATS_PAGE.read_text("utf-8")
    members = {name for kind in KINDS.values() for name in kind.__dataclass_fields__}
    assert members <= set(field_words())
    for name in members - set(COMMON_MEMBERS):
        assert f"`{name}`" in page
    assert len(list(field_rows())) > len(members)
    assert next(iter(code_rows())).startswith("code,family,severity")


def test_a_row_of_an_unknown_kind_is_a_row() -> None:
    assert entry_row({"seq": 1, "kind": "weather.seen", "sky": "blue"}, "00").endswith(
        ',"{""sky"":""blue""}"'
    )
