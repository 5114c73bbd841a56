"""Rows and tiles of a key's tree: written in one way, and read strictly."""

from __future__ import annotations

import pytest

from ledger.core.key_tiles import StoredRow, Tile, decode_row, encode_row, prove_key_page
from ledger.errors import FormatError, ProofError
from tests.support.stored_index import MemoryRows, grow, leaf_of, stored_row


def rows_of(count: int) -> tuple[MemoryRows, StoredRow]:
    rows = MemoryRows()
    grow(rows, [["dev:a"]] * count, 0, count)
    row = stored_row(rows, "dev:a")
    assert row is not None
    return rows, row


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 127, 128, 4_095, 4_096, 4_097])
def test_a_row_is_read_as_it_was_written(count: int) -> None:
    rows, row = rows_of(count)
    (data,) = rows.rows.values()
    assert (encode_row(row), decode_row(data)) == (data, row)
    assert (row.count, row.last_seq, len(row.tail)) == (count, count - 1, count % 64)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(15),
        bytes(16),
        bytes(7) + b"\x01" + bytes(8) + bytes(31),
        bytes(7) + b"\x01" + bytes(8) + bytes(48),
        bytes(7) + b"\x02" + bytes(8) + bytes(32 + 16),
        b"\xff" * 16 + bytes(64 * 32 + 63 * 8),
    ],
)
def test_bytes_that_are_no_row_are_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        decode_row(data)


def test_tiles_that_are_missing_or_of_another_length_end_in_a_proof_error() -> None:
    rows, row = rows_of(4_200)
    (position,) = rows.rows

    def load(level: int, start: int, end: int) -> list[Tile]:
        return rows.load_tiles(position, level, start, end)

    def prove(load_tiles: object) -> None:
        assert callable(load_tiles)
        prove_key_page(row, 100, 50, load_tiles, lambda seqs: [leaf_of(seq) for seq in seqs])

    prove(load)
    for broken in (
        lambda level, start, end: [],
        lambda level, start, end: load(level, start, end)[:-1],
        lambda level, start, end: [*load(level, start, end), *load(level, start, end)],
        lambda level, start, end: [Tile(tile.root, tile.data[:-1]) for tile in load(level, start, end)],
        lambda level, start, end: [Tile(tile.root[:-1], tile.data) for tile in load(level, start, end)],
        lambda level, start, end: load(level, start + 1, end + 1),
    ):
        with pytest.raises(ProofError):
            prove(broken)
