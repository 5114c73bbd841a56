"""The files of an export in a directory, for any Python from 3.8 on: walked, hashed and read as they go by.

A bag comes from a stranger. Only plain files in plain directories are looked at: a symbolic link, a device or a pipe is
refused where it stands, before anything is read from it, and so is a directory with more files than any export has.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

from ledger.core.bag_paths import PARTS_MAX, check_path
from ledger.core.strict import shown
from ledger.errors import FormatError

FILES_MAX = 100_000
LINE_BYTES_MAX = 1 << 22
READ_BYTES_MAX = 1 << 26
CHUNK_BYTES = 1 << 20


class DirectoryFiles:
    """The files below the directory ``root``, each hashed when this is made: :class:`ledger.core.bag_check.Files`."""

    def __init__(self, root: str) -> None:
        """Raises FormatError for what cannot be in an export, OSError where something cannot be read."""
        self._root = root
        self.digests = {path: digest_file(os.path.join(root, path)) for path in walk(root)}  # noqa: PTH118

    def read(self, path: str) -> bytes:
        """A short file's bytes."""
        with open_plain(os.path.join(self._root, path)) as opened:  # noqa: PTH118
            data = opened.read(READ_BYTES_MAX + 1)
        if len(data) > READ_BYTES_MAX:
            raise FormatError(f"{shown(path)} is longer than such a file can be")
        return data

    def lines(self, path: str) -> Iterator[bytes]:
        """A file's lines without their line feeds."""
        if path not in self.digests:
            raise FormatError(f"{shown(path)} is not there")
        with open_plain(os.path.join(self._root, path)) as opened:  # noqa: PTH118
            while True:
                line = opened.readline(LINE_BYTES_MAX)
                if not line:
                    return
                if not line.endswith(b"\n"):
                    raise FormatError(f"a line of {shown(path)} is too long, or the last one does not end")
                yield line[:-1]


def walk(root: str) -> list[str]:
    """The names of all files below ``root``, ascending; raises FormatError for whatever is no plain file or directory."""
    found, waiting = [], [""]
    while waiting:
        below = waiting.pop()
        for entry in os.scandir(os.path.join(root, below) if below else root):  # noqa: PTH118
            path = f"{below}/{entry.name}" if below else entry.name
            is_link = entry.is_symlink()
            if not is_link and entry.is_dir(follow_symlinks=False) and path.count("/") < PARTS_MAX:
                waiting.append(path)
            elif not is_link and entry.is_file(follow_symlinks=False):
                found.append(check_path(path))
            else:
                raise FormatError(f"{shown(path)} is neither a plain file nor a plain directory")
            if len(found) + len(waiting) > FILES_MAX:
                raise FormatError("there are more files than any export has")
    return sorted(found)


def digest_file(name: str) -> tuple[bytes, int]:
    """The SHA-256 and the size in bytes of the file ``name``."""
    made, size = hashlib.sha256(), 0
    with open_plain(name) as opened:
        while True:
            chunk = opened.read(CHUNK_BYTES)
            if not chunk:
                return made.digest(), size
            made.update(chunk)
            size += len(chunk)


def open_plain(name: str) -> BinaryIO:
    """The file ``name`` opened to be read, where it is a plain one and no link to one; else FormatError."""
    descriptor = os.open(name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FormatError(f"{shown(name)} is no plain file")
    return os.fdopen(descriptor, "rb")
