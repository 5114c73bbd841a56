"""How values that no entry may hold are committed to (ledger format, section 1.2)."""

from __future__ import annotations

from typing import Protocol

from ledger.ports.vault import Subject


class Commitments(Protocol):
    """Salted commitments and event ids under the key of the granting account; pure, safe from any thread."""

    def commit(self, subject: Subject, uid: str, field: str, value: bytes) -> str:
        """The commitment to ``value`` as the member ``field`` of the entry ``uid``: 64 hex digits."""
        ...

    def identity(self, subject: Subject, uid: str, account_id: str) -> str:
        """The ``identity`` of the ``account.registered`` entry ``uid``: 64 hex digits."""
        ...

    def event_tag(self, subject: Subject, event_id: str) -> str:
        """``e_`` and 32 hex digits: the same for the same event of the same account, and for nobody else's."""
        ...
