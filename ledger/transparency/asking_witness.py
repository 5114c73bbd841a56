"""One witness, asked about one checkpoint (C2SP tlog-witness; transparency formats, section 4.6).

What it answers is not trusted. A cosignature counts if it is this witness's own, of this very checkpoint, from about now. A
size that it says it cosigned last is believed as far as that costs nothing: the log proves itself from there, a few times
at most. What it says against the log, that it knows a larger tree, or that the log's proof does not hold, is never passed
over: a lie would stop the log, and whoever wants to go on takes the liar out of the policy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ledger.core.add_checkpoint import (
    PATH,
    SIZE_MEDIA_TYPE,
    AddCheckpoint,
    format_add_checkpoint,
    parse_cosignatures,
    parse_size,
)
from ledger.core.checkpoint import Checkpoint
from ledger.core.cosignature import decode_cosignature
from ledger.core.note import NoteSignature, Verifier, format_note, open_note
from ledger.core.strict import shown
from ledger.errors import FormatError, ProofError, SignatureError, StoreError
from ledger.ports.cosigning import ProveConsistency, WitnessAnswer, WitnessCalls

ROUNDS_MAX = 3
"""How often a witness may tell another size: somebody else may be asking it at the same time."""
TIME_OFF_S_MAX = 300
"""How far the time of a cosignature may be from now."""


@dataclass(frozen=True, slots=True)
class Asking:
    """One checkpoint for which cosignatures are sought: its note as the log signed it, and the text in it."""

    checkpoint: Checkpoint
    text: str
    note: bytes
    prove: ProveConsistency


@dataclass(frozen=True, slots=True)
class Contradiction:
    """What a witness said against the log: its status and body, about a proof from ``old_size``."""

    old_size: int
    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of it: the witness's line, or the ``reason`` why there is none; ``against`` the log, where it is that.

    ``known_size`` is where the next question to this witness begins.
    """

    line: NoteSignature | None
    known_size: int
    reason: str = ""
    against: Contradiction | None = None


class WitnessAsker:
    """Asks the witness at ``url``, whose key is ``verifier``; one question at a time."""

    def __init__(self, url: str, verifier: Verifier, calls: WitnessCalls, now_ms: Callable[[], int]) -> None:
        self._url = f"{url.rstrip('/')}/{PATH}"
        self._verifier = verifier
        self._calls = calls
        self._now_ms = now_ms

    def ask(self, asking: Asking, old_size: int) -> Reply:
        """The witness's reply about ``asking``, of which it is thought to have cosigned ``old_size`` entries last."""
        size = asking.checkpoint.size
        old_size = min(old_size, size)
        for _ in range(ROUNDS_MAX):
            try:
                answer = self._calls.post(self._url, self._request(asking, old_size))
            except StoreError as error:
                return Reply(None, old_size, str(error))
            except ProofError as error:
                return Reply(None, 0, f"the log cannot prove itself from {old_size} entries on: {error}")
            if answer.status == 200:
                return self._take(asking, old_size, answer)
            if answer.status != 409:
                return _refused(asking, old_size, answer)
            told = _told_size(answer)
            if told is None or told == old_size:
                return _conflicting(asking, old_size, answer)
            if told > size:
                against = Contradiction(old_size, answer.status, answer.body)
                reason = f"it has cosigned {told} entries, more than the {size} of this checkpoint"
                return Reply(None, old_size, reason, against)
            old_size = told
        return Reply(None, old_size, f"it told another size {ROUNDS_MAX} times")

    @staticmethod
    def _request(asking: Asking, old_size: int) -> bytes:
        is_proven = 0 < old_size < asking.checkpoint.size
        proof = tuple(asking.prove(old_size)) if is_proven else ()
        return format_add_checkpoint(AddCheckpoint(old_size, proof, asking.note))

    def _take(self, asking: Asking, old_size: int, answer: WitnessAnswer) -> Reply:
        """The line in an answer 200, if it holds."""
        try:
            note = format_note(asking.text, parse_cosignatures(answer.body))
            line = open_note(note, [self._verifier]).verified_signatures[0]
            time_s = decode_cosignature(line.signature).time_s
        except SignatureError:
            return Reply(None, old_size, "what it answered is no signature of its key on this checkpoint")
        except FormatError as error:
            return Reply(None, old_size, f"what it answered is no cosignature: {error}")
        off_s = time_s - self._now_ms() // 1_000
        if abs(off_s) > TIME_OFF_S_MAX:
            said = f"its cosignature says a time {abs(off_s)} s {'ahead of' if off_s > 0 else 'behind'} ours"
            return Reply(None, old_size, said)
        return Reply(line, asking.checkpoint.size)


def _told_size(answer: WitnessAnswer) -> int | None:
    if answer.media_type != SIZE_MEDIA_TYPE:
        return None
    try:
        return parse_size(answer.body)
    except FormatError:
        return None


def _conflicting(asking: Asking, old_size: int, answer: WitnessAnswer) -> Reply:
    """A conflict that another proof cannot end: with all of our own tree it can only be another tree of that size."""
    if old_size == asking.checkpoint.size:
        reason = f"it has cosigned another tree of {old_size} entries"
        return Reply(None, old_size, reason, Contradiction(old_size, answer.status, answer.body))
    return Reply(None, 0, "it said that there is a conflict, and not with which size")


def _refused(asking: Asking, old_size: int, answer: WitnessAnswer) -> Reply:
    said = shown(answer.body.decode("utf-8", "replace").strip())
    if answer.status == 422 and old_size > 0:
        if old_size == asking.checkpoint.size:
            return _conflicting(asking, old_size, answer)
        reason = f"it does not accept that the tree continues the one of {old_size} entries that it cosigned"
        return Reply(None, old_size, reason, Contradiction(old_size, answer.status, answer.body))
    known = {
        403: "it does not know the key that signed the checkpoint",
        404: f"it does not know the log {shown(asking.checkpoint.origin)}",
    }
    return Reply(None, old_size, known.get(answer.status, f"it answered {answer.status}: {said}"))
