"""Entries that judging needs again are read in groups, a few of which are kept."""

from __future__ import annotations

import pytest

from ledger.audit.entry_reader import BLOCKS_KEPT, EntryReader
from ledger.engines.codec import MsgspecCodec
from ledger.errors import ProofError
from ledger.ports import Block
from tests.support.forged_logs import MemoryLog, encode_log, open_log, pad


class Counting(MemoryLog):
    """Counts how often it is read."""

    reads = 0

    def read_block(self, first: int, count: int) -> Block:
        self.reads += 1
        return super().read_block(first, count)


def test_asking_in_order_costs_one_read_a_group() -> None:
    log = open_log()
    pad(log, 600)
    entries = encode_log(log)
    source = Counting(entries)
    reader = EntryReader(source, MsgspecCodec())
    assert [reader.data(position) for position in range(len(entries))] == entries
    assert source.reads == 3


def test_only_so_many_groups_are_kept() -> None:
    source = Counting([b"{}"] * 256 * (BLOCKS_KEPT + 1))
    reader = EntryReader(source, MsgspecCodec())
    for position in (*range(0, 256 * (BLOCKS_KEPT + 1), 256), 0):
        reader.data(position)
    assert source.reads == BLOCKS_KEPT + 2


def test_an_entry_that_is_not_there_is_evidence_of_a_broken_log() -> None:
    with pytest.raises(ProofError):
        EntryReader(MemoryLog([b"{}"]), MsgspecCodec()).data(1)


def test_a_malformed_entry_is_none() -> None:
    assert EntryReader(MemoryLog([b"{}"]), MsgspecCodec()).entry(0) is None
