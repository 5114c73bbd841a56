"""Single entries of a log by position, for the few that have to be looked at one by one."""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from ledger.core.entries import Entry
from ledger.core.tiles import TILE_WIDTH
from ledger.errors import FormatError, ProofError
from ledger.ports import Block, Codec

BLOCKS_KEPT = 64


class Blocks(Protocol):
    """Where groups of entries come from: what is asked of a :class:`~ledger.ports.LogSource` here."""

    def read_block(self, first: int, count: int) -> Block:
        """Entries ``first <= position < first + count``, as far as they can be read."""
        ...


class EntryReader:
    """Reads whole groups of 256 and keeps the last few, so that asking in order costs one read a group."""

    def __init__(self, source: Blocks, codec: Codec) -> None:
        self._source = source
        self._codec = codec
        self._blocks: OrderedDict[int, list[bytes]] = OrderedDict()

    def data(self, position: int) -> bytes:
        """The bytes of the entry at ``position``; raises ProofError when the source does not give it (any more)."""
        group, place = divmod(position, TILE_WIDTH)
        entries = self._blocks.get(group)
        if entries is None:
            entries = self._source.read_block(group * TILE_WIDTH, TILE_WIDTH).entries
            self._blocks[group] = entries
            if len(self._blocks) > BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        else:
            self._blocks.move_to_end(group)
        if place >= len(entries):
            raise ProofError(f"entry {position} cannot be read")
        return entries[place]

    def entry(self, position: int) -> Entry | None:
        """The typed entry at ``position``, or None when it is malformed."""
        try:
            return self._codec.decode(self.data(position))
        except FormatError:
            return None
