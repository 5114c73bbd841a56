"""The marks of erased people in a file: durable, complete, and whatever a crash cut short is no mark."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from ledger.errors import StoreError
from ledger.vault.suppressions import SuppressionFile

MARKS = [bytes([number]) * 32 for number in range(3)]


def test_what_is_kept_is_loaded(tmp_path: Path) -> None:
    file = SuppressionFile(tmp_path / "erased")
    assert file.load() == set()
    file.keep(MARKS[:2])
    file.keep(MARKS[2:])
    file.keep(MARKS[:1])
    assert file.load() == set(MARKS)


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    SuppressionFile(tmp_path / "erased").keep(MARKS)
    assert (tmp_path / "erased").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kept", range(1, 66))
def test_a_line_that_was_cut_short_is_no_mark_and_hides_no_later_one(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "erased"
    file = SuppressionFile(path)
    file.keep(MARKS[:1])
    whole = path.read_bytes()
    file.keep(MARKS[1:2])
    path.write_bytes(path.read_bytes()[: len(whole) + kept])
    assert MARKS[0] in file.load() <= set(MARKS[:2])
    file.keep(MARKS[2:])
    assert {MARKS[0], MARKS[2]} <= file.load() <= set(MARKS)


def test_no_mark_writes_nothing(tmp_path: Path) -> None:
    SuppressionFile(tmp_path / "erased").keep([])
    assert not (tmp_path / "erased").exists()


def test_a_file_that_cannot_be_written_is_told_before_anything_is_destroyed(tmp_path: Path) -> None:
    (tmp_path / "erased").mkdir()
    with pytest.raises(StoreError, match="nothing was destroyed"):
        SuppressionFile(tmp_path / "erased").keep(MARKS)
    with pytest.raises(StoreError, match="cannot be read"):
        SuppressionFile(tmp_path / "erased").load()


def test_a_mark_that_found_no_room_is_an_error_and_no_mark(tmp_path: Path) -> None:
    kept = SuppressionFile(tmp_path / "checkpoint.erased")
    kept.keep(MARKS[:1])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Room for half a line more: the system writes what fits and says so.
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "checkpoint.erased").stat().st_size + 33, hard))
    try:
        with pytest.raises(StoreError, match="nothing was destroyed"):
            kept.keep(MARKS[1:2])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert kept.load() == set(MARKS[:1])
    kept.keep(MARKS[1:2])
    assert kept.load() == set(MARKS[:2])
