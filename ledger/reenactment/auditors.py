"""Three auditors of the same deliveries, and how right each one is (delivery protocol, section 3.7).

- *observed*: the ledger as it is. It names the exposures with an observed destination whose receiver is not the
  intended developer.
- *intended*: a ledger of the same records without what was observed. It names every exposure; there is none to see.
- *circumstances*: the same ledger without observation. It names what the circumstances of 2018 match, an upper bound.

Each of them is the shipped verifier or the shipped assessment of exposure, and is shown no truth. What they name is
compared with the ground truth, attempt by attempt: an attempt is wrong when its body reached another developer's TLS
key than the intended one's. Attempts that disclosed nothing are neither judged nor named.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.audit.exposure import Period, assess
from ledger.audit.verify import Verified
from ledger.core.exposure import Circumstances
from ledger.core.judgement import Judgement
from ledger.engines.codec import MsgspecCodec
from ledger.ports import LogSource
from ledger.reenactment.truth import AttemptTruth

Key = tuple[str, int]
"""A delivery and the number of an attempt at it."""

_NAMES = {
    "observed": "The ledger: observed destination",
    "intended": "Intended destination only",
    "circumstances": "Circumstances only",
}
_EXPLANATIONS = {
    "observed": "Judges where each connection really ended, by the server name that the peer's certificate proved.",
    "intended": (
        "Judges where each delivery was meant to go, which is all that a log of the sender's decisions can tell. "
        "Every one was meant for a developer that the account had chosen."
    ),
    "circumstances": (
        "Nobody saw the connections. Names each delivery before which, within six minutes, the same program had sent "
        "something for another developer to the same network address, port and path."
    ),
}


@dataclass(frozen=True, slots=True)
class Score:
    """What one auditor named, against the truth."""

    auditor: str
    judged: int
    flagged: frozenset[Key]
    wrong: frozenset[Key]

    @property
    def found(self) -> frozenset[Key]:
        """What it named rightly."""
        return self.flagged & self.wrong

    @property
    def precision(self) -> float | None:
        """The share of what it named that is wrong indeed; None where it named nothing."""
        return len(self.found) / len(self.flagged) if self.flagged else None

    @property
    def recall(self) -> float | None:
        """The share of what is wrong that it named; None where nothing is."""
        return len(self.found) / len(self.wrong) if self.wrong else None

    def to_json(self) -> dict[str, object]:
        """The auditor as the report lists it."""
        return {
            "id": self.auditor,
            "name": _NAMES[self.auditor],
            "judged": self.judged,
            "flagged": len(self.flagged),
            "true_positives": len(self.found),
            "false_positives": len(self.flagged - self.wrong),
            "false_negatives": len(self.wrong - self.flagged),
            "precision": self.precision,
            "recall": self.recall,
            "explanation": _EXPLANATIONS[self.auditor],
        }


def score(auditor: str, flagged: frozenset[Key], attempts: Iterable[AttemptTruth]) -> Score:
    """Compare what ``auditor`` named with the truth about ``attempts``."""
    judged = [attempt for attempt in attempts if attempt.disclosure != "none"]
    wrong = frozenset(key_of(attempt) for attempt in judged if attempt.is_misdelivered)
    return Score(auditor, len(judged), flagged, wrong)


def key_of(attempt: AttemptTruth) -> Key:
    """What an attempt is called in records, entries and findings."""
    return attempt.delivery, attempt.attempt


def observed_exposures(verified: Verified) -> list[Judgement]:
    """The definite exposures whose receiver is not the developer that was meant."""
    return [
        judged
        for judged in verified.judgements
        if judged.exposure == "definite"
        and (judged.actual is None or judged.actual.developer != judged.expected.developer)
    ]


def named_by_verdict(judgements: Iterable[Judgement]) -> frozenset[Key]:
    """The attempts of those of ``judgements`` that are exposures."""
    return frozenset(
        (judged.delivery.delivery, judged.delivery.attempt)
        for judged in judgements
        if judged.exposure is not None
    )


def named_by_circumstances(verified: Verified, source: LogSource) -> frozenset[Key]:
    """The attempts in ``source`` that are possibly exposed by the circumstances of 2018."""
    codec = MsgspecCodec()
    assessment = assess(verified, source, codec, Circumstances(), Period())
    named = set()
    for first_seq, *_ in assessment.possible.deliveries:
        entry = codec.decode(source.read_block(first_seq, 1).entries[0])
        named.add((entry.delivery, entry.attempt))  # type: ignore[attr-defined]
    return frozenset(named)
