"""What ``subject.erased`` says, made true: run behind the entry, and again after every crash (ledger format, section 1.2).

::

    wait      no permit of the account can start any more; it was called off when the entry became durable
    vault     tag mapping and subject key destroyed, the id marked: every body and commitment is unreadable from here on
    purge     every row about the account, table by table
    copies    bags of exports that say in clear who it was are removed; one that somebody works on
              is waited for                                                                         -> erased
    clean     the database's files rewritten, so that nothing deleted lies in them any more         -> clean
    sweep     a while later once more, for what was on its way in another process                   -> done

========================================  =====================================================================
if the process dies                       then
========================================  =====================================================================
before the vault's row is destroyed       the entry claims what is not so yet; it is seen to at the next start, before
                                          anything is served, and every minute
between vault and rows, or among rows     what is left is unreadable, and goes likewise
between rows and bags, or among bags      a bag may still say who it was, and goes likewise
before the files are rewritten            deleted bytes may lie in them; likewise
========================================  =====================================================================

The vault comes first because it is one step that makes the rest unreadable, and nobody can bring new rows in without it.

A database put back from a backup holds people whom the log says are erased: :meth:`Destroyer.replay` finds them by the
log, whatever the tables say, and takes their erasures up again, to be carried out by the same steps.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

import structlog

from ledger.gateway.inflight import InFlight
from ledger.ports import Clock, EntryStore
from ledger.ports.privacy import (
    Eraser,
    Erasure,
    Forgotten,
    OpenCopies,
    PrivacyBook,
    SubjectEraser,
    Suppressions,
)
from ledger.sequencer.sequencer import Sequencer

SWEPT_AFTER_MS = 120_000
"""When what was on its way while a person was erased has surely come in: a call, a lease, an attempt and its settlement."""

TAGS_AT_ONCE = 500

COPIES = "bags of exports that say who it is"
BUSY = (
    "somebody works on an export just now, which may say who it is; it is looked at again within a minute, or run "
    "`grantledger erase clean`"
)

_ID_DIGITS = 16

log = structlog.get_logger()


def _no_step(step: str) -> None:
    """Pass by: outside tests nothing happens between two steps."""


class Destroyer:
    """Destroys what the log says is destroyed. Safe from any thread, and beside other processes that do the same."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        store: EntryStore,
        book: PrivacyBook,
        eraser: Eraser,
        copies: OpenCopies,
        vault: SubjectEraser,
        suppressions: Suppressions,
        inflight: InFlight,
        clock: Clock,
        reached: Callable[[str], None] = _no_step,
    ) -> None:
        """``reached`` is called at each named step, so that tests can stop the process there."""
        self._sequencer = sequencer
        self._store = store
        self._book = book
        self._eraser = eraser
        self._copies = copies
        self._vault = vault
        self._suppressions = suppressions
        self._inflight = inflight
        self._clock = clock
        self._reached = reached

    def is_known(self, account: str) -> bool:
        """Whether the vault still says who is behind ``account`` (a tag)."""
        return bool(self._vault.account_of([account]))

    def count(self, account: str) -> Mapping[str, int]:
        """How much there is to be destroyed of ``account`` (a tag), by what it is; what there is none of with 0."""
        return {**self._eraser.count(account), COPIES: self._copies.count(account)}

    def destroy(self, erasure: Erasure) -> Mapping[str, int]:
        """Destroy vault row, key, rows and open copies of an erasure that is ``erasing``; counts by what they were.

        May be repeated. It stays ``erasing`` where a copy is busy. Of one that is further nothing is done. Raises StoreError
        where the database or a file fails: then call it again.
        """
        if erasure.state != "erasing":
            return {}
        gone, is_busy = self._destroy(erasure.account)
        if is_busy:
            log.warning("erasure.copies_busy", erasure=erasure.erasure)
            return gone
        self._book.go_on(erasure.erasure, "erased")
        self._reached("erasure.noted")
        log.info("erasure.destroyed", erasure=erasure.erasure, rows=sum(gone.values()))
        return gone

    def clean(self) -> str:
        """Rewrite the database's files for all that is ``erased``; what is left to do, empty for nothing."""
        waiting = self._book.load_erasures(("erased",))
        if not waiting:
            return BUSY if self._book.load_erasures(("erasing",)) else ""
        cleaned = self._eraser.clean()
        self._reached("erasure.cleaned")
        if not cleaned.is_clean:
            return cleaned.left
        for one in waiting:
            self._book.go_on(one.erasure, "clean")
        return ""

    def run_once(self) -> int:
        """Carry on with every erasure whose entry is durable; how many went a step further. Raises StoreError."""
        steps = 0
        for one in self._book.load_erasures(("erasing",)):
            self.destroy(one)
            steps += 1
        before = len(self._book.load_erasures(("erased",)))
        left = self.clean()
        if left:
            log.warning("erasure.files_not_rewritten", reason=left)
        steps += before - len(self._book.load_erasures(("erased",)))
        return steps + self._sweep()

    def replay(self) -> int:
        """Destroy everybody whom the log says is erased and whom the vault still knows; how many there were.

        For a database put back from a backup, and at every start. Their erasures are taken up again, so that whatever cannot
        be done at once is done later, as for any. Raises StoreError or ForkError.
        """
        self._vault.suppress(self._suppressions.load())
        erased = self._sequencer.look(lambda history, _now_ms: dict(history.holds.erased))
        tags = list(erased)
        # Files may have been put back from a backup as well, or alone.
        if tags and (again := self._copies.forget(tags)) != Forgotten(0):
            log.info("erasure.copies_removed_again", copies=again.copies, is_busy=again.is_busy)
        known: list[str] = []
        for start in range(0, len(tags), TAGS_AT_ONCE):
            known += self._vault.account_of(tags[start : start + TAGS_AT_ONCE])
        if not known:
            return 0
        for account in known:
            # Durable before anything is destroyed: if we die here the loop finds it.
            self._book.adopt(self._of_entry(account, erased[account]))
        for one in self._book.load_erasures(("erasing",)):
            self.destroy(one)
        left = self.clean()
        log.info("erasure.replayed", people=len(known), left=left)
        return len(known)

    def _of_entry(self, account: str, seq: int) -> Erasure:
        """The erasure of ``account`` as its entry has it."""
        (row,) = self._store.fetch_range(seq, seq + 1)
        entry = json.loads(row.data)
        return Erasure(
            erasure=f"er-{account.removeprefix('a_')[:_ID_DIGITS]}",
            account=account,
            basis=entry.get("basis", "request"),
            policy=entry.get("policy"),
            request=entry.get("request"),
            salt=None,
            words_sealed=None,
            requested_by=entry["actor"],
            requested_at_ms=entry["at"],
            state="erasing",
            decided_by=entry.get("approved_by"),
            decided_at_ms=self._clock.now_ms(),
        )

    def _destroy(self, account: str) -> tuple[Mapping[str, int], bool]:
        # Told of what other processes appended: their restriction calls off what is under way here.
        self._sequencer.catch_up()
        self._inflight.wait_until_clear(account=account)
        self._reached("erasure.cleared")
        # Outside the database first: what is put back from a backup may know the mark from nowhere else.
        self._suppressions.keep(self._vault.marks_of([account]).values())
        self._reached("erasure.marked")
        self._vault.erase([account])
        self._reached("erasure.key_destroyed")
        gone = self._eraser.purge(account)
        self._reached("erasure.purged")
        # Behind the vault: what is made from here on cannot say any more who it was.
        forgotten = self._copies.forget([account])
        self._reached("erasure.copies_removed")
        return {**gone, COPIES: forgotten.copies}, forgotten.is_busy

    def _sweep(self) -> int:
        due_ms = self._clock.now_ms() - SWEPT_AFTER_MS
        due = [one for one in self._book.load_erasures(("clean",)) if (one.decided_at_ms or 0) <= due_ms]
        late = [one for one in due if any(self._eraser.purge(one.account).values())]
        if late and not self._eraser.clean().is_clean:
            _keep(self._book, [one for one in due if one not in late])
            return len(due) - len(late)
        _keep(self._book, due)
        return len(due)


def _keep(book: PrivacyBook, done: Sequence[Erasure]) -> None:
    for one in done:
        book.go_on(one.erasure, "done")
