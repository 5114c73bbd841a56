"""Attempts whose end nobody told: settled as what might have happened (ledger format, 1.5; verdict rules, 2.2).

A process that dies between the permit and the settlement leaves a ``delivery.attempted`` without a second half. Nobody
can say any more whether the body left, so the rescuer says ``possible``; should the transport's evidence come after all,
it wins. The parcel goes on with its next attempt, which the gate decides anew: an old permit is never used.

Normally a dispatcher finds such an attempt itself, when it asks about a parcel whose lease has run out
(:mod:`ledger.gateway.delivering`). What this module adds is a look through the end of the log when a process starts, for
attempts whose parcel is in nobody's way any more. It touches only attempts of this service's own dispatchers: what
another system was authorized to send is for that system to settle.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import msgspec
import structlog

from ledger.core.entry_codes import UNSETTLED_AFTER_MS
from ledger.core.retry import RETRY_WAITS_MS
from ledger.gateway.attempt_entries import ACTOR, AttemptedEntry, settle_unseen
from ledger.ports import Clock, EntryStore
from ledger.ports.outbox import AttemptNote, Outbox
from ledger.ports.registry import Registry
from ledger.sequencer.draft import Rejection
from ledger.sequencer.sequencer import Sequencer

LOOK_BACK_MS = 15 * 60 * 1_000
"""How far behind the end of the log to look: what was left before that, the processes of that time have settled."""

LOOK_BACK_ENTRIES_MAX = 200_000
"""At a thousand entries a second more than two leases: what is older is found by its parcel's lease."""
PAGE_ENTRIES = 4_096
WATCHED_MAX = 100_000

log = structlog.get_logger()


class _Told(msgspec.Struct, gc=False):
    """As much of any entry as it takes to see which attempts are open."""

    kind: str
    recorded_at: int
    actor: str
    delivery: str = ""
    attempt: int = 0


_read_told = msgspec.json.Decoder(_Told).decode
_read_attempted = msgspec.json.Decoder(AttemptedEntry).decode

Attempt = tuple[str, int]


class Watch:
    """For how long attempts have been open, by a clock that may go back. Not safe from several threads."""

    def __init__(self) -> None:
        self._first_seen_ms: dict[Attempt, int] = {}

    def is_old(self, attempted: AttemptedEntry, now_ms: int) -> bool:
        """Whether ``attempted`` has been open for a minute: since it was recorded, or since it was first asked about.

        The ledger's time stands still while a host's clock that went back catches up, and nobody shall wait for that.
        """
        key = (attempted.delivery, attempted.attempt)
        if len(self._first_seen_ms) >= WATCHED_MAX:
            self._first_seen_ms.clear()
        seen_ms = self._first_seen_ms[key] = min(now_ms, self._first_seen_ms.get(key, now_ms))
        return now_ms - min(seen_ms, attempted.recorded_at) >= UNSETTLED_AFTER_MS

    def forget(self, attempted: AttemptedEntry) -> None:
        """It is settled."""
        self._first_seen_ms.pop((attempted.delivery, attempted.attempt), None)


class Rescuer:
    """Settles attempts that nobody settled. ``is_in_hand`` says whether this process is at work on a delivery."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        store: EntryStore,
        outbox: Outbox,
        registry: Registry,
        clock: Clock,
        is_in_hand: Callable[[str], bool],
        on_outcome: Callable[[AttemptNote], None],
    ) -> None:
        self._sequencer = sequencer
        self._store = store
        self._outbox = outbox
        self._registry = registry
        self._clock = clock
        self._is_in_hand = is_in_hand
        self._on_outcome = on_outcome
        self._looking = threading.Lock()
        self._open: dict[Attempt, AttemptedEntry] | None = None
        self._watch = Watch()

    def run_once(self) -> int:
        """Settle the open attempts of before this process that are old enough; how many. Raises StoreError.

        The first call reads the end of the log. Attempts that are too young then are looked at again by later calls,
        which read nothing once there is none left.
        """
        with self._looking:
            if self._open is None:
                self._open = find_open_attempts(self._store)
            now_ms = self._clock.now_ms()
            settled = 0
            for key, attempted in list(self._open.items()):
                if not self._watch.is_old(attempted, now_ms) or self._is_in_hand(attempted.delivery):
                    continue
                if not self._is_settled(attempted):
                    self._settle(attempted)
                    settled += 1
                # Only now: had that raised, the next call would try again.
                del self._open[key]
                self._watch.forget(attempted)
        return settled

    def _is_settled(self, attempted: AttemptedEntry) -> bool:
        uid = f"delivery.settled/{attempted.delivery}/{attempted.attempt}"
        return bool(self._store.fetch_by_uids([f"{uid}/transport", f"{uid}/rescuer"]))

    def _settle(self, attempted: AttemptedEntry) -> None:
        app = self._registry.load_app(attempted.app)
        waits_ms = (app.retry_waits_ms if app is not None else ()) or RETRY_WAITS_MS
        note = settle_open_attempt(self._sequencer, self._outbox, attempted, waits_ms)
        if note is not None:
            self._on_outcome(note)


def settle_open_attempt(
    sequencer: Sequencer, outbox: Outbox, attempted: AttemptedEntry, waits_ms: Sequence[int]
) -> AttemptNote | None:
    """Settle ``attempted`` as possible and move its parcel on; None where the ledger refused, which is logged.

    Raises StoreError where nobody knows whether it happened; repeating it is safe.
    """
    settlement = settle_unseen(attempted, waits_ms, outbox)
    outcome = sequencer.append(settlement.draft)
    if isinstance(outcome, Rejection):
        log.error("rescue.rejected", seq=attempted.seq, code=outcome.code, reason=outcome.reason)
        return None
    log.warning("rescue.settled", seq=attempted.seq, attempt=attempted.attempt)
    return settlement.note


def read_attempted(data: bytes) -> AttemptedEntry:
    """What the entry ``data``, a ``delivery.attempted``, says of its attempt."""
    return _read_attempted(data)


def find_open_attempts(store: EntryStore) -> dict[Attempt, AttemptedEntry]:
    """Attempts of this service's dispatchers near the end of the log that no settlement follows, the newest first."""
    end = store.size()
    settled: set[Attempt] = set()
    found: dict[Attempt, AttemptedEntry] = {}
    oldest = max(0, end - LOOK_BACK_ENTRIES_MAX)
    horizon_ms: int | None = None
    while end > oldest:
        start = max(oldest, end - PAGE_ENTRIES)
        page = [(row.data, _read_told(row.data)) for row in store.fetch_range(start, end)]
        # From the newest to the oldest, so that a settlement is met before its attempt.
        for data, told in reversed(page):
            horizon_ms = told.recorded_at - LOOK_BACK_MS if horizon_ms is None else horizon_ms
            key = (told.delivery, told.attempt)
            if told.kind == "delivery.settled":
                settled.add(key)
            elif told.kind == "delivery.attempted" and told.actor == ACTOR and key not in settled:
                found[key] = _read_attempted(data)
        if page and horizon_ms is not None and page[0][1].recorded_at < horizon_ms:
            break
        end = start
    return found
