"""The host's clock and randomness: what a ledger gets outside of tests."""

from __future__ import annotations

import secrets
import time


class SystemClock:
    """The host's clock: a :class:`~ledger.ports.Clock`."""

    def now_ms(self) -> int:
        """Milliseconds UTC."""
        return time.time_ns() // 1_000_000


class SystemRandomness:
    """The operating system's randomness: a :class:`~ledger.ports.Randomness`."""

    def token(self, size_bytes: int) -> bytes:
        """``size_bytes`` unpredictable bytes."""
        return secrets.token_bytes(size_bytes)


SYSTEM_CLOCK = SystemClock()
SYSTEM_RANDOMNESS = SystemRandomness()
