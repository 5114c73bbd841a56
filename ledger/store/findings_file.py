"""Lines that a monitor tells, appended durably to a file, each once (JSON Lines; every line begins with its number).

The file itself says how far it was heard: its last whole line. A line that was torn by a crash is cut off and written anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from ledger.durable import sync_directory
from ledger.errors import StoreError

_TAIL_BYTES = 1 << 16


class FindingsFile:
    """The file at ``path``; one process writes it at a time."""

    def __init__(self, path: Path) -> None:
        """Open it, made where there is none; raises StoreError."""
        self._path = path
        try:
            is_new = not path.exists()
            # Unbuffered: what a full disk did not take must not come later, behind what is written again.
            self._file = path.open("a+b", buffering=0)
            if is_new:
                sync_directory(path.parent)
            self._found = b""
            self._last = self._cut_torn()
            self._end = self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def last(self) -> int:
        """The number of the last line; 0 where there is none."""
        return self._last

    def is_last(self, number: int, line: str) -> bool:
        """Whether this is what the file ended with when it was opened."""
        return number_line(number, line) == self._found

    def append(self, lines: Sequence[tuple[int, str]]) -> None:
        """Append numbered lines, durable when this returns; those that are there already are passed over."""
        new = [(number, line) for number, line in lines if number > self._last]
        if not new:
            return
        left = memoryview(b"".join(number_line(number, line) for number, line in new))
        try:
            if self._file.seek(0, os.SEEK_END) > self._end:
                # What was left half written before; nobody else writes here.
                self._file.truncate(self._end)
            while left:
                left = left[self._file.write(left) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            raise StoreError(f"{self._path}: {error.strerror}") from error
        self._last = new[-1][0]
        self._end = self._file.seek(0, os.SEEK_END)

    def _cut_torn(self) -> int:
        """Cut off what follows the last newline; the number of the line before it, 0 where there is none."""
        size = self._file.seek(0, os.SEEK_END)
        reach = _TAIL_BYTES
        while True:
            start = max(0, size - reach)
            self._file.seek(start)
            tail = self._file.read()
            end = tail.rfind(b"\n") + 1
            begin = tail.rfind(b"\n", 0, max(end - 1, 0)) + 1
            if (end and begin) or start == 0:
                break
            reach *= 4
        if end < len(tail):
            self._file.truncate(start + end)
            os.fsync(self._file.fileno())
        if not end:
            return 0
        try:
            number = json.loads(tail[begin:end])["n"]
        except (ValueError, KeyError, TypeError):
            raise StoreError(f"{self._path} is no file of findings: its last line has no number") from None
        self._found = tail[begin:end]
        return int(number)


def number_line(number: int, line: str) -> bytes:
    """The line as it is told: the object with its number before all other members, and a newline."""
    return b'{"n":%d,%s\n' % (number, line.removeprefix("{").encode())
