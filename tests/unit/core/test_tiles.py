"""Tiles: widths, paths, where nodes lie, and that all levels follow from the leaves."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import pytest

from ledger.core.merkle import (
    NodeId,
    check_consistency,
    check_inclusion,
    compute_root,
    hash_leaf,
    prove_consistency,
    prove_inclusion,
    root_of,
)
from ledger.core.tiles import (
    ENTRIES_LEVEL,
    LoadTile,
    TileId,
    build_tiles,
    bundles_added,
    decode_bundle,
    encode_bundle,
    format_path,
    locate,
    node_reader,
    parse_path,
    read_nodes,
    tile_at,
    tiles_added,
)
from ledger.errors import FormatError, ProofError

SIZE = 70_000
HASHES = [hash_leaf(n.to_bytes(4, "big")) for n in range(SIZE)]
JOINED = b"".join(HASHES)


def leaf_hashes(start: int, end: int) -> bytes:
    """The leaf hashes of the tree of these tests."""
    return JOINED[start * 32 : end * 32]


def never(tile: TileId) -> bytes | None:
    """Loads no tile, and must not be asked to."""
    raise AssertionError(f"{tile} was loaded")


def loader(tiles: Mapping[TileId, bytes], asked: list[TileId] | None = None) -> LoadTile:
    """Loads from a mapping; ``asked`` collects what was asked for."""

    def load(tile: TileId) -> bytes | None:
        if asked is not None:
            asked.append(tile)
        return tiles.get(tile)

    return load


@pytest.fixture(scope="module")
def tiles() -> dict[TileId, bytes]:
    """The tiles of the tree of 70,000 leaves."""
    return dict(build_tiles(0, SIZE, leaf_hashes, never))


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (TileId(0, 5, 256), "tile/0/005"),
        (TileId(0, 1234067, 256), "tile/0/x001/x234/067"),
        (TileId(0, 273, 112), "tile/0/273.p/112"),
        (TileId(1, 1, 17), "tile/1/001.p/17"),
        (TileId(2, 0, 1), "tile/2/000.p/1"),
        (TileId(0, 999, 256), "tile/0/999"),
        (TileId(0, 1000, 1), "tile/0/x001/000.p/1"),
        (TileId(ENTRIES_LEVEL, 1234067, 255), "tile/entries/x001/x234/067.p/255"),
        (TileId(6, 0, 31), "tile/6/000.p/31"),
    ],
)
def test_a_tile_and_its_path_name_each_other(tile: TileId, path: str) -> None:
    assert format_path(tile) == path
    assert parse_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/5",
        "tile/0/0005",
        "tile/0/x000/005",
        "tile/0/x005",
        "tile/0/001/234",
        "tile/0/005.p/0",
        "tile/0/005.p/256",
        "tile/0/005.p/257",
        "tile/0/005.p/07",
        "tile/0/005.p/",
        "tile/0/005/",
        "tile/0/005\n",
        "/tile/0/005",
        "tile/00/005",
        "tile/7/000",
        "tile/6/000.p/32",
        "tile/-1/005",
        "tile/entry/005",
        "tile/0/x035/x184/x372/x088/x832",
        "tile/0/x999/x999/x999/x999/999",
        "tile/0/x001/" + "x000/" * 2000 + "000",
        "tile/0/\u0660\u0660\u0665",
        "tile/0/../005",
    ],
)
def test_any_other_path_is_refused(path: str) -> None:
    with pytest.raises(FormatError):
        parse_path(path)


@pytest.mark.parametrize(
    "tile", [TileId(-2, 0, 1), TileId(7, 0, 1), TileId(0, -1, 1), TileId(0, 0, 0), TileId(0, 0, 257)]
)
def test_what_is_no_tile_has_no_path(tile: TileId) -> None:
    with pytest.raises(FormatError):
        format_path(tile)


def test_the_tiles_of_size_70000_are_those_of_the_format() -> None:
    added = list(tiles_added(0, SIZE))
    full = [sum(tile.level == level and tile.width == 256 for tile in added) for level in range(4)]
    partial = [format_path(tile) for tile in added if tile.width < 256]
    assert full == [273, 1, 0, 0]
    assert partial == ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]


def test_tiles_are_added_lowest_level_first_and_only_where_the_tree_grew() -> None:
    assert list(tiles_added(255, 257)) == [TileId(0, 0, 256), TileId(0, 1, 1), TileId(1, 0, 1)]
    assert list(tiles_added(257, 300)) == [TileId(0, 1, 44)]
    assert list(tiles_added(256, 256)) == []
    assert list(tiles_added(200, 256)) == [TileId(0, 0, 256), TileId(1, 0, 1)]


def test_bundles_are_as_wide_as_the_lowest_tiles() -> None:
    assert list(bundles_added(255, 514)) == [
        TileId(ENTRIES_LEVEL, 0, 256),
        TileId(ENTRIES_LEVEL, 1, 256),
        TileId(ENTRIES_LEVEL, 2, 2),
    ]


def test_a_width_of_zero_is_no_tile() -> None:
    assert tile_at(0, 1, 256) is None
    assert tile_at(1, 0, 255) is None
    assert tile_at(0, 0, 256) == TileId(0, 0, 256)
    assert tile_at(ENTRIES_LEVEL, 0, 3) == TileId(ENTRIES_LEVEL, 0, 3)


def test_a_node_lies_where_the_hashes_below_it_do() -> None:
    place = locate(NodeId(3, 32), SIZE)
    assert (place.tile, place.offset, place.count) == (TileId(0, 1, 256), 0, 8)
    place = locate(NodeId(9, 128), SIZE)
    assert (place.tile, place.offset, place.count) == (TileId(1, 1, 17), 0, 2)


@pytest.mark.parametrize(
    "node", [NodeId(0, SIZE), NodeId(17, 0), NodeId(4, 4375), NodeId(0, -1), NodeId(-1, 0)]
)
def test_a_node_that_is_not_full_lies_nowhere(node: NodeId) -> None:
    with pytest.raises(ProofError):
        locate(node, SIZE)


def test_tiles_built_in_steps_are_those_built_at_once(tiles: dict[TileId, bytes]) -> None:
    kept: dict[TileId, bytes] = {}
    sizes = [0, 1, 255, 256, 257, 65_535, 65_536, 65_537, 69_999, SIZE]
    for old, new in pairwise(sizes):
        built = list(build_tiles(old, new, leaf_hashes, loader(kept)))
        assert [tile for tile, _ in built] == list(tiles_added(old, new))
        kept.update(built)
    assert all(kept[tile] == data for tile, data in tiles.items())


def test_every_hash_of_a_tile_is_the_root_of_its_full_subtree(tiles: dict[TileId, bytes]) -> None:
    assert tiles[TileId(0, 273, 112)] == JOINED[273 * 8192 :]
    assert tiles[TileId(1, 1, 17)][-32:] == root_of(HASHES[272 * 256 : 273 * 256])
    assert tiles[TileId(2, 0, 1)] == root_of(HASHES[:65_536])


def test_the_root_and_proofs_come_from_tiles_alone(tiles: dict[TileId, bytes]) -> None:
    reader = node_reader(SIZE, loader(tiles))
    root = compute_root(SIZE, reader)
    assert root == root_of(HASHES)
    for index in (0, 255, 256, 65_535, 65_536, 69_887, 69_888, SIZE - 1):
        check_inclusion(prove_inclusion(index, SIZE, reader), index, SIZE, HASHES[index], root)
    for old in (1, 255, 256, 65_536, 69_888, SIZE - 1):
        proof = prove_consistency(old, SIZE, reader)
        check_consistency(proof, old, SIZE, root_of(HASHES[:old]), root)


def test_each_tile_is_loaded_once(tiles: dict[TileId, bytes]) -> None:
    asked: list[TileId] = []
    prove_inclusion(3, SIZE, node_reader(SIZE, loader(tiles, asked)))
    assert len(asked) == len(set(asked)) == 4


def test_a_missing_partial_tile_is_cut_from_the_full_one(tiles: dict[TileId, bytes]) -> None:
    full_only = {tile: data for tile, data in tiles.items() if tile.width == 256}
    assert read_nodes([NodeId(0, 299)], 300, loader(full_only)) == [HASHES[299]]


def test_a_missing_tile_proves_nothing() -> None:
    with pytest.raises(ProofError, match=r"tile/0/001\.p/44"):
        read_nodes([NodeId(0, 299)], 300, loader({}))


@pytest.mark.parametrize("tile", [TileId(0, 0, 3), TileId(0, 0, 256)])
def test_a_tile_of_another_length_is_refused(tile: TileId) -> None:
    with pytest.raises(FormatError):
        read_nodes([NodeId(0, 0)], 3, loader({tile: bytes(64)}))


def test_leaf_hashes_of_another_length_make_no_tile() -> None:
    with pytest.raises(FormatError):
        list(build_tiles(0, 3, lambda start, end: bytes(64), never))


def test_a_bundle_holds_each_entry_behind_its_length() -> None:
    assert encode_bundle([b"{}", b"", b"x" * 300]) == b"\x00\x02{}\x00\x00\x01\x2c" + b"x" * 300


def test_a_bundle_decodes_to_its_entries() -> None:
    entries = [b"x" * n for n in (0, 1, 255, 256, 65_535)] * 50
    assert decode_bundle(encode_bundle(entries)) == entries


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\x02{", b"\x00\x02{}\x00", b"\x00\x00" * 257])
def test_bytes_that_are_no_bundle_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        decode_bundle(data)


@pytest.mark.parametrize("entries", [[], [b""] * 257, [b"x" * 65_536]])
def test_what_does_not_fit_into_a_bundle_is_refused(entries: list[bytes]) -> None:
    with pytest.raises(FormatError):
        encode_bundle(entries)
