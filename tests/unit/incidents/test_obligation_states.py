"""The state table of obligations, and their deadlines: pure."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from ledger.incidents.obligation_states import (
    Event,
    Refused,
    deadlines_of,
    find_overdue,
    next_state,
    next_step,
)
from ledger.ports.obligations import STATES, STEPS, Obligation, ObligationState
from tests.conformance.notice_samples import obligation
from tests.conformance.service_samples import DAY_MS, NOW_MS

MOVES: dict[Event, tuple[set[ObligationState], ObligationState]] = {
    "notified": ({"OPENED"}, "NOTIFIED"),
    "acknowledged": ({"NOTIFIED", "OVERDUE", "ESCALATED"}, "ACKNOWLEDGED"),
    "in_progress": ({"ACKNOWLEDGED", "IN_PROGRESS", "OVERDUE", "ESCALATED"}, "IN_PROGRESS"),
    "attested": (
        {"NOTIFIED", "ACKNOWLEDGED", "IN_PROGRESS", "OVERDUE", "ESCALATED", "ATTESTED", "DISPUTED"},
        "ATTESTED",
    ),
    "verified": ({"ATTESTED", "DISPUTED"}, "VERIFIED"),
    "disputed": ({"ATTESTED", "VERIFIED", "CLOSED", "ESCALATED"}, "DISPUTED"),
    "overdue": ({"OPENED", "NOTIFIED", "ACKNOWLEDGED", "IN_PROGRESS", "OVERDUE", "ESCALATED"}, "OVERDUE"),
    "escalated": ({"OVERDUE", "DISPUTED", "ESCALATED"}, "ESCALATED"),
    "closed": ({"VERIFIED", "ESCALATED"}, "CLOSED"),
    "waived": (set(STATES) - {"CLOSED", "WAIVED"}, "WAIVED"),
    "held": (set(STATES) - {"CLOSED", "WAIVED", "HELD"}, "HELD"),
    "resumed": ({"HELD"}, "IN_PROGRESS"),
}


def standing(state: ObligationState) -> Obligation:
    return obligation(state=state, held_from="IN_PROGRESS", attestation="7" * 64)


@pytest.mark.parametrize("event", get_args(Event))
@pytest.mark.parametrize("state", STATES)
def test_every_event_moves_what_it_may_and_nothing_else(state: ObligationState, event: Event) -> None:
    sources, target = MOVES[event]
    found = next_state(standing(state), event)
    if state in sources:
        assert found == target
    else:
        assert isinstance(found, Refused)
        assert state in found.reason


def test_nothing_is_disputed_that_was_not_attested() -> None:
    found = next_state(obligation(state="ESCALATED"), "disputed")
    assert isinstance(found, Refused)


def names(one: Obligation, now_ms: int) -> list[str]:
    return [found.name for found in find_overdue(one, now_ms)]


def test_deadlines_pass_one_after_the_other_and_a_millisecond_decides() -> None:
    one = obligation()
    assert names(one, one.acknowledge_by_ms) == []
    assert names(one, one.acknowledge_by_ms + 1) == ["acknowledge"]
    assert names(one, one.attest_by_ms + 1) == ["acknowledge", "delete", "attest"]
    assert [found.code for found in find_overdue(one, one.attest_by_ms + 1)] == [
        "DELETION_ACK_OVERDUE",
        "DELETION_OVERDUE",
        "DELETION_OVERDUE",
    ]


def test_each_is_found_once() -> None:
    one = obligation(state="OVERDUE", overdue=("acknowledge",))
    assert names(one, one.delete_by_ms + 1) == ["delete"]


def test_what_was_answered_is_not_overdue() -> None:
    one = obligation(state="ACKNOWLEDGED", acknowledged_at_ms=NOW_MS)
    assert names(one, one.acknowledge_by_ms + 1) == []
    reported = replace(one, state="IN_PROGRESS", reported_at_ms=NOW_MS)
    assert names(reported, reported.delete_by_ms + 1) == []
    assert names(reported, reported.attest_by_ms + 1) == ["attest"]


@pytest.mark.parametrize("state", ["ATTESTED", "VERIFIED", "DISPUTED", "CLOSED", "WAIVED", "HELD"])
def test_nothing_is_overdue_once_attested_ended_or_held(state: ObligationState) -> None:
    assert names(obligation(state=state), NOW_MS + 1_000 * DAY_MS) == []


def test_deadlines_are_later_by_what_holds_lasted() -> None:
    later = deadlines_of(obligation(held_total_ms=DAY_MS))
    assert [one.by_ms - NOW_MS for one in later] == [2 * DAY_MS, 8 * DAY_MS, 11 * DAY_MS]


def test_steps_come_in_their_order() -> None:
    taken: tuple[str, ...] = ()
    for step in STEPS:
        assert next_step(obligation(steps=taken)) == step
        taken += (step,)
    assert next_step(obligation(steps=taken)) is None
