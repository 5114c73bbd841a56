"""The findings that stand about a log's deliveries, kept as the log grows (verdict rules, sections 2.1 to 2.6).

Every attempt is judged by ``ledger.core.judgement`` as of the size that was read last, and judged again only where something
that its judgement rests on has changed:

- an entry that tells of it came in (a settlement, a later one that is believed instead);
- an event of its account's, or of a party, endpoint, destination, key or replay that the judgement looked up; an attempt
  that is clean only where that event takes effect at or before its start (:mod:`ledger.audit.watched_history`);
- it became, or may have become, a copy of another, or another of it;
- it is unsettled and 60 s have passed on the ledger's clock;
- a receipt came in for it that matters, or is missing after a day (:mod:`ledger.audit.followed_receipts`).

So at every size the findings are those of a verification of the whole log at that size; a property test holds it to that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from ledger.audit.backing import Positions, find_copies, load_deliveries
from ledger.audit.entry_reader import EntryReader
from ledger.audit.findings import Finding, of_judgement
from ledger.audit.followed_receipts import FollowedReceipts
from ledger.audit.watched_history import WatchedHistory
from ledger.core.delivery import Delivery
from ledger.core.entry_codes import UNSETTLED_AFTER_MS
from ledger.core.judgement import Judgement, judge
from ledger.core.receipts import RECEIPT_MISSING_AFTER_MS
from ledger.ports import Attempt
from ledger.ports.growth import AttemptBook, Dependency, Doubt


@dataclass(frozen=True, slots=True)
class _Told:
    """What is kept of an attempt that is not plain: on what its judgements rest, and what they found."""

    rests_on: frozenset[Dependency]
    findings: dict[str, Finding]
    verdicts: tuple[str, ...]


class Standing:
    """The judgements of all attempts of one log that are not plainly clean.

    ``changed`` has, since :meth:`take_changed`, the findings that came, changed (their new form) or went (None), by key.
    """

    def __init__(
        self,
        history: WatchedHistory,
        book: AttemptBook,
        *,
        require_tickets: bool = False,
        receipts: FollowedReceipts | None = None,
    ) -> None:
        """Over one log's history and attempts, both empty or both as kept; without ``receipts`` none are weighed."""
        self._history = history
        self._book = book
        self._require_tickets = require_tickets
        self._receipts = receipts
        self._told: dict[int, _Told] = {}
        self._watchers: dict[Dependency, set[int]] = {}
        self._due: list[tuple[int, int]] = []
        self._changed: dict[str, Finding | None] = {}
        book.mark(book.watched_rows())

    def judge(self, reader: EntryReader, tree_size: int, ledger_time_ms: int) -> None:
        """Judge what is new and what has to be judged again, as of ``tree_size`` entries.

        Where an entry cannot be read (StoreError, ProofError) the rest stays to be judged the next time.
        """
        self._note_changes()
        due = self._due
        while due and due[0][0] <= ledger_time_ms:
            self._book.mark([heappop(due)[1]])
        if self._receipts is not None:
            self._receipts.settle(reader, tree_size, ledger_time_ms)
        self._judge_doubtful(reader, tree_size, ledger_time_ms)
        if self._receipts is not None and self._receipts.doubt_overdue(ledger_time_ms):
            self._judge_doubtful(reader, tree_size, ledger_time_ms)

    def _judge_doubtful(self, reader: EntryReader, tree_size: int, ledger_time_ms: int) -> None:
        for group in self._book.take_doubtful(self._history):
            self._judge_group(group, reader, tree_size, ledger_time_ms)

    def _note_changes(self) -> None:
        history, book = self._history, self._book
        book.touch_accounts(history.changed_accounts)
        book.touch_parties(history.changed_parties)
        touched = [("accounts", account) for account in history.changed_accounts]
        for dependency in (*touched, *history.changed_parties):
            book.mark(tuple(self._watchers.get(dependency, ())))

    def _judge_group(
        self, group: list[Doubt], reader: EntryReader, tree_size: int, ledger_time_ms: int
    ) -> None:
        attempts = [Attempt(doubt.positions) for doubt in group]
        copies: set[tuple[int, ...]] = set()
        if len(group) > 1:
            copies = find_copies([attempts], reader, self._history, tree_size, ledger_time_ms)
        asked = self._history.asked
        for doubt, attempt in zip(group, attempts, strict=True):
            asked.clear()
            judged = [
                (
                    positions,
                    judge(
                        replace(
                            self._weighed(positions, delivery, tree_size, ledger_time_ms),
                            is_duplicate=positions in copies,
                        ),
                        self._history,
                        tree_size=tree_size,
                        ledger_time_ms=ledger_time_ms,
                        require_tickets=self._require_tickets,
                    ),
                )
                for positions, delivery in load_deliveries(attempt, reader)
            ]
            self._file(doubt.row, judged, ledger_time_ms)

    def _weighed(
        self, positions: Positions, delivery: Delivery, tree_size: int, ledger_time_ms: int
    ) -> Delivery:
        if self._receipts is None:
            return delivery
        return self._receipts.receipts.weigh(positions, delivery, self._history, tree_size, ledger_time_ms)

    def _file(self, row: int, judged: list[tuple[Positions, Judgement]], ledger_time_ms: int) -> None:
        asked = self._history.asked
        if len(judged) == 1 and _is_plain(judged[0][1]):
            delivery = judged[0][1].delivery
            own = ("accounts", delivery.account)
            self._forget(row, {})
            rests_on = frozenset(each for each in asked if each != own)
            self._book.file_plain(row, delivery.account, delivery.started_at_ms, rests_on)
            return
        findings = {
            f"attempt:{positions[0]}": found
            for positions, judgement in judged
            if (found := of_judgement(judgement)) is not None
        }
        self._forget(row, findings)
        told = _Told(frozenset(asked), findings, tuple(judgement.verdict for _, judgement in judged))
        self._told[row] = told
        for dependency in told.rests_on:
            self._watchers.setdefault(dependency, set()).add(row)
        for _, judgement in judged:
            unsettled_ms = judgement.delivery.recorded_at_ms + UNSETTLED_AFTER_MS
            # Once it is due it was judged so: time alone changes nothing any more.
            if not judgement.delivery.is_settled and unsettled_ms > ledger_time_ms:
                heappush(self._due, (unsettled_ms, row))
            missing_ms = judgement.delivery.started_at_ms + RECEIPT_MISSING_AFTER_MS
            if self._receipts is not None and missing_ms > ledger_time_ms:
                heappush(self._due, (missing_ms, row))
        self._book.file_watched(row)

    def _forget(self, row: int, findings: dict[str, Finding]) -> None:
        """Put ``findings`` in the place of what was found about the attempt before."""
        told = self._told.pop(row, None)
        before = {} if told is None else told.findings
        if told is not None:
            for dependency in told.rests_on:
                watchers = self._watchers[dependency]
                watchers.discard(row)
                if not watchers:
                    del self._watchers[dependency]
        self._changed.update(dict.fromkeys(before.keys() - findings.keys()))
        self._changed.update(findings)

    def take_changed(self) -> dict[str, Finding | None]:
        """What was found anew since the last call, by key; None for what does not stand any more."""
        changed, self._changed = self._changed, {}
        return changed

    def findings(self) -> Iterable[tuple[str, Finding]]:
        """All findings that stand, by key."""
        for told in self._told.values():
            yield from told.findings.items()

    def verdicts(self) -> Counter[str]:
        """Attempts by verdict."""
        counts = Counter(verdict for told in self._told.values() for verdict in told.verdicts)
        counts["AUTHORIZED"] += self._book.plain_count()
        return counts


def _is_plain(judged: Judgement) -> bool:
    """Whether the attempt is clean, and only events that take effect at or before its start can change that.

    Not so where the intended endpoint was nobody's then: whom it means may rest on events that come later.
    """
    delivery = judged.delivery
    return (
        judged.verdict == "AUTHORIZED"
        and not judged.codes
        and judged.actual is not None
        and judged.actual.endpoint == delivery.endpoint
        and all(claim.started_at_ms == delivery.started_at_ms for claim in delivery.claims)
    )
