"""The time of a simulation: a host clock that can be set, and a stopwatch that cannot."""

from __future__ import annotations

from tests.support.log_world import START_MS, SetClock


class SimulatedClock(SetClock):
    """A clock that stands where it is set. Setting it forward lets time pass; :meth:`jump` and setting it back do not."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self._passed_ms = 0
        self._ms = now_ms

    @property
    def ms(self) -> int:
        """What the host's clock says."""
        return self._ms

    @ms.setter
    def ms(self, now_ms: int) -> None:
        self._passed_ms += max(0, now_ms - self._ms)
        self._ms = now_ms

    def jump(self, by_ms: int) -> None:
        """Somebody sets the clock."""
        self._ms += by_ms

    def seconds(self) -> float:
        """How much time has passed."""
        return self._passed_ms / 1_000
