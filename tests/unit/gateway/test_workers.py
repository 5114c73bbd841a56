"""Threads that work off a queue."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from structlog.testing import capture_logs

from ledger.gateway.workers import Workers


def test_everything_that_was_put_is_worked_off_before_the_block_ends() -> None:
    done: list[int] = []
    with Workers[int]("test", 3, done.extend) as workers:
        for number in range(100):
            workers.put(number)
    assert sorted(done) == list(range(100))


def test_whatever_has_queued_up_is_worked_off_at_once_up_to_the_bound() -> None:
    batches: list[list[int]] = []
    go = threading.Event()

    def work(items: Sequence[int]) -> None:
        go.wait(10)
        batches.append(list(items))

    with Workers[int]("test", 1, work, batch_max=4) as workers:
        for number in range(10):
            workers.put(number)
        go.set()
    assert [number for batch in batches for number in batch] == list(range(10))
    assert max(map(len, batches)) == 4


def test_what_work_raises_is_logged_and_the_thread_goes_on() -> None:
    done: list[int] = []

    def work(items: Sequence[int]) -> None:
        if items[0] == 0:
            raise ValueError("on purpose")
        done.extend(items)

    with capture_logs() as told, Workers[int]("test", 1, work) as workers:
        workers.put(0)
        workers.put(1)
    assert done == [1]
    assert [line["event"] for line in told] == ["workers.failed"]
    assert told[0]["error"].startswith("ValueError at ")
    assert "on purpose" not in str(told)
