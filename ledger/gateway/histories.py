"""Reading somebody's history, which is an entry too (ledger format, sections 1.2 and 1.5).

Who looks at an account's history is in that history: ``access.viewed`` is durable before anything is shown. What is shown
are the entries about the account itself that bear state: its registration and standing, its grants and subscriptions. No
other person is named in them. Deliveries are found by the index (:mod:`ledger.gateway.account_history`): reading the whole
log for one person is not for a request.

A page is bounded by the entries that were looked at, not by those that were found, so that nobody's history costs more
than another's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from ledger.gateway.drafts import live_draft
from ledger.ports import EntryStore, Randomness, StoredEntry
from ledger.sequencer.draft import expect
from ledger.sequencer.sequencer import Sequencer

SEARCHED_MAX = 20_000
FOUND_MAX = 500

VIEWED = "access.viewed"

_UID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Page:
    """``entries`` of the account; everything below ``searched_to`` has been looked at, and nothing follows if ``is_last``."""

    entries: Sequence[StoredEntry]
    searched_to: int
    is_last: bool


class Histories:
    """Reads the histories of accounts. Safe from any thread."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        store: EntryStore,
        randomness: Randomness,
        searched_max: int = SEARCHED_MAX,
        found_max: int = FOUND_MAX,
    ) -> None:
        """``searched_max`` and ``found_max`` bound the entries that one page looks at and shows."""
        self._sequencer = sequencer
        self._store = store
        self._randomness = randomness
        self._searched_max = searched_max
        self._found_max = found_max

    def read(self, account: str, after: int, *, actor: str, purpose: str | None = None) -> Page:
        """The entries about ``account`` (a tag) from number ``after`` on, one page of them.

        ``actor`` (``role:id``) looks, for ``purpose`` (an id). That is durable before this returns. Raises RejectedError
        where ``purpose`` is no id, StoreError or ForkError where the log cannot be written or read.
        """
        self.record(account, actor=actor, purpose=purpose)
        return self._find(f'"account":"{account}"'.encode(), after)

    def record(self, account: str, *, actor: str, purpose: str | None = None) -> None:
        """Make durable that ``actor`` looks at the history of ``account`` (a tag), for ``purpose``; as :meth:`read`."""
        stated = {"account": account} | ({} if purpose is None else {"purpose": purpose})
        # Each look is one of its own, however many there are in a millisecond.
        uid = f"{VIEWED}/{self._randomness.token(_UID_BYTES).hex()}"
        expect(self._sequencer.append(live_draft(VIEWED, actor, stated, uid=uid)))

    def _find(self, told: bytes, after: int) -> Page:
        size = self._store.size()
        found: list[StoredEntry] = []
        searched = 0
        for row in islice(self._store.fetch_state(after), self._searched_max):
            searched += 1
            after = row.seq + 1
            # Canonical bytes: a text holds no quotation mark, so this is the member and nothing else.
            if told in row.data:
                found.append(row)
                if len(found) == self._found_max:
                    return Page(found, after, is_last=False)
        if searched == self._searched_max:
            return Page(found, after, is_last=False)
        return Page(found, max(size, after), is_last=True)
