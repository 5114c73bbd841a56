"""The people that a call names: their subjects, and the registration that goes before the first use of a tag.

Ledger format, section 1.2: ``account.registered`` stands before a tag's first use anywhere. A registration is made of the
tag alone, so that handing it in twice is one entry; what is remembered here only saves that.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from ledger.ingest.drafts import Drafter
from ledger.ports import Subject, Vault
from ledger.ports.commitments import Commitments
from ledger.sequencer.draft import Draft

REMEMBERED_TAGS_MAX = 500_000


class People:
    """Subjects of platform ids, with the drafts to append before entries that name them. Safe from any thread."""

    def __init__(self, vault: Vault, commitments: Commitments) -> None:
        self._vault = vault
        self._drafter = Drafter(commitments, actor="system:gateway", live=True)
        self._lock = threading.Lock()
        self._registered: set[str] = set()

    def meet(self, account_ids: Iterable[str]) -> tuple[dict[str, Subject], list[Draft]]:
        """The subject of each id, minted durably where need be, and registrations of those not known to be registered.

        The drafts go in the same batch, before the entry that names them; say :meth:`note` once they are durable. Raises
        RejectedError when somebody was erased, StoreError when the vault fails.
        """
        subjects = self._vault.subjects_of(account_ids)
        with self._lock:
            unmet = {one: met for one, met in subjects.items() if met.tag not in self._registered}
        return subjects, [self._drafter.registration(one, met) for one, met in unmet.items()]

    def note(self, subjects: Iterable[Subject]) -> None:
        """Remember that the registrations of ``subjects`` are durable."""
        with self._lock:
            if len(self._registered) > REMEMBERED_TAGS_MAX:
                self._registered.clear()
            self._registered.update(subject.tag for subject in subjects)
