"""The entries that tell of deliveries, out of bytes, one stretch after another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ledger.core.entries import Entry, decode_entry
from ledger.engines.chunk_reader import ROW_KINDS
from ledger.engines.known import KnownDecoder
from ledger.errors import FormatError

_TOLD = re.compile(rb'"kind":"delivery\.(?:attempted|settled|imported)"').search


class DeliveryDecoder:
    """Decodes what tells of an attempt, and passes over the rest. For one thread."""

    def __init__(self) -> None:
        """With a decoder of its own."""
        self._decoder = KnownDecoder()

    def deliveries(self, first: int, entries: Sequence[bytes]) -> Iterator[tuple[int, Entry]]:
        """Every sound entry about an attempt, settlement or import among ``entries`` from ``first`` on, with its place."""
        # Canonical bytes hold no such text but where a delivery is told.
        told = [place for place, data in enumerate(entries) if _TOLD(data)]
        decoded = self._decoder.decode_all([entries[place] for place in told])
        if decoded is None:
            decoded = [_decoded_or_none(entries[place]) for place in told]
        for place, entry in zip(told, decoded, strict=True):
            if entry is not None and entry.kind in ROW_KINDS:
                yield first + place, entry


def _decoded_or_none(data: bytes) -> Entry | None:
    try:
        return decode_entry(data).entry
    except FormatError:
        return None
