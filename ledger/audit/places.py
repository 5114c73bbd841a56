"""A set of places in a log, one bit each (for what may be as many as the log's entries)."""

from __future__ import annotations


class Places:
    """Places from 0 up; as long as the highest one, an eighth of a byte each."""

    def __init__(self, bits: bytes = b"") -> None:
        """Those that :attr:`bits` had, none by default."""
        self.bits = bytearray(bits)

    def add(self, place: int) -> None:
        """Put in ``place``."""
        at = place >> 3
        if at >= len(self.bits):
            self.bits.extend(bytes(at + 1 - len(self.bits)))
        self.bits[at] |= 1 << (place & 7)

    def __contains__(self, place: int) -> bool:
        """Whether ``place`` was put in."""
        at = place >> 3
        return at < len(self.bits) and bool(self.bits[at] >> (place & 7) & 1)
