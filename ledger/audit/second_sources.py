"""What whoever is not the operator says, held against the log (verdict rules, section 2.3).

Receipts, egress counts and sightings of canaries are taken in the order of the log. What they are about stands anywhere in
it, so that, where there are any, the log's deliveries are read once more before the engine sweeps; the engine is told which
attempts it must not call clean by itself. All of it is the same whichever engine reads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ledger.audit.backing import Positions
from ledger.audit.egress import EgressBook
from ledger.audit.entry_reader import EntryReader
from ledger.audit.findings import Finding
from ledger.audit.receipts import ReceiptBook
from ledger.audit.report import Exposed
from ledger.core.canaries import find_leak
from ledger.core.delivery import Delivery
from ledger.core.history import History
from ledger.core.note import Verifier
from ledger.core.receipts import SignatureCheck
from ledger.core.verdicts import Code, severity_of
from ledger.ports import Reading


def of_sighting(seen: Any) -> Finding | None:
    """The finding of a ``canary.seen``, or None where the canary turned up at its own developer."""
    text = find_leak(seen)
    if text is None:
        return None
    code: Code = "CANARY_LEAKED"
    details = {"canary": seen.canary, "developer": seen.seen_by, "account": seen.account}
    return Finding(code, (code,), severity_of(code), (seen.seq,), text, details=_without_none(details))


class _Waiting(NamedTuple):
    """An attempt whose end was not read yet."""

    position: int
    developer: str
    endpoint: str
    recorded_at: int
    body_bytes: int


class SecondSources:
    """All second sources of one log; ``check`` is None where nobody can verify signatures: then a note says so."""

    def __init__(self, verifier: Verifier, reader: EntryReader, check: SignatureCheck | None) -> None:
        self._receipts = None if check is None else ReceiptBook(verifier, reader, check)
        self._egress = None if check is None else EgressBook(verifier.name, check)
        self._notes: list[str] = []
        self._findings: list[Finding] = []
        self._leaks: list[Any] = []
        self._unchecked = 0
        self._history = History()
        self._tree_size = self._ledger_time_ms = 0

    def add(self, entry: Any, history: History) -> None:
        """Take the next entry of a second source's kind; ``history`` holds all that stands before it."""
        if entry.kind == "canary.seen":
            self._add_sighting(entry)
        elif self._receipts is None or self._egress is None:
            self._unchecked += 1
        elif entry.kind == "delivery.receipt":
            self._receipts.add(entry, history)
        else:
            self._egress.add(entry, history)

    def _add_sighting(self, seen: Any) -> None:
        found = of_sighting(seen)
        if found is not None:
            self._findings.append(found)
            self._leaks.append(seen)

    def look_again(
        self, reading: Reading, history: History, tree_size: int, ledger_time_ms: int
    ) -> list[int]:
        """Hold what was taken against the deliveries; the places of attempts that the scalar rule has to judge."""
        self._history, self._tree_size, self._ledger_time_ms = history, tree_size, ledger_time_ms
        receipts, egress = self._receipts, self._egress
        if receipts is None or egress is None:
            return []
        receipts.finish()
        if not (receipts.is_empty and egress.is_empty):
            self._look(reading, receipts, egress)
        if not receipts.is_empty:
            receipts.conclude(history, tree_size, ledger_time_ms)
        if not egress.is_empty:
            egress.conclude(history, ledger_time_ms, self._notes)
        return receipts.doubted

    def _look(self, reading: Reading, receipts: ReceiptBook, egress: EgressBook) -> None:
        waiting: dict[tuple[str, int], _Waiting] = {}
        is_counted = not egress.is_empty
        for position, entry in reading.deliveries(self._tree_size):
            receipts.see(position, entry.delivery)
            if entry.kind == "delivery.attempted":
                waiting[(entry.delivery, entry.attempt)] = _Waiting(
                    position, entry.developer, entry.endpoint, entry.recorded_at, entry.body_bytes
                )
                continue
            place, meant = position, entry.developer
            if entry.kind == "delivery.settled":
                # Only a pair can be called clean by an engine: what is told of more than once never is.
                attempted = waiting.pop((entry.delivery, entry.attempt), None)
                if attempted is not None:
                    place, meant = attempted.position, attempted.developer
                if is_counted:
                    egress.see_settled(entry, attempted)
            claimed = None if entry.received_by is None else entry.received_by.developer
            receipts.see_end(place, entry, (meant, claimed), self._ledger_time_ms)
        for unsettled in waiting.values() if is_counted else ():
            egress.see_uncertain(unsettled, unsettled.recorded_at)

    def weigh(self, positions: Positions, delivery: Delivery) -> Delivery:
        """``delivery``, told at ``positions``, with what second sources say about it; after the second look."""
        if self._receipts is None:
            return delivery
        return self._receipts.weigh(positions, delivery, self._history, self._tree_size, self._ledger_time_ms)

    def conclude(self, findings: list[Finding], exposed: Exposed, notes: list[str]) -> None:
        """Add what was found, who is affected, and what could not be checked."""
        findings += self._findings
        for seen in self._leaks:
            exposed.add_people(seen.account, (), seen.seen_by or "(nobody known)", "definite")
        if self._receipts is not None:
            findings += self._receipts.findings
            self._receipts.expose(exposed)
        if self._egress is not None:
            findings += self._egress.findings
        notes += self._notes
        if self._unchecked:
            notes.append(f"{self._unchecked} receipts and egress counts: their signatures were not checked")


def _without_none(details: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in details.items() if value is not None}
