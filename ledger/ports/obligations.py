"""What the service keeps of developers' obligations to delete (incidents and exports, section 5.3).

The list of an obligation is kept line by line before the entry that opens it, which holds the root over all lines: lines
without an obligation are of one that was never opened, and harmless. Where an obligation stands changes with its entries
alone, each of which has a number of its own (``version``), so that two that race are one entry and a conflict.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from ledger.ports.store import Change

ObligationState = Literal[
    "OPENED",
    "NOTIFIED",
    "ACKNOWLEDGED",
    "IN_PROGRESS",
    "ATTESTED",
    "VERIFIED",
    "DISPUTED",
    "OVERDUE",
    "ESCALATED",
    "CLOSED",
    "WAIVED",
    "HELD",
]
STATES: tuple[ObligationState, ...] = (
    "OPENED",
    "NOTIFIED",
    "ACKNOWLEDGED",
    "IN_PROGRESS",
    "ATTESTED",
    "VERIFIED",
    "DISPUTED",
    "OVERDUE",
    "ESCALATED",
    "CLOSED",
    "WAIVED",
    "HELD",
)

Step = Literal["remind", "suspend_deliveries", "suspend_app", "tell_authority"]
STEPS: tuple[Step, ...] = ("remind", "suspend_deliveries", "suspend_app", "tell_authority")
"""Escalation, step by step."""


@dataclass(frozen=True, slots=True)
class Obligation:
    """What ``developer`` has to delete of ``incident``, and where that stands.

    ``deliveries`` are on its list, whose lines have the RFC 6962 root ``list_root`` (hex); it holds every one below
    ``tree_size``. ``version`` counts its entries. ``acknowledged_at_ms``, ``reported_at_ms`` (said to be deleted, unsigned)
    and ``attested_at_ms`` are when the developer said so; ``attestation`` (SHA-256, hex) is the last one that counts,
    ``attested_version`` the step that took it. ``overdue`` are the deadlines that were found to have passed, ``steps`` the
    steps of escalation that were taken. ``held_from`` is the state before a hold, ``held_since_ms`` when it began, and
    ``held_total_ms`` how long earlier holds lasted, by which the deadlines are later.
    """

    obligation: str
    incident: str
    developer: str
    revision: int
    tree_size: int
    deliveries: int
    list_root: str
    opened_at_ms: int
    acknowledge_by_ms: int
    delete_by_ms: int
    attest_by_ms: int
    state: ObligationState = "OPENED"
    version: int = 0
    acknowledged_at_ms: int | None = None
    reported_at_ms: int | None = None
    attested_at_ms: int | None = None
    attested_version: int | None = None
    attestation: str | None = None
    overdue: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    held_from: str | None = None
    held_since_ms: int | None = None
    held_total_ms: int = 0
    contradicted_by: int | None = None


class ListedDelivery(NamedTuple):
    """Line ``place`` of a list: the canonical bytes ``line`` (ASCII), and what it is looked up by. ``account`` is a tag."""

    place: int
    delivery: str
    attempt: int
    account: str
    line: str


@dataclass(frozen=True, slots=True)
class Attestation:
    """A signed statement as it came: ``attestation`` is the SHA-256 (hex) of the signed bytes, ``sealed`` the envelope.

    ``claims`` says of each run of lines what became of it, as JSON: the only part that is looked into without opening.
    """

    attestation: str
    obligation: str
    key: str
    received_at_ms: int
    claims: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Remark:
    """Words behind the commitment ``text`` of an obligation's entry, sealed, with their salt."""

    obligation: str
    version: int
    sealed: bytes


class Obligations(Protocol):
    """Obligations, their lists and attestations; safe for use from any number of threads and processes."""

    def put_lines(self, obligation: str, lines: Sequence[ListedDelivery]) -> None:
        """Keep lines of a list that is being made; those that are there stay. Durable when this returns."""
        ...

    def drop_lines(self, obligation: str) -> None:
        """Forget the lines of a list whose obligation was never opened."""
        ...

    def put(self, obligation: Obligation) -> Change:
        """What keeps an obligation together with its ``obligation.opened``; one that is there stays."""
        ...

    def move(self, obligation: Obligation) -> Change:
        """What writes where it stands now together with its entry; changes nothing unless it is one version behind."""
        ...

    def put_attestation(self, attestation: Attestation) -> Change:
        """What keeps an attestation together with its entry; one that is there stays."""
        ...

    def put_remark(self, remark: Remark) -> Change:
        """What keeps the words behind an entry's commitment."""
        ...

    def load(self, obligation: str) -> Obligation | None:
        """The obligation of this id."""
        ...

    def load_all(self, incident: str | None = None, developer: str | None = None) -> Sequence[Obligation]:
        """All of them, or those of an incident, a developer, or both, by age."""
        ...

    def load_lines(self, obligation: str, first: int = 0, count_max: int = 1_000) -> Sequence[ListedDelivery]:
        """The lines from place ``first`` on, in order."""
        ...

    def stream_lines(self, obligation: str) -> Iterator[ListedDelivery]:
        """All lines in order."""
        ...

    def find_lines(self, delivery: str) -> Sequence[tuple[str, ListedDelivery]]:
        """Where ``delivery`` is listed: obligations, with the line."""
        ...

    def find_lines_of(self, account: str) -> Sequence[tuple[str, ListedDelivery]]:
        """Where deliveries of ``account`` (a tag) are listed: obligations, with the line."""
        ...

    def load_attestation(self, attestation: str) -> Attestation | None:
        """The attestation of this hash."""
        ...

    def load_remarks(self, obligation: str) -> Sequence[Remark]:
        """The words of an obligation's entries, in their order."""
        ...

    def load_cursor(self, name: str) -> int:
        """How far (a size of the log) the reader called ``name`` has come; 0 at first."""
        ...

    def move_cursor(self, name: str, size: int) -> None:
        """Remember how far it has come; never goes back. Durable when this returns."""
        ...
