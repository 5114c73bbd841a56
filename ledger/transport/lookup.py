"""Names to addresses by the system's resolver, within a deadline (delivery protocol, section 3.5).

The system's resolver, because hosts files and the operator's settings have to count. It knows no deadline, so each
question is asked by a thread of its own that the caller stops waiting for. A developer chooses the host and may run
its name server, too, and one that never answers must not use up the threads: a host with questions overdue gets no
further ones, and there are never more than so many threads. Nothing is remembered: every call asks anew.
"""

from __future__ import annotations

import queue
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import CancelledError, Future

Lookup = Callable[[str], tuple[str, ...]]
"""All addresses of a host, in the order to try them; raises OSError where it has none. May take its time."""

THREADS_MAX = 128
"""Most questions under way at once; each waiting thread costs some kilobytes."""

OVERDUE_PER_HOST_MAX = 2
"""How many questions about one host may be overdue before it gets no further ones."""

_IDLE_S = 30.0


class LookupLateError(OSError):
    """The name was not resolved in time."""


def ask_system(host: str) -> tuple[str, ...]:
    """The addresses of ``host`` (ASCII) as the operating system resolves it, in its order of preference."""
    # Bytes: text would go through Python's own IDNA encoding, and hosts are A-labels already.
    found = socket.getaddrinfo(host.encode("ascii"), None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


class TimedLookup:
    """``lookup`` with a deadline; safe to call from several threads. Its threads end when they are idle."""

    def __init__(
        self,
        lookup: Lookup = ask_system,
        threads_max: int = THREADS_MAX,
        overdue_per_host_max: int = OVERDUE_PER_HOST_MAX,
    ) -> None:
        """Ask by ``lookup``; no thread is started before the first question."""
        self._lookup = lookup
        self._threads_max = threads_max
        self._overdue_per_host_max = overdue_per_host_max
        self._questions: queue.SimpleQueue[tuple[str, Future[tuple[str, ...]]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._pending = 0
        self._overdue: Counter[str] = Counter()

    def __call__(self, host: str, timeout_s: float) -> tuple[str, ...]:
        """The addresses of ``host``, asked for now.

        Raises LookupLateError after ``timeout_s`` seconds or where too many earlier questions about the host are
        overdue, OSError where the resolver says no.
        """
        answer: Future[tuple[str, ...]] = Future()
        with self._lock:
            if self._overdue[host] >= self._overdue_per_host_max:
                raise LookupLateError("earlier questions about this name are not answered yet")
            self._pending += 1
            is_short = self._pending > self._threads and self._threads < self._threads_max
            self._threads += is_short
        if is_short:
            threading.Thread(target=self._work, name="name lookup", daemon=True).start()
        self._questions.put((host, answer))
        try:
            return answer.result(timeout_s)
        except (TimeoutError, CancelledError):
            self._give_up(host, answer)
            raise LookupLateError("the name was not resolved in time") from None

    def _give_up(self, host: str, answer: Future[tuple[str, ...]]) -> None:
        if answer.cancel():
            return
        with self._lock:
            self._overdue[host] += 1
        # Runs at once where the answer has come in the meantime.
        answer.add_done_callback(lambda _: self._answered_late(host))

    def _answered_late(self, host: str) -> None:
        with self._lock:
            self._overdue[host] -= 1
            if not self._overdue[host]:
                del self._overdue[host]

    def _work(self) -> None:
        while True:
            try:
                host, answer = self._questions.get(timeout=_IDLE_S)
            except queue.Empty:
                with self._lock:
                    # A question that is about to be put is pending already, and finds a thread.
                    if self._threads > self._pending:
                        self._threads -= 1
                        return
                continue
            if answer.set_running_or_notify_cancel():
                try:
                    answer.set_result(self._lookup(host))
                except Exception as error:  # noqa: BLE001 - the asker's to judge; the thread has to live on
                    answer.set_exception(error)
            with self._lock:
                self._pending -= 1
