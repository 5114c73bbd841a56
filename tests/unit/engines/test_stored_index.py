"""What is stored of the index is never trusted: any byte that was changed is noticed, and no root rests on it."""

from __future__ import annotations

import copy
import random

import pytest

from ledger.core.index import key_position
from ledger.core.key_tiles import Tile, decode_row
from ledger.core.map_pages import INNER_BYTES
from ledger.engines.stored_index import StoredIndex
from ledger.errors import DamagedIndexError, FormatError, ProofError, StoreError
from tests.support.stored_index import MemoryRows, Naive, check_key, check_pages, grow, leaf_of

KEYS = [f"acct:{number}" for number in range(120)]
COMMON = "dev:a"
SIZE = 4_400
LOG = [[COMMON, KEYS[seq * 7 % len(KEYS)]] for seq in range(SIZE)] + [[COMMON, key] for key in KEYS]


@pytest.fixture(scope="module")
def made() -> tuple[MemoryRows, Naive]:
    """An index with pages of both kinds, tiles of two levels, and the naive one of the same entries."""
    rows, naive = MemoryRows(), Naive()
    grow(rows, LOG, 0, SIZE)
    naive.take(LOG, 0, SIZE)
    assert {len(page) == INNER_BYTES for page in rows.pages.values()} == {False, True}
    assert {level for _, level, _ in rows.tiles} == {0, 1}
    return rows, naive


@pytest.fixture
def rows(made: tuple[MemoryRows, Naive]) -> MemoryRows:
    return copy.deepcopy(made[0])


def flipped(data: bytes, place: int, bit: int = 1) -> bytes:
    return data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]


def grow_all(rows: MemoryRows) -> bytes:
    """Take in an entry for every key."""
    return grow(rows, LOG, SIZE, len(LOG)).map_root


def places(data: bytes) -> range:
    return range(len(data) % 19, len(data), 19)


