"""Connections that are kept between requests, by the caller's key and by nothing else (delivery protocol, section 3.5).

A key has at most so many *slots*, each in use by one request at a time. The one freed last is handed out first, so that
few connections are kept warm where few are needed. Who finds every slot taken waits.

Rules kept here: a connection is handed out only under the key that it was kept for; one in use is never closed by
anybody but its user; what is idle too long, or is surplus, is closed, oldest first. Left to callers: what a key stands
for, and whether a kept connection still fits the request.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Self

from ledger.transport.connection import Connection


class _Key:
    """What is kept and in use under one key; guarded by the lock of its :class:`Slots`."""

    __slots__ = ("freed", "generation", "idle", "in_use", "waiting")

    def __init__(self, lock: threading.Lock) -> None:
        self.freed = threading.Condition(lock)
        self.idle: list[Connection] = []
        self.in_use = 0
        self.waiting = 0
        self.generation = 0


class Slot:
    """The right to use one connection of a key, and the connection; a context manager that gives both back."""

    __slots__ = ("_generation", "_key", "_of", "_slots", "connection")

    def __init__(self, slots: Slots, key: str, of: _Key) -> None:
        self._slots = slots
        self._key = key
        self._of = of
        self._generation = of.generation
        self.connection: Connection | None = None

    def reuse(self, is_fit: Callable[[Connection], bool]) -> Connection | None:
        """The connection kept last that is fit and still stands, now in use; None where there is none.

        Those that are found unfit on the way are closed.
        """
        while (kept := self._slots.take(self._of)) is not None:
            if is_fit(kept) and kept.is_reusable():
                self.connection = kept
                return kept
            kept.close()
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._slots.give_back(self.connection, self._key, self._of, self._generation)


class Slots:
    """The slots of all keys; safe to use from several threads.

    At most ``per_key_max`` slots of one key are in use at once and at most ``idle_max`` connections of all keys are kept.
    Those idle for ``idle_s`` seconds of real time are closed by a thread that lives while there are any; None keeps them.
    """

    def __init__(self, per_key_max: int, idle_max: int, idle_s: float | None) -> None:
        """Start with nothing kept."""
        self._per_key_max = per_key_max
        self._idle_max = idle_max
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._keys: dict[str, _Key] = {}
        # In the order of becoming idle, across keys: the first is the next to be closed.
        self._idle: OrderedDict[Connection, tuple[_Key, str, float]] = OrderedDict()
        self._is_sweeping = False

    def acquire(self, key: str, timeout_s: float | None = None) -> Slot | None:
        """A slot of ``key``, waited for if need be; None where ``timeout_s`` seconds were not enough."""
        with self._lock:
            of = self._keys.get(key)
            if of is None:
                of = self._keys[key] = _Key(self._lock)
            if of.in_use >= self._per_key_max:
                of.waiting += 1
                try:
                    is_free = of.freed.wait_for(lambda: of.in_use < self._per_key_max, timeout_s)
                finally:
                    of.waiting -= 1
                if not is_free:
                    return None
            of.in_use += 1
            return Slot(self, key, of)

    def forget(self, key: str) -> None:
        """Close the connections of ``key``; those in use are closed when they are given back."""
        with self._lock:
            of = self._keys.get(key)
            if of is None:
                return
            of.generation += 1
            closing, of.idle = of.idle, []
            for connection in closing:
                del self._idle[connection]
            self._drop_if_unused(key, of)
        for connection in closing:
            connection.close()

    def close(self) -> None:
        """:meth:`forget` every key; slots can be acquired again afterwards."""
        with self._lock:
            keys = list(self._keys)
        for key in keys:
            self.forget(key)

    def take(self, of: _Key) -> Connection | None:
        """The connection that was kept last, unless it has been idle too long; for :class:`Slot` alone."""
        with self._lock:
            if not of.idle:
                return None
            _, _, since_s = self._idle[of.idle[-1]]
            if self._idle_s is not None and time.monotonic() - since_s >= self._idle_s:
                # So have the others, and they are about to be closed.
                return None
            connection = of.idle.pop()
            del self._idle[connection]
            return connection

    def give_back(self, connection: Connection | None, key: str, of: _Key, generation: int) -> None:
        """End the use of a slot, and keep its connection where it can be used again; for :class:`Slot` alone."""
        surplus: list[Connection] = []
        is_first = False
        with self._lock:
            of.in_use -= 1
            if connection is not None:
                if connection.is_idle() and generation == of.generation:
                    of.idle.append(connection)
                    self._idle[connection] = (of, key, time.monotonic())
                    surplus = self._evict(len(self._idle) - self._idle_max)
                    is_first = self._idle_s is not None and not self._is_sweeping
                    self._is_sweeping |= is_first
                else:
                    surplus = [connection]
            if of.waiting:
                of.freed.notify()
            self._drop_if_unused(key, of)
        for connection in surplus:
            connection.close()
        if is_first:
            threading.Thread(target=self._sweep, name="idle connections", daemon=True).start()

    def _evict(self, count: int) -> list[Connection]:
        """Take the ``count`` connections that are idle longest out of what is kept; the lock is held."""
        evicted = []
        for _ in range(count):
            connection, (of, key, _) = self._idle.popitem(last=False)
            # Connections are pushed in the order of becoming idle, so the oldest of all is the oldest of its key.
            oldest = of.idle.pop(0)
            assert oldest is connection, "two orders of the same connections differ"
            self._drop_if_unused(key, of)
            evicted.append(connection)
        return evicted

    def _drop_if_unused(self, key: str, of: _Key) -> None:
        if not (of.in_use or of.idle or of.waiting) and self._keys.get(key) is of:
            del self._keys[key]

    def _count_overdue(self, cutoff_s: float) -> int:
        for count, (_, _, since_s) in enumerate(self._idle.values()):
            if since_s > cutoff_s:
                return count
        return len(self._idle)

    def _sweep(self) -> None:
        assert self._idle_s is not None
        is_over = False
        while not is_over:
            time.sleep(self._idle_s / 4)
            with self._lock:
                closing = self._evict(self._count_overdue(time.monotonic() - self._idle_s))
                is_over = not self._idle
                self._is_sweeping = not is_over
            for connection in closing:
                connection.close()
