"""Entries about exports: who asked, who approved, what was sealed for whom, who took it (exports, section 5.5)."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.core.entries.base import Entry, register
from ledger.core.entries.members import Actor, Count, Hash, Hashes, Id


@register("export.requested")
@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequested(Entry):
    """``actor`` made a bag of what ``query`` (SHA-256 of its canonical bytes) selects of the first ``tree_size`` entries.

    ``manifest`` is the SHA-256 of ``data/export.json``; ``request`` a commitment to requester, case and legal basis.
    """

    export: Id
    tree_size: Count
    query: Hash
    manifest: Hash
    request: Hash
    incident: Id | None = None


@register("export.approved", "export.rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class ExportDecided(Entry):
    """A second person decided about exactly this manifest; ``requested_by`` is the first, never ``actor``."""

    export: Id
    manifest: Hash
    requested_by: Actor


@register("export.sealed")
@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSealed(Entry):
    """The approved bag was encrypted for ``recipients`` (SHA-256 of their X25519 keys); ``file_sha256`` is of the file."""

    export: Id
    manifest: Hash
    file_sha256: Hash
    file_bytes: Count
    recipients: Hashes


@register("export.downloaded", "export.opened")
@dataclass(frozen=True, slots=True, kw_only=True)
class ExportTaken(Entry):
    """``actor`` took the sealed file, or said that it opened it."""

    export: Id
    file_sha256: Hash
