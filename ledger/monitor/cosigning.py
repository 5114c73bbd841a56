"""A witness that has read what it cosigns (transparency formats, section 4.6; ledger format, section 1.4).

To its log it is a witness like any other: ``POST /add-checkpoint``. But before it answers it follows the log up to the
checkpoint that it is shown, replays the index and holds every ``index.sealed`` against it; and it cosigns only where all of
that is right. So where a policy asks for it, a log whose index leaves something out publishes nothing any more, and who
finds the cosignature in a proof knows that somebody else has recomputed the index that the proof rests on.

The log asks before it publishes. So what is new is read below the checkpoint that is shown, not below the published one:
the log's server, or its copies, have to show entries that are signed and not yet published to whoever may read entries.
Until they do the answer is 503, and the log asks again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import structlog

from ledger.core.add_checkpoint import parse_add_checkpoint
from ledger.core.checkpoint import parse_checkpoint
from ledger.core.note import parse_note
from ledger.errors import FormatError, LedgerError
from ledger.monitor.log_monitor import LogMonitor, Round
from ledger.ports import Clock
from ledger.vault.cosignatures import CosignatureSigner
from ledger.witness.book import WitnessBook
from ledger.witness.witness import Answer, Witness

REPLAY_SECONDS_MAX = 600.0
"""Longest wait for a look at the same log that is under way."""

log = structlog.get_logger()


class ReplayingWitness(Witness):
    """Cosigns for logs that are followed: the checkpoints whose whole index was replayed and found right."""

    def __init__(
        self,
        book: WitnessBook,
        signer: CosignatureSigner,
        clock: Clock,
        monitors: Mapping[str, tuple[LogMonitor, threading.Lock]],
        say: Callable[[LogMonitor, Round], None],
    ) -> None:
        """``monitors`` by origin, each with the lock of whoever uses it; ``say`` tells what a look came to."""
        super().__init__(book, signer, clock)
        self._monitors = monitors
        self._say = say

    def add_checkpoint(self, body: bytes) -> Answer:
        """The answer to a request with this body, after the log was followed up to its checkpoint."""
        reason = self._follow(body)
        if reason is not None:
            log.warning("monitor.not_cosigned", reason=reason)
            return Answer(503, f"{reason}\n".encode())
        return super().add_checkpoint(body)

    def _follow(self, body: bytes) -> str | None:
        """Why the checkpoint is not cosigned now, or None: then it is for the witness to judge."""
        try:
            note = parse_add_checkpoint(body).note
            shown = parse_checkpoint(parse_note(note).text)
        except FormatError:
            return None  # the witness refuses it
        found = self._monitors.get(shown.origin)
        if found is None:
            return None  # as a log that it does not know
        monitor, lock = found
        if not lock.acquire(timeout=REPLAY_SECONDS_MAX):
            return "the log is still being followed"
        try:
            if not monitor.has_accepted(shown):
                self._say(monitor, monitor.look(lambda done, total: None, proposed=note))
            if not monitor.has_accepted(shown):
                return f"the checkpoint over {shown.size} entries was not found to be the log's"
            if not monitor.is_index_right:
                return "the log or an index that it has stated is not right"
        except LedgerError as error:
            return f"the log cannot be read up to the checkpoint: {error}"
        finally:
            lock.release()
        return None
