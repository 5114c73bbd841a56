"""Time, randomness and the entry codec, injected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ledger.core.canonical import JsonValue
from ledger.core.entries import Entry


class Clock(Protocol):
    """The time, injected so that tests and the reenactment can run on a clock of their own."""

    def now_ms(self) -> int:
        """Milliseconds UTC; may go backwards, as host clocks do."""
        ...


class Stopwatch(Protocol):
    """Measures how long something takes, whatever happens to the clock; production uses the host's monotonic clock."""

    def __call__(self) -> float:
        """Seconds since some instant of this process; never goes back, and nobody can set it."""
        ...


class Randomness(Protocol):
    """Random bytes, injected; production uses the operating system's."""

    def token(self, size_bytes: int) -> bytes:
        """``size_bytes`` unpredictable bytes."""
        ...


class Codec(Protocol):
    """Entry bytes <-> members, as ``ledger.core.entries.codec`` defines them, possibly faster."""

    def encode(self, members: Mapping[str, JsonValue]) -> bytes:
        """Canonical bytes; raises FormatError exactly where ``encode_entry`` does."""
        ...

    def check_stated(self, members: Mapping[str, JsonValue]) -> bool:
        """Whether the members that are there are surely well typed for their kind; False where it is not sure."""
        ...

    def encode_checked(self, members: Mapping[str, JsonValue]) -> bytes:
        """:meth:`encode` of members whose stated ones passed :meth:`check_stated`.

        What was added since is the ledger's own: looked up in the history, decided by the gate, or a place in the log.
        """
        ...

    def decode(self, data: bytes) -> Entry:
        """The typed entry; raises FormatError exactly where ``decode_entry`` does. Unlisted members are dropped."""
        ...
