"""When a failed delivery is tried again, as a pure function (delivery protocol, section 3.5).

Only status 200 is success. The default schedule, with no answer ever coming and each attempt taking no time::

    attempt 1   at 0 s
    attempt 2   at 3 s      (+3 s)
    attempt 3   at 30 s     (+27 s)
    attempt 4   at 272 s    (+242 s)
    dead letter

Each wait counts from the *end* of the failed attempt. Whether a retry may be sent at all is not decided here:
every attempt asks the gate anew.
"""

from __future__ import annotations

from collections.abc import Sequence

RETRY_WAITS_MS: tuple[int, ...] = (3_000, 27_000, 242_000)
"""The default waits before attempts 2, 3 and 4, in milliseconds."""


def is_delivered(status: int | None) -> bool:
    """Whether HTTP ``status`` (None: no answer) ends a delivery as successful."""
    return status == 200


def next_attempt_at_ms(
    attempt: int, ended_at_ms: int, waits_ms: Sequence[int] = RETRY_WAITS_MS
) -> int | None:
    """When to follow failed ``attempt`` (from 1) that ended at ``ended_at_ms``, or None: on to the dead letters.

    ``waits_ms`` is the app's schedule: the wait before attempt 2, 3, and so on.
    """
    if attempt < 1:
        raise AssertionError(f"attempts count from 1, not {attempt}")
    if attempt > len(waits_ms):
        return None
    return ended_at_ms + waits_ms[attempt - 1]
