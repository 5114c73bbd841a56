"""Calls that arrive at the same time are worked on together: one look-up, one transaction, one signature after another.

A single call that waits for a disk costs the same as a thousand that wait together. What arrives while a batch is being
worked on goes into the next one; nobody waits for a batch to fill. There is one batch at a time: a second one could be
prepared while the first is on its way to the disk, but the threads then take the interpreter from each other and from the
event loop, and batches are half as long, which costs more than it gains (a fifth of the calls, measured).

All state is the event loop's; only the work itself runs in a thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Generic, TypeVar

from api.problems import ProblemError

WAITING_MAX: Final = 10_000
"""Beyond so many waiting calls a further one is told to come back: it would wait for longer than its caller does."""

Item = TypeVar("Item")
Made = TypeVar("Made")


class Gatherer(Generic[Item, Made]):
    """Hands items of concurrent calls to ``work`` in batches of at most ``batch_max``; belongs to one event loop.

    ``work`` runs in a thread and returns, for each item in order, what was made of it, or the exception to raise for it.
    An exception that it raises itself is raised for every item of its batch.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Made | Exception]],
        batch_max: int,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        """Nothing is started before the first item."""
        self._work = work
        self._batch_max = batch_max
        self._waiting_max = waiting_max
        self._waiting: deque[tuple[Item, asyncio.Future[Made]]] = deque()
        self._is_busy = False

    async def hand_in(self, item: Item) -> Made:
        """What ``work`` made of ``item``; raises what it said, and ProblemError (503) where too many wait already."""
        if len(self._waiting) >= self._waiting_max:
            raise ProblemError("unavailable", headers={"retry-after": "1"})
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Made] = loop.create_future()
        self._waiting.append((item, future))
        self._schedule(loop)
        return await future

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._waiting and not self._is_busy:
            self._is_busy = True
            # Whatever else arrives in this turn of the loop goes along.
            loop.call_soon(self._begin, loop)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        batch: list[tuple[Item, asyncio.Future[Made]]] = []
        while self._waiting and len(batch) < self._batch_max:
            item, future = self._waiting.popleft()
            if not future.done():
                batch.append((item, future))
        if not batch:
            self._is_busy = False  # whoever waited has gone
            return
        working = loop.run_in_executor(None, self._work, [item for item, _ in batch])
        working.add_done_callback(partial(self._end, loop, [future for _, future in batch]))

    def _end(
        self,
        loop: asyncio.AbstractEventLoop,
        futures: Sequence[asyncio.Future[Made]],
        working: asyncio.Future[Sequence[Made | Exception]],
    ) -> None:
        self._is_busy = False
        error = working.exception()
        made: Sequence[Made | Exception] = (
            working.result() if error is None else [_as_exception(error)] * len(futures)
        )
        for future, one in zip(futures, made, strict=True):
            if future.done():
                continue  # Whoever waited has gone.
            if isinstance(one, Exception):
                future.set_exception(one)
            else:
                future.set_result(one)
        self._schedule(loop)


def _as_exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else RuntimeError("the work was stopped")
