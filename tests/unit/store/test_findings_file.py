"""Lines of findings: each once, whatever kills whoever writes them."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest

from ledger.errors import StoreError
from ledger.store.findings_file import FindingsFile


def lines(*numbers: int) -> list[tuple[int, str]]:
    return [(number, json.dumps({"what": f"line {number}"})) for number in numbers]


def append(path: Path, *numbers: int) -> None:
    file = FindingsFile(path)
    file.append(lines(*numbers))
    file.close()


def numbers_in(path: Path) -> list[int]:
    return [json.loads(line)["n"] for line in path.read_bytes().splitlines()]


def test_a_line_is_the_object_with_its_number_before_all_else(tmp_path: Path) -> None:
    append(tmp_path / "f", 7)
    assert (tmp_path / "f").read_bytes() == b'{"n":7,"what": "line 7"}\n'


def test_lines_that_are_there_already_are_passed_over(tmp_path: Path) -> None:
    append(tmp_path / "f", 1, 2)
    append(tmp_path / "f", 1, 2, 3)
    assert numbers_in(tmp_path / "f") == [1, 2, 3]


@pytest.mark.parametrize("torn", [b"{", b'{"n":3,"what":"line 3"}', b'{"n":3,' + b" " * 100_000])
def test_a_torn_line_is_cut_off_and_written_anew(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "f"
    append(path, 1, 2)
    path.write_bytes(path.read_bytes() + torn)
    append(path, 2, 3)
    assert numbers_in(path) == [1, 2, 3]


def test_a_torn_first_line_leaves_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b'{"n":1')
    append(tmp_path / "f", 1)
    assert numbers_in(tmp_path / "f") == [1]


@pytest.mark.parametrize("text", [b"a letter\n", b'{"what":1}\n', b"[]\n"])
def test_a_file_that_holds_something_else_is_not_written_to(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "f").write_bytes(text)
    with pytest.raises(StoreError, match="no file of findings"):
        FindingsFile(tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == text


def test_a_place_where_no_file_can_be_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        FindingsFile(tmp_path / "missing" / "f")


def test_what_a_full_disk_cut_off_is_written_whole_and_once_when_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "f"
    file = FindingsFile(path)
    file.append(lines(1))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, before[1]))
        for _ in range(2):
            with pytest.raises(StoreError):
                file.append(lines(2, 3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert file.last == 1
    file.append(lines(2, 3))
    file.close()
    assert numbers_in(path) == [1, 2, 3]
