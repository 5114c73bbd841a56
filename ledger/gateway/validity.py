"""When a webhook is valid, as a table: state x what came of a challenge -> state (delivery protocol, section 3.4).

::

                  passed    failed for good    failed, may pass    the same, for 28 h
    valid         valid     invalid            failing             (cannot be)
    failing       valid     invalid            failing             invalid
    invalid       valid     invalid            invalid             invalid

*Failed for good*: a wrong answer, a redirect, no TLS connection. *May pass*: 4xx, 5xx, too slow, nobody
there (no address, no connection). Deliveries go to valid
and failing webhooks; subscriptions survive all of it, and any pass makes valid again.

When the next challenge is due:

- 24 h after one was passed;
- else after as long as it has been failing, at least 1 min and at most 30 min: after 1, 2, 4, 8, 16, 30, 30, … minutes.
  A server that is restarted is not left out for half an hour, and whoever was not validated for a day is asked every
  30 minutes. A failing one is asked when its 28 h are over, so that this is decided in time.

Failing for more than 4 h is warned about: what will happen, and when.

Pure. Sending, judging an answer and keeping what came of it is :mod:`ledger.gateway.challenges`'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ledger.ports.registry import Webhook

State = Literal["valid", "failing", "invalid"]
Result = Literal["passed", "failed", "failed_for_now"]
Step = Literal["passed", "failed", "failed_for_now", "failed_too_long"]
Turn = Literal["endpoint.verified", "endpoint.failed"]

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS

VALIDATED_FOR_MS = 24 * _HOUR_MS
"""How long a passed challenge needs no other."""

FAILING_MAX_MS = 28 * _HOUR_MS
"""How long a webhook may fail, with failures that may pass, before it is invalid."""

WARNED_AFTER_MS = 4 * _HOUR_MS
"""How long a webhook fails before it is warned about."""

RECHECK_MIN_MS = _MINUTE_MS
RECHECK_MAX_MS = 30 * _MINUTE_MS

NEXT: Mapping[tuple[State, Step], State] = {
    ("valid", "passed"): "valid",
    ("valid", "failed"): "invalid",
    ("valid", "failed_for_now"): "failing",
    ("failing", "passed"): "valid",
    ("failing", "failed"): "invalid",
    ("failing", "failed_for_now"): "failing",
    ("failing", "failed_too_long"): "invalid",
    ("invalid", "passed"): "valid",
    ("invalid", "failed"): "invalid",
    ("invalid", "failed_for_now"): "invalid",
    ("invalid", "failed_too_long"): "invalid",
}


@dataclass(frozen=True, slots=True)
class Warned:
    """A webhook has failed for hours and will be disabled at ``disabled_at_ms`` unless a challenge passes before."""

    failing_since_ms: int
    disabled_at_ms: int


def state_of(webhook: Webhook) -> State:
    """The state that the members of ``webhook`` say."""
    if not webhook.is_valid:
        return "invalid"
    return "valid" if webhook.failing_since_ms is None else "failing"


def warning_of(webhook: Webhook, now_ms: int) -> Warned | None:
    """What the developer of ``webhook`` has to be warned of, or None."""
    since_ms = webhook.failing_since_ms
    if since_ms is None or not webhook.is_valid or now_ms - since_ms < WARNED_AFTER_MS:
        return None
    return Warned(since_ms, since_ms + FAILING_MAX_MS)


def after_challenge(webhook: Webhook, result: Result, reason: str | None, at_ms: int) -> Webhook:
    """``webhook`` after a challenge at ``at_ms`` (the ledger's clock) that came out as ``result``, for ``reason``."""
    state = NEXT[state_of(webhook), _step(webhook, result, at_ms)]
    if state == "valid":
        return replace(
            webhook,
            is_valid=True,
            validated_at_ms=at_ms,
            failing_since_ms=None,
            next_check_at_ms=at_ms + VALIDATED_FOR_MS,
            reason=None,
        )
    since_ms = at_ms if webhook.failing_since_ms is None else webhook.failing_since_ms
    return replace(
        webhook,
        is_valid=state == "failing",
        failing_since_ms=since_ms,
        next_check_at_ms=_next_check_ms(state, since_ms, at_ms),
        reason=reason,
    )


def turn_between(before: Webhook, after: Webhook) -> Turn | None:
    """The entry that the step from ``before`` to ``after`` is, or None where validity stays as it was."""
    if before.is_valid == after.is_valid:
        return None
    return "endpoint.verified" if after.is_valid else "endpoint.failed"


def _step(webhook: Webhook, result: Result, at_ms: int) -> Step:
    since_ms = webhook.failing_since_ms
    if result == "failed_for_now" and since_ms is not None and at_ms - since_ms >= FAILING_MAX_MS:
        return "failed_too_long"
    return result


def _next_check_ms(state: State, since_ms: int, at_ms: int) -> int:
    # A clock that went back makes nothing negative: it counts as having failed since just now.
    failing_ms = max(0, at_ms - since_ms)
    next_ms = at_ms + min(max(failing_ms, RECHECK_MIN_MS), RECHECK_MAX_MS)
    deadline_ms = since_ms + FAILING_MAX_MS
    return min(next_ms, deadline_ms) if state == "failing" and at_ms < deadline_ms else next_ms