def test_no_byte_of_any_page_can_be_changed_unnoticed(made: tuple[MemoryRows, Naive]) -> None:
    naive = made[1]
    for prefix, page in sorted(made[0].pages.items()):
        below = [key for key in KEYS if key_position(key).hex().startswith(prefix)]
        for place in places(page) if prefix else range(0, len(page), 3):
            rows = copy.copy(made[0])
            rows.pages = {**rows.pages, prefix: flipped(page, place, 1 << place % 8)}
            # Nothing is written: where the index grew all the same, it would be into the copy of a fixture.
            with pytest.raises(DamagedIndexError, match="reindex"):
                grow_all(rows)
        damaged = copy.copy(made[0])
        damaged.pages = {**made[0].pages, prefix: flipped(page, len(page) // 2)}
        for key in below[:3]:
            with pytest.raises((ProofError, AssertionError)):
                check_key(damaged, naive, key)


@pytest.mark.parametrize(
    "change",
    [
        lambda page: b"",
        lambda page: page[:-1],
        lambda page: page + page[:64],
        lambda page: page[64:] + page[:64],
        lambda page: page[:64] * 2,
        lambda page: bytes(len(page)),
        lambda page: bytes(INNER_BYTES),
        lambda page: b"\xff" * INNER_BYTES,
    ],
)
def test_a_page_of_another_form_is_damage(rows: MemoryRows, change: object) -> None:
    assert callable(change)
    original = dict(rows.pages)
    for prefix, page in original.items():
        rows.pages = {**original, prefix: change(page)}
        with pytest.raises(DamagedIndexError):
            grow_all(rows)


def test_a_page_that_is_missing_or_another_pages_is_damage(rows: MemoryRows) -> None:
    original = dict(rows.pages)
    prefixes = sorted(original)
    for prefix, other in zip(prefixes, prefixes[1:] + prefixes[:1], strict=True):
        for pages in (
            {name: page for name, page in original.items() if name != prefix},
            {**original, prefix: original[other]},
        ):
            rows.pages = pages
            with pytest.raises(DamagedIndexError):
                grow_all(rows)


def test_no_byte_of_what_a_row_says_can_be_changed_unnoticed(rows: MemoryRows) -> None:
    original = dict(rows.rows)
    for key in [COMMON, *KEYS[:3]]:
        position = key_position(key)
        row = original[position]
        stated = len(row) - 8 * len(decode_row(row).tail)
        for place in range(0, stated, 3):
            rows.rows = {**original, position: flipped(row, place)}
            with pytest.raises(DamagedIndexError):
                grow_all(rows)


def test_a_seq_that_was_changed_in_a_row_changes_no_root_and_fails_every_proof(
    made: tuple[MemoryRows, Naive],
) -> None:
    rows, naive = copy.deepcopy(made)
    count = decode_row(rows.rows[key_position(COMMON)]).count
    position = key_position(COMMON)
    row = rows.rows[position]
    rows.rows[position] = flipped(row, len(row) - 1)
    with pytest.raises((ProofError, AssertionError)):
        check_pages(rows, naive, COMMON, [(count - 2, 2)])
    assert grow_all(rows) == naive.take(LOG, SIZE, len(LOG))


@pytest.mark.parametrize("row", [None, b"", b"\0" * 16, b"\xff" * 48, b"\0" * 1_000])
def test_a_row_that_is_missing_or_of_another_form_is_damage(rows: MemoryRows, row: bytes | None) -> None:
    position = key_position(KEYS[3])
    if row is None:
        del rows.rows[position]
    else:
        rows.rows[position] = row
    with pytest.raises(DamagedIndexError):
        grow_all(rows)


def test_a_row_of_a_key_that_the_map_does_not_hold_is_damage(rows: MemoryRows) -> None:
    rows.rows[key_position("acct:new")] = rows.rows[key_position(KEYS[0])]
    index = StoredIndex(rows)
    index.append(SIZE, [leaf_of(SIZE)], [[index.number_of("acct:new")]])
    with pytest.raises(DamagedIndexError):
        index.grow()


def test_a_row_put_in_anothers_place_is_damage(rows: MemoryRows) -> None:
    rows.rows[key_position(KEYS[0])] = rows.rows[key_position(KEYS[1])]
    with pytest.raises(DamagedIndexError):
        grow_all(rows)


def test_no_byte_of_a_tile_can_be_changed_unnoticed(made: tuple[MemoryRows, Naive]) -> None:
    naive = made[1]
    position = key_position(COMMON)
    for level, number in [(0, 0), (0, 67), (1, 0)]:
        tile = made[0].tiles[position, level, number]
        joined = tile.root + tile.data
        # Those below a full tile are proven from that one, and their own roots are not read.
        first = 0 if (level, number) == (0, 67) else 32
        for place in range(first, len(joined), 7):
            rows = copy.copy(made[0])
            changed = flipped(joined, place)
            rows.tiles = {**rows.tiles, (position, level, number): Tile(changed[:32], changed[32:])}
            with pytest.raises((ProofError, FormatError, AssertionError, OverflowError)):
                # From the first page the whole of level 1 is read, from the last the roots of level 0 beside it.
                check_pages(rows, naive, COMMON, [(10, 5), (70, 5), (66 * 64, 5), (67 * 64, 5), (4_390, 5)])


def test_an_older_tile_that_was_changed_never_becomes_part_of_a_tile_above() -> None:
    log = [[COMMON]] * 4_096
    rows = MemoryRows()
    grow(rows, log, 0, 4_000)
    name = key_position(COMMON), 0, 17
    tile = rows.tiles[name]
    for changed in (Tile(flipped(tile.root, 3), tile.data), None):
        damaged = copy.deepcopy(rows)
        if changed is None:
            del damaged.tiles[name]
        else:
            damaged.tiles[name] = changed
        with pytest.raises(DamagedIndexError):
            grow(damaged, log, 4_000, 4_096)
    grow(rows, log, 4_000, 4_096)


def test_somebody_else_who_has_written_meanwhile_is_an_error_and_keeps_its_state(rows: MemoryRows) -> None:
    index = StoredIndex(rows)
    index.append(SIZE, [leaf_of(SIZE)], [[index.number_of(COMMON)]])
    index.grow()
    grow(rows, LOG, SIZE, SIZE + 2)
    state = rows.state
    with pytest.raises(StoreError, match="another process"):
        index.commit(b"note")
    assert rows.state == state


def test_a_changed_key_costs_the_pages_on_its_way_and_nothing_else(rows: MemoryRows) -> None:
    rows.read = 0
    grow(rows, [*LOG[:SIZE], [KEYS[5]]], SIZE, SIZE + 1)
    assert rows.read <= 5


def test_positions_that_share_their_first_64_bits_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    random_ = random.Random(5)

    def position(key: str) -> bytes:
        number = int(key.partition(":")[2])
        return bytes(8) + (number % 5).to_bytes(8) + number.to_bytes(16)

    monkeypatch.setattr("ledger.engines.stored_index.key_position", position)
    monkeypatch.setattr("ledger.core.sparse_map.key_position", position)
    keys = [f"acct:{number}" for number in range(60)]
    log = [random_.sample(keys, 3) for _ in range(200)]
    rows, naive = MemoryRows(), Naive()
    for start, end in ((0, 5), (5, 40), (40, 41), (41, 200)):
        assert grow(rows, log, start, end).map_root == naive.take(log, start, end)
