"""What is in the hands of others than the operator."""

from __future__ import annotations

from dataclasses import dataclass, field

from ledger.core.egress_counts import Counted
from ledger.ports.permit import Permit


@dataclass
class Body:
    """What a developer received, and what the log says of it."""

    delivery: str
    developer: str
    permit: Permit
    headers: dict[str, str]
    received_at_ms: int


@dataclass
class Grant:
    """A grant as its account knows it; the tickets are those of its entries."""

    name: str
    person: str
    developer: str
    is_live: bool = True


@dataclass
class Kept:
    """What is in the hands of others than the operator, beside bodies and counts."""

    grants: list[Grant] = field(default_factory=list)
    tickets: list[tuple[str, str]] = field(default_factory=list)
    """Person and ticket: of grants and revocations."""
    bodies: list[Body] = field(default_factory=list)
    receipted: set[str] = field(default_factory=set)
    counts: dict[int, dict[str, Counted]] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)
    canaries: list[dict[str, str]] = field(default_factory=list)
