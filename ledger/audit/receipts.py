"""What developers' receipts say, held against the deliveries that the log tells of (verdict rules, section 2.3).

- ``RECEIPT_INVALID``: not signed with the key that it states (that this key was not the developer's is found where the
  entry stands, :mod:`ledger.core.admission`), or half a promise.
- ``RECEIPT_WITHOUT_DELIVERY``: a signed receipt for what the log does not have: no such delivery, none to this developer
  (neither meant for it nor observed there), or not the entry that its ticket promised. Where there is such an attempt, and
  the log says that nothing of it left, the attempt itself gets the code, and counts as confirmed.
- ``RECEIPT_MISSING``: a confirmed attempt at a developer that had sent receipts before, 24 h old and without one.
- ``ENTRY_MALFORMED``: a receipt that does not repeat the tags of the attempt that it is for: then whom it is about would
  not find it.

A ticket names one entry, so that nearly every receipt is settled by looking at that one. The few others are *sought*: by
their delivery's name, among all that the log tells of it. How these are found is the caller's: whoever verifies a whole log
looks at it a second time (:mod:`ledger.audit.second_sources`), whoever follows it asks its book of attempts
(:mod:`ledger.audit.followed_receipts`). What follows from what is found is decided here, for both.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

from ledger.audit.backing import Positions
from ledger.audit.entry_reader import EntryReader
from ledger.audit.findings import Finding
from ledger.audit.places import Places
from ledger.core.completion import receiving_owner
from ledger.core.delivery import Delivery
from ledger.core.history import History
from ledger.core.judgement import Judgement
from ledger.core.merkle import hash_leaf
from ledger.core.note import Verifier
from ledger.core.receipts import RECEIPT_MISSING_AFTER_MS, SignatureCheck, is_receipt_signed
from ledger.core.ticket import format_promise
from ledger.core.verdicts import Code, severity_of
from ledger.errors import ProofError

BATCH_RECEIPTS = 2_048
"""Receipts whose signatures are verified together, by several threads: libraries compute beside the interpreter."""

PIECE_RECEIPTS = 64

People = tuple[str, frozenset[str]]
ToldOf = tuple[Positions, Delivery, Judgement]


class Sought(NamedTuple):
    """A signed receipt whose delivery is looked for by name, or whose ticket names an entry that is not there yet."""

    seq: int
    developer: str
    delivery: str
    attempt: int | None
    account: str | None
    subjects: Sequence[str]
    promised_seq: int | None
    promised_leaf: str | None = None
    promise: str | None = None


class Alarm(NamedTuple):
    """A finding about a receipt, and whose data the developer ``receiver`` is known to have by it."""

    finding: Finding
    people: tuple[People, ...]
    receiver: str


@dataclass(slots=True)
class Taken:
    """What some receipts came to: attempts that tickets confirm, and deliveries that have to be looked for by name.

    ``ahead`` are receipts with their places that promise what the log has not reached.
    """

    confirmed: list[tuple[int, Any]] = field(default_factory=list)
    sought: set[str] = field(default_factory=set)
    ahead: list[tuple[int, Sought]] = field(default_factory=list)


class ReceiptBook:
    """The receipts of one log, taken in order, and what they mean for each attempt.

    ``alarms`` are the findings that stand, by the receipt's place and the code; ``firsts`` has the seq of each developer's
    first receipt; ``ticketed`` the places of attempts that a ticket confirms, ``named`` those that were found by name.
    """

    def __init__(self, verifier: Verifier, check: SignatureCheck) -> None:
        """Nothing taken yet; ``check`` verifies Ed25519 signatures, by several threads at once."""
        self._verifier = verifier
        self._is_signed = partial(is_receipt_signed, log=verifier.name, check=check)
        self._waiting: list[tuple[int, Any]] = []
        self._threads: ThreadPoolExecutor | None = None
        self.by_name: dict[str, frozenset[int]] = {}
        self.alarms: dict[tuple[int, Code], Alarm] = {}
        self.firsts: dict[str, int] = {}
        self.ticketed = Places()
        self.named: dict[int, int] = {}
        self.sought: dict[str, dict[int, Sought]] = {}

    def add(self, place: int, receipt: Any, history: History) -> int:
        """Take the next ``delivery.receipt``, known by ``place``; how many wait for :meth:`take_waiting` now.

        ``history`` holds all that stands before it.
        """
        if history.keys.in_force("developer", receipt.developer) == receipt.key:
            self._waiting.append((place, receipt))
        return len(self._waiting)

    @property
    def is_empty(self) -> bool:
        """Whether the log has no receipt that says anything."""
        return not self.firsts

    def is_receipted(self, position: int) -> bool:
        """Whether a receipt confirms the attempt of which the entry at ``position`` tells."""
        return position in self.ticketed or position in self.named

    # --- Receipts one by one.

    def take_waiting(self, reader: EntryReader, size: int | None = None) -> Taken:
        """Verify and take what was added since; entries from ``size`` on are not there yet (None: all are).

        Where an entry cannot be read now (StoreError) nothing of it is lost, and the same call may be made again.
        """
        taken = Taken()
        pieces = [
            self._waiting[at : at + PIECE_RECEIPTS] for at in range(0, len(self._waiting), PIECE_RECEIPTS)
        ]
        for piece, signed in zip(pieces, self._check_pieces(pieces), strict=True):
            for (place, receipt), is_signed in zip(piece, signed, strict=True):
                if not is_signed:
                    self._tell(
                        place, receipt, "RECEIPT_INVALID", f"not signed with the key of {receipt.developer}"
                    )
                elif (receipt.promised_seq is None) != (receipt.promised_leaf is None):
                    self._tell(place, receipt, "RECEIPT_INVALID", "half of what a ticket promises")
                else:
                    self.take(place, receipt, reader, size, taken)
        self._waiting = []
        return taken

    def _check_pieces(self, pieces: Sequence[Sequence[tuple[int, Any]]]) -> Iterable[list[bool]]:
        if len(pieces) <= 1:
            return map(self._check_piece, pieces)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(os.cpu_count(), "signatures")
        return self._threads.map(self._check_piece, pieces)

    def _check_piece(self, receipts: Sequence[tuple[int, Any]]) -> list[bool]:
        return [self._is_signed(receipt) for _, receipt in receipts]

    def close(self) -> None:
        """End the threads; nothing is added any more."""
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None

    def _tell(self, place: int, receipt: Any, code: Code, text: str, people: Iterable[People] = ()) -> None:
        known = tuple(people)
        details = {
            "delivery": receipt.delivery,
            "developer": receipt.developer,
            **({"account": known[0][0]} if len(known) == 1 else {}),
        }
        found = Finding(code, (code,), severity_of(code), (receipt.seq,), text, details=details)
        self.alarms[place, code] = Alarm(found, known, receipt.developer)

    def take(self, place: int, receipt: Any, reader: EntryReader, size: int | None, taken: Taken) -> None:
        """Take a receipt whose signature is right; what it comes to goes to ``taken``."""
        self.firsts.setdefault(receipt.developer, receipt.seq)
        self.alarms.pop((place, "RECEIPT_WITHOUT_DELIVERY"), None)
        promised = receipt.promised_seq
        if promised is None:
            self._seek(place, receipt, taken)
            return
        is_ahead = size is not None and promised >= size
        attempted = None if is_ahead else _promised(receipt, reader)
        if attempted is None or attempted.delivery != receipt.delivery:
            self._tell(
                place,
                receipt,
                "RECEIPT_WITHOUT_DELIVERY",
                f"{receipt.developer} {self._holds(receipt)} a ticket for entry {promised} with leaf "
                f"hash {receipt.promised_leaf}, and this log has no such attempt of {receipt.delivery}",
                _people_of(receipt),
            )
            if is_ahead:
                waiting = _sought(receipt)._replace(
                    promised_leaf=receipt.promised_leaf, promise=receipt.promise
                )
                taken.ahead.append((place, waiting))
            return
        self._compare_tags(place, receipt, [attempted])
        if attempted.developer == receipt.developer:
            self.ticketed.add(promised)
            taken.confirmed.append((promised, attempted))
        else:
            self._seek(place, receipt, taken)

    def _seek(self, place: int, receipt: Any, taken: Taken) -> None:
        self.sought.setdefault(receipt.delivery, {})[place] = _sought(receipt)
        taken.sought.add(receipt.delivery)

    def _holds(self, receipt: Any) -> str:
        """How sure it is that the log once promised the entry: its own signature, or the developer's word."""
        if receipt.promise is None:
            return "says that it holds"
        text = format_promise(self._verifier.name, receipt.promised_seq, bytes.fromhex(receipt.promised_leaf))
        is_signed = self._verifier.verify(text.encode(), bytes.fromhex(receipt.promise))
        return "holds" if is_signed else "shows what is no ticket of this log:"

    def _compare_tags(self, place: int, receipt: Any, told: Sequence[Any]) -> None:
        """Tell of a receipt that names other people than the entries or deliveries that it is for."""
        is_named = receipt.promised_seq is not None
        stated = (receipt.account, tuple(receipt.subjects or ()))
        is_same = any(
            stated == (one.account, tuple(one.subjects)) and (not is_named or receipt.attempt == one.attempt)
            for one in told
        )
        if not is_same and (is_named or receipt.account is not None):
            text = "does not repeat the tags of the attempt that it is for"
            self._tell(place, receipt, "ENTRY_MALFORMED", text)

    # --- Receipts whose delivery is looked for by name.

    def conclude(self, delivery: str, told: Sequence[ToldOf]) -> tuple[frozenset[int], frozenset[int]]:
        """Settle the receipts that are sought for ``delivery``: ``told`` is all that the log has of it, judged.

        Takes the place of what was settled for it before. The places of attempts that are confirmed since, and that are not
        any more.
        """
        confirmed: set[int] = set()
        for place, receipt in self.sought[delivery].items():
            meant = [each for each in told if _is_meant(receipt, each[0])]
            confirmed |= self._conclude(place, receipt, meant)
        return self.put_named(delivery, frozenset(confirmed))

    def put_named(self, delivery: str, after: frozenset[int]) -> tuple[frozenset[int], frozenset[int]]:
        """Confirm the attempts of which the entries at these places tell, by name; what is new, and what is not any more."""
        before = self.by_name.get(delivery, frozenset())
        self.by_name[delivery] = after
        for position in after - before:
            self.named[position] = self.named.get(position, 0) + 1
        for position in before - after:
            self.named[position] -= 1
            if not self.named[position]:
                del self.named[position]
        return after - before, before - after

    def _conclude(self, place: int, receipt: Sought, told: Sequence[ToldOf]) -> set[int]:
        self.alarms.pop((place, "RECEIPT_WITHOUT_DELIVERY"), None)
        if receipt.promised_seq is None:
            self.alarms.pop((place, "ENTRY_MALFORMED"), None)
            if told:
                self._compare_tags(place, receipt, [delivery for _, delivery, _ in told])
        confirmed: set[int] = set()
        for positions, _, judged in told:
            actual = None if judged.actual is None else judged.actual.developer
            if receipt.developer in (judged.expected.developer, actual):
                confirmed.update(positions)
        if confirmed:
            return confirmed
        people = {(one.account, frozenset(one.subjects)) for _, one, _ in told}
        what = "was for somebody else, and nobody saw it there" if told else "is none that this log knows"
        self._tell(
            place,
            receipt,
            "RECEIPT_WITHOUT_DELIVERY",
            f"{receipt.developer} received {receipt.delivery}, which {what}",
            sorted(people, key=lambda each: (each[0], sorted(each[1]))) or _people_of(receipt),
        )
        return confirmed

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
        if any(map(self.is_receipted, positions)):
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
        if owner is None or self.firsts.get(owner.developer, positions[0]) >= positions[0]:
            return delivery
        return replace(delivery, raised=(*delivery.raised, "RECEIPT_MISSING"))

    def exposures(self) -> Iterator[tuple[str, frozenset[str], str]]:
        """Account, others and receiver of what was received and the log has no delivery of."""
        for alarm in self.alarms.values():
            if alarm.finding.severity == "X":
                for account, subjects in alarm.people:
                    yield account, subjects, alarm.receiver


def _sought(receipt: Any) -> Sought:
    return Sought(
        receipt.seq,
        receipt.developer,
        receipt.delivery,
        receipt.attempt,
        receipt.account,
        tuple(receipt.subjects or ()),
        receipt.promised_seq,
    )


def _promised(receipt: Any, reader: EntryReader) -> Any | None:
    """The attempt that the receipt's ticket promised, where the log has it."""
    try:
        data = reader.data(receipt.promised_seq)
    except ProofError:
        return None
    if hash_leaf(data).hex() != receipt.promised_leaf:
        return None
    entry = reader.entry(receipt.promised_seq)
    return entry if entry is not None and entry.kind == "delivery.attempted" else None


def _people_of(receipt: Any) -> list[People]:
    """Whom a receipt says that it is about, as far as the ledger knew when it was appended."""
    return [] if receipt.account is None else [(receipt.account, frozenset(receipt.subjects or ()))]


def _is_meant(receipt: Sought, positions: Positions) -> bool:
    """Whether a receipt speaks of the attempt that the entries at ``positions`` tell of."""
    return receipt.promised_seq is None or receipt.promised_seq in positions
