"""Legal holds and erasures as the entries have them (ledger format, sections 1.2 and 1.5; verdict rules, section 2.3).

A hold stands from its ``hold.placed`` on, by the order of the log, until its ``hold.lifted`` or until the instant that it
was placed for. Whose it is, an account's or an incident's, stands in the entry; a hold on an incident is spelled out by one
``hold.placed`` of the same hold for each person concerned, so that the log alone says who may not be erased, and each of
them finds it among its own entries. One ``hold.lifted`` ends all of them.

While a hold on an account stands the ledger refuses to append ``subject.erased`` for it (:mod:`ledger.core.admission`);
found in a log all the same it was forced in, and is ``HOLD_VIOLATED``.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple


class Placed(NamedTuple):
    """A hold was placed by entry ``seq``: on an account (a tag), an incident, or an account because of an incident."""

    hold: str
    seq: int
    account: str | None
    incident: str | None
    until_ms: int | None
    at_ms: int
    actor: str


class Lifted(NamedTuple):
    """A hold was lifted by entry ``seq``."""

    seq: int
    at_ms: int
    actor: str


class Holds:
    """Holds and erasures in append order."""

    __slots__ = ("_by_account", "_by_incident", "_names", "erased", "lifted", "placed")

    def __init__(self) -> None:
        self._by_account: dict[str, list[Placed]] = {}
        self._by_incident: dict[str, list[Placed]] = {}
        self._names: dict[str, Placed] = {}
        self.placed: list[Placed] = []
        """Every placement, in append order."""
        self.lifted: dict[str, Lifted] = {}
        """The holds that were lifted, and the first time that they were."""
        self.erased: dict[str, int] = {}
        """The tags that were erased, and the seq of the first entry that says so."""

    def add(self, entry: Any) -> None:
        """Take a ``hold.placed``, ``hold.lifted`` or ``subject.erased``."""
        if entry.kind == "subject.erased":
            self.erased.setdefault(entry.account, entry.seq)
        elif entry.kind == "hold.lifted":
            self.lifted.setdefault(entry.hold, Lifted(entry.seq, entry.at, entry.actor))
        else:
            placed = Placed(
                entry.hold, entry.seq, entry.account, entry.incident, entry.until, entry.at, entry.actor
            )
            self.placed.append(placed)
            self._names.setdefault(entry.hold, placed)
            if entry.account is not None:
                self._by_account.setdefault(entry.account, []).append(placed)
            elif entry.incident is not None:
                self._by_incident.setdefault(entry.incident, []).append(placed)

    def is_placed(self, hold: str, as_of_size: int | None = None) -> bool:
        """Whether ``hold`` was ever placed in the log of ``as_of_size`` entries (default: all of it)."""
        first = self._names.get(hold)
        return first is not None and (as_of_size is None or first.seq < as_of_size)

    def stands(self, hold: str, at_ms: int) -> bool:
        """Whether ``hold`` was placed and has not ended at ``at_ms``."""
        end_ms = self.end_of(hold)
        return self.is_placed(hold) and (end_ms is None or at_ms < end_ms)

    def first_of(self, hold: str) -> Placed | None:
        """How ``hold`` was placed at first: on its incident, or on its account; None where it never was."""
        return self._names.get(hold)

    def end_of(self, hold: str) -> int | None:
        """When ``hold`` ended, or will by itself: lifted, or the instant it was placed for; None where it goes on."""
        first, lifted = self._names.get(hold), self.lifted.get(hold)
        ends = (None if first is None else first.until_ms, None if lifted is None else lifted.at_ms)
        return min((at_ms for at_ms in ends if at_ms is not None), default=None)

    def standing_on(self, account: str, at_ms: int, as_of_size: int | None = None) -> list[Placed]:
        """The holds on ``account`` (a tag) that stand at ``at_ms``, in the order in which they were placed."""
        return [one for one in self._by_account.get(account, ()) if self._stands(one, at_ms, as_of_size)]

    def standing_on_incidents(self, incidents: Collection[str], at_ms: int) -> list[Placed]:
        """The holds that stand on any of ``incidents`` at ``at_ms``."""
        return [
            one
            for incident in sorted(incidents)
            for one in self._by_incident.get(incident, ())
            if self._stands(one, at_ms, None)
        ]

    def held_incidents(self, at_ms: int) -> frozenset[str]:
        """The incidents on which a hold stands at ``at_ms``."""
        return frozenset(
            incident
            for incident, placed in self._by_incident.items()
            if any(self._stands(one, at_ms, None) for one in placed)
        )

    def _stands(self, placed: Placed, at_ms: int, as_of_size: int | None) -> bool:
        if as_of_size is not None and placed.seq >= as_of_size:
            return False
        if placed.until_ms is not None and at_ms >= placed.until_ms:
            return False
        lifted = self.lifted.get(placed.hold)
        # What is placed behind the lifting of its own hold was forced in, and holds: nothing is erased by a trick.
        return (
            lifted is None or lifted.seq < placed.seq or (as_of_size is not None and lifted.seq >= as_of_size)
        )
