"""How much of the dispatcher one webhook may hold, as pure functions (delivery protocol, section 3.5).

A developer whose server hangs keeps a slot for 3 s a delivery; a dozen of them would keep them all, and everybody else
would wait. So the deliveries that may be under way to one webhook adapt::

    a timeout       half as many as before, at least one
    an answer       one more, up to the bound of all

and webhooks that are slow just now (a timeout, or an answer that took a second or longer) may hold half of all slots
together, those first that have waited longest. Nobody is cut off: whoever answers quickly again is slow no more.

All of it is keyed by webhook id, and none of it decides whether something may be sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SLOW_MS = 1_000
"""From this long on an answer counts as slow."""

SLOW_SHARE = 2
"""Slow webhooks hold at most one of this many parts of all slots."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How one webhook has answered lately: at most ``bound`` deliveries at once."""

    bound: int
    is_slow: bool = False


@dataclass(frozen=True, slots=True)
class ClaimPlan:
    """What to ask the outbox for: ``count_max`` parcels, none beyond the bound less ``busy`` for each webhook."""

    count_max: int
    busy: Mapping[str, int]


def next_pace(pace: Pace, *, is_timeout: bool, took_ms: int, bound_max: int) -> Pace:
    """The pace of a webhook after a delivery that took ``took_ms`` and timed out, or did not."""
    if is_timeout:
        return Pace(max(1, pace.bound // 2), is_slow=True)
    return Pace(min(bound_max, pace.bound + 1), is_slow=took_ms >= SLOW_MS)


def is_usual(pace: Pace, bound_max: int) -> bool:
    """Whether ``pace`` is that of a webhook about which nothing needs to be remembered."""
    return pace.bound >= bound_max and not pace.is_slow


def plan_claim(
    held: Mapping[str, int], paces: Mapping[str, Pace], slots: int, per_webhook_max: int
) -> ClaimPlan:
    """What to claim while ``held`` says how many of ``slots`` each webhook holds.

    ``paces`` has the webhooks that are not usual, those first whose last delivery is longest ago; the others may hold
    ``per_webhook_max``. The outbox takes one bound for all: a lower one is told as slots that are busy.
    """
    busy = dict(held)
    slow_left = slots // SLOW_SHARE - sum(held.get(one, 0) for one, pace in paces.items() if pace.is_slow)
    for webhook, pace in paces.items():
        room = max(0, min(pace.bound, per_webhook_max) - held.get(webhook, 0))
        if pace.is_slow:
            room = min(room, max(0, slow_left))
            slow_left -= room
        busy[webhook] = per_webhook_max - room
    return ClaimPlan(max(0, slots - sum(held.values())), busy)
