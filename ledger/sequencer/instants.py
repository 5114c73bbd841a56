"""The instants at which entries are recorded, so that what comes later in the log comes later in time where that counts.

``recorded_at`` never decreases (ledger format, section 1.1), and many entries share a millisecond: all of them while a clock
that went back is clamped. Of equal times the restriction holds, and of two events of one thing the first (verdict rules,
section 2.1). So a delivery would be accused of a suspension that was recorded after it, and a reinstatement would change
nothing, for no other reason than that the clock stood still.

Therefore an entry that *turns* something (a party's standing or owner, a grant's terms or life) and that takes effect when it
is recorded never shares its millisecond with a delivery that was recorded before it, nor with an earlier turn of the same
thing: it gets the next one. An entry that states its own ``at`` (history from a file, a platform's record) is taken at its
word and moves nothing. And a settlement is not recorded before the first byte that it tells of, so that whatever is recorded
after it takes effect after that byte.

**Bound.** ``recorded_at`` can run ahead of the clock by 1 ms for each change between deliveries and turns, or turn of the
same thing, that happens faster than the clock goes on: half a second in a batch of a thousand that alternate, 1 ms for a
thousand grants that are revoked in a row, and by a permit's second for a settlement. It stands still then until the clock has
caught up, as after any clock that went back.
"""

from __future__ import annotations

from collections.abc import Mapping

from ledger.core.canonical import JsonValue
from ledger.core.history import STATE_KINDS
from ledger.sequencer.state import Head

SEND_WINDOW_MS = 1_000
"""How long a permit lasts at most (ledger format, section 1.5)."""

TURNING: Mapping[str, str] = {
    "account.suspended": "account",
    "account.reactivated": "account",
    "account.deleted": "account",
    "developer.suspended": "developer",
    "developer.reinstated": "developer",
    "app.transferred": "app",
    "app.suspended": "app",
    "app.reinstated": "app",
    "endpoint.transferred": "endpoint",
    "endpoint.retired": "endpoint",
    "processor.declared": "developer",
    "grant.amended": "grant",
    "grant.suspended": "grant",
    "grant.resumed": "grant",
    "grant.revoked": "grant",
    "grant.invalidated": "grant",
}
"""Kinds that change what stood before, and the member that names the thing."""

_ISSUED = "grant.issued"
"""Not a turn, but an amendment at the same instant would be one version with it."""
_SETTLED = "delivery.settled"

TURNED_MAX = 1_000
"""How many turned things of one millisecond are kept apart; with more, the next turn gets the next millisecond."""

Thing = tuple[str, str]


class Instants:
    """When the next entries after ``head`` are recorded, beginning with ``now_ms``, which is not before ``head``.

    ``latest_start_ms`` is when the last first byte left that is not settled yet. Every entry is asked about by :meth:`of`,
    and told to :meth:`take` where it goes in.
    """

    __slots__ = ("is_shared", "now_ms", "turned")

    def __init__(self, head: Head, now_ms: int, latest_start_ms: int) -> None:
        is_later = now_ms > head.recorded_at_ms
        self.now_ms = now_ms
        self.is_shared = latest_start_ms >= now_ms or (head.is_shared and not is_later)
        self.turned: set[Thing] = set() if is_later else set(head.turned)

    def of(self, kind: str, members: Mapping[str, JsonValue]) -> int:
        """The instant of an entry of ``kind`` with the stated ``members``, of which any may be malformed."""
        now_ms = self.now_ms
        if kind == _SETTLED:
            started_at_ms = members.get("started_at")
            # Of others' deliveries the time is their claim, by a clock of their own.
            if members.get("via") == "gate" and type(started_at_ms) is int and started_at_ms > now_ms:
                return min(started_at_ms, now_ms + SEND_WINDOW_MS)
        elif (
            kind in TURNING
            and "at" not in members
            and (self.is_shared or _thing(kind, members) in self.turned)
        ):
            return now_ms + 1
        return now_ms

    def take(self, kind: str, members: Mapping[str, JsonValue], at_ms: int) -> None:
        """An entry of ``kind`` with all its ``members`` goes in at ``at_ms``, which :meth:`of` gave."""
        if at_ms > self.now_ms:
            self.now_ms, self.is_shared = at_ms, False
            self.turned.clear()
        if kind in TURNING or kind == _ISSUED:
            if members["at"] == at_ms:
                self.turned.add(_thing(kind, members))
                if len(self.turned) > TURNED_MAX:
                    self.turned.clear()
                    self.is_shared = True
        elif kind not in STATE_KINDS:
            self.is_shared = True


def _thing(kind: str, members: Mapping[str, JsonValue]) -> Thing:
    family = TURNING.get(kind, "grant")
    return family, str(members.get(family))
