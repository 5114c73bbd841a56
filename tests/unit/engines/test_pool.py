"""Chunks in order over several processes, and nothing of them left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ledger.engines import pool
from ledger.engines.chunk import ScanJob
from ledger.engines.duck import DuckEngine
from ledger.engines.pool import scan_chunks, worker_environment
from ledger.ports import Block
from tests.support.forged_logs import MemoryLog, encode_log, ignore_progress, open_log, pad


def make_entries() -> list[bytes]:
    log = open_log()
    pad(log, 999)
    return encode_log(log)


ENTRIES = make_entries()


def scan(source: MemoryLog, size: int, scratch: Path, processes: int = 1) -> list[tuple[int, int]]:
    job = ScanJob(source, scratch, with_index=False, with_identities=False, secret=b"secret of a test")
    return [(result.facts.first, result.facts.count) for result in scan_chunks(job, size, processes)]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CHUNK_ENTRIES", 256)


@pytest.mark.parametrize("processes", [1, 2])
def test_chunks_come_in_order_and_the_last_one_is_the_first_that_is_not_whole(
    tmp_path: Path, processes: int
) -> None:
    expected = [(0, 256), (256, 256), (512, 256), (768, 232)]
    assert scan(MemoryLog(ENTRIES), 10**15, tmp_path, processes) == expected


def test_an_empty_log_is_one_empty_chunk(tmp_path: Path) -> None:
    assert scan(MemoryLog([]), 0, tmp_path) == [(0, 0)]


class Holed(MemoryLog):
    """A log of which the second group cannot be read."""

    def read_block(self, first: int, count: int) -> Block:
        return Block(first, [], fault="gone") if first == 256 else super().read_block(first, count)


def test_nothing_is_read_after_what_cannot_be_read(tmp_path: Path) -> None:
    assert scan(Holed(ENTRIES), 1_000, tmp_path) == [(0, 256), (256, 0)]


@pytest.mark.parametrize("before", [None, "7"])
def test_the_environment_of_children_is_theirs_alone(
    before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    if before is not None:
        monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", before)
    with worker_environment():
        assert os.environ["MALLOC_TRIM_THRESHOLD_"] == str(512 << 20)
    assert os.environ.get("MALLOC_TRIM_THRESHOLD_") == before


def test_a_reading_leaves_nothing_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    reading = DuckEngine(1).read(
        MemoryLog(ENTRIES), 1_000, with_index=True, with_identities=False, on_progress=ignore_progress
    )
    assert sum(facts.count for facts in reading.chunks()) == 1_000
    assert reading.repeated_uids() == []
    assert list(tmp_path.iterdir())
    reading.close()
    assert list(tmp_path.iterdir()) == []
