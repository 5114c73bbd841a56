"""What is on its way through the sequencer: calls that wait, batches that are judged, the one that is being committed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from ledger.core.history import History
from ledger.ports import Announced
from ledger.sequencer.batch import Batch
from ledger.sequencer.draft import AttemptDraft, Decision, Draft

Items = Sequence[Draft | AttemptDraft]


@dataclass(frozen=True, slots=True)
class Call:
    """Items of one caller, answered together and never split; ``whole`` means all of them or none.

    With a ``question`` there are no items: it is answered by itself, between two batches.
    """

    items: Items
    future: Future[Any]
    whole: bool
    question: Callable[[History, int], Any] | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A batch on its way to the disk, with the outcomes that its callers get once it is durable.

    ``announced`` are the restrictions in it, as long as it is not known what becomes of them.
    """

    calls: Sequence[Call]
    batch: Batch
    outcomes: Sequence[Decision]
    announced: Announced | None


@dataclass(frozen=True, slots=True)
class Flight:
    """A batch that is being committed; ``landed`` tells whether it is durable, when that is known."""

    batch: Batch
    landed: Future[bool]
