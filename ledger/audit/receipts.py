"""What developers' receipts say, held against the deliveries that the log tells of (verdict rules, section 2.3).

- ``RECEIPT_INVALID``: not signed with the key that it states (that this key was not the developer's is found where the
  entry stands, :mod:`ledger.core.admission`), or half a promise.
- ``RECEIPT_WITHOUT_DELIVERY``: a signed receipt for what the log does not have: no such delivery, none to this developer
  (neither meant for it nor observed there), or not the entry that its ticket promised. Where there is such an attempt, and
  the log says that nothing of it left, the attempt itself gets the code, and counts as confirmed.
- ``RECEIPT_MISSING``: a confirmed attempt at a developer that had sent receipts before, 24 h old and without one.
- ``ENTRY_MALFORMED``: a receipt that does not repeat the tags of the attempt that it is for: then whom it is about would
  not find it.

A ticket names one entry, so that nearly every receipt is settled by looking at that one; the few others wait for the second
look at the log's deliveries. Which attempts may have got a code here is told to the engine (:attr:`ReceiptBook.doubted`),
generously: the scalar rule judges those.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from ledger.audit.backing import Positions, load_deliveries
from ledger.audit.entry_reader import EntryReader
from ledger.audit.findings import Finding
from ledger.audit.report import Exposed
from ledger.core.completion import receiving_owner
from ledger.core.delivery import Delivery
from ledger.core.history import History
from ledger.core.judgement import judge
from ledger.core.merkle import hash_leaf
from ledger.core.note import Verifier
from ledger.core.receipts import RECEIPT_MISSING_AFTER_MS, SignatureCheck, is_receipt_signed
from ledger.core.ticket import format_promise
from ledger.core.verdicts import Code, severity_of
from ledger.errors import ProofError
from ledger.ports import Attempt

BATCH_RECEIPTS = 2_048
"""Receipts whose signatures are verified together, by several threads: libraries compute beside the interpreter."""

PIECE_RECEIPTS = 64


class ReceiptBook:
    """The receipts of one log, taken in order; then, after a look at the deliveries, what they mean for each attempt."""

    def __init__(self, verifier: Verifier, reader: EntryReader, check: SignatureCheck) -> None:
        self._verifier = verifier
        self._is_signed = partial(is_receipt_signed, log=verifier.name, check=check)
        self._reader = reader
        self._waiting: list[Any] = []
        self._doubtful: dict[str, list[Any]] = {}
        self._told: dict[str, list[int]] = {}
        self._firsts: dict[str, int] = {}
        self._receipted: set[int] = set()
        self._due: list[int] = []
        self._denied: list[int] = []
        self._exposed: list[tuple[Finding, str, frozenset[str], str]] = []
        self._threads = ThreadPoolExecutor(os.cpu_count(), "signatures")
        self.findings: list[Finding] = []
        self.doubted: list[int] = []

    def add(self, receipt: Any, history: History) -> None:
        """Take the next ``delivery.receipt``; ``history`` holds all that stands before it."""
        if history.keys.in_force("developer", receipt.developer) != receipt.key:
            return
        self._waiting.append(receipt)
        if len(self._waiting) >= BATCH_RECEIPTS:
            self._check_waiting()

    def finish(self) -> None:
        """Take what was added; nothing is added any more."""
        self._check_waiting()
        self._threads.shutdown()

    @property
    def is_empty(self) -> bool:
        """Whether the log has no receipt that says anything."""
        return not self._firsts

    def _check_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        pieces = [waiting[at : at + PIECE_RECEIPTS] for at in range(0, len(waiting), PIECE_RECEIPTS)]
        for piece, signed in zip(pieces, self._threads.map(self._check_piece, pieces), strict=True):
            for receipt, is_signed in zip(piece, signed, strict=True):
                if not is_signed:
                    self._tell(receipt, "RECEIPT_INVALID", f"not signed with the key of {receipt.developer}")
                elif (receipt.promised_seq is None) != (receipt.promised_leaf is None):
                    self._tell(receipt, "RECEIPT_INVALID", "half of what a ticket promises")
                else:
                    self._take(receipt)

    def _check_piece(self, receipts: Sequence[Any]) -> list[bool]:
        return [self._is_signed(receipt) for receipt in receipts]

    def _tell(
        self, receipt: Any, code: Code, text: str, accounts: Iterable[tuple[str, frozenset[str]]] = ()
    ) -> None:
        known = list(accounts)
        details = {
            "delivery": receipt.delivery,
            "developer": receipt.developer,
            **({"account": known[0][0]} if len(known) == 1 else {}),
        }
        found = Finding(code, (code,), severity_of(code), (receipt.seq,), text, details=details)
        self.findings.append(found)
        for account, subjects in known:
            self._exposed.append((found, account, subjects, receipt.developer))

    def _take(self, receipt: Any) -> None:
        self._firsts.setdefault(receipt.developer, receipt.seq)
        if receipt.promised_seq is None:
            self._doubtful.setdefault(receipt.delivery, []).append(receipt)
            return
        attempted = self._promised(receipt)
        if attempted is None or attempted.delivery != receipt.delivery:
            self._tell(
                receipt,
                "RECEIPT_WITHOUT_DELIVERY",
                f"{receipt.developer} {self._holds(receipt)} a ticket for entry {receipt.promised_seq} with leaf "
                f"hash {receipt.promised_leaf}, and this log has no such attempt of {receipt.delivery}",
                _people_of(receipt),
            )
            return
        self._compare_tags(receipt, [attempted])
        if attempted.developer == receipt.developer:
            self._receipted.add(receipt.promised_seq)
        else:
            self._doubtful.setdefault(receipt.delivery, []).append(receipt)

    def _holds(self, receipt: Any) -> str:
        """How sure it is that the log once promised the entry: its own signature, or the developer's word."""
        if receipt.promise is None:
            return "says that it holds"
        text = format_promise(self._verifier.name, receipt.promised_seq, bytes.fromhex(receipt.promised_leaf))
        is_signed = self._verifier.verify(text.encode(), bytes.fromhex(receipt.promise))
        return "holds" if is_signed else "shows what is no ticket of this log:"

    def _promised(self, receipt: Any) -> Any | None:
        """The attempt that the receipt's ticket promised, where the log has it."""
        try:
            data = self._reader.data(receipt.promised_seq)
        except ProofError:
            return None
        if hash_leaf(data).hex() != receipt.promised_leaf:
            return None
        entry = self._reader.entry(receipt.promised_seq)
        return entry if entry is not None and entry.kind == "delivery.attempted" else None

    def _compare_tags(self, receipt: Any, told: Sequence[Any]) -> None:
        """Tell of a receipt that names other people than the entries or deliveries that it is for."""
        is_named = receipt.promised_seq is not None
        stated = (receipt.account, tuple(receipt.subjects or ()))
        is_same = any(
            stated == (one.account, tuple(one.subjects)) and (not is_named or receipt.attempt == one.attempt)
            for one in told
        )
        if not is_same and (is_named or receipt.account is not None):
            self._tell(receipt, "ENTRY_MALFORMED", "does not repeat the tags of the attempt that it is for")

    # --- The second look.

    def see(self, position: int, delivery: str) -> None:
        """See an entry that tells of a delivery."""
        if delivery in self._doubtful:
            self._told.setdefault(delivery, []).append(position)

    def see_end(
        self, position: int, ended: Any, developers: Sequence[str | None], ledger_time_ms: int
    ) -> None:
        """See how the attempt at ``position`` ended; ``developers`` are whom it was meant for and who is said to have it."""
        if ended.disclosure == "none":
            if position in self._receipted or ended.delivery in self._doubtful:
                self._denied.append(position)
        elif (
            ended.disclosure == "confirmed"
            and ledger_time_ms - ended.started_at >= RECEIPT_MISSING_AFTER_MS
            and position not in self._receipted
            and any(self._firsts.get(one or "", position) < position for one in developers)
        ):
            self._due.append(position)

    def conclude(self, history: History, tree_size: int, ledger_time_ms: int) -> None:
        """Settle the receipts that waited for the second look; after the last ``see``."""
        judged = partial(judge, history=history, tree_size=tree_size, ledger_time_ms=ledger_time_ms)
        for delivery, receipts in self._doubtful.items():
            attempt = Attempt(tuple(self._told.get(delivery, ())))
            told = [
                (positions, one, judged(one)) for positions, one in load_deliveries(attempt, self._reader)
            ]
            for receipt in receipts:
                self._conclude(receipt, [each for each in told if _is_meant(receipt, each[0])])
        self.doubted = [position for position in self._due if position not in self._receipted]
        self.doubted += [position for position in self._denied if position in self._receipted]

    def _conclude(self, receipt: Any, told: Sequence[tuple[Positions, Delivery, Any]]) -> None:
        if receipt.promised_seq is None and told:
            self._compare_tags(receipt, [delivery for _, delivery, _ in told])
        found = False
        for positions, _, judged in told:
            actual = None if judged.actual is None else judged.actual.developer
            if receipt.developer in (judged.expected.developer, actual):
                self._receipted.update(positions)
                found = True
        if found:
            return
        people = {(one.account, frozenset(one.subjects)) for _, one, _ in told}
        what = "was for somebody else, and nobody saw it there" if told else "is none that this log knows"
        self._tell(
            receipt,
            "RECEIPT_WITHOUT_DELIVERY",
            f"{receipt.developer} received {receipt.delivery}, which {what}",
            sorted(people, key=lambda each: (each[0], sorted(each[1]))) or _people_of(receipt),
        )

    # --- What it means for an attempt.

    def weigh(
        self,
        positions: Positions,
        delivery: Delivery,
        history: History,
        tree_size: int,
        ledger_time_ms: int,
    ) -> Delivery:
        """``delivery`` with what receipts say about it."""
        if self.is_empty:
            return delivery
        if not self._receipted.isdisjoint(positions):
            raised: tuple[Code, ...] = ("RECEIPT_WITHOUT_DELIVERY",) if delivery.disclosure == "none" else ()
            return replace(delivery, disclosure="confirmed", raised=(*delivery.raised, *raised))
        if (
            delivery.disclosure != "confirmed"
            or delivery.is_from_file
            or ledger_time_ms - delivery.started_at_ms < RECEIPT_MISSING_AFTER_MS
        ):
            return delivery
        owner = receiving_owner(
            history, delivery.observed, delivery.endpoint, delivery.started_at_ms, tree_size
        )
        if owner is None or self._firsts.get(owner.developer, positions[0]) >= positions[0]:
            return delivery
        return replace(delivery, raised=(*delivery.raised, "RECEIPT_MISSING"))

    def expose(self, exposed: Exposed) -> None:
        """Count the accounts whose data was received by what the log has no delivery of."""
        for found, account, subjects, developer in self._exposed:
            if found.severity == "X":
                exposed.add_people(account, subjects, developer, "definite")


def _people_of(receipt: Any) -> list[tuple[str, frozenset[str]]]:
    """Whom a receipt says that it is about, as far as the ledger knew when it was appended."""
    return [] if receipt.account is None else [(receipt.account, frozenset(receipt.subjects or ()))]


def _is_meant(receipt: Any, positions: Positions) -> bool:
    """Whether a receipt speaks of the attempt that the entries at ``positions`` tell of."""
    return receipt.promised_seq is None or receipt.promised_seq in positions
