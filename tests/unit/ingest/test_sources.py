"""Where records come from: every line is handed over or told of, whatever is around it."""

from __future__ import annotations

import gzip
import io
import os
import threading
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import StoreError, UsageError
from ledger.ingest import sources
from ledger.ingest.sources import (
    LINE_BYTES_MAX,
    FileSource,
    RawBatch,
    StreamSource,
    line_batches,
    open_source,
)


def collect(batches: Iterable[RawBatch]) -> tuple[list[tuple[int, object]], list[tuple[int, str]]]:
    """All records, and the number of each reject with the first words of its reason."""
    records: list[tuple[int, object]] = []
    rejects: list[tuple[int, str]] = []
    for batch in batches:
        records += batch.records
        rejects += [(reject.line, " ".join(reject.reason.split()[:3])) for reject in batch.rejects]
    return records, rejects


def of_bytes(data: bytes, records_max: int = 3) -> tuple[list[tuple[int, object]], list[tuple[int, str]]]:
    return collect(line_batches(io.BytesIO(data), records_max))


@pytest.mark.parametrize(
    ("data", "records"),
    [
        (b"", []),
        (b"a\nb\n", [(1, b"a"), (2, b"b")]),
        (b"a\nb", [(1, b"a"), (2, b"b")]),
        (b"a\r\nb\r\n", [(1, b"a\r"), (2, b"b\r")]),
        (b"\n\na\n \t\r\n\nb\n\n", [(3, b"a"), (6, b"b")]),
        (b"a\rb\n", [(1, b"a\rb")]),
        ("a\u2028b\n".encode(), [(1, "a\u2028b".encode())]),
    ],
)
def test_lines_end_in_a_line_feed_and_empty_ones_only_count(
    data: bytes, records: list[tuple[int, bytes]]
) -> None:
    assert of_bytes(data) == (records, [])


@given(
    st.lists(st.binary(max_size=5).filter(lambda line: b"\n" not in line), max_size=20), st.integers(1, 30)
)
def test_pieces_may_be_cut_anywhere(lines: list[bytes], piece_bytes: int) -> None:
    data = b"".join(line + b"\n" for line in lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "PIECE_BYTES", piece_bytes)
        records, rejects = of_bytes(data)
    assert records == [(n, line) for n, line in enumerate(lines, 1) if line.strip(b" \t\r\x0b\x0c")]
    assert rejects == []


@pytest.mark.parametrize("extra", [1, LINE_BYTES_MAX, 9 * LINE_BYTES_MAX])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_an_overlong_line_is_told_of_and_the_next_ones_go_on(extra: int, end: bytes) -> None:
    long = b"x" * (LINE_BYTES_MAX + extra)
    records, rejects = of_bytes(b"a\n" + long + b"\nb\n" + long + end)
    assert records == [(1, b"a"), (3, b"b")]
    assert rejects == [(2, "the line is"), (4, "the line is")]


def test_the_longest_line_is_handed_over_whole() -> None:
    long = b"x" * LINE_BYTES_MAX
    assert of_bytes(long + b"\n" + long) == ([(1, long), (2, long)], [])


def test_a_batch_holds_at_most_as_many_records_as_asked_for() -> None:
    batches = list(line_batches(io.BytesIO(b"x\n" * 10), 4))
    assert [len(batch.records) for batch in batches] == [4, 4, 2]


@pytest.mark.parametrize("name", ["r.jsonl.gz", "r.jsonl"])
def test_gzip_is_told_by_its_first_bytes(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"a\n") + gzip.compress(b"b\nc"))
    assert collect(FileSource(path).batches(10)) == ([(1, b"a"), (2, b"b"), (3, b"c")], [])


def test_a_name_that_ends_in_gz_makes_no_gzip(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl.gz"
    path.write_bytes(b"a\n")
    assert collect(FileSource(path).batches(10))[0] == [(1, b"a")]


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_torn_gzip_gives_what_is_before_and_one_reject(kept: float) -> None:
    lines = b"".join(b"%d %s\n" % (n, os.urandom(20).hex().encode()) for n in range(2_000))
    packed = gzip.compress(lines)
    records, rejects = of_bytes(packed[: int(len(packed) * kept)])
    assert records == list(enumerate(lines.split(b"\n")[: len(records)], 1))
    assert len(records) > 100
    assert rejects == [(len(records) + 1, "the packed data")]


def test_a_flipped_byte_of_gzip_is_noticed() -> None:
    packed = bytearray(gzip.compress(b"a\n" * 1000))
    packed[-6] ^= 1
    assert of_bytes(bytes(packed))[1][-1][1] == "the packed data"


def test_what_unpacks_to_much_more_is_never_whole_in_memory() -> None:
    bomb = gzip.compress(b"x" * 200_000_000)
    tracemalloc.start()
    try:
        assert of_bytes(bomb) == ([], [(1, "the line is")])
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_source_can_be_read_twice(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"a\nb\n")
    source = FileSource(path)
    assert collect(source.batches(1)) == collect(source.batches(1))


def test_a_stream_can_be_read_once() -> None:
    source = StreamSource("standard input", io.BytesIO(b"a\n"))
    assert collect(source.batches(1))[0] == [(1, b"a")]
    with pytest.raises(UsageError, match="only once"):
        list(source.batches(1))


def test_standard_input_that_was_set_aside_can_be_read_twice(tmp_path: Path) -> None:
    source = open_source("-", io.BytesIO(b"a\nb\n"), spool_directory=tmp_path)
    assert collect(source.batches(5)) == collect(source.batches(5)) == ([(1, b"a"), (2, b"b")], [])


def test_a_named_pipe_is_read_as_a_stream(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(gzip.compress(b"a\nb\n"),))
    writer.start()
    assert collect(open_source(str(path), io.BytesIO()).batches(5))[0] == [(1, b"a"), (2, b"b")]
    writer.join()


@pytest.mark.parametrize("name", ["none.jsonl", "."])
def test_a_file_that_is_not_there_or_a_directory_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        open_source(str(tmp_path / name), io.BytesIO())


def test_how_far_it_is_is_told_in_bytes_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "r.gz"
    path.write_bytes(gzip.compress(b"a\n" * 100_000))
    source = FileSource(path)
    done = [batch.bytes_done for batch in source.batches(1_000)]
    assert done == sorted(done)
    assert done[-1] == source.bytes_total == path.stat().st_size


def test_a_disk_that_fails_is_no_reject() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 2:
                raise OSError(5, "Input/output error")
            return super().read(4)

    with pytest.raises(StoreError, match="Input/output error"):
        list(StreamSource("tape", Failing(b"a\nb\nc\nd\n")).batches(1))
