"""Whole bundles cut at once are cut exactly as one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.core.tiles import TILE_WIDTH, decode_bundle, encode_bundle
from ledger.engines.bundles import BundleReader, cut_bundles
from ledger.engines.chunk_bytes import ChunkBytes
from ledger.errors import FormatError
from tests.support.forged_logs import MemoryLog


class BundledLog(MemoryLog):
    """A log that keeps these bundles, whatever they hold."""

    def __init__(self, bundles: Sequence[bytes]) -> None:
        super().__init__([])
        self.bundles = bundles

    def read_bundle(self, index: int, into: memoryview) -> int | None:
        if index >= len(self.bundles):
            return None
        size = min(len(into), len(self.bundles[index]))
        into[:size] = self.bundles[index][:size]
        return size


def read(bundles: Sequence[bytes], count: int | None = None) -> list[bytes] | None:
    cut = BundleReader(BundledLog(bundles)).read(0, TILE_WIDTH * len(bundles) if count is None else count)
    return None if cut is None else [cut.entry(place) for place in range(len(cut))]


def entries(length: int) -> list[bytes]:
    return [bytes([number % 251]) * (number * length % 97) for number in range(TILE_WIDTH)]


def test_bundles_are_cut_into_their_entries_in_order() -> None:
    bundles = [encode_bundle(entries(length)) for length in (1, 2, 3)]
    assert read(bundles) == [entry for bundle in bundles for entry in decode_bundle(bundle)]


def test_the_longest_bundle_fits() -> None:
    longest = [bytes([number]) * 65_535 for number in range(TILE_WIDTH)]
    assert read([encode_bundle(longest)]) == longest


def test_views_are_the_entries() -> None:
    cut = BundleReader(BundledLog([encode_bundle(entries(3))])).read(0, TILE_WIDTH)
    assert cut is not None
    assert [bytes(view) for view in cut.views()] == entries(3)


def test_what_was_read_lasts_until_the_next_call_only_in_the_buffer() -> None:
    reader = BundleReader(BundledLog([encode_bundle(entries(3)), encode_bundle(entries(5))]))
    first = reader.read(0, TILE_WIDTH)
    second = reader.read(TILE_WIDTH, TILE_WIDTH)
    assert first is not None
    assert second is not None
    assert [second.entry(place) for place in range(TILE_WIDTH)] == entries(5)
    assert first.buffer is second.buffer


@pytest.mark.parametrize("count", [0, 1, 255, 257, 3 * TILE_WIDTH])
def test_other_numbers_than_of_whole_bundles_that_are_there_are_not_read(count: int) -> None:
    assert read([encode_bundle(entries(1))] * 2, count) is None


@settings(max_examples=200)
@given(
    st.lists(st.binary(max_size=40), min_size=TILE_WIDTH - 1, max_size=TILE_WIDTH),
    st.lists(st.tuples(st.integers(0, 12_000), st.integers(0, 255)), max_size=2),
    st.sampled_from([b"", b"\x00", b"\x00\x00", b"\x00\x01a"]),
    st.integers(0, 3),
)
def test_a_bundle_is_cut_exactly_where_decoding_it_gives_256_entries(
    made: list[bytes], edits: list[tuple[int, int]], tail: bytes, lost: int
) -> None:
    data = bytearray(encode_bundle(made) + tail)
    for place, byte in edits:
        data[place % len(data)] = byte
    forged = bytes(data[: len(data) - lost])
    try:
        decoded = decode_bundle(forged)
    except FormatError:
        decoded = []
    sound = encode_bundle(entries(2))
    found = read([sound, forged, sound])
    assert found == (entries(2) + decoded + entries(2) if len(decoded) == TILE_WIDTH else None)


def test_no_bundle_reaches_into_the_next_one() -> None:
    """The first one's last entry ends where the second one ends: together they look whole."""
    first, second = encode_bundle(entries(1)), encode_bundle(entries(2))
    joined = np.frombuffer(first + second + bytes(70_000), np.uint8)
    ends = np.array([len(first), len(first) + len(second)], np.int64)
    assert isinstance(cut_bundles(joined, ends), ChunkBytes)
    for shift in (-1, 1):
        assert cut_bundles(joined, ends + np.array([shift, 0])) is None
