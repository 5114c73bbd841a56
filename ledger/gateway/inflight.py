"""Permits between their decision and the first body byte, and what calls them off (ledger format, section 1.5).

A permit says that an attempt was backed when it was decided. A restriction that is recorded after that (a revocation, a
suspension, a transfer) has to reach whoever holds the permit. :meth:`InFlight.announce` hears of it before the sequencer
reads the clock for it, and from then on no permit that it touches starts: what has started did so before the restriction
takes effect, and nothing starts behind that. Should it come to nothing, the permits that were called off are attempts that
did not start, and are asked about again. :meth:`InFlight.restrict` hears of it once it is durable, before whoever asked for
it is answered; where it was another process that appended it, that is the first to be heard of it. Whoever revokes then waits
for those that were faster: :meth:`InFlight.wait_until_clear`.

Starting is one step: under one lock the clock is read, the permit is still good, and the instant that was read is the one at
which the first byte counts as handed to the socket.

A permit may be called off before its holder has even entered it here (the two were in one batch), so restrictions are
remembered for longer than a permit lasts. Permits of other processes are not seen: where there are such, waiting takes as
long as a permit lasts at most. A permit that was handed out to another system (:meth:`InFlight.lend`) cannot be called back,
so whoever revokes waits for its end.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from types import TracebackType
from typing import Literal, Self

from ledger.core.canonical import JsonValue
from ledger.core.entries import Entry
from ledger.ports import Clock, Permit, Stopwatch
from ledger.sequencer.instants import SEND_WINDOW_MS

REMEMBERED_SECONDS = 5.0 * SEND_WINDOW_MS / 1000

Party = Literal["grant", "account", "developer", "app", "endpoint"]
Key = tuple[Party, str]

RESTRICTIONS: Mapping[str, Party] = {
    "grant.revoked": "grant",
    "grant.suspended": "grant",
    "grant.invalidated": "grant",
    "grant.amended": "grant",
    "subscription.deleted": "grant",
    "account.suspended": "account",
    "account.deleted": "account",
    "subject.erased": "account",
    "developer.suspended": "developer",
    "app.suspended": "app",
    "app.transferred": "app",
    "endpoint.retired": "endpoint",
    "endpoint.transferred": "endpoint",
    "processor.declared": "developer",
}
"""Kinds that can take a backing away, and the party whose permits they call off.

An amendment may as well widen, a declaration permit: a permit that is called off for nothing is asked for again.
"""


class Flight:
    """One permit on its way. Use as a context manager, so that it leaves whatever happens."""

    def __init__(self, permit: Permit, inflight: InFlight, is_called_off: bool) -> None:
        self.permit = permit
        self.is_called_off = is_called_off
        self.is_decided = is_called_off
        """Whether it has started or given up: nothing about it changes any more."""
        self._inflight = inflight

    def __enter__(self) -> Self:
        """Return the flight; the end of the block makes it leave."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave."""
        self.leave()

    def may_start(self) -> int | None:
        """The instant (ms) at which the first body byte leaves, which is now, or None where it may not leave.

        An instant at most once, and then the flight has started.
        """
        return self._inflight.start(self)

    def leave(self) -> None:
        """Say that the attempt is over, sent or not; may be called twice."""
        self._inflight.leave(self)


class Announcement:
    """Restrictions of ``keys`` that are about to be recorded; see :class:`~ledger.ports.permit.Announced`."""

    def __init__(self, inflight: InFlight, keys: frozenset[Key], latest_start_ms: int) -> None:
        self.keys = keys
        self.latest_start_ms = latest_start_ms
        self._inflight = inflight

    def close(self) -> None:
        """Let permits of these parties start again, as far as no restriction was told of."""
        self._inflight.withdraw(self)


