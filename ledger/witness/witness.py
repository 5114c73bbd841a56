"""What a witness does with a checkpoint (C2SP tlog-witness; transparency formats, section 4.6).

::

    400  not well-formed, or the old size is above the checkpoint's
    404  no log of this origin is known
    403  none of the keys known for it has signed the checkpoint
    409  the old size is not the one cosigned last: the body says which that is
    422  the proof does not hold, or there is another root of this size
    200  persisted, and then: the cosignature

A checkpoint that the log has signed and that cannot be brought together with what was cosigned before is kept as evidence
together with it, and the answer 422 hands it over. What is cosigned says: as of this time, no larger tree was seen. So the
time is read before the state is moved, and never lies before the last one.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from ledger.core.add_checkpoint import (
    SIZE_MEDIA_TYPE,
    AddCheckpoint,
    format_cosignatures,
    format_size,
    parse_add_checkpoint,
    parse_body,
)
from ledger.core.checkpoint import Checkpoint
from ledger.core.fork_evidence import ForkEvidence, format_fork_evidence
from ledger.core.merkle import EMPTY_ROOT, check_consistency
from ledger.core.note import OpenedNote, format_note, open_note, parse_note
from ledger.errors import FormatError, ProofError, SignatureError
from ledger.ports import Clock
from ledger.vault.cosignatures import CosignatureSigner
from ledger.vault.ed25519 import verifier_from_vkey
from ledger.witness.book import Cosigned, WitnessBook

TEXT_MEDIA_TYPE = "text/plain; charset=utf-8"
JSON_MEDIA_TYPE = "application/json"
_NEVER = Cosigned(0, EMPTY_ROOT, 0, b"")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a body and its media type."""

    status: int
    body: bytes
    media_type: str = TEXT_MEDIA_TYPE


@dataclass(frozen=True, slots=True)
class _Shown:
    """A checkpoint that a known key of its log has signed, and what came with it."""

    request: AddCheckpoint
    checkpoint: Checkpoint
    opened: OpenedNote
    vkey: str

    @property
    def note(self) -> bytes:
        """The checkpoint with the log's signatures alone: what others added is nothing that was looked at."""
        return format_note(self.opened.text, self.opened.verified_signatures)


class Witness:
    """A witness with the key ``signer`` and the book ``book``; safe from any number of threads."""

    def __init__(self, book: WitnessBook, signer: CosignatureSigner, clock: Clock) -> None:
        self._book = book
        self._signer = signer
        self._clock = clock

    def add_checkpoint(self, body: bytes) -> Answer:
        """The answer to a request with this body; StoreError where nothing could be persisted, and so nothing is answered."""
        try:
            request = parse_add_checkpoint(body)
            note = parse_note(request.note)
            checkpoint = parse_body(note.text)
        except FormatError as error:
            return _said(400, f"the request is malformed: {error}")
        keys = self._book.keys(checkpoint.origin)
        if not keys:
            return _said(404, "no log of this origin is known here")
        try:
            opened = open_note(request.note, map(verifier_from_vkey, keys))
        except SignatureError as error:
            return _said(403, str(error))
        except FormatError as error:
            return _said(400, f"the request is malformed: {error}")
        if request.old_size > checkpoint.size:
            return _said(
                400, f"the old size {request.old_size} is above that of the checkpoint, {checkpoint.size}"
            )
        return self._judge(_Shown(request, checkpoint, opened, _signed_by(keys, opened)))

    def _judge(self, shown: _Shown) -> Answer:
        checkpoint, request = shown.checkpoint, shown.request
        found = self._book.load(checkpoint.origin)
        last = found or _NEVER
        evidence: ForkEvidence | None = None
        if found is not None and checkpoint.size == last.size and checkpoint.root != last.root:
            # Whatever the old size says: the log has signed two trees of one size.
            evidence = self._keep(shown, last)
        if request.old_size != last.size:
            return _conflict(last.size)
        try:
            _check_growth(last, checkpoint, request.proof)
        except ProofError as error:
            if last.size == 0 or (checkpoint.size, checkpoint.root) == (last.size, last.root):
                # Any tree continues the empty one, and itself: a wrong proof of that says nothing about the log.
                return _said(422, str(error))
            evidence = evidence or self._keep(shown, last)
            return Answer(422, format_fork_evidence(evidence), JSON_MEDIA_TYPE)
        return self._cosign(shown, found)

    def _cosign(self, shown: _Shown, before: Cosigned | None) -> Answer:
        origin, checkpoint = shown.checkpoint.origin, shown.checkpoint
        # A host clock that goes back is clamped: what was said as of a later time stays true.
        time_s = max(self._clock.now_ms() // 1_000, 0 if before is None else before.cosigned_at_s)
        after = Cosigned(checkpoint.size, checkpoint.root, time_s, shown.note)
        if not self._book.move(origin, before, after):
            # Another request was faster; what it has cosigned is the state now.
            return _conflict((self._book.load(origin) or _NEVER).size)
        log.info("witness.cosigned", origin=origin, size=checkpoint.size)
        return Answer(200, format_cosignatures([self._signer.cosign(shown.opened.text, time_s)]))

    def _keep(self, shown: _Shown, last: Cosigned) -> ForkEvidence:
        evidence = ForkEvidence(
            vkey=shown.vkey,
            known=last.note,
            shown=shown.note,
            proof=shown.request.proof,
            seen_by=self._signer.name,
            seen_at_s=self._clock.now_ms() // 1_000,
        )
        is_fork = shown.checkpoint.size == last.size
        name = self._book.keep(shown.checkpoint.origin, evidence, is_fork=is_fork)
        log.error(
            "witness.fork" if is_fork else "witness.unexplained",
            origin=shown.checkpoint.origin,
            known_size=last.size,
            shown_size=shown.checkpoint.size,
            evidence=name,
        )
        return evidence


def _check_growth(last: Cosigned, checkpoint: Checkpoint, proof: tuple[bytes, ...]) -> None:
    """Raise ProofError unless ``checkpoint`` is shown to continue what was cosigned last; the old size is right."""
    if last.size == 0:
        if proof:
            raise ProofError("from a log without entries there is nothing to prove")
        if checkpoint.size == 0 and checkpoint.root != last.root:
            raise ProofError("there are two roots of size 0")
        return
    check_consistency(proof, last.size, checkpoint.size, last.root, checkpoint.root)


def _signed_by(keys: list[str], opened: OpenedNote) -> str:
    """The first of the log's keys that has signed."""
    signed = {(one.name, one.key_id) for one in opened.verified_signatures}
    found = next(
        (
            vkey
            for vkey, key in ((vkey, verifier_from_vkey(vkey)) for vkey in keys)
            if (key.name, key.key_id) in signed
        ),
        None,
    )
    assert found is not None, "a note that opened was signed by one of the keys that opened it"
    return found


def _conflict(size: int) -> Answer:
    return Answer(409, format_size(size), SIZE_MEDIA_TYPE)


def _said(status: int, text: str) -> Answer:
    return Answer(status, f"{text}\n".encode())
