"""Threads that work off a queue, one item at a time or whatever has queued up, until they are closed.

Lighter than an executor: nobody waits for a result, so an item costs one hand-over and no future.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Generic, Self, TypeVar

import structlog

from ledger.errors import describe_fault

Item = TypeVar("Item")

log = structlog.get_logger()


class Workers(Generic[Item]):
    """``count`` threads that call ``work`` with up to ``batch_max`` items at once; the end of the block closes them.

    ``work`` has nobody to raise to: what it raises is logged, and the thread goes on.
    """

    def __init__(
        self, name: str, count: int, work: Callable[[Sequence[Item]], None], batch_max: int = 1
    ) -> None:
        self._name = name
        self._work = work
        self._batch_max = batch_max
        self._queue: SimpleQueue[Item | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True)
            for number in range(count)
        ]

    def __enter__(self) -> Self:
        """Start the threads."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let everything that was put be worked off, then end the threads."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def put(self, item: Item) -> None:
        """Have ``item`` worked off; never waits."""
        self._queue.put(item)

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            items = [first]
            is_last = False
            while len(items) < self._batch_max and not is_last:
                try:
                    following = self._queue.get_nowait()
                except Empty:
                    break
                if following is None:
                    is_last = True
                else:
                    items.append(following)
            try:
                self._work(items)
            except Exception as error:  # noqa: BLE001 - a thread of its own has nobody to raise to
                log.error("workers.failed", worker=self._name, error=describe_fault(error))
            if is_last:
                return
