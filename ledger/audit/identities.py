"""Tags against the vault: does one id have one tag (ledger format, section 1.2; verdict rules, section 2.3)?

Only an auditor who is let into the vault can check this; everybody else sees tags. A second tag of one account could
hide deliveries from it: ``SPLIT_IDENTITY``. A commitment that does not open to the vault's id is ``COMMITMENT_MISMATCH``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ledger.core.entries import AccountRegistered, Entry
from ledger.core.faults import FaultList

BATCH = 1_000

CommitIdentity = Callable[[str, str], str | None]
"""``(account id, uid) -> identity commitment`` under the account's key in the vault; None where it has none."""


class IdentityCheck:
    """Compares ``account.registered`` entries with the vault."""

    def __init__(
        self, accounts_of: Callable[[Iterable[str]], dict[str, str]], commit_identity: CommitIdentity
    ) -> None:
        self._accounts_of = accounts_of
        self._commit_identity = commit_identity
        self._registered: list[tuple[int, str, str, str]] = []

    def add(self, entry: Entry) -> None:
        """Take one ``account.registered``."""
        assert entry.kind == "account.registered", "only registrations come here"
        registered: AccountRegistered = entry  # type: ignore[assignment]
        self._registered.append((registered.seq, registered.account, registered.uid, registered.identity))

    def finish(self, faults: FaultList, notes: list[str]) -> None:
        """Compare all that were added."""
        first_tag: dict[str, str] = {}
        unknown = 0
        for start in range(0, len(self._registered), BATCH):
            batch = self._registered[start : start + BATCH]
            accounts = self._accounts_of([tag for _, tag, _, _ in batch])
            for seq, tag, uid, identity in batch:
                account = accounts.get(tag)
                if account is None:
                    unknown += 1
                    continue
                if first_tag.setdefault(account, tag) != tag:
                    faults.tell(
                        seq, "SPLIT_IDENTITY", f"{tag} is a second tag of the account of {first_tag[account]}"
                    )
                if self._commit_identity(account, uid) != identity:
                    faults.tell(seq, "COMMITMENT_MISMATCH", f"the identity of {tag} is not the vault's")
        if unknown:
            notes.append(
                f"{unknown} tags have no vault row (erased, or never known): their identity is not checkable"
            )
