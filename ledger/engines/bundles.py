"""Whole entry bundles read into one buffer and cut into entries, all at once (transparency formats, section 4.4).

A bundle is its entries, each behind its length in two bytes, so that where an entry begins is known only from the one
before it. Walking through one bundle after the other asks that question once for each entry; here all bundles take
each step together. ``ledger.core.tiles.decode_bundle`` is the definition.
"""

from __future__ import annotations

import numpy as np

from ledger.core.canonical import ENTRY_BYTES_MAX
from ledger.core.tiles import TILE_WIDTH
from ledger.engines.chunk_bytes import ChunkBytes, Integers
from ledger.engines.text_hash import WORD_BYTES, Bytes
from ledger.ports import LogSource

LENGTH_BYTES = 2
BUNDLE_BYTES_MAX = TILE_WIDTH * (LENGTH_BYTES + ENTRY_BYTES_MAX)
BUFFER_BYTES = 1 << 27
"""What the bundles of a chunk with entries of up to 2 kB need; the buffer grows where they are longer."""


class BundleReader:
    """Reads bundles of one log. The buffer is used again and again: what was read lasts until the next call."""

    def __init__(self, source: LogSource) -> None:
        self._source = source
        self._buffer: Bytes = np.empty(0, np.uint8)

    def read(self, first: int, count: int) -> ChunkBytes | None:
        """Entries ``first <= position < first + count``; None where they are not all in full bundles of 256 entries."""
        if first % TILE_WIDTH or count % TILE_WIDTH or not count:
            return None
        ends: list[int] = []
        end = 0
        for index in range(first // TILE_WIDTH, (first + count) // TILE_WIDTH):
            # One byte more tells a bundle that is too long from the longest one.
            self._reserve(end + BUNDLE_BYTES_MAX + 1)
            size = self._source.read_bundle(index, self._buffer.data[end : end + BUNDLE_BYTES_MAX + 1])
            if size is None:
                return None
            end += size
            ends.append(end)
        self._reserve(end + ENTRY_BYTES_MAX + WORD_BYTES)
        return cut_bundles(self._buffer, np.array(ends, np.int64))

    def _reserve(self, size: int) -> None:
        if size > len(self._buffer):
            grown = np.empty(max(size, 2 * len(self._buffer), BUFFER_BYTES), np.uint8)
            grown[: len(self._buffer)] = self._buffer
            self._buffer = grown


def cut_bundles(buffer: Bytes, ends: Integers) -> ChunkBytes | None:
    """The entries of the bundles that end at ``ends`` in ``buffer``, the first beginning at 0.

    None where one of them does not hold just 256 entries.
    """
    begins = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    if (ends - begins < LENGTH_BYTES * TILE_WIDTH).any():
        return None
    starts = np.empty((TILE_WIDTH, len(ends)), np.int64)
    lengths = np.empty((TILE_WIDTH, len(ends)), np.int64)
    places = begins
    for number in range(TILE_WIDTH):
        # Each step goes forward: who has left its bundle behind does not come back to its end.
        here = np.minimum(places, ends - LENGTH_BYTES)
        lengths[number] = buffer[here].astype(np.int64) << 8 | buffer[here + 1]
        starts[number] = places + LENGTH_BYTES
        places = starts[number] + lengths[number]
    if (places != ends).any():
        return None
    return ChunkBytes(buffer, starts.T.reshape(-1), lengths.T.reshape(-1))
