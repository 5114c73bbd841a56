"""Entries from whoever is not the operator: receipts, egress counts, canaries, and the keys behind them (section 1.5).

What such an entry says was signed, or committed to, by somebody else; its members are enough to make the signed text again
(:mod:`ledger.core.receipts`, :mod:`ledger.core.egress_counts`) and to open the commitment (:mod:`ledger.core.canaries`).
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.core.entries.base import Entry, register
from ledger.core.entries.members import Count, Hash, Id, Millis, Ordinal, SeenIn, Signature, Tag, Tags


@register("developer.key_set")
@dataclass(frozen=True, slots=True, kw_only=True)
class DeveloperKeySet(Entry):
    """From this place of the log on the developer signs with ``key``, for ``purpose`` or, without one, for everything."""

    developer: Id
    key: Hash
    purpose: Id | None = None


@register("delivery.receipt")
@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReceipt(Entry):
    """The developer's own signed statement that it received a delivery.

    ``promised_seq``, ``promised_leaf`` and ``promise`` are what the ticket that came along says and its signature;
    ``attempt``, ``account`` and ``subjects`` are looked up from the attempt that is meant, and not signed.
    """

    delivery: Id
    attempt: Ordinal | None = None
    account: Tag | None = None
    subjects: Tags | None = None
    developer: Id
    host: str
    received_at: Millis
    promised_seq: Count | None = None
    promised_leaf: Hash | None = None
    promise: Signature | None = None
    key: Hash
    signature: Signature


@register("egress.key_set")
@dataclass(frozen=True, slots=True, kw_only=True)
class EgressKeySet(Entry):
    """From this place of the log on the egress proxy signs its counts with ``key``."""

    proxy: Id
    key: Hash


@register("egress.counted")
@dataclass(frozen=True, slots=True, kw_only=True)
class EgressCounted(Entry):
    """What a proxy counted in ``[from_at, to_at)`` to one TLS server name; without ``sni`` the sum over all ``names``."""

    proxy: Id
    from_at: Millis
    to_at: Millis
    sni: str | None = None
    names: Count | None = None
    connections: Count
    bytes_up: Count
    bytes_down: Count
    key: Hash
    signature: Signature


@register("canary.planted")
@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryPlanted(Entry):
    """Some account of one developer's is made up; which, and whose, only the commitment's opening tells."""

    canary: Id
    commitment: Hash


@register("canary.seen")
@dataclass(frozen=True, slots=True, kw_only=True)
class CanarySeen(Entry):
    """A canary turned up, at ``seen_by`` where that is known; it opens the canary's commitment and so ends its use."""

    canary: Id
    account: Tag
    developer: Id
    marker: Hash
    salt: Hash
    seen_in: SeenIn
    seen_by: Id | None = None
    evidence_given: Hash | None = None
