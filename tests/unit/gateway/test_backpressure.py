"""How much of the dispatcher one webhook may hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ledger.gateway.backpressure import SLOW_MS, Pace, is_usual, next_pace, plan_claim

SLOTS = 32
MOST = 8


def after(*timeouts: bool, start: Pace | None = None, took_ms: int = 20) -> Pace:
    pace = Pace(MOST) if start is None else start
    for is_timeout in timeouts:
        pace = next_pace(pace, is_timeout=is_timeout, took_ms=took_ms, bound_max=MOST)
    return pace


def room(plan_busy: int) -> int:
    return MOST - plan_busy


def test_timeouts_bring_a_webhook_down_to_one_delivery_at_a_time() -> None:
    assert [after(*[True] * times).bound for times in range(6)] == [8, 4, 2, 1, 1, 1]


def test_answers_bring_it_back_one_by_one() -> None:
    slow = after(True, True, True)
    assert [after(*[False] * times, start=slow).bound for times in range(9)] == [1, 2, 3, 4, 5, 6, 7, 8, 8]


def test_a_webhook_that_answers_again_is_usual_and_needs_no_memory() -> None:
    assert not is_usual(after(True), MOST)
    assert is_usual(after(*[False] * 7, start=after(True, True, True)), MOST)


def test_an_answer_that_takes_long_makes_a_webhook_slow_without_lowering_its_bound() -> None:
    assert after(False, took_ms=SLOW_MS) == Pace(MOST, is_slow=True)
    assert after(False, took_ms=SLOW_MS - 1) == Pace(MOST)


def test_a_dozen_hanging_webhooks_leave_slots_for_everybody_else() -> None:
    hanging = {f"hanging-{number}": Pace(1, is_slow=True) for number in range(12)}
    held = dict.fromkeys(hanging, 1)
    plan = plan_claim(held, hanging, SLOTS, MOST)
    assert plan.count_max == SLOTS - 12
    assert all(room(plan.busy[webhook]) == 0 for webhook in hanging)


def test_however_many_webhooks_hang_half_of_the_slots_are_not_theirs() -> None:
    hanging = {f"hanging-{number}": Pace(1, is_slow=True) for number in range(100)}
    plan = plan_claim({}, hanging, SLOTS, MOST)
    assert sum(room(plan.busy[webhook]) for webhook in hanging) == SLOTS // 2


def test_those_slow_webhooks_go_first_that_waited_longest() -> None:
    hanging = {f"hanging-{number}": Pace(1, is_slow=True) for number in range(20)}
    plan = plan_claim({}, hanging, SLOTS, MOST)
    assert [one for one in hanging if room(plan.busy[one])] == [f"hanging-{n}" for n in range(16)]


@given(
    held=st.dictionaries(st.sampled_from("abcdef"), st.integers(0, MOST), max_size=6),
    paces=st.dictionaries(
        st.sampled_from("abcdef"), st.builds(Pace, st.integers(1, MOST), st.booleans()), max_size=6
    ),
    slots=st.integers(1, 64),
)
def test_a_claim_never_exceeds_the_slots_a_webhooks_bound_or_the_share_of_the_slow(
    held: dict[str, int], paces: dict[str, Pace], slots: int
) -> None:
    plan = plan_claim(held, paces, slots, MOST)
    assert plan.count_max == max(0, slots - sum(held.values()))
    slow = 0
    for webhook in held.keys() | paces.keys():
        free = max(0, MOST - plan.busy[webhook])
        pace = paces.get(webhook, Pace(MOST))
        assert free == 0 or held.get(webhook, 0) + free <= pace.bound
        slow += free if pace.is_slow else 0
    held_by_slow = sum(count for webhook, count in held.items() if paces.get(webhook, Pace(MOST)).is_slow)
    assert slow <= max(0, slots // 2 - held_by_slow)
