"""A sealed export: one file that only its recipients can read (exports, section 5.5).

::

    grantledger-sealed-export@v1 LF
    u32 length, header: canonical JSON with export, manifest, recipients (key: SHA-256 of the X25519 key, box: the file key
        in a SealedBox for it) and stream (the header of the secretstream), base64
    parts of 65,536 bytes, the last one shorter or empty, each 17 bytes longer when encrypted, bound to the header

    inside: for each file u16 length, name, u64 size, bytes; then u16 zero

Numbers are big-endian. Anybody can seal something for a recipient; so what comes out is a stranger's until it was checked.
Names are those of :mod:`ledger.core.bag_paths`, each there once, and files are made new in a directory that was empty.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ledger.core.bag_paths import check_path, check_paths
from ledger.core.canonical import JsonValue
from ledger.core.jcs import decode_file, encode_file
from ledger.core.shapes import HASH, read_shape
from ledger.core.strict import decode_base64, encode_base64, shown
from ledger.durable import sync_directory
from ledger.errors import FormatError, ProofError, UsageError
from ledger.exports.selecting import Progress, tell_nobody
from ledger.portable.bag_files import FILES_MAX, open_plain
from ledger.ports.exports import RecipientSealing

MAGIC = b"grantledger-sealed-export@v1\n"
PART_BYTES = 65_536
OVERHEAD_BYTES = 17
HEADER_BYTES_MAX = 1 << 20
_HEADER = {"export": str, "manifest": HASH, "recipients": [{"box": str, "key": HASH}], "stream": str}
_U16, _U32, _U64 = struct.Struct(">H"), struct.Struct(">I"), struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class SealedHeader:
    """What a sealed file says in clear: which export, its manifest's SHA-256, for which keys (their SHA-256)."""

    export: str
    manifest: bytes
    recipients: tuple[bytes, ...]


Check = Callable[[Path, SealedHeader], None]


def seal_files(
    root: Path,
    files: Mapping[str, tuple[bytes, int]],
    out: BinaryIO,
    header: SealedHeader,
    recipients: Sequence[bytes],
    sealing: RecipientSealing,
    on_progress: Progress = tell_nobody,
) -> tuple[str, int]:
    """Encrypt ``files`` (their SHA-256 and sizes) below ``root`` into ``out`` for the X25519 keys ``recipients``.

    Returns the SHA-256 in hex and the size in bytes of what was written; memory stays at a part. ``on_progress`` is told in
    bytes. Raises ProofError where a file is another one by now.
    """
    key = sealing.new_key()
    boxes = [
        {"key": hashlib.sha256(one).hexdigest(), "box": encode_base64(sealing.box(key, one))}
        for one in recipients
    ]
    told: dict[str, JsonValue] = {"export": header.export, "manifest": header.manifest.hex()}
    told["recipients"] = [dict(box) for box in sorted(boxes, key=lambda box: box["key"])]
    context = hashlib.sha256(encode_file(told)).digest()
    stream = sealing.start_sealing(key, context)
    written = hashlib.sha256()
    size, total = 0, sum(file_bytes for _, file_bytes in files.values())

    def write(data: bytes) -> None:
        nonlocal size
        written.update(data)
        size += out.write(data)

    head = encode_file({**told, "stream": encode_base64(stream.header)})
    write(MAGIC + _U32.pack(len(head)) + head)
    waiting = bytearray()
    for piece in _plain(root, files):
        waiting += piece
        while len(waiting) >= PART_BYTES:
            write(stream.push(bytes(waiting[:PART_BYTES]), is_last=False))
            del waiting[:PART_BYTES]
            on_progress(size, total)
    write(stream.push(bytes(waiting), is_last=True))
    return written.hexdigest(), size


def read_header(data: BinaryIO) -> tuple[SealedHeader, dict[str, object]]:
    """The header of the sealed file ``data``, which is then at its first part; UsageError where it is none."""
    if data.read(len(MAGIC)) != MAGIC:
        raise UsageError("this is no sealed export: name a file that `grantledger export seal` made")
    length = _U32.unpack(_exactly(data.read, _U32.size))[0]
    if length > HEADER_BYTES_MAX:
        raise FormatError("the header of the sealed export is too long")
    stated = decode_file(_exactly(data.read, length))
    read = read_shape(stated, _HEADER, "the header")
    keys = tuple(item["key"] for item in read["recipients"])
    return SealedHeader(read["export"], read["manifest"], keys), dict(stated)


