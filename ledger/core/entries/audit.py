"""Entries about those who look (ledger format, sections 1.5 and 1.7)."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.core.entries.base import Entry, register
from ledger.core.entries.members import Id, Tag


@register("access.viewed")
@dataclass(frozen=True, slots=True, kw_only=True)
class AccessViewed(Entry):
    """Somebody read the history of an account or of a developer; ``actor`` is who, ``purpose`` what for, as stated."""

    account: Tag | None = None
    developer: Id | None = None
    purpose: Id | None = None
