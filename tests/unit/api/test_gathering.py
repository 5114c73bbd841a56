"""Calls that arrive together are worked on together, and each gets its own answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from api.gathering import Gatherer
from api.problems import ProblemError


class Doubler:
    """Doubles numbers, refuses odd hundreds, and may be held up."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may_go = threading.Event()
        self.may_go.set()
        self.at_once = self.at_once_max = 0
        self._lock = threading.Lock()

    def __call__(self, items: Sequence[int]) -> list[int | Exception]:
        with self._lock:
            self.batches.append(list(items))
            self.at_once += 1
            self.at_once_max = max(self.at_once_max, self.at_once)
        self.may_go.wait(10)
        with self._lock:
            self.at_once -= 1
        if 13 in items:
            raise ValueError("thirteen")
        return [ValueError(str(item)) if item == 100 else 2 * item for item in items]


def test_items_of_one_turn_share_a_batch_and_get_their_own_results() -> None:
    work = Doubler()

    async def run() -> list[int]:
        gatherer = Gatherer(work, 1_000)
        return await asyncio.gather(*(gatherer.hand_in(number) for number in range(10)))

    assert asyncio.run(run()) == [2 * number for number in range(10)]
    assert work.batches == [list(range(10))]


def test_a_batch_holds_no_more_than_its_bound() -> None:
    work = Doubler()

    async def run() -> list[int]:
        gatherer = Gatherer(work, 4)
        return await asyncio.gather(*(gatherer.hand_in(number) for number in range(10)))

    assert asyncio.run(run()) == [2 * number for number in range(10)]
    assert max(map(len, work.batches)) == 4


def test_an_item_that_is_refused_does_not_hold_up_its_neighbours() -> None:
    async def run() -> list[int | BaseException]:
        gatherer = Gatherer(Doubler(), 1_000)
        return await asyncio.gather(
            *(gatherer.hand_in(number) for number in (1, 100, 3)), return_exceptions=True
        )

    first, refused, last = asyncio.run(run())
    assert (first, last) == (2, 6)
    assert isinstance(refused, ValueError)


def test_work_that_fails_fails_every_item_of_its_batch_and_no_later_one() -> None:
    async def run() -> tuple[list[int | BaseException], int]:
        gatherer = Gatherer(Doubler(), 1_000)
        failed = await asyncio.gather(
            *(gatherer.hand_in(number) for number in (1, 13)), return_exceptions=True
        )
        return failed, await gatherer.hand_in(2)

    failed, later = asyncio.run(run())
    assert [type(one) for one in failed] == [ValueError, ValueError]
    assert later == 4


def test_what_arrives_while_a_batch_is_worked_on_goes_into_the_next_one() -> None:
    work = Doubler()
    work.may_go.clear()

    async def run() -> list[int]:
        gatherer = Gatherer(work, 1_000)
        waiting = []
        for number in range(8):
            waiting.append(asyncio.ensure_future(gatherer.hand_in(number)))
            await asyncio.sleep(0.01)
        work.may_go.set()
        return await asyncio.gather(*waiting)

    assert asyncio.run(run()) == [2 * number for number in range(8)]
    assert work.batches == [[0], [1, 2, 3, 4, 5, 6, 7]]
    assert work.at_once_max == 1


def test_whoever_has_gone_is_left_out() -> None:
    work = Doubler()
    work.may_go.clear()

    async def run() -> int:
        gatherer = Gatherer(work, 1_000)
        busy = asyncio.ensure_future(gatherer.hand_in(1))
        await asyncio.sleep(0.01)
        gone = asyncio.ensure_future(gatherer.hand_in(2))
        stays = asyncio.ensure_future(gatherer.hand_in(3))
        await asyncio.sleep(0.01)
        gone.cancel()
        busy.cancel()
        work.may_go.set()
        return await stays

    assert asyncio.run(run()) == 6
    assert work.batches == [[1], [3]]


def test_after_everybody_has_gone_it_works_on() -> None:
    work = Doubler()

    async def run() -> int:
        gatherer = Gatherer(work, 1_000)
        gone = asyncio.ensure_future(gatherer.hand_in(1))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0.01)
        return await gatherer.hand_in(2)

    assert asyncio.run(run()) == 4
    assert [2] in work.batches


def test_beyond_its_bound_a_call_is_told_to_come_back() -> None:
    async def run() -> list[int | BaseException]:
        gatherer = Gatherer(Doubler(), 1_000, waiting_max=5)
        return await asyncio.gather(
            *(gatherer.hand_in(number) for number in range(7)), return_exceptions=True
        )

    answers = asyncio.run(run())
    assert answers[:5] == [0, 2, 4, 6, 8]
    for refused in answers[5:]:
        assert isinstance(refused, ProblemError)
        assert refused.problem.kind == "unavailable"
