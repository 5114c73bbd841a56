"""What is older than a policy lets it be is destroyed; whole people only by a second person (incidents and exports).

Nothing here knows a period: each stands in a ``policy.set`` entry, and what has none is kept as before. A policy can only
shorten what the service's own settings keep.

===============================  ====================================================================================
policy                           what is older than its period
===============================  ====================================================================================
``retention.events``             bodies of events, with their parcels
``retention.dead_letters``       parcels that ended undelivered, with bodies that nothing else waits for
``retention.notes``              notes of attempts, for developers
``retention.contacts``           addresses of accounts that were deleted longer ago
``retention.deleted_accounts``   accounts that were deleted longer ago: an erasure is *proposed*, for a person to approve
===============================  ====================================================================================

What is under a legal hold stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import structlog

from ledger.incidents.policies import (
    CONTACTS,
    DEAD_LETTERS,
    DELETED_ACCOUNTS,
    EVENTS,
    NOTES,
)
from ledger.ports import Clock, EntryStore
from ledger.ports.outbox import Outbox
from ledger.ports.privacy import Eraser, PrivacyBook, RetentionPolicies
from ledger.ports.vault import Keyring
from ledger.privacy.erasures import Erasures
from ledger.privacy.holds import LegalHolds

ACTOR = "system:retention"
EXPIRED_AT_ONCE = 1_000

_DELETED = b'"kind":"account.deleted"'
_ERASED = b'"kind":"subject.erased"'

log = structlog.get_logger()


class Retention:
    """Applies the retention policies. Safe beside other processes that do the same; one thread at a time."""

    def __init__(
        self,
        *,
        store: EntryStore,
        outbox: Outbox,
        book: PrivacyBook,
        eraser: Eraser,
        erasures: Erasures,
        holds: LegalHolds,
        keyring: Keyring,
        policies: RetentionPolicies,
        clock: Clock,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._book = book
        self._eraser = eraser
        self._erasures = erasures
        self._holds = holds
        self._keyring = keyring
        self._policies = policies
        self._clock = clock

    def run(self) -> dict[str, int]:
        """Destroy what is too old and propose who is; counts by policy, of those that were set. Durable then.

        Raises StoreError where the database fails: what was destroyed by then is, and the next run goes on.
        """
        # Whoever an incident's hold is for and was found since is held before anything goes.
        self._holds.extend()
        done: dict[str, int] = {}
        if (before_ms := self._before(EVENTS)) is not None:
            done[EVENTS] = 0
            while count := self._outbox.expire(before_ms, EXPIRED_AT_ONCE):
                done[EVENTS] += count
        if (before_ms := self._before(DEAD_LETTERS)) is not None:
            done[DEAD_LETTERS] = self._eraser.purge_dead_letters(before_ms)
        if (before_ms := self._before(NOTES)) is not None:
            done[NOTES] = 0
            while count := self._outbox.expire_notes(before_ms, EXPIRED_AT_ONCE):
                done[NOTES] += count
        done |= self._see_to_deleted()
        if any(done.values()):
            log.info("retention.applied", **{name.partition(".")[2]: count for name, count in done.items()})
        return done

    def _before(self, policy: str) -> int | None:
        """The instant before which the policy lets nothing be; None where there is no such policy."""
        period_ms = self._policies.period_ms(policy)
        return None if period_ms is None else max(0, self._clock.now_ms() - period_ms)

    def _see_to_deleted(self) -> dict[str, int]:
        contacts_ms, accounts_ms = self._before(CONTACTS), self._before(DELETED_ACCOUNTS)
        if contacts_ms is None and accounts_ms is None:
            return {}
        held = self._holds.held_accounts()
        deleted = {account: at_ms for account, at_ms in self._deleted() if account not in held}
        done: dict[str, int] = {}
        if contacts_ms is not None:
            old = [account for account, at_ms in deleted.items() if at_ms < contacts_ms]
            done[CONTACTS] = sum(self._eraser.purge_contacts(account) for account in old)
        if accounts_ms is not None:
            old = [account for account, at_ms in deleted.items() if at_ms < accounts_ms]
            done[DELETED_ACCOUNTS] = self._propose(old)
        return done

    def _propose(self, accounts: list[str]) -> int:
        # One that a person has decided about is not proposed again.
        states = self._book.load_erasures(("requested", "withdrawn", "erasing", "erased", "clean", "done"))
        seen = {one.account for one in states if one.basis == "retention" or one.state == "requested"}
        known = self._keyring.subjects_behind([account for account in accounts if account not in seen])
        count = 0
        for subject in known.values():
            if self._erasures.held(subject.tag) is None:
                self._erasures.request(
                    subject, basis="retention", requested_by=ACTOR, policy=DELETED_ACCOUNTS
                )
                count += 1
        return count

    def _deleted(self) -> Iterator[tuple[str, int]]:
        """Accounts that the log says are deleted, and not yet erased, with when they were first."""
        deleted: dict[str, int] = {}
        for row in self._store.fetch_state():
            # Canonical bytes: a text holds no quotation mark, so this is the member and nothing else.
            if _DELETED in row.data:
                entry = json.loads(row.data)
                deleted[entry["account"]] = min(entry["at"], deleted.get(entry["account"], entry["at"]))
            elif _ERASED in row.data:
                deleted.pop(json.loads(row.data)["account"], None)
        yield from deleted.items()
