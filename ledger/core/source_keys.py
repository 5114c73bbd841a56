"""Whose keys second sources sign with, and what canaries committed to, by their place in the log (ledger format, 1.5).

A key holds from its entry on until the next one of the same holder, by the order of the log and not by any time that
somebody claims: whoever reads the log up to a place knows which key counts there. Keys of developers have purposes; one
that was set without a purpose is for all of them, until a later one with or without.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

RECEIPTS = "receipts"
"""The purpose of keys that sign delivery receipts."""

SECOND_SOURCE_KINDS = frozenset({"delivery.receipt", "egress.counted", "canary.seen"})
"""What second sources tell of: no fold needs it, and a verifier looks at each."""

Holder = Literal["developer", "proxy"]


class SetKey(NamedTuple):
    """A key (64 hex digits) that was set by entry ``seq``; ``purpose`` is None for all purposes."""

    seq: int
    key: str
    purpose: str | None


class Planted(NamedTuple):
    """A canary that was planted by entry ``seq``."""

    seq: int
    commitment: str


class SourceKeys:
    """Keys of developers and proxies, and canaries, in append order."""

    __slots__ = ("_keys", "canaries")

    def __init__(self) -> None:
        self._keys: dict[tuple[Holder, str], list[SetKey]] = {}
        self.canaries: dict[str, Planted] = {}

    def add(self, entry: Any) -> None:
        """Take a ``developer.key_set``, ``egress.key_set`` or ``canary.planted``."""
        if entry.kind == "canary.planted":
            # An id names one canary: what repeats it was forced in.
            self.canaries.setdefault(entry.canary, Planted(entry.seq, entry.commitment))
        elif entry.kind == "developer.key_set":
            self._add("developer", entry.developer, SetKey(entry.seq, entry.key, entry.purpose))
        else:
            self._add("proxy", entry.proxy, SetKey(entry.seq, entry.key, None))

    def _add(self, holder: Holder, name: str, key: SetKey) -> None:
        self._keys.setdefault((holder, name), []).append(key)

    def in_force(
        self, holder: Holder, name: str, as_of_size: int | None = None, purpose: str = RECEIPTS
    ) -> str | None:
        """The key of a holder in the log of ``as_of_size`` entries (default: all of it), or None."""
        for one in reversed(self._keys.get((holder, name), ())):
            if (as_of_size is None or one.seq < as_of_size) and one.purpose in (None, purpose):
                return one.key
        return None

    def proxies(self) -> dict[str, int]:
        """Every proxy that ever had a key, with the seq of its first."""
        return {name: keys[0].seq for (holder, name), keys in self._keys.items() if holder == "proxy"}
