"""What a monitor keeps between two starts: whole or not at all, and never taken for what it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger.errors import StoreError
from ledger.store.snapshots import Snapshots


def write(directory: Path) -> dict[str, Any]:
    (directory / "rows").write_bytes(b"rows")
    return {"what": "facts"}


def save(kept: Snapshots, size: int, end: int = 0, settled: int = 0, entries: Any = ((1, b"one"),)) -> int:
    return kept.save(size, write, entries, end, settled)


def sizes(directory: Path) -> list[int]:
    return sorted(int(path.name.removeprefix("snapshot-")) for path in directory.glob("snapshot-*"))


def test_a_snapshot_comes_back_with_its_facts_files_and_entries(tmp_path: Path) -> None:
    end = save(Snapshots(tmp_path), 10, entries=((1, b"one"), (7, b"")))
    kept = Snapshots(tmp_path)
    found = kept.newest()
    assert found is not None
    assert (found[1]["what"], (found[0] / "rows").read_bytes()) == ("facts", b"rows")
    assert list(kept.entries(end)) == [(1, b"one"), (7, b"")]


def test_without_a_snapshot_there_is_none(tmp_path: Path) -> None:
    assert Snapshots(tmp_path / "new").newest() is None


def test_a_later_one_takes_the_place_of_the_earlier_ones_but_the_last_settled_one(tmp_path: Path) -> None:
    kept = Snapshots(tmp_path)
    for size in (10, 20, 30, 40):
        save(kept, size, settled=20)
    assert sizes(tmp_path) == [20, 40]
    save(kept, 50)
    assert sizes(tmp_path) == [50]


def test_entries_are_added_behind_those_that_the_last_snapshot_knows(tmp_path: Path) -> None:
    kept = Snapshots(tmp_path)
    first = save(kept, 10)
    save(kept, 20, first, entries=((2, b"never finished"),))
    end = save(kept, 30, first, entries=((3, b"three"),))
    assert list(kept.entries(end)) == [(1, b"one"), (3, b"three")]


@pytest.mark.parametrize("file", ["snapshot-0000000000000010/rows", "entries"])
def test_one_that_is_not_as_it_was_written_is_told(tmp_path: Path, file: str) -> None:
    save(Snapshots(tmp_path), 10)
    path = tmp_path / file
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(StoreError):
        Snapshots(tmp_path).newest()


def test_what_a_crash_left_half_made_is_cleared_away_and_the_last_one_stands(tmp_path: Path) -> None:
    kept = Snapshots(tmp_path)
    end = save(kept, 10)

    def crash(directory: Path) -> dict[str, Any]:
        (directory / "rows").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept.save(20, crash, ((2, b"two"),), end)
    found = Snapshots(tmp_path).newest()
    assert found is not None
    assert found[0].name.endswith("10")
    assert not (tmp_path / "half-made").exists()


def test_those_over_more_entries_than_are_good_are_dropped(tmp_path: Path) -> None:
    kept = Snapshots(tmp_path)
    save(kept, 10)
    save(kept, 20, settled=10)
    kept.drop(above=10)
    assert sizes(tmp_path) == [10]
    kept.drop()
    assert kept.newest() is None
