"""The table of a webhook's validity, and when it is asked next (delivery protocol, section 3.4)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.gateway.validity import (
    FAILING_MAX_MS,
    NEXT,
    RECHECK_MAX_MS,
    RECHECK_MIN_MS,
    VALIDATED_FOR_MS,
    WARNED_AFTER_MS,
    Result,
    Warned,
    after_challenge,
    state_of,
    turn_between,
    warning_of,
)
from ledger.ports.registry import Webhook

AT_MS = 1_500_000_000_000
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
VALID = Webhook(
    "1", "app", "prod", "https://a.example/", True, AT_MS, AT_MS, None, AT_MS + VALIDATED_FOR_MS, None
)
FAILING = replace(VALID, failing_since_ms=AT_MS, reason="it was late")
INVALID = replace(FAILING, is_valid=False)
RESULTS: tuple[Result, ...] = ("passed", "failed", "failed_for_now")


def ask_as_due(webhook: Webhook, result: Result, count: int) -> list[Webhook]:
    """What the webhook is after each of ``count`` challenges that come when they are due, all with one result."""
    seen = []
    for _ in range(count):
        webhook = after_challenge(webhook, result, "some reason", webhook.next_check_at_ms)
        seen.append(webhook)
    return seen


def test_every_state_has_an_answer_to_every_step_that_it_can_meet() -> None:
    steps = ("passed", "failed", "failed_for_now", "failed_too_long")
    assert set(product(("valid", "failing", "invalid"), steps)) - NEXT.keys() == {
        ("valid", "failed_too_long")
    }


@pytest.mark.parametrize("webhook", [VALID, FAILING, INVALID])
def test_a_pass_makes_valid_whatever_was_before(webhook: Webhook) -> None:
    passed = after_challenge(webhook, "passed", None, AT_MS + HOUR_MS)
    assert passed == replace(
        VALID, validated_at_ms=AT_MS + HOUR_MS, next_check_at_ms=AT_MS + HOUR_MS + VALIDATED_FOR_MS
    )


@pytest.mark.parametrize("webhook", [VALID, FAILING, INVALID])
def test_a_failure_for_good_makes_invalid_at_once(webhook: Webhook) -> None:
    failed = after_challenge(webhook, "failed", "wrong token", AT_MS + HOUR_MS)
    assert (failed.is_valid, failed.reason) == (False, "wrong token")


def test_a_failure_that_may_pass_leaves_a_webhook_valid() -> None:
    failed = after_challenge(VALID, "failed_for_now", "it was late", AT_MS + HOUR_MS)
    assert state_of(failed) == "failing"
    assert (failed.failing_since_ms, failed.reason) == (AT_MS + HOUR_MS, "it was late")


def test_a_failure_that_may_pass_keeps_an_invalid_webhook_invalid() -> None:
    assert state_of(after_challenge(INVALID, "failed_for_now", "late", AT_MS + HOUR_MS)) == "invalid"


@pytest.mark.parametrize(("after_ms", "state"), [(-1, "failing"), (0, "invalid"), (1, "invalid")])
def test_a_webhook_that_fails_for_28_hours_is_invalid(after_ms: int, state: str) -> None:
    late = after_challenge(FAILING, "failed_for_now", "late", AT_MS + FAILING_MAX_MS + after_ms)
    assert state_of(late) == state


def test_what_failed_since_when_outlives_each_failure() -> None:
    seen = ask_as_due(VALID, "failed_for_now", 20)
    assert {webhook.failing_since_ms for webhook in seen} == {VALID.next_check_at_ms}


def test_a_valid_webhook_is_asked_again_after_a_day() -> None:
    assert after_challenge(VALID, "passed", None, AT_MS).next_check_at_ms == AT_MS + 24 * HOUR_MS


def test_a_failing_webhook_is_asked_after_a_minute_then_ever_less_often_up_to_every_half_hour() -> None:
    due = [VALID.next_check_at_ms, *(one.next_check_at_ms for one in ask_as_due(VALID, "failed_for_now", 9))]
    waits = [(later - earlier) // MINUTE_MS for earlier, later in pairwise(due)]
    assert waits == [1, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_webhook_that_always_fails_is_decided_about_when_its_28_hours_are_over() -> None:
    seen = ask_as_due(VALID, "failed_for_now", 80)
    since_ms = VALID.next_check_at_ms
    turned = next(place for place, webhook in enumerate(seen) if not webhook.is_valid)
    assert seen[turned - 1].next_check_at_ms == since_ms + FAILING_MAX_MS


def test_an_invalid_webhook_is_asked_every_half_hour_for_as_long_as_it_fails() -> None:
    seen = ask_as_due(INVALID, "failed", 200)
    waits = {later.next_check_at_ms - earlier.next_check_at_ms for earlier, later in pairwise(seen)}
    assert waits == {RECHECK_MAX_MS}


def test_a_webhook_that_has_just_become_invalid_is_asked_again_after_a_minute() -> None:
    assert after_challenge(VALID, "failed", "wrong", AT_MS).next_check_at_ms == AT_MS + RECHECK_MIN_MS


def test_a_clock_that_went_back_makes_no_wait_shorter_than_the_shortest() -> None:
    early = after_challenge(FAILING, "failed_for_now", "late", AT_MS - HOUR_MS)
    assert early.next_check_at_ms == AT_MS - HOUR_MS + RECHECK_MIN_MS


@pytest.mark.parametrize(
    ("before", "after", "turn"),
    [
        (VALID, INVALID, "endpoint.failed"),
        (FAILING, INVALID, "endpoint.failed"),
        (INVALID, VALID, "endpoint.verified"),
        (VALID, VALID, None),
        (VALID, FAILING, None),
        (FAILING, VALID, None),
        (INVALID, INVALID, None),
    ],
)
def test_an_entry_tells_of_each_turn_and_of_nothing_else(
    before: Webhook, after: Webhook, turn: str | None
) -> None:
    assert turn_between(before, after) == turn


@pytest.mark.parametrize("webhook", [VALID, INVALID])
def test_only_a_webhook_that_fails_is_warned_about(webhook: Webhook) -> None:
    assert warning_of(webhook, AT_MS + 27 * HOUR_MS) is None


@pytest.mark.parametrize(
    ("after_ms", "warned"),
    [(WARNED_AFTER_MS - 1, None), (WARNED_AFTER_MS, Warned(AT_MS, AT_MS + FAILING_MAX_MS))],
)
def test_a_warning_comes_after_some_hours_and_says_when_it_ends(after_ms: int, warned: Warned | None) -> None:
    assert warning_of(FAILING, AT_MS + after_ms) == warned


@given(
    st.lists(
        st.tuples(st.sampled_from(RESULTS), st.integers(min_value=0, max_value=40 * HOUR_MS)), max_size=40
    )
)
def test_whatever_comes_a_webhook_is_due_within_a_day_and_failing_no_longer_than_allowed(
    steps: list[tuple[Result, int]],
) -> None:
    webhook, at_ms = VALID, AT_MS
    for result, passed_ms in steps:
        at_ms += passed_ms
        webhook = after_challenge(webhook, result, None if result == "passed" else "reason", at_ms)
        assert at_ms < webhook.next_check_at_ms
        assert webhook.next_check_at_ms <= at_ms + VALIDATED_FOR_MS
        assert (webhook.reason is None) == (webhook.failing_since_ms is None)
        if state_of(webhook) == "failing":
            assert webhook.failing_since_ms is not None
            assert at_ms - webhook.failing_since_ms < FAILING_MAX_MS
