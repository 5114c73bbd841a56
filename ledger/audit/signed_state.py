"""The log against what was signed: its checkpoint, and earlier ones (ledger format, section 1.3; verdict rules, 2.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.audit.structure import Structure
from ledger.core.checkpoint import Checkpoint, open_checkpoint
from ledger.core.faults import FaultList
from ledger.core.note import Verifier
from ledger.errors import FormatError, SignatureError


@dataclass(frozen=True, slots=True)
class EarlierCheckpoint:
    """A checkpoint that somebody kept; ``where`` says who, for the report."""

    where: str
    note: bytes


def check_signed(
    structure: Structure, note: bytes | None, origin: str, verifier: Verifier, faults: FaultList
) -> Checkpoint | None:
    """Check that the published checkpoint is signed and states the tree of the entries; returns it when it is signed.

    ``CHECKPOINT_SIGNATURE_INVALID``, ``TRUNCATED`` (it covers entries that are not there), ``ROOT_MISMATCH``, and
    ``MAP_ROOT_MISMATCH`` where the last entry that it covers is no ``index.sealed``.
    """
    if note is None:
        return None
    checkpoint = _open(note, "the published checkpoint", origin, verifier, faults)
    if checkpoint is None:
        return None
    if checkpoint.size > structure.size:
        text = f"the signed checkpoint covers {checkpoint.size} entries, {structure.size} are there"
        faults.tell(structure.size, "TRUNCATED", text)
    elif (root := structure.root_at(checkpoint.size)) != checkpoint.root:
        computed = "cannot be computed" if root is None else f"is {root.hex()}"
        text = f"the root signed for size {checkpoint.size} is {checkpoint.root.hex()}, that of the entries {computed}"
        faults.tell(checkpoint.size - 1, "ROOT_MISMATCH", text)
    return checkpoint


def check_earlier(
    structure: Structure,
    earlier: Sequence[EarlierCheckpoint],
    origin: str,
    verifier: Verifier,
    faults: FaultList,
) -> None:
    """Check that the log continues each checkpoint that was kept: ``TRUNCATED`` or ``CHECKPOINT_INCONSISTENT``."""
    for kept in earlier:
        checkpoint = _open(kept.note, kept.where, origin, verifier, faults)
        if checkpoint is None:
            continue
        if checkpoint.size > structure.size:
            text = f"{kept.where} covers {checkpoint.size} entries, {structure.size} are there: an older copy"
            faults.tell(structure.size, "TRUNCATED", text)
        elif structure.root_at(checkpoint.size) != checkpoint.root:
            text = f"{kept.where} states the root {checkpoint.root.hex()} at size {checkpoint.size}, the entries do not"
            faults.tell(checkpoint.size - 1, "CHECKPOINT_INCONSISTENT", text)


def _open(note: bytes, where: str, origin: str, verifier: Verifier, faults: FaultList) -> Checkpoint | None:
    try:
        return open_checkpoint(note, origin, [verifier]).checkpoint
    except (SignatureError, FormatError) as error:
        faults.tell(0, "CHECKPOINT_SIGNATURE_INVALID", f"{where}: {error}")
        return None
