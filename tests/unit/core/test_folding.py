"""The order of a fold, step functions, and the fold that is kept."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ledger.core.folding import OPEN_END_MS, Event, Line, Steps, in_fold_order, rank_of


def event(at: int, rank: int, seq: int) -> Event:
    return Event(at, rank, seq, "verb", "file", at, None)


@pytest.mark.parametrize(
    ("kind", "rank"),
    [
        ("endpoint.registered", 0),
        ("grant.issued", 0),
        ("app.transferred", 1),
        ("grant.amended", 1),
        ("grant.resumed", 1),
        ("account.reactivated", 1),
        ("developer.reinstated", 1),
        ("processor.declared", 1),
        ("app.suspended", 2),
        ("account.deleted", 2),
        ("endpoint.retired", 2),
        ("grant.revoked", 2),
        ("grant.invalidated", 2),
    ],
)
def test_a_kind_has_the_class_of_section_2_1(kind: str, rank: int) -> None:
    assert rank_of(kind) == rank


def test_a_fold_goes_by_time_then_class_then_descending_seq() -> None:
    ordered = [event(1, 2, 0), event(2, 0, 9), event(2, 1, 7), event(2, 1, 3), event(2, 2, 8), event(2, 2, 1)]
    assert in_fold_order(sorted(ordered, key=lambda one: one.seq)) == ordered


def test_a_fold_as_of_a_size_leaves_out_that_seq_and_later_ones() -> None:
    events = [event(5, 1, 0), event(4, 1, 1), event(3, 1, 2)]
    assert [one.seq for one in in_fold_order(events, 2)] == [1, 0]


def test_a_step_holds_from_its_instant_until_the_next() -> None:
    steps = Steps([(10, "a"), (20, "b")])
    assert [steps.at(at) for at in (9, 10, 19, 20, 99)] == [None, "a", "a", "b", "b"]


def test_what_applies_last_at_one_instant_holds() -> None:
    assert Steps([(10, "a"), (10, "b")]).spans() == [(10, OPEN_END_MS, "b")]


def test_a_kept_fold_is_made_again_when_an_event_is_added() -> None:
    def count(events: Sequence[Event]) -> int:
        return len(events)

    line: Line[int] = Line()
    line.add(event(1, 1, 0))
    assert line.folded(count) == 1
    line.add(event(1, 1, 5))
    assert (line.folded(count), line.folded(count, 5), line.folded(count, 6)) == (2, 1, 2)
