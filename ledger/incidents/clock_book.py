"""The incidents' clocks as the log has them, and findings of deadlines that were missed (section 5.1).

Deadlines are a pure function of entries (:mod:`ledger.core.incident_clock`) and of now. Nothing is scheduled: whoever looks
finds what has passed, whether the service was up meanwhile or not. Entries are read once, from the first incident on; what
follows is taken in as it comes.
"""

from __future__ import annotations

import threading
from typing import Any

import structlog

from ledger.core.incident_clock import (
    AUTHORITY_NOTICE,
    CLOCK_KINDS,
    GONE,
    Candidate,
    Deadline,
    IncidentClocks,
)
from ledger.errors import FormatError
from ledger.gateway.drafts import live_draft
from ledger.ports import Clock, Codec, EntryStore
from ledger.ports.incidents import Incidents
from ledger.sequencer.draft import Draft, expect
from ledger.sequencer.sequencer import Sequencer

WATCH = "system:incidents"
_NEEDLES = tuple(sorted({f'"kind":"{kind.partition(".")[0]}.'.encode() for kind in CLOCK_KINDS}))

log = structlog.get_logger()


class ClockBook:
    """The clocks of all incidents, up to date whenever they are asked for. Safe from any thread."""

    def __init__(self, store: EntryStore, incidents: Incidents, codec: Codec) -> None:
        self._store = store
        self._incidents = incidents
        self._codec = codec
        self._clocks = IncidentClocks()
        self._size: int | None = None
        self._lock = threading.Lock()

    def deadlines(self, incident: str) -> list[Deadline]:
        """Everything that has to be done about ``incident``, by when it is due."""
        with self._lock:
            return self._caught_up().deadlines(incident)

    def candidates(self, incident: str) -> list[Candidate]:
        """Every moment that may have started its clock, by time."""
        with self._lock:
            return self._caught_up().candidates(incident)

    def awareness(self, incident: str) -> Candidate | None:
        """The earliest defensible of them."""
        with self._lock:
            return self._caught_up().awareness(incident)

    def overdue(self, as_of_ms: int) -> list[Deadline]:
        """Every deadline that was missed by then."""
        with self._lock:
            return self._caught_up().overdue(as_of_ms)

    def is_late(self, incident: str, jurisdiction: str, at_ms: int) -> bool:
        """Whether the authority of ``jurisdiction``, told for the first time at ``at_ms``, is told late."""
        return any(
            one.policy == AUTHORITY_NOTICE
            and one.jurisdiction in (None, jurisdiction)
            and one.due_at_ms < at_ms
            for one in self.deadlines(incident)
        )

    def _caught_up(self) -> IncidentClocks:
        size = self._store.size()
        if self._size is None:
            self._size = self._begin(size)
        for row in self._store.fetch_range(self._size, size):
            self._take(row.data)
            self._size = row.seq + 1
        return self._clocks

    def _begin(self, size: int) -> int:
        """Take in the policies set before the first incident was opened; where that is, or ``size`` without any."""
        opened = [f"incident.opened/{one.incident}" for one in self._incidents.load_all()]
        rows = self._store.fetch_by_uids(opened)
        first = min((row.seq for row in rows.values()), default=size)
        policies = self._store.fetch_by_uids([one.uid for one in self._incidents.policies()])
        for row in sorted(policies.values(), key=lambda row: row.seq):
            if row.seq < first:
                self._take(row.data)
        return first

    def _take(self, data: bytes) -> None:
        if not any(needle in data for needle in _NEEDLES):
            return
        try:
            entry: Any = self._codec.decode(data)
        except FormatError:
            return  # Only a forced entry is malformed, and a verification tells.
        if entry.kind == "notice.given_up" and entry.reason == GONE:
            # Somebody may have been erased before the first incident, where the reading began.
            uid = f"subject.erased/{entry.account}"
            for row in self._store.fetch_by_uids([uid]).values():
                if row.seq < entry.seq:
                    self._clocks.add(self._codec.decode(row.data))
        self._clocks.add(entry)


class DeadlineWatch:
    """Records each missed deadline once, as a finding. Safe to run in several processes: the log takes a uid once."""

    def __init__(self, book: ClockBook, sequencer: Sequencer, clock: Clock) -> None:
        self._book = book
        self._sequencer = sequencer
        self._clock = clock
        self._told: set[str] = set()

    def run_once(self) -> int:
        """Record what has passed by now; how many findings are new. Raises StoreError where nothing is known."""
        count = 0
        for missed in self._book.overdue(self._clock.now_ms()):
            uid = uid_of(missed)
            if uid in self._told:
                continue
            appended = expect(self._sequencer.append(_finding(missed, uid, self._sequencer.size)))
            self._told.add(uid)
            if appended.created:
                count += 1
                log.warning("incidents.overdue", incident=missed.incident, code=missed.code)
        return count


def uid_of(missed: Deadline) -> str:
    """One for each deadline of an incident: whoever finds it missed makes the same."""
    which = f"{missed.policy}/{missed.jurisdiction or ''}/{missed.revision or 0}"
    return f"finding.recorded/{missed.code}/{missed.incident}/{which}"


def _finding(missed: Deadline, uid: str, tree_size: int) -> Draft:
    stated = {"code": missed.code, "severity": "P", "tree_size": tree_size, "incident": missed.incident}
    draft = live_draft("finding.recorded", WATCH, stated, uid=uid, via="system")
    # When it is looked at again the log is longer, and the finding is the same.
    return Draft(draft.members, compare_exclude=draft.compare_exclude | {"tree_size"})
