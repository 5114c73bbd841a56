"""What whoever is not the operator says, held against the log (verdict rules, section 2.3).

Receipts, egress counts and sightings of canaries are taken in the order of the log. What they are about stands anywhere in
it, so that, where there are any, the log's deliveries are read once more before the engine sweeps; the engine is told which
attempts it must not call clean by itself. All of it is the same whichever engine reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ledger.audit.attempt_ends import AttemptEnds
from ledger.audit.backing import Positions, load_deliveries
from ledger.audit.egress import EgressBook
from ledger.audit.entry_reader import EntryReader
from ledger.audit.findings import Finding
from ledger.audit.receipts import BATCH_RECEIPTS, ReceiptBook
from ledger.audit.report import Exposed
from ledger.core.canaries import find_leak
from ledger.core.delivery import Delivery
from ledger.core.history import History
from ledger.core.judgement import judge
from ledger.core.note import Verifier
from ledger.core.receipts import RECEIPT_MISSING_AFTER_MS, SignatureCheck
from ledger.core.verdicts import Code, severity_of
from ledger.ports import Attempt, Reading


def of_sighting(seen: Any) -> Finding | None:
    """The finding of a ``canary.seen``, or None where the canary turned up at its own developer."""
    text = find_leak(seen)
    if text is None:
        return None
    code: Code = "CANARY_LEAKED"
    details = {"canary": seen.canary, "developer": seen.seen_by, "account": seen.account}
    return Finding(code, (code,), severity_of(code), (seen.seq,), text, details=_without_none(details))


class SecondSources:
    """All second sources of one log; ``check`` is None where nobody can verify signatures: then a note says so."""

    def __init__(self, verifier: Verifier, reader: EntryReader, check: SignatureCheck | None) -> None:
        self._receipts = None if check is None else ReceiptBook(verifier, check)
        self._egress = None if check is None else EgressBook(verifier.name, check)
        self._reader = reader
        self._count = self._unchecked = 0
        self._due: list[int] = []
        self._denied: list[int] = []
        self._told: dict[str, list[int]] = {}
        self._notes: list[str] = []
        self._findings: list[Finding] = []
        self._leaks: list[Any] = []
        self._history = History()
        self._tree_size = self._ledger_time_ms = 0

    def add(self, entry: Any, history: History) -> None:
        """Take the next entry of a second source's kind; ``history`` holds all that stands before it."""
        self._count += 1
        if entry.kind == "canary.seen":
            self._add_sighting(entry)
        elif self._receipts is None or self._egress is None:
            self._unchecked += 1
        elif entry.kind == "egress.counted":
            self._egress.add(self._count, entry, history)
        elif self._receipts.add(self._count, entry, history) >= BATCH_RECEIPTS:
            self._receipts.take_waiting(self._reader)

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
        receipts.take_waiting(self._reader)
        receipts.close()
        is_counted = not egress.is_empty
        if is_counted or not receipts.is_empty:
            self._look(reading, receipts, egress if is_counted else None)
        self._conclude_sought(receipts)
        if is_counted:
            self._compare(egress)
        doubted = [position for position in self._due if not receipts.is_receipted(position)]
        return doubted + [position for position in self._denied if receipts.is_receipted(position)]

    def _look(self, reading: Reading, receipts: ReceiptBook, egress: EgressBook | None) -> None:
        ends = AttemptEnds()
        for position, entry in reading.deliveries(self._tree_size):
            if entry.delivery in receipts.sought:
                self._told.setdefault(entry.delivery, []).append(position)
            if entry.kind == "delivery.attempted":
                ends.begin(position, entry)
                continue
            place, meant = position, entry.developer
            if entry.kind == "delivery.settled":
                # Only a pair can be called clean by an engine: what is told of more than once never is.
                attempted = ends.end(entry)
                if attempted is not None:
                    place, meant = attempted.position, attempted.developer
                if egress is not None:
                    egress.see_settled(entry, attempted)
            claimed = None if entry.received_by is None else entry.received_by.developer
            self._see_end(receipts, place, entry, (meant, claimed))
        if egress is not None:
            for unsettled in ends.waiting.values():
                egress.see_uncertain(unsettled, unsettled.recorded_at)

    def _see_end(
        self, receipts: ReceiptBook, position: int, ended: Any, developers: Sequence[str | None]
    ) -> None:
        """Note, generously, whether a receipt may matter to the attempt at ``position``: the scalar rule judges those.

        ``developers`` are whom it was meant for and who is said to have it.
        """
        if ended.disclosure == "none":
            if receipts.is_receipted(position) or ended.delivery in receipts.sought:
                self._denied.append(position)
        elif (
            ended.disclosure == "confirmed"
            and self._ledger_time_ms - ended.started_at >= RECEIPT_MISSING_AFTER_MS
            and not receipts.is_receipted(position)
            and any(receipts.firsts.get(one or "", position) < position for one in developers)
        ):
            self._due.append(position)

    def _conclude_sought(self, receipts: ReceiptBook) -> None:
        for delivery in receipts.sought:
            loaded = load_deliveries(Attempt(tuple(self._told.get(delivery, ()))), self._reader)
            receipts.conclude(
                delivery,
                [
                    (
                        positions,
                        one,
                        judge(
                            one,
                            self._history,
                            tree_size=self._tree_size,
                            ledger_time_ms=self._ledger_time_ms,
                        ),
                    )
                    for positions, one in loaded
                ],
            )

    def _compare(self, egress: EgressBook) -> None:
        hosts = {destination.host for destination in self._history.destinations}
        for hour in sorted(egress.hours):
            self._findings += egress.compare(hour, self._history, hosts).values()
        unclosed = egress.count_unclosed(self._history, self._ledger_time_ms)
        if unclosed:
            self._notes.append(f"{unclosed} hours with deliveries have no closed count of every egress proxy")

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
            findings += [alarm.finding for alarm in self._receipts.alarms.values()]
            for account, subjects, receiver in self._receipts.exposures():
                exposed.add_people(account, subjects, receiver, "definite")
        if self._egress is not None:
            findings += self._egress.faults.values()
        notes += self._notes
        if self._unchecked:
            notes.append(f"{self._unchecked} receipts and egress counts: their signatures were not checked")


def _without_none(details: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in details.items() if value is not None}
