"""Opens who is behind a tag, for exports that disclose it (ledger format, section 1.2): a ``FieldOpener``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ledger.core.openings import Opening
from ledger.ports import Vault
from ledger.vault.commitments import salt_of


class IdentityOpener:
    """Opens the commitments of registrations, as far as ``vault`` still knows the account."""

    def __init__(self, vault: Vault) -> None:
        """Nothing is read yet."""
        self._vault = vault

    def may_know(self, members: Mapping[str, Any], field: str) -> bool:
        """Of registrations, who is registered."""
        return field == "identity" and "account" in members

    def open(self, entries: Sequence[Mapping[str, Any]]) -> Iterable[Opening]:
        """The platform's id of each account that ``entries`` register; none of one that was erased."""
        registered = [members for members in entries if "identity" in members and "account" in members]
        accounts = self._vault.account_of({str(members["account"]) for members in registered})
        subjects = self._vault.find(accounts.values())
        for members in registered:
            account = accounts.get(str(members["account"]))
            subject = None if account is None else subjects.get(account)
            if account is not None and subject is not None:
                salt = salt_of(subject.key, str(members["uid"]), "identity")
                yield Opening(int(members["seq"]), "identity", salt, account)
