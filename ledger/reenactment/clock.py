"""The virtual clock of a reenactment, and what fails when."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.reenactment.receivers import Behaviour
from ledger.reenactment.traffic import Outage


class VirtualClock:
    """Stands at ``at_ms``, in milliseconds UTC, until it is set on."""

    def __init__(self, at_ms: int) -> None:
        """Begin at ``at_ms``."""
        self.at_ms = at_ms

    def now_ms(self) -> int:
        """The time."""
        return self.at_ms


class OutageTable:
    """How each developer's servers behave at the clock's time."""

    def __init__(self, outages: Sequence[Outage], clock: VirtualClock) -> None:
        """Arrange ``outages`` by developer."""
        self._clock = clock
        self._by_developer: dict[str, list[Outage]] = {}
        for outage in outages:
            self._by_developer.setdefault(outage.developer, []).append(outage)

    def behaviour(self, developer: str) -> Behaviour:
        """What ``developer`` does now; the first outage that covers the time decides."""
        at_ms = self._clock.at_ms
        for outage in self._by_developer.get(developer, ()):
            if outage.from_ms <= at_ms < outage.until_ms:
                return outage.behaviour
        return "answer"