class InFlight:
    """The permits of this process. Safe from any thread.

    ``is_alone`` says that no other process sends for this log, or is asked at each wait whether that is so then.
    ``stopwatch`` is the one that permits end by, which is the sequencer's.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        is_alone: bool | Callable[[], bool] = True,
        sleep: Callable[[float], None] = time.sleep,
        stopwatch: Stopwatch = time.monotonic,
    ) -> None:
        self._clock = clock
        self._is_alone: Callable[[], bool] = is_alone if callable(is_alone) else partial(bool, is_alone)
        self._sleep = sleep
        self._stopwatch = stopwatch
        self._changed = threading.Condition()
        self._flights: set[Flight] = set()
        self._restricted: dict[Key, int] = {}
        self._remembered: deque[tuple[float, Key, int]] = deque()
        self._lent: deque[Permit] = deque()
        self._announced: Counter[Key] = Counter()
        self._latest_start_ms = -1

    def enter(self, permit: Permit) -> Flight:
        """The flight of ``permit``, called off already where a restriction after its decision is known."""
        with self._changed:
            is_called_off = self._is_restricted(permit)
            flight = Flight(permit, self, is_called_off)
            if not is_called_off:
                self._flights.add(flight)
        return flight

    def lend(self, permit: Permit) -> bool:
        """Note that ``permit`` is being handed out to another system; False where a restriction came first.

        Then it must not be handed out.
        """
        now_s = self._stopwatch()
        with self._changed:
            while self._lent and self._lent[0].ends_at_s < now_s - SEND_WINDOW_MS / 1_000:
                self._lent.popleft()
            if self._is_restricted(permit):
                return False
            self._lent.append(permit)
        return True

    def start(self, flight: Flight) -> int | None:
        """See :meth:`Flight.may_start`."""
        permit = flight.permit
        with self._changed:
            now_ms = self._clock.now_ms()
            may_start = (
                flight in self._flights
                and not flight.is_decided
                and now_ms < permit.send_before_ms
                and self._stopwatch() < permit.ends_at_s
            )
            flight.is_decided = True
            if may_start:
                self._latest_start_ms = max(now_ms, self._latest_start_ms)
            self._changed.notify_all()
        return now_ms if may_start else None

    def leave(self, flight: Flight) -> None:
        """See :meth:`Flight.leave`."""
        with self._changed:
            flight.is_decided = True
            self._flights.discard(flight)
            self._changed.notify_all()

    def announce(self, stated: Iterable[Mapping[str, JsonValue]]) -> Announcement | None:
        """Call off what entries with the members ``stated`` would touch; see :class:`~ledger.ports.permit.Announce`."""
        keys = frozenset(keys_touched(stated))
        if not keys:
            return None
        with self._changed:
            self._announced.update(keys)
            for flight in self._flights:
                if not flight.is_decided and not keys.isdisjoint(_keys_of(flight.permit)):
                    flight.is_called_off = flight.is_decided = True
            self._changed.notify_all()
            return Announcement(self, keys, self._latest_start_ms)

    def withdraw(self, announcement: Announcement) -> None:
        """See :meth:`Announcement.close`."""
        with self._changed:
            self._announced.subtract(announcement.keys)
            for key in announcement.keys:
                if not self._announced[key]:
                    del self._announced[key]

    def restrict(self, entries: Iterable[Entry]) -> None:
        """Call off the permits that ``entries`` touch and that were decided before them; never waits.

        Handed to the sequencer, which tells of entries as soon as they are durable.
        """
        now_s = self._stopwatch()
        for entry in entries:
            party = RESTRICTIONS.get(entry.kind)
            if party is not None:
                self._restrict((party, getattr(entry, party)), entry.seq, now_s)

    def _restrict(self, key: Key, seq: int, now_s: float) -> None:
        with self._changed:
            while self._remembered and self._remembered[0][0] < now_s - REMEMBERED_SECONDS:
                _, old, old_seq = self._remembered.popleft()
                if self._restricted.get(old) == old_seq:
                    del self._restricted[old]
            self._remembered.append((now_s, key, seq))
            self._restricted[key] = max(seq, self._restricted.get(key, -1))
            for flight in self._flights:
                if not flight.is_decided and flight.permit.seq < seq and key in _keys_of(flight.permit):
                    flight.is_called_off = flight.is_decided = True
            self._changed.notify_all()

    def wait_until_clear(
        self,
        *,
        grant: str | None = None,
        account: str | None = None,
        app: str | None = None,
        developer: str | None = None,
        endpoint: str | None = None,
        timeout_s: float = 2.0 * SEND_WINDOW_MS / 1000,
    ) -> bool:
        """Wait until every permit of one of the parties named has started or given up; False when time ran out.

        Comes after the restriction that calls them off. Where other processes send as well, it waits until their
        permits have ended, which takes :data:`~ledger.sequencer.batch.SEND_WINDOW_MS`.
        """
        named: tuple[tuple[Party, str | None], ...] = (
            ("grant", grant),
            ("account", account),
            ("app", app),
            ("developer", developer),
            ("endpoint", endpoint),
        )
        return self.wait_for_all({(party, value) for party, value in named if value is not None}, timeout_s)

    def wait_for_all(self, keys: AbstractSet[Key], timeout_s: float = 2.0 * SEND_WINDOW_MS / 1000) -> bool:
        """The same for any number of parties at once: one wait, however many there are, and none for none."""
        if not keys:
            return True
        wait_s = self._lent_for_s(keys) if self._is_alone() else SEND_WINDOW_MS / 1_000
        if wait_s:
            self._sleep(wait_s)
        with self._changed:
            return self._changed.wait_for(lambda: not self._is_pending(keys), timeout_s)

    def _lent_for_s(self, keys: AbstractSet[Key]) -> float:
        """How long permits of ``keys`` that were handed out still last, at most as long as any permit does."""
        now_s = self._stopwatch()
        with self._changed:
            ends_s = [one.ends_at_s for one in self._lent if not keys.isdisjoint(_keys_of(one))]
        return min(SEND_WINDOW_MS / 1_000, max(0.0, max(ends_s, default=now_s) - now_s))

    def _is_restricted(self, permit: Permit) -> bool:
        return any(
            key in self._announced or self._restricted.get(key, -1) > permit.seq for key in _keys_of(permit)
        )

    def _is_pending(self, keys: AbstractSet[Key]) -> bool:
        return any(
            not flight.is_decided and not keys.isdisjoint(_keys_of(flight.permit)) for flight in self._flights
        )


def _keys_of(permit: Permit) -> tuple[Key, ...]:
    return (
        ("grant", permit.grant),
        ("account", permit.account),
        ("developer", permit.developer),
        ("app", permit.app),
        ("endpoint", permit.endpoint),
    )


def keys_touched(stated: Iterable[Mapping[str, JsonValue]]) -> Iterator[Key]:
    """The parties that entries of these members restrict; of what is malformed, and so never recorded, none."""
    for members in stated:
        kind = members.get("kind")
        party = RESTRICTIONS.get(kind) if isinstance(kind, str) else None
        value = None if party is None else members.get(party)
        if party is not None and isinstance(value, str):
            yield party, value
