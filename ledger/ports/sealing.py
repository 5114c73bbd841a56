"""Encryption at rest of what is no entry: bodies that wait, and secrets of apps (ledger format, section 1.2)."""

from __future__ import annotations

from typing import Protocol

from ledger.ports.vault import Subject


class Sealing(Protocol):
    """Authenticated encryption under keys that never lie in the database; pure, safe from any thread.

    ``context`` says what is sealed (a kind and an id); what was sealed in another context does not open. Opening raises
    StoreError where the sealed bytes were altered or belong elsewhere.
    """

    def seal_for(self, subject: Subject, context: str, data: bytes) -> bytes:
        """``data`` under the account's own key, unreadable for ever once that is destroyed."""
        ...

    def open_for(self, subject: Subject, context: str, sealed: bytes) -> bytes:
        """What :meth:`seal_for` sealed."""
        ...

    def digest_for(self, subject: Subject, context: str, data: bytes) -> bytes:
        """32 bytes that are the same for the same data of the same account, and tell nothing without its key."""
        ...

    def seal_secret(self, context: str, secret: str) -> bytes:
        """``secret`` under the operator's key."""
        ...

    def open_secret(self, context: str, sealed: bytes) -> str:
        """What :meth:`seal_secret` sealed."""
        ...
