"""Attempts and settlements in columns meet when each stands once, in order; everything else is left to single rows."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.engines.recurring import Notes
from ledger.engines.row_columns import RowColumns
from ledger.engines.rows import RowHashes
from ledger.engines.scan import ChunkScanner
from ledger.engines.text_hash import signed_one, tag_words
from ledger.ports import Block
from tests.support.builders import Log, tag
from tests.support.forged_logs import encode_log, members_of, open_log

FIRST = 65_536
"""Where the chunk begins: rows state positions in the log."""


def begin() -> Log:
    log = open_log()
    log.parties()
    log.issue()
    return log


def pairs(members: Any) -> tuple[list[dict[str, int]], list[int]]:
    """The rows of pairs, and the places of the entries that are in none."""
    scan = ChunkScanner(Notes(0), 1).scan(FIRST, [Block(FIRST, encode_log(members))])
    assert not scan.typed
    columns, alone = RowColumns(FIRST, scan.cut, RowHashes(b"secret")).pairs(scan.groups)
    rows = [
        dict(zip(columns, row, strict=True))
        for row in zip(*(each.tolist() for each in columns.values()), strict=True)
    ]
    return rows, sorted(position - FIRST for position in alone.tolist())


def test_an_attempt_and_its_settlement_are_one_row() -> None:
    log = begin()
    attempted = log.attempt("d-1", at=150)
    settled = log.settle(attempted, 160)
    (row,), alone = pairs(log)
    assert alone == []
    assert (row["attempt_seq"], row["settled_seq"]) == (FIRST + attempted.seq, FIRST + settled.seq)
    assert (row["started_at"], row["decided_at_size"], row["odd"]) == (160, attempted.seq, 0)
    account = (row["account_high"], row["account_low"])
    assert account == tuple(map(signed_one, tag_words(tag("ann"))))


def test_a_settlement_that_stands_before_its_attempt_is_left_alone() -> None:
    log = begin()
    log.settle(log.attempt("d-1"))
    *before, attempted, settled = members_of(log)
    assert pairs([*before, settled, attempted]) == ([], [len(before), len(before) + 1])


@pytest.mark.parametrize(("attempts", "settlements"), [(1, 2), (2, 1), (2, 2), (0, 2), (2, 0)])
def test_an_attempt_of_which_more_is_told_is_left_alone(attempts: int, settlements: int) -> None:
    log = begin()
    log.settle(log.attempt("d-1"))
    *before, attempted, settled = members_of(log)
    told = [*[attempted] * attempts, *[settled] * settlements]
    assert pairs([*before, *told]) == ([], list(range(len(before), len(before) + len(told))))


def test_attempts_of_one_delivery_are_told_apart_by_their_number() -> None:
    log = begin()
    told = [log.attempt("d-1", attempt=number) for number in (1, 2, 3)]
    settled = [log.settle(attempted) for attempted in reversed(told)]
    rows, alone = pairs(log)
    assert alone == []
    assert {(row["attempt_seq"] - FIRST, row["settled_seq"] - FIRST) for row in rows} == {
        (one.seq, other.seq) for one, other in zip(told, reversed(settled), strict=True)
    }


ODD: dict[str, dict[str, Any]] = {
    "decided on another state": {"decided_at_size": 1},
    "sent too late": {"send_before": 150},
    "to be sent for too long": {"send_before": 1_151},
    "recorded later than it started": {"recorded_at": 151},
    "of another account": {"account": tag("bob")},
    "about other people": {"subjects": [tag("bob")]},
    "by another developer": {"developer": "dev-b"},
    "replayed": {"replay": "r-1"},
    "stating a later seq": {"seq": 99, "decided_at_size": 99},
}


@pytest.mark.parametrize("stated", ODD.values(), ids=ODD)
def test_an_attempt_that_the_rule_must_judge_is_odd(stated: dict[str, Any]) -> None:
    log = begin()
    attempted = log.attempt("d-1", at=150)
    log.settle(attempted, 150)
    members = members_of(log)
    members[attempted.seq] |= stated
    (row,), _ = pairs(members)
    assert row["odd"] == 1


def test_entries_of_other_kinds_are_in_no_row() -> None:
    assert pairs(begin()) == ([], [])
