"""Entries that repeat a ``uid`` (ledger format, section 1.1), found by hashes and confirmed by bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from ledger.core.entries import decode_entry
from ledger.core.tiles import TILE_WIDTH
from ledger.engines.chunk_bytes import Integers
from ledger.engines.files import read_uids
from ledger.errors import FormatError
from ledger.ports import LogSource


def repeated_uids(scratch: Path, firsts: Sequence[int], source: LogSource) -> list[int]:
    """Positions of entries whose ``uid`` an earlier entry of the log has, ascending.

    Equal uids have equal hashes, so only entries whose hash stands more than once are looked at. 16 bytes an entry.
    """
    if not firsts:
        return []
    hashes = np.concatenate([read_uids(scratch, first) for first in firsts])
    wanted = repeated(hashes)
    if not len(wanted):
        return []
    candidates = firsts[0] + np.flatnonzero(np.isin(hashes, wanted))
    del hashes
    seen: set[str] = set()
    found: list[int] = []
    for position, uid in _uids_at(source, candidates.tolist()):
        if uid in seen:
            found.append(position)
        else:
            seen.add(uid)
    return found


def repeated(hashes: Integers) -> Integers:
    """Those that stand more than once, ascending."""
    ordered = np.sort(hashes)
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


def _uids_at(source: LogSource, positions: Sequence[int]) -> Iterator[tuple[int, str]]:
    """The uids of the well-formed ones among the entries at ``positions``, which ascend."""
    for group, members in groupby(positions, lambda position: position // TILE_WIDTH):
        start = group * TILE_WIDTH
        entries = source.read_block(start, TILE_WIDTH).entries
        for position in members:
            try:
                yield position, decode_entry(entries[position - start]).entry.uid
            except (FormatError, IndexError):
                continue
