"""How large a reenactment is: the sizes of its cast and of its traffic."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes of one reenactment; ``deliveries`` is what they come to, within a tenth or so.

    ``colliding`` pairs of developers share address and path (the precondition of 2018), ``plain`` developers
    share an address only; five near misses (slash, case, query, port, IPv6) are always there. ``bursts`` is
    how often both halves of each pair are active within minutes.
    """

    name: str
    deliveries: int
    addresses: int
    colliding: int
    plain: int
    accounts: int
    people: int
    events_per_account: float
    bursts: int
    burst_events: int
    outages: int
    restarts: int
    challenge_days: int


SCALES: dict[str, Scale] = {
    scale.name: scale
    for scale in (
        Scale("small", 300, 4, 2, 2, 80, 200, 1.6, 2, 10, 4, 4, 180),
        Scale("default", 3_000, 6, 4, 9, 1_200, 2_500, 1.6, 4, 10, 20, 12, 90),
        Scale("large", 20_000, 8, 8, 24, 7_500, 15_000, 1.8, 8, 12, 80, 30, 60),
    )
}
"""The three scales, by name."""
