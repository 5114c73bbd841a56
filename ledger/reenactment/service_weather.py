"""Which developers' servers fail at the moment, while the traffic is played through a service.

Outages of the plan have virtual times; here they begin and end as steps. Receivers ask from their own thread.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable

from ledger.reenactment.receivers import Behaviour, Received
from ledger.reenactment.traffic import Outage


class Weather:
    """The outages that are on; safe from any thread."""

    def __init__(self) -> None:
        """Begin with everybody well."""
        self._lock = threading.Lock()
        self._on: list[Outage] = []
        self._met: Counter[str] = Counter()

    def begin(self, outage: Outage) -> None:
        """Begin ``outage``; where two cover one developer, the one that began first decides."""
        with self._lock:
            self._on.append(outage)

    def end(self, outage: Outage) -> None:
        """End ``outage``, if it is still on."""
        with self._lock:
            if outage in self._on:
                self._on.remove(outage)

    def clear(self, developers: Iterable[str] | None = None) -> None:
        """End all outages of ``developers``, or of everybody."""
        gone = None if developers is None else set(developers)
        with self._lock:
            self._on = [] if gone is None else [one for one in self._on if one.developer not in gone]

    def is_on(self, outage: Outage) -> bool:
        """Whether ``outage`` is on."""
        with self._lock:
            return outage in self._on

    def met(self, developer: str) -> int:
        """How many requests, or tries to connect, failed at ``developer`` so far, at least."""
        with self._lock:
            return self._met[developer]

    def behaviour(self, developer: str) -> Behaviour:
        """What the servers of ``developer`` do now; asked at every handshake and at every request."""
        with self._lock:
            behaviour: Behaviour = next(
                (outage.behaviour for outage in self._on if outage.developer == developer), "answer"
            )
            if behaviour == "refuse":
                self._met[developer] += 1
            return behaviour

    def note(self, received: Received) -> None:
        """Count a request that was read and not taken."""
        if received.status != 200:
            with self._lock:
                self._met[received.developer] += 1
