"""The retry schedule."""

from __future__ import annotations

import re

import pytest

from ledger.core import retry
from ledger.core.retry import RETRY_WAITS_MS, is_delivered, next_attempt_at_ms


@pytest.mark.parametrize(("attempt", "wait_ms"), [(1, 3_000), (2, 27_000), (3, 242_000)])
def test_each_failed_attempt_is_followed_after_its_wait(attempt: int, wait_ms: int) -> None:
    assert next_attempt_at_ms(attempt, 1_000_000) == 1_000_000 + wait_ms


def test_after_the_last_attempt_comes_the_dead_letter() -> None:
    assert next_attempt_at_ms(4, 1_000_000) is None


def test_an_app_may_have_a_longer_schedule() -> None:
    assert next_attempt_at_ms(4, 0, (*RETRY_WAITS_MS, 600_000)) == 600_000


def test_an_attempt_before_the_first_is_impossible() -> None:
    with pytest.raises(AssertionError):
        next_attempt_at_ms(0, 0)


@pytest.mark.parametrize("status", [None, 201, 204, 301, 404, 500])
def test_only_status_200_is_success(status: int | None) -> None:
    assert is_delivered(200)
    assert not is_delivered(status)


def test_the_docstring_tells_the_schedule_that_is_kept() -> None:
    told = [int(second) * 1000 for second in re.findall(r"at (\d+) s", retry.__doc__ or "")]
    kept = [0]
    while (at_ms := next_attempt_at_ms(len(kept), kept[-1])) is not None:
        kept.append(at_ms)
    assert told == kept
