"""The bytes of many entries in one buffer, and rows of them as matrices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ledger.engines.text_hash import WORD_BYTES, Bytes

Integers = NDArray[np.int64]


class ChunkBytes:
    """The bytes of a chunk's entries in one buffer; rows of any width can be cut out at their starts.

    ``buffer`` goes on behind the last entry for at least a word and the longest entry's length.
    """

    def __init__(self, buffer: Bytes, starts: Integers, lengths: Integers) -> None:
        self.buffer = buffer
        self.starts = starts
        self.lengths = lengths
        self._view = buffer.data

    @classmethod
    def of(cls, data: Sequence[bytes]) -> ChunkBytes:
        """Those of ``data``, one after the other."""
        lengths: Integers = np.fromiter(map(len, data), np.int64, len(data))
        filling = bytes(int(lengths.max(initial=0)) + WORD_BYTES)
        buffer = np.frombuffer(b"".join((*data, filling)), np.uint8)
        return cls(buffer, np.cumsum(lengths) - lengths, lengths)

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self.starts)

    def views(self) -> Iterator[memoryview]:
        """The bytes of each entry, in order, without a copy."""
        ends = self.starts + self.lengths
        return map(self._view.__getitem__, map(slice, self.starts.tolist(), ends.tolist()))

    def entry(self, place: int) -> bytes:
        """The bytes of one entry."""
        start = int(self.starts[place])
        return bytes(self._view[start : start + int(self.lengths[place])])

    def rows(self, offsets: Integers, width: int) -> Bytes:
        """A matrix of the ``width`` bytes from each of ``offsets`` on."""
        if not width or not len(offsets):
            return np.zeros((len(offsets), width), np.uint8)
        wide = np.ndarray(
            (len(self.buffer) - width + 1,), np.dtype(("V", width)), self.buffer.data, strides=(1,)
        )
        return wide[offsets].view(np.uint8).reshape(len(offsets), width)
