"""Whether the witnesses that a policy asks for have cosigned a checkpoint (transparency formats, section 4.6)."""

from __future__ import annotations

from ledger.core.checkpoint import OpenedCheckpoint
from ledger.core.note_keys import CosignerKey, VerifyEd25519
from ledger.core.strict import encode_utf8, shown
from ledger.core.witness_policy import WitnessPolicy
from ledger.errors import ProofError, SignatureError


def check_quorum(opened: OpenedCheckpoint, policy: WitnessPolicy, verify: VerifyEd25519) -> list[str]:
    """The witnesses, as the policy calls them, that have cosigned the note of ``opened``, sorted.

    Raises SignatureError where a line of a witness's key does not verify, and ProofError where they do not make up the
    quorum, or where the policy names logs and this one is not among them.
    """
    origin = opened.checkpoint.origin
    signed = {(line.name, line.key_id) for line in opened.note.verified_signatures}
    logs = {(log.key.name, log.key.key_id) for log in policy.logs}
    if logs and not logs & signed:
        raise ProofError(f"the policy names logs, and {shown(origin)} is none of them", "KEY_NOT_TRUSTED")
    agreed = set()
    for line in opened.note.signatures:
        witness = policy.find(line.name, line.key_id)
        if witness is None:
            continue
        key = CosignerKey(witness.key, verify)
        if not key.verify(encode_utf8(opened.note.text), line.signature):
            raise SignatureError(f"the cosignature of {shown(line.name)} does not verify")
        agreed.add(witness.name)
    if not policy.is_fulfilled(agreed):
        raise ProofError(
            f"{len(agreed)} of the policy's witnesses have cosigned, which does not make up its quorum",
            "QUORUM_MISSING",
        )
    return sorted(agreed)
