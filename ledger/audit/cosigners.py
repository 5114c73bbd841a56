"""Who has cosigned the published checkpoint, and whether that is what a policy asks for (transparency formats, 4.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.core.cosignature import decode_cosignature
from ledger.core.faults import FaultList
from ledger.core.note import Verifier, open_note, parse_note
from ledger.core.witness_policy import WitnessPolicy
from ledger.errors import FormatError, SignatureError


@dataclass(frozen=True, slots=True)
class WitnessDemand:
    """A policy to hold a checkpoint to; ``verifiers`` are its witnesses' keys by the names that it gives them."""

    policy: WitnessPolicy
    verifiers: Mapping[str, Verifier]


@dataclass(frozen=True, slots=True)
class Cosigner:
    """A witness that has cosigned: its name in the policy, that of its key, and when it says that it did (seconds)."""

    name: str
    key: str
    cosigned_at_s: int

    def to_json(self) -> dict[str, Any]:
        """The cosigner as ``verify --json`` lists it."""
        return {"name": self.name, "key": self.key, "cosigned_at": self.cosigned_at_s}


def check_cosigners(note: bytes | None, demand: WitnessDemand, faults: FaultList) -> list[Cosigner]:
    """The policy's witnesses that have cosigned ``note``, in its order of lines, whether or not they are enough.

    ``CHECKPOINT_SIGNATURE_INVALID`` where they are not the quorum, or a line of one of them does not verify.
    """
    cosigners: list[Cosigner] = []
    told = "there is no checkpoint that anybody could have cosigned"
    if note is not None:
        try:
            cosigners = _open(note, demand)
            told = (
                f"the checkpoint has cosignatures of {', '.join(one.name for one in cosigners) or 'nobody'}"
            )
        except SignatureError as error:
            told = f"the published checkpoint: {error}"
        except FormatError:
            return []  # what is no checkpoint has been told already
    if not demand.policy.is_fulfilled({one.name for one in cosigners}):
        text = f"{told}; the policy asks for the quorum {demand.policy.quorum!r}"
        faults.tell(0, "CHECKPOINT_SIGNATURE_INVALID", text)
    return cosigners


def _open(note: bytes, demand: WitnessDemand) -> list[Cosigner]:
    signed = {(line.name, line.key_id) for line in parse_note(note).signatures}
    known = {(one.name, one.key_id): name for name, one in demand.verifiers.items()}
    present = [one for one in demand.verifiers.values() if (one.name, one.key_id) in signed]
    if not present:
        return []
    return [
        Cosigner(known[line.name, line.key_id], line.name, decode_cosignature(line.signature).time_s)
        for line in open_note(note, present).verified_signatures
    ]
