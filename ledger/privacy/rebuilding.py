"""Rows that a database put back from a backup lacks, and that the log can tell (ledger format, section 1.2).

Which holds stand, which policies were set, and what became of notices are entries; the rows beside them are what the service
looks at. So after a restore they are made from the entries: nobody is told a second time of what the log says was sent, a
period that was set since counts, and a hold is seen by whatever asks the table.

What no entry holds cannot be made: the words behind commitments, addresses, what a notice is about. A notice that was queued
since the backup has no row any more, and is not sent again.

Every step may be repeated. If the process dies on the way, restoring again makes all of it again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ledger.errors import FormatError
from ledger.ports import Change, Codec, EntryStore
from ledger.ports.incidents import Incidents, Policy
from ledger.ports.notices import Notices, NoticeState
from ledger.privacy.holds import LegalHolds

CHANGES_AT_ONCE = 1_000
UNCONFIRMED = "unconfirmed"

_NEEDLES = (b'"kind":"notice.', b'"kind":"policy.set"')


class Rebuilding:
    """Makes rows from entries. One process at a time."""

    def __init__(
        self,
        *,
        store: EntryStore,
        codec: Codec,
        holds: LegalHolds,
        notices: Notices,
        incidents: Incidents,
        apply: Callable[[Sequence[Change]], None],
    ) -> None:
        """``apply`` makes changes durable."""
        self._store = store
        self._codec = codec
        self._holds = holds
        self._notices = notices
        self._incidents = incidents
        self._apply = apply

    def run(self) -> int:
        """Make what is missing, durably; how many entries were looked into. Raises StoreError or ForkError."""
        waiting = list(self._holds.rebuild())
        count = 0
        for row in self._store.fetch_range(0, self._store.size()):
            # Canonical bytes: a text holds no quotation mark, so this is the member and nothing else.
            if not any(needle in row.data for needle in _NEEDLES):
                continue
            try:
                change = self._change_of(self._codec.decode(row.data))
            except FormatError:
                continue  # Only a forced entry is malformed, and a verification tells.
            if change is not None:
                count += 1
                waiting.append(change)
            if len(waiting) >= CHANGES_AT_ONCE:
                self._apply(waiting)
                waiting = []
        if waiting:
            self._apply(waiting)
        return count

    def _change_of(self, entry: Any) -> Change | None:
        """What ``entry`` did to its row; None where that cannot be told, or nothing."""
        if entry.kind == "policy.set":
            jurisdiction = entry.jurisdiction or ""
            kept = Policy(entry.policy, jurisdiction, entry.period_ms, entry.recorded_at, entry.uid)
            return self._incidents.put_policy(kept)
        if entry.kind == "notice.sent":
            state: NoticeState = "unconfirmed" if entry.reason == UNCONFIRMED else "sent"
            return self._notices.settle(entry.notice, state, entry.recorded_at, entry.reason)
        if entry.kind == "notice.given_up":
            return self._notices.settle(entry.notice, "given_up", entry.recorded_at, entry.reason)
        if entry.kind == "notice.read":
            return self._notices.mark_read(entry.notice, entry.recorded_at)
        return None
