"""The quick way through a block takes nothing that the core would call malformed."""

from __future__ import annotations

from ledger.core.merkle import hash_leaf
from ledger.engines.recurring import DeliveryRecurring
from ledger.engines.scan import BlockScan, BlockScanner
from ledger.ports import Block
from tests.support.builders import seen
from tests.support.forged_logs import encode_log, open_log


def scan(entries: list[bytes]) -> BlockScan:
    return BlockScanner(DeliveryRecurring(0)).scan(Block(0, entries))


def test_texts_may_hold_what_stands_between_two_entries() -> None:
    log = open_log()
    log.parties()
    log.imported(observed=seen(path="/x},{y"))
    assert not scan(encode_log(log)).faults.counts


def test_entries_cut_inside_of_a_text_are_malformed() -> None:
    log = open_log()
    log.parties()
    log.imported("d-1")
    log.imported("d-2", observed=seen(path="/x},{y"))
    *before, whole, split = encode_log(log)
    cut = split.index(b"},{")
    left = whole + b"," + split[: cut + 1]
    # `prev` stands behind the cut, so that the forger can make it fit.
    right = split[cut + 2 :].replace(hash_leaf(whole).hex().encode(), hash_leaf(left).hex().encode())
    assert scan([*before, left, right]).faults.counts == {"ENTRY_MALFORMED": 2}
