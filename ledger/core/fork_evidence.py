"""Evidence that a log has two histories, for anybody to check (transparency formats, sections 4.3 and 4.6).

One JSON object: two checkpoints of one log, each signed by it, that a witness could not bring together. ``known`` is the one
that it had cosigned, ``shown`` the one that it was shown afterwards, with the ``proof`` that came along.

What it proves depends on the sizes. Two roots of one size cannot both be the log's, whatever else is true: a **fork**. Two
sizes may go together; but then the log can prove it, and what it showed as a proof does not: **unexplained** until the log
shows a better one, or until somebody has the entries of both. A proof that does hold makes it no evidence.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ledger.core.add_checkpoint import parse_body
from ledger.core.checkpoint import Checkpoint
from ledger.core.merkle import check_consistency
from ledger.core.note import Verifier, open_note
from ledger.core.strict import decode_base64, decode_utf8, encode_base64
from ledger.errors import FormatError, ProofError, SignatureError

FORMAT = "grantledger/fork-evidence/v1"
EVIDENCE_BYTES_MAX = 1 << 20

_MEMBERS = ("format", "vkey", "known", "shown", "proof", "seen_by", "seen_at")

Fork = Literal["fork", "unexplained"]


@dataclass(frozen=True, slots=True)
class ForkEvidence:
    """Two checkpoints of the log ``vkey``, the proof from the first to the second, who saw it and when (seconds)."""

    vkey: str
    known: bytes
    shown: bytes
    proof: tuple[bytes, ...]
    seen_by: str
    seen_at_s: int


@dataclass(frozen=True, slots=True)
class CheckedEvidence:
    """What the evidence shows, and the two states of the log."""

    fork: Fork
    known: Checkpoint
    shown: Checkpoint


def format_fork_evidence(evidence: ForkEvidence) -> bytes:
    """The JSON of ``evidence``, a line."""
    members = {
        "format": FORMAT,
        "vkey": evidence.vkey,
        "known": evidence.known.decode(),
        "shown": evidence.shown.decode(),
        "proof": [encode_base64(value) for value in evidence.proof],
        "seen_by": evidence.seen_by,
        "seen_at": evidence.seen_at_s,
    }
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def parse_fork_evidence(data: bytes) -> ForkEvidence:
    """The evidence that ``data`` holds; FormatError for anything else."""
    if len(data) > EVIDENCE_BYTES_MAX:
        raise FormatError(f"the evidence has more than {EVIDENCE_BYTES_MAX} bytes")
    try:
        found = json.loads(decode_utf8(data))
    except (ValueError, RecursionError):
        raise FormatError("the evidence is no JSON") from None
    if not isinstance(found, dict) or set(found) != set(_MEMBERS) or found["format"] != FORMAT:
        raise FormatError(f"this is no evidence of the form {FORMAT}")
    texts = [found[name] for name in ("vkey", "known", "shown", "seen_by")]
    proof, seen_at = found["proof"], found["seen_at"]
    if not all(isinstance(text, str) for text in texts) or type(seen_at) is not int or seen_at < 0:
        raise FormatError("a member of the evidence is of another type")
    if not isinstance(proof, list) or not all(isinstance(value, str) for value in proof):
        raise FormatError("the proof of the evidence is no list of hashes")
    vkey, known, shown_note, seen_by = texts
    return ForkEvidence(
        vkey, known.encode(), shown_note.encode(), tuple(map(decode_base64, proof)), seen_by, seen_at
    )


def check_fork_evidence(evidence: ForkEvidence, verifiers: Iterable[Verifier]) -> CheckedEvidence:
    """What ``evidence`` shows under the log's keys ``verifiers``.

    Raises SignatureError where the log did not sign both checkpoints, FormatError where one is none, and ProofError where
    the two go together after all, so that nothing is shown.
    """
    keys = list(verifiers)
    known, shown_state = (_open(note, keys) for note in (evidence.known, evidence.shown))
    if known.origin != shown_state.origin:
        raise SignatureError("the two checkpoints are of two logs")
    if known.size == shown_state.size:
        if known.root == shown_state.root:
            raise ProofError("the two checkpoints state the same tree: this is no fork")
        return CheckedEvidence("fork", known, shown_state)
    older, newer = sorted((known, shown_state), key=lambda state: state.size)
    try:
        if older.size > 0:
            check_consistency(evidence.proof, older.size, newer.size, older.root, newer.root)
    except ProofError:
        return CheckedEvidence("unexplained", known, shown_state)
    raise ProofError("the proof holds: the later checkpoint continues the earlier one, and this is no fork")


def _open(note: bytes, verifiers: list[Verifier]) -> Checkpoint:
    opened = open_note(note, verifiers)
    checkpoint = parse_body(opened.text)
    if checkpoint.origin not in opened.verified:
        raise SignatureError(f"the log {checkpoint.origin!r} has not signed its checkpoint")
    return checkpoint
