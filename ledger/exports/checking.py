"""A bag on this machine's disk, checked by two programs that share nothing: the ``bagit`` package and this project's check.

``bagit`` says whether it is a bag (RFC 8493), :mod:`ledger.core.bag_check` whether it is an export that holds. The first is
asked only where the second has said that no name leads out of the directory.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import bagit

from ledger.core.bag_check import CheckedBag, Files, KnownBag, check_bag, check_frame
from ledger.core.note_keys import VerifyEd25519
from ledger.errors import FormatError, ProofError
from ledger.portable.bag_files import DirectoryFiles


@dataclass(frozen=True, slots=True)
class BagChecking:
    """Checks bags with ``verify``, for signatures."""

    verify: VerifyEd25519

    def whole(self, root: Path, known: KnownBag) -> CheckedBag:
        """Everything about the export in ``root``; raises as :func:`ledger.core.bag_check.check_bag`."""
        checked = check_bag(_files(root), known, self.verify)
        _ask_bagit(root)
        return checked

    def frame(self, root: Path, known: KnownBag) -> Files:
        """The files in ``root`` where every one of them is the approved one; what entries say is not looked at."""
        files = _files(root)
        check_frame(files, known, self.verify)
        return files


def _files(root: Path) -> Files:
    if not root.is_dir():
        raise FormatError(f"{root} is no directory with an export in it")
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
