"""Chunks of a log over several processes, results in order.

Workers are *spawned*, never forked: the caller may have threads.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from ledger.engines.chunk import CHUNK_ENTRIES, ChunkResult, ChunkWorker, ScanJob
from ledger.errors import StoreError

AHEAD = 2
"""Chunks under way for each process; more would only hold more results."""

_worker: ChunkWorker | None = None


def _start_worker(job: ScanJob, numbers: Any) -> None:
    global _worker  # noqa: PLW0603 (a pool's initializer has no other place for what its process keeps)
    # What a chunk leaves behind dies by reference counts; looking for cycles only costs.
    gc.disable()
    with numbers.get_lock():
        number = numbers.value
        numbers.value += 1
    _worker = ChunkWorker(job, number)


def _scan_chunk(first: int, count: int) -> ChunkResult:
    assert _worker is not None, "the process was started by _start_worker"
    return _worker.scan_chunk(first, count)


_WORKER_ENVIRONMENT = {
    # Blocks come and go by the thousand; giving their memory back to the system each time costs a tenth of the reading.
    "MALLOC_MMAP_THRESHOLD_": str(256 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(512 << 20),
    "MALLOC_TOP_PAD_": str(64 << 20),
}


@contextmanager
def worker_environment() -> Iterator[None]:
    """Processes spawned inside keep their memory."""
    before = {name: os.environ.get(name) for name in _WORKER_ENVIRONMENT}
    os.environ.update(_WORKER_ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def scan_chunks(job: ScanJob, size: int, processes: int) -> Iterator[ChunkResult]:
    """Scan entries ``0 <= position < size`` up to the first chunk that is not whole, which is the last one given.

    A log of one chunk is scanned in this process; an empty one has one empty chunk.

    Raises StoreError when a worker dies (out of memory, killed): nothing is known then.
    """
    starts = range(0, max(size, 1), CHUNK_ENTRIES)
    if len(starts) <= 1 or processes <= 1:
        worker = ChunkWorker(job, 0)
        for first in starts:
            wanted = min(CHUNK_ENTRIES, size - first)
            result = worker.scan_chunk(first, wanted)
            yield result
            if result.facts.count < wanted:
                return
        return
    context = multiprocessing.get_context("spawn")
    numbers = context.Value("i", 0)
    with worker_environment():
        pool = ProcessPoolExecutor(processes, context, _start_worker, (job, numbers))
        try:
            # Made as they are needed: the size is the source's claim, and may be any number.
            calls = ((first, min(CHUNK_ENTRIES, size - first)) for first in starts)
            for result in _in_order(pool, _scan_chunk, calls, processes):
                yield result
                if result.facts.count < min(CHUNK_ENTRIES, size - result.facts.first):
                    return
        except BrokenProcessPool as error:
            raise StoreError(
                "a verifying process died (out of memory?); run again with --processes 1"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _in_order(
    pool: ProcessPoolExecutor,
    task: Callable[..., ChunkResult],
    calls: Iterable[tuple[int, int]],
    processes: int,
) -> Iterator[ChunkResult]:
    waiting: deque[Future[ChunkResult]] = deque()
    for call in calls:
        waiting.append(pool.submit(task, *call))
        if len(waiting) >= processes * AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
