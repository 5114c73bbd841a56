"""Where records come from: JSON Lines in a file, in gzip or on standard input, and Parquet (ledger format, 1.6).

A source gives raw records in batches, each with its line (or row) number from 1 on, and tells of lines that it cannot
even hand over. What is inside a line is :mod:`ledger.ingest.records`' business. Input is not trusted: a line has a
longest length, and no more than a piece of the input is in memory, whatever it unpacks to.

The kind of a file is told by its first bytes, not by its name. Lines end in LF; a CR before it is white space of JSON,
an empty line is passed over, and the last line may lack its LF (where it was torn off, it is no JSON).
"""

from __future__ import annotations

import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from gzip import BadGzipFile, GzipFile
from pathlib import Path
from typing import IO, Protocol, cast

from ledger.errors import StoreError, UsageError
from ledger.ingest.parquet import PARQUET_MAGIC, read_rows

LINE_BYTES_MAX = 262_144
"""Four times the longest entry; a longer line is no record."""

PIECE_BYTES = 1_048_576
STANDARD_INPUT = "-"

_GZIP_MAGIC = b"\x1f\x8b"

RawRecord = bytes | Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Reject:
    """A line (from 1 on; of Parquet the row) that did not go in, and why."""

    line: int
    reason: str


@dataclass(slots=True)
class RawBatch:
    """Some lines of a source, in order: the records in them, and those that could not be handed over.

    ``bytes_done`` is how much of the source has been read by now, as it lies on disk.
    """

    records: list[tuple[int, RawRecord]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    bytes_done: int = 0


class Source(Protocol):
    """Records to import; ``batches`` may be called again for another pass, but not while one is under way."""

    @property
    def name(self) -> str:
        """What it is, for people."""
        ...

    @property
    def bytes_total(self) -> int | None:
        """Its size as it lies on disk, or None where nobody knows before the end."""
        ...

    def batches(self, records_max: int) -> Iterator[RawBatch]:
        """All lines in order, at most ``records_max`` in a batch; raises StoreError when it cannot be read."""
        ...


class FileSource:
    """The records in the file ``path``: Parquet, JSON Lines, or JSON Lines in gzip."""

    def __init__(self, path: Path) -> None:
        """Raises UsageError when there is no such file or it cannot be opened."""
        self._path = path
        try:
            with path.open("rb") as file:
                self._magic = file.read(len(PARQUET_MAGIC))
            self._bytes_total = path.stat().st_size
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from error

    @property
    def name(self) -> str:
        """The path."""
        return str(self._path)

    @property
    def bytes_total(self) -> int:
        """The size of the file."""
        return self._bytes_total

    def batches(self, records_max: int) -> Iterator[RawBatch]:
        """All lines, or rows, in order."""
        try:
            if self._magic == PARQUET_MAGIC:
                yield from self._row_batches(records_max)
            else:
                with self._path.open("rb") as file:
                    yield from line_batches(file, records_max)
        except OSError as error:
            raise StoreError(f"{self._path} cannot be read: {error.strerror or error}") from error

    def _row_batches(self, records_max: int) -> Iterator[RawBatch]:
        row = 0
        for share, rows in read_rows(self._path, records_max):
            numbered: list[tuple[int, RawRecord]] = [
                (row + place, members) for place, members in enumerate(rows, 1)
            ]
            row += len(rows)
            yield RawBatch(numbered, bytes_done=int(share * self._bytes_total))


class StreamSource:
    """The JSON Lines, plain or in gzip, that arrive on ``stream``, called ``name``; they can be read once."""

    bytes_total = None

    def __init__(self, name: str, stream: IO[bytes]) -> None:
        self.name = name
        self._stream: IO[bytes] | None = stream

    def batches(self, records_max: int) -> Iterator[RawBatch]:
        """All lines in order, as they arrive; raises UsageError at a second call."""
        if self._stream is None:
            raise UsageError(f"{self.name} can be read only once; hand over a file")
        stream, self._stream = self._stream, None
        try:
            yield from line_batches(stream, records_max)
        except OSError as error:
            raise StoreError(f"{self.name} cannot be read: {error.strerror or error}") from error


def open_source(name: str, standard_input: IO[bytes], *, spool_directory: Path | None = None) -> Source:
    """The source called ``name`` on a command line: a path, or ``-`` for ``standard_input``.

    What is no regular file can be read once. With ``spool_directory`` it is first copied to a file there, so that it
    can be read more than once (and be Parquet); whoever made the directory removes it. Raises UsageError or StoreError
    where that fails.
    """
    if name == STANDARD_INPUT:
        shown, stream = "standard input", standard_input
    elif (path := Path(name)).is_file() or not path.exists() or path.is_dir():
        return FileSource(path)
    else:
        try:
            shown, stream = name, path.open("rb")
        except OSError as error:
            raise UsageError(f"{name} cannot be read: {error.strerror}") from error
    if spool_directory is None:
        return StreamSource(shown, stream)
    try:
        with tempfile.NamedTemporaryFile(dir=spool_directory, prefix="import-", delete=False) as spool:
            shutil.copyfileobj(stream, spool, PIECE_BYTES)
    except OSError as error:
        raise StoreError(f"{shown} cannot be set aside in {spool_directory}: {error.strerror}") from error
    return FileSource(Path(spool.name))


class _Counted:
    """A stream that counts what was read of it, and can be looked into before."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._ahead = stream.read(len(_GZIP_MAGIC))
        self.magic = self._ahead
        self.bytes_done = 0

    def read(self, size: int = -1) -> bytes:
        data, self._ahead = self._ahead, b""
        # Something of both would be as good, but a pipe must not be waited for while there is anything to give.
        if not data:
            data = self._stream.read(size)
        self.bytes_done += len(data)
        return data


def line_batches(stream: IO[bytes], records_max: int) -> Iterator[RawBatch]:
    """The lines of ``stream``, unpacked where it is gzip; raises OSError where it cannot be read.

    Where packed bytes are cut off or damaged, everything before goes in and the rest is one reject.
    """
    counted = _Counted(stream)
    unpacked: Callable[[int], bytes] = counted.read
    if counted.magic == _GZIP_MAGIC:
        unpacked = GzipFile(fileobj=cast("IO[bytes]", counted), mode="rb").read1  # of a stream it only reads
    lines = _LineCutter()
    batch = RawBatch()
    piece = b"."
    while piece:
        try:
            piece = unpacked(PIECE_BYTES)
        except (EOFError, BadGzipFile, zlib.error) as error:
            # The line that was under way is torn, and nothing after it can be trusted to be a line.
            batch.rejects.append(
                Reject(lines.number + 1, f"the packed data end here or are damaged: {error}")
            )
            break
        first = lines.number + 1
        for number, line in enumerate(lines.feed(piece) if piece else lines.finish(), first):
            if line is None:
                batch.rejects.append(Reject(number, f"the line is longer than {LINE_BYTES_MAX} bytes"))
            elif line and not line.isspace():
                batch.records.append((number, line))
                if len(batch.records) >= records_max:
                    batch.bytes_done = counted.bytes_done
                    yield batch
                    batch = RawBatch()
    batch.bytes_done = counted.bytes_done
    yield batch


class _LineCutter:
    """Cuts pieces into lines; ``number`` is that of the last line given. A line that is too long is given as None."""

    def __init__(self) -> None:
        self.number = 0
        self._rest = b""
        self._overlong = False

    def feed(self, piece: bytes) -> Sequence[bytes | None]:
        """The lines that end in ``piece``."""
        pieces = piece.split(b"\n")
        pieces[0] = self._rest + pieces[0]
        self._rest = pieces.pop()
        lines: list[bytes | None] = [line if len(line) <= LINE_BYTES_MAX else None for line in pieces]
        self.number += len(lines)
        if lines and self._overlong:
            lines[0], self._overlong = None, False
        if len(self._rest) > LINE_BYTES_MAX:
            # Its end is still to come; nothing of it is kept until then.
            self._overlong = True
        if self._overlong:
            self._rest = b""
        return lines

    def finish(self) -> Sequence[bytes | None]:
        """The last line, where it does not end in a newline."""
        if not self._rest and not self._overlong:
            return ()
        line = None if self._overlong else self._rest
        self.number += 1
        self._rest, self._overlong = b"", False
        return (line,)
