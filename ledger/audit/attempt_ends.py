"""Attempts and how they ended, joined in the order of the log, for what second sources are held against."""

from __future__ import annotations

from typing import Any, NamedTuple


class Waiting(NamedTuple):
    """An attempt whose end was not read yet."""

    position: int
    developer: str
    endpoint: str
    recorded_at: int
    body_bytes: int


class AttemptEnds:
    """What is attempted waits for its first settlement; ``waiting`` are those of which no end was read."""

    def __init__(self) -> None:
        """Nothing read yet."""
        self.waiting: dict[tuple[str, int], Waiting] = {}

    def begin(self, position: int, attempted: Any) -> Waiting | None:
        """Take a ``delivery.attempted``; the earlier one of the same attempt that it takes the place of, in a forged log."""
        key = (attempted.delivery, attempted.attempt)
        before = self.waiting.get(key)
        self.waiting[key] = Waiting(
            position, attempted.developer, attempted.endpoint, attempted.recorded_at, attempted.body_bytes
        )
        return before

    def end(self, settled: Any) -> Waiting | None:
        """The attempt that a ``delivery.settled`` is the first to end, or None."""
        return self.waiting.pop((settled.delivery, settled.attempt), None)
