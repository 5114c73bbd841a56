"""The record of the last signed checkpoint: whole, guarded, and held by one."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ledger.errors import ForkError, StoreError
from ledger.store.record import FileCheckpointRecord


@pytest.fixture
def record(tmp_path: Path) -> FileCheckpointRecord:
    return FileCheckpointRecord(tmp_path / "signed")


def test_there_is_no_record_before_the_first_swap(record: FileCheckpointRecord) -> None:
    assert record.load() is None


def test_a_swap_from_what_is_there_replaces_it(record: FileCheckpointRecord) -> None:
    record.compare_and_swap(None, b"one")
    record.compare_and_swap(b"one", b"two")
    assert record.load() == b"two"


@pytest.mark.parametrize("expected", [None, b"", b"zero"])
def test_a_swap_from_anything_else_is_a_fork_and_changes_nothing(
    record: FileCheckpointRecord, expected: bytes | None
) -> None:
    record.compare_and_swap(None, b"one")
    with pytest.raises(ForkError):
        record.compare_and_swap(expected, b"two")
    assert record.load() == b"one"


def test_of_many_swaps_from_one_state_exactly_one_wins(record: FileCheckpointRecord, tmp_path: Path) -> None:
    won: list[bytes] = []
    start = threading.Barrier(16)

    def swap(number: int) -> None:
        start.wait()
        try:
            FileCheckpointRecord(tmp_path / "signed").compare_and_swap(None, b"%d" % number)
            won.append(b"%d" % number)
        except ForkError:
            return

    threads = [threading.Thread(target=swap, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [record.load()] == won


def test_the_lock_is_held_by_one_and_given_back(record: FileCheckpointRecord, tmp_path: Path) -> None:
    other = FileCheckpointRecord(tmp_path / "signed")
    with record.lock(), pytest.raises(StoreError, match="another sealer"), other.lock():
        raise AssertionError("two hold one lock")
    with other.lock():
        assert other.load() is None


def test_a_lock_that_is_given_back_in_time_is_waited_for(
    record: FileCheckpointRecord, tmp_path: Path
) -> None:
    patient = FileCheckpointRecord(tmp_path / "signed", lock_wait_s=30)
    is_held, give_back = threading.Event(), threading.Event()

    def hold() -> None:
        with record.lock():
            is_held.set()
            give_back.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert is_held.wait(10)
    threading.Timer(0.1, give_back.set).start()
    with patient.lock():
        assert give_back.is_set(), "only one holds it at a time"
    holder.join()


def test_a_swap_that_fails_before_the_rename_leaves_the_old_record(tmp_path: Path) -> None:
    def fail(step: str) -> None:
        if step == "record.written":
            raise OSError(28, "No space left on device")

    FileCheckpointRecord(tmp_path / "signed").compare_and_swap(None, b"one")
    record = FileCheckpointRecord(tmp_path / "signed", fail)
    with pytest.raises(StoreError, match="free some space"):
        record.compare_and_swap(b"one", b"two")
    assert record.load() == b"one"


def test_a_directory_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    record = FileCheckpointRecord(tmp_path / "nowhere" / "signed")
    with pytest.raises(StoreError, match="nowhere"):
        record.compare_and_swap(None, b"one")
