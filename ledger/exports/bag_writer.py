"""Writes a BagIt 1.0 bag, each file once and as a stream (RFC 8493; exports, section 5.5).

The ``bagit`` package makes bags of files that are there and reads each again to hash it; an export is hashed while it is
written, so that a long one is gone through once. That package checks what was written here (:mod:`ledger.exports.checking`).

Bytes are durable when :meth:`BagWriter.finish` returns; until then the directory is nobody's bag.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ledger.core.bag import BAG_TAGS, DECLARATION, TAG_MANIFEST, format_hashes, format_info
from ledger.core.bag_paths import check_path
from ledger.durable import sync_directory

BUFFER_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file of the payload: its name below data/, size, SHA-256, and how many rows it has, where it has any."""

    path: str
    size_bytes: int
    sha256: bytes
    rows: int | None


class StreamedFile:
    """A file while it is written: hashed, counted, and durable once it is closed."""

    def __init__(self, opened: BinaryIO) -> None:
        """Write to ``opened``, from its beginning."""
        self._opened = opened
        self._hash = hashlib.sha256()
        self._waiting = bytearray()
        self.size_bytes = 0
        self.rows = 0

    def write(self, data: bytes) -> None:
        """Add ``data``."""
        self._waiting += data
        if len(self._waiting) >= BUFFER_BYTES:
            self._flush()

    def row(self, line: bytes) -> None:
        """Add ``line`` and a line feed."""
        self.write(line)
        self.write(b"\n")
        self.rows += 1

    def close(self) -> bytes:
        """Make everything durable; the SHA-256 of it."""
        self._flush()
        self._opened.flush()
        os.fsync(self._opened.fileno())
        return self._hash.digest()

    def _flush(self) -> None:
        self._hash.update(self._waiting)
        self._opened.write(self._waiting)
        self.size_bytes += len(self._waiting)
        self._waiting.clear()


class BagWriter:
    """A bag in the new, empty directory ``root``."""

    def __init__(self, root: Path) -> None:
        """Raises OSError where ``root`` is no directory to write to."""
        self._root = root
        self.files: dict[str, WrittenFile] = {}

    @contextmanager
    def open(self, path: str, *, has_rows: bool = True) -> Iterator[StreamedFile]:
        """A new file with the name ``path`` below data/; it is in the bag when the block ends without an exception."""
        assert path not in self.files, "each file is written once"
        target = self._root / "data" / check_path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb", buffering=0) as opened:
            streamed = StreamedFile(opened)
            yield streamed
            digest = streamed.close()
        rows = streamed.rows if has_rows else None
        self.files[path] = WrittenFile(path, streamed.size_bytes, digest, rows)

    def add(self, path: str, parts: Iterable[bytes], rows: int | None = None) -> WrittenFile:
        """Add the file ``path`` (below data/) with the bytes ``parts``."""
        with self.open(path, has_rows=False) as streamed:
            for part in parts:
                streamed.write(part)
        written = self.files[path]
        self.files[path] = WrittenFile(path, written.size_bytes, written.sha256, rows)
        return self.files[path]

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Write the tag files of the export with this ``manifest``; everything is durable when this returns."""
        payload = {f"data/{path}": (file.sha256, file.size_bytes) for path, file in self.files.items()}
        finish_bag(self._root, payload, manifest)


def finish_bag(root: Path, payload: Mapping[str, tuple[bytes, int]], manifest: Mapping[str, Any]) -> None:
    """Write, or write anew, the tag files of the bag in ``root`` over files with these hashes and sizes, durably."""
    tags = {
        "bagit.txt": DECLARATION,
        "bag-info.txt": format_info(manifest, [size_bytes for _, size_bytes in payload.values()]),
        "manifest-sha256.txt": format_hashes({path: digest for path, (digest, _) in payload.items()}),
    }
    assert tuple(sorted(tags)) == BAG_TAGS, "the tag files of every bag"
    for name, data in tags.items():
        write_whole(root / name, data)
    write_whole(
        root / TAG_MANIFEST,
        format_hashes({name: hashlib.sha256(data).digest() for name, data in tags.items()}),
    )
    for directory, _, _ in os.walk(root):
        sync_directory(Path(directory))


def write_whole(path: Path, data: bytes) -> None:
    """Put the file ``path`` with ``data`` in the place of what is there, whole or not at all, durably."""
    beside = path.with_name(f".{path.name}.new")
    with beside.open("wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())
    beside.replace(path)
