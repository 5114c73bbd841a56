"""Entries about the ledger itself (ledger format, sections 1.1, 1.3 and 1.7)."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.core.entries.base import Entry, register
from ledger.core.entries.members import Count, Hash, Id, Ordinal


@register("ledger.opened")
@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerOpened(Entry):
    """Entry 0: whose log this is, under which key, rule set and index function."""

    origin: str
    vkey: str
    rule_set: Id
    map_fn: Ordinal


@register("index.sealed")
@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSealed(Entry):
    """The root of the index map over the first ``map_size`` entries."""

    map_size: Count
    map_root: Hash
    map_fn: Ordinal


@register("key.rotated")
@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRotated(Entry):
    """The log signs with another key from the first checkpoint that covers this entry."""

    previous_vkey: str
    vkey: str
