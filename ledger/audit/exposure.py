"""Who is affected, for sure and possibly (verdict rules, section 2.4).

Definite: an exposure finding with an observed destination, exact. Possible: an exposure finding where only the intended
destination is known, or a delivery without observation that the circumstances match. Somebody definite is not counted as
possible. Shares are of the accounts that had any delivery in the period.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ledger.audit.verify import Verified
from ledger.core.delivery import Delivery, from_attempt, from_imported
from ledger.core.destinations import observed_destination
from ledger.core.exposure import Circumstances, Sent, match_circumstances
from ledger.core.history import History
from ledger.core.parties import destination_of, intended_owner
from ledger.ports import Codec, LogSource

BLOCK_ENTRIES = 4_096
DELIVERY_KINDS = frozenset({"delivery.attempted", "delivery.settled", "delivery.imported"})


@dataclass(frozen=True, slots=True)
class Period:
    """``[from_ms, to_ms)`` of ``started_at``; None is open."""

    from_ms: int | None = None
    to_ms: int | None = None

    def holds(self, at_ms: int) -> bool:
        """Whether ``at_ms`` lies in the period."""
        return (self.from_ms is None or self.from_ms <= at_ms) and (self.to_ms is None or at_ms < self.to_ms)


@dataclass(slots=True)
class People:
    """The people and deliveries of one sort; ``developers`` counts the deliveries that each received, or may have."""

    deliveries: set[tuple[int, ...]] = field(default_factory=set)
    accounts: dict[str, int] = field(default_factory=dict)
    subjects: dict[str, int] = field(default_factory=dict)
    developers: dict[str, int] = field(default_factory=dict)

    def add(self, delivery: Delivery, developers: frozenset[str]) -> None:
        """Count one delivery and everybody in it."""
        self.deliveries.add(delivery.seqs)
        self.accounts[delivery.account] = self.accounts.get(delivery.account, 0) + 1
        for tag in set(delivery.subjects) - {delivery.account}:
            self.subjects[tag] = self.subjects.get(tag, 0) + 1
        for developer in developers:
            self.developers[developer] = self.developers.get(developer, 0) + 1


@dataclass(frozen=True, slots=True)
class Assessment:
    """Both sets, and what they are shares of."""

    circumstances: Circumstances
    tree_size: int
    active_accounts: int
    definite: People
    possible: People

    def _row(self, people: People, without: People | None) -> dict[str, Any]:
        accounts = set(people.accounts) - set(without.accounts if without else ())
        subjects = set(people.subjects) - set(without.subjects if without else ())
        share = len(accounts) / self.active_accounts if self.active_accounts else 0.0
        return {
            "deliveries": len(people.deliveries),
            "accounts": len(accounts),
            "subjects": len(subjects),
            "share_of_active_accounts": round(share, 6),
        }

    def to_json(self, with_lists: bool = True) -> dict[str, Any]:
        """The object that ``exposure --json`` prints."""
        found: dict[str, Any] = {
            "tree_size": self.tree_size,
            "circumstances": str(self.circumstances),
            "active_accounts": self.active_accounts,
            "definite": self._row(self.definite, None),
            "possible": self._row(self.possible, self.definite),
            "developers": [
                {
                    "developer": developer,
                    "definite": self.definite.developers.get(developer, 0),
                    "possible": self.possible.developers.get(developer, 0),
                }
                for developer in sorted(self.definite.developers | self.possible.developers)
            ],
        }
        if with_lists:
            found["accounts"] = _listed("account", self.definite.accounts, self.possible.accounts)
            found["subjects"] = _listed("subject", self.definite.subjects, self.possible.subjects)
        return found


def _listed(name: str, definite: dict[str, int], possible: dict[str, int]) -> list[dict[str, Any]]:
    return [
        {
            name: tag,
            "exposure": "definite" if tag in definite else "possible",
            "deliveries": definite.get(tag) or possible[tag],
        }
        for tag in sorted(definite | possible)
    ]


def assess(
    verified: Verified, source: LogSource, codec: Codec, circumstances: Circumstances, period: Period
) -> Assessment:
    """Assess the exposure that a verified log tells of; reads its deliveries once more and holds them."""
    definite, possible = People(), People()
    judged_seqs = set()
    for judged in verified.judgements:
        delivery = judged.delivery
        if judged.exposure is None or not period.holds(delivery.started_at_ms):
            continue
        judged_seqs.add(delivery.seqs)
        receiver = judged.actual.developer if judged.actual else None
        people = definite if judged.exposure == "definite" else possible
        people.add(delivery, frozenset() if receiver is None else frozenset({receiver}))
    deliveries = list(read_deliveries(source, verified.report.tree_size, codec))
    sent = (sent_of(delivery, verified.history) for delivery in deliveries if delivery.disclosure != "none")
    matched = match_circumstances((each for each in sent if each is not None), circumstances)
    active: set[str] = set()
    for delivery in deliveries:
        if not period.holds(delivery.started_at_ms):
            continue
        active.add(delivery.account)
        others = matched.get(delivery.seqs[0])
        if others and delivery.seqs not in judged_seqs and observed_destination(delivery.observed) is None:
            possible.add(delivery, others)
    return Assessment(circumstances, verified.report.tree_size, len(active), definite, possible)


def read_deliveries(source: LogSource, size: int, codec: Codec) -> Iterator[Delivery]:
    """Every delivery attempt of the log."""
    told: dict[tuple[str, int], list[Any]] = {}
    for first in range(0, size, BLOCK_ENTRIES):
        for data in source.read_block(first, min(BLOCK_ENTRIES, size - first)).entries:
            # Canonical bytes hold no such text but where a delivery is told; the decoder decides.
            if b'"kind":"delivery.' not in data:
                continue
            entry: Any = codec.decode(data)
            if entry.kind == "delivery.imported":
                yield from_imported(entry)
            elif entry.kind in DELIVERY_KINDS:
                told.setdefault((entry.delivery, entry.attempt), []).append(entry)
    for entries in told.values():
        attempted = next((entry for entry in entries if entry.kind == "delivery.attempted"), None)
        yield from_attempt(attempted, [entry for entry in entries if entry.kind == "delivery.settled"])


def sent_of(delivery: Delivery, history: History) -> Sent | None:
    """The delivery as its sender knew it; None where the intended endpoint is unknown."""
    if delivery.endpoint is None:
        return None
    owner = intended_owner(history, delivery.endpoint, delivery.started_at_ms)
    destination = destination_of(history, delivery.endpoint, delivery.started_at_ms)
    if owner is None or destination is None:
        return None
    address = delivery.resolved_ip or (delivery.observed.peer_ip if delivery.observed else None)
    return Sent(
        delivery.seqs[0],
        delivery.started_at_ms,
        owner.developer,
        delivery.worker,
        address,
        destination.port,
        destination.path,
    )
