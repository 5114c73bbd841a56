"""Second sources of a log that is followed (verdict rules, section 2.3): receipts and egress counts, weighed as they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ledger.audit.egress import EgressBook
from ledger.audit.findings import Finding
from ledger.audit.followed_egress import FollowedEgress, Groups
from ledger.audit.followed_receipts import FollowedReceipts
from ledger.audit.receipts import ReceiptBook
from ledger.audit.watched_history import WatchedHistory
from ledger.core.note import Verifier
from ledger.core.receipts import SignatureCheck
from ledger.ports.growth import Growth

WEIGHED_KINDS = frozenset({"delivery.receipt", "egress.counted"})
"""Kinds that are many: what they came to is kept, and not they themselves."""


@dataclass(frozen=True, slots=True)
class SourceCheck:
    """How second sources are verified: the log's key, and a check of Ed25519 signatures by anybody's key."""

    verifier: Verifier
    check: SignatureCheck


class FollowedSources:
    """The receipts and egress counts of one log as far as it was read."""

    def __init__(self, how: SourceCheck, growth: Growth, history: WatchedHistory) -> None:
        """Over a log's attempts and history, none of them read yet, or all as they were kept."""
        self.receipts = FollowedReceipts(ReceiptBook(how.verifier, how.check), growth.book, history)
        self._egress = FollowedEgress(EgressBook(how.verifier.name, how.check), growth.deliveries, history)

    def add(self, position: int, entry: Any) -> None:
        """Take the receipt or count at ``position``; the history holds all that stands before it."""
        source = self.receipts if entry.kind == "delivery.receipt" else self._egress
        source.add(position, entry)

    def compare(self, groups: Groups, tree_size: int) -> None:
        """Compare the counts of which something new is known."""
        self._egress.compare(groups, tree_size)

    def findings(self) -> dict[str, Finding]:
        """All findings about receipts and counts themselves that stand, by key."""
        return self.receipts.findings() | self._egress.findings()

    def to_json(self) -> dict[str, Any]:
        """What is kept."""
        return {"receipts": self.receipts.to_json(), "egress": self._egress.to_json()}

    def restore(self, kept: dict[str, Any]) -> None:
        """Take what was kept."""
        self.receipts.restore(kept["receipts"])
        self._egress.restore(kept["egress"])