def open_files(
    data: BinaryIO, private_key: bytes, sealing: RecipientSealing, root: Path, check: Check | None = None
) -> SealedHeader:
    """Decrypt ``data`` into the new directory ``root``, which appears whole or not at all.

    ``check`` is called with the directory before it has its name; where it raises, nothing stays. Raises UsageError where
    it was not sealed for ``private_key`` (X25519, 32 bytes) or ``root`` is there, ProofError where a part is not what was
    sealed, FormatError for names that an export cannot have.
    """
    if root.exists() or root.is_symlink():
        raise UsageError(f"{root} is there already: name a new directory to open the export into")
    header, stated = read_header(data)
    key = _unbox(stated, private_key, sealing)
    told = {name: value for name, value in stated.items() if name != "stream"}
    context = hashlib.sha256(encode_file(told)).digest()  # type: ignore[arg-type]
    stream = sealing.start_opening(key, decode_base64(str(stated["stream"])), context)
    beside = root.with_name(f".{root.name}.opening-{os.getpid()}")
    beside.mkdir(mode=0o700)
    try:
        _write_files(_Plain(_parts(data, stream.pull)), beside)
        if check is not None:
            check(beside, header)
        beside.rename(root)
    except BaseException:
        # Nothing of a file that cannot be trusted stays.
        _remove(beside)
        raise
    sync_directory(root.parent)
    return header


def _unbox(stated: dict[str, object], private_key: bytes, sealing: RecipientSealing) -> bytes:
    mine = hashlib.sha256(sealing.public_of(private_key)).hexdigest()
    recipients = stated["recipients"]
    assert isinstance(recipients, list), "the shape was read"
    for item in recipients:
        if item["key"] == mine:
            key = sealing.unbox(decode_base64(item["box"]), private_key)
            if key is None:
                raise ProofError("the box for this key was not made for it, or was changed", "SEALED_CHANGED")
            return key
    raise UsageError(
        f"this export was not sealed for your key (SHA-256 {mine[:16]}...), but for "
        f"{', '.join(item['key'][:16] + '...' for item in recipients)}: use the key whose public part you handed in, or ask "
        "for an export to this one"
    )


def _plain(root: Path, files: Mapping[str, tuple[bytes, int]]) -> Iterator[bytes]:
    check_paths(files)
    for path, (digest, size) in sorted(files.items()):
        name = path.encode("ascii")
        yield _U16.pack(len(name)) + name + _U64.pack(size)
        read, left = hashlib.sha256(), size
        with open_plain(str(root / path)) as opened:
            while piece := opened.read(min(PART_BYTES, left)):
                read.update(piece)
                left -= len(piece)
                yield piece
        if left or read.digest() != digest:
            raise ProofError(f"{path} was changed while the export was sealed", "FILE_CHANGED")
    yield _U16.pack(0)


def _parts(data: BinaryIO, pull: Callable[[bytes], tuple[bytes, bool]]) -> Iterator[bytes]:
    while True:
        sealed = data.read(PART_BYTES + OVERHEAD_BYTES)
        if not sealed:
            raise ProofError("the sealed export is cut off", "SEALED_CHANGED")
        plain, is_last = pull(sealed)
        yield plain
        if is_last:
            if data.read(1):
                raise ProofError("something stands behind the end of the sealed export", "SEALED_CHANGED")
            return


class _Plain:
    """The decrypted stream, read by the byte."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._buffer = bytearray()
        self._is_over = False

    def read(self, size: int) -> bytes:
        while len(self._buffer) < size and not self._is_over:
            part = next(self._parts, None)
            self._is_over = part is None
            self._buffer += part or b""
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


def _write_files(plain: _Plain, root: Path) -> None:
    taken: set[str] = set()
    while length := _U16.unpack(_exactly(plain.read, _U16.size))[0]:
        try:
            name = _exactly(plain.read, length).decode("ascii")
        except UnicodeDecodeError:
            raise FormatError("the name of a file is not ASCII") from None
        path = check_path(name)
        if path.lower() in taken or len(taken) >= FILES_MAX:
            raise FormatError(f"{shown(path)} is there twice, or there are too many files")
        taken.add(path.lower())
        left = _U64.unpack(_exactly(plain.read, _U64.size))[0]
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as opened:
            while left:
                piece = _exactly(plain.read, min(left, PART_BYTES))
                opened.write(piece)
                left -= len(piece)
    if plain.read(1):
        raise FormatError("something stands behind the last file")


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    data = read(size)
    if len(data) != size:
        raise FormatError("the sealed export is cut off")
    return data


def _remove(root: Path) -> None:
    for directory, below, files in os.walk(root, topdown=False):
        for name in files:
            (Path(directory) / name).unlink()
        for name in below:
            (Path(directory) / name).rmdir()
    root.rmdir()
