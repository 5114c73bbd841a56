"""No way through a chunk takes anything that the core would call malformed."""

from __future__ import annotations

import pytest

from ledger.core.merkle import hash_leaf
from ledger.engines.recurring import Notes
from ledger.engines.scan import ChunkScan, ChunkScanner
from ledger.ports import Block
from tests.support.builders import seen
from tests.support.forged_logs import encode_log, open_log, pad

ALL_ALONE = 10**6
each_way = pytest.mark.parametrize("group_entries", [1, ALL_ALONE])


def scan(entries: list[bytes], group_entries: int) -> ChunkScan:
    return ChunkScanner(Notes(0), group_entries).scan(0, [Block(0, entries)])


@each_way
def test_texts_may_hold_what_stands_between_two_entries(group_entries: int) -> None:
    log = open_log()
    log.parties()
    log.imported(observed=seen(path="/x},{y"))
    assert not scan(encode_log(log), group_entries).faults.counts


@each_way
def test_entries_cut_inside_of_a_text_are_malformed(group_entries: int) -> None:
    log = open_log()
    log.parties()
    log.imported("d-1")
    log.imported("d-2", observed=seen(path="/x},{y"))
    *before, whole, split = encode_log(log)
    cut = split.index(b"},{")
    left = whole + b"," + split[: cut + 1]
    # `prev` stands behind the cut, so that the forger can make it fit.
    right = split[cut + 2 :].replace(hash_leaf(whole).hex().encode(), hash_leaf(left).hex().encode())
    assert scan([*before, left, right], group_entries).faults.counts == {"ENTRY_MALFORMED": 2}


@each_way
def test_a_link_that_does_not_fit_is_told_of_its_entry(group_entries: int) -> None:
    log = open_log()
    pad(log, 20)
    entries = encode_log(log)
    entries[9] = entries[9].replace(hash_leaf(entries[8]).hex().encode(), b"0" * 64)
    faults = scan(entries, group_entries).faults.kept
    assert [(fault.code, fault.position) for fault in faults] == [("CHAIN_BROKEN", 9), ("CHAIN_BROKEN", 10)]


def test_entries_alike_are_not_decoded_one_by_one() -> None:
    log = open_log()
    pad(log, 20)
    assert list(scan(encode_log(log), 5).typed) == [0]
