"""A bag on this machine's disk, checked by two programs that share nothing: the ``bagit`` package and this project's check.

``bagit`` says whether it is a bag (RFC 8493), :mod:`ledger.core.bag_check` whether it is an export that holds. The first is
asked only where the second has said that no name leads out of the directory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import bagit

from ledger.core.bag import ENTRIES, MANIFEST, read_manifest
from ledger.core.bag_check import CheckedBag, Files, KnownBag, check_bag, check_frame
from ledger.core.note_keys import VerifyEd25519
from ledger.errors import ProofError, UsageError
from ledger.exports.selecting import PROGRESS_ENTRIES, Progress, tell_nobody
from ledger.portable.bag_files import DirectoryFiles


@dataclass(frozen=True, slots=True)
class BagChecking:
    """Checks bags with ``verify``, for signatures."""

    verify: VerifyEd25519

    def whole(self, root: Path, known: KnownBag, on_progress: Progress = tell_nobody) -> CheckedBag:
        """Everything about the export in ``root``; raises as :func:`ledger.core.bag_check.check_bag`."""
        checked = check_bag(_Watched(_files(root), on_progress), known, self.verify)
        _ask_bagit(root)
        return checked

    def frame(self, root: Path, known: KnownBag) -> Files:
        """The files in ``root`` where every one of them is the approved one; what entries say is not looked at."""
        files = _files(root)
        check_frame(files, known, self.verify)
        return files


@dataclass(frozen=True, slots=True)
class _Watched:
    """``files``, of which somebody is told how far the entries are read."""

    files: Files
    on_progress: Progress

    @property
    def digests(self) -> Mapping[str, tuple[bytes, int]]:
        return self.files.digests

    def read(self, path: str) -> bytes:
        return self.files.read(path)

    def lines(self, path: str) -> Iterator[bytes]:
        found = self.files.lines(path)
        return self._counted(found) if path == ENTRIES else found

    def _counted(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        total = int(read_manifest(self.files.read(MANIFEST))["entries"])
        for number, line in enumerate(lines):
            if number % PROGRESS_ENTRIES == 0:
                self.on_progress(number, total)
            yield line


def _files(root: Path) -> Files:
    if not root.is_dir():
        raise UsageError(f"{root} is no directory with an export in it")
    return DirectoryFiles(str(root))


def _ask_bagit(root: Path) -> None:
    try:
        bagit.Bag(str(root)).validate(fast=True)
    except bagit.BagError as error:
        raise ProofError(f"the bagit package refuses the bag: {error}", "FILE_CHANGED") from error


def hash_file(path: Path) -> str:
    """The SHA-256 of a file in hex."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
