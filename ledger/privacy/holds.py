"""Legal holds: placed on an account or on an incident, and lifted (ledger format, section 1.5).

A hold on an incident is placed on the incident, and then spelled out, entry by entry, for each person that its last
assessment affects: so the log alone says who is held, and refuses by itself to erase any of them. Whoever is found to be
affected later is added when the loop comes by; until then erasing asks for the person's incidents as well.

If the process dies while a hold is being spelled out, the incident's own entry stands, nobody whom it affects can be erased,
and the loop, or the same command again, spells out the rest.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from itertools import islice

from ledger.core.canonical import JsonValue
from ledger.core.strict import is_id
from ledger.errors import ConflictError, RejectedError, UsageError
from ledger.gateway.drafts import live_draft
from ledger.ports import Change, Clock, Randomness
from ledger.ports.privacy import AccountIncidents, LegalHold, PrivacyBook
from ledger.ports.sealing import Sealing
from ledger.sequencer.draft import Draft, expect
from ledger.sequencer.sequencer import Sequencer

SALT_BYTES = 32
WORDS_CHARACTERS_MAX = 4_096
PLACED_AT_ONCE = 500

_ID_BYTES = 6


class LegalHolds:
    """Places and lifts holds. Safe from any thread, and beside other processes."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        book: PrivacyBook,
        incidents: AccountIncidents,
        sealing: Sealing,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        self._sequencer = sequencer
        self._book = book
        self._incidents = incidents
        self._sealing = sealing
        self._clock = clock
        self._randomness = randomness

    def place(
        self,
        *,
        placed_by: str,
        account: str | None = None,
        incident: str | None = None,
        hold: str | None = None,
        until_ms: int | None = None,
        words: str | None = None,
    ) -> LegalHold:
        """Place a hold on ``account`` (a tag) or ``incident``, until ``until_ms`` or until it is lifted; durable then.

        ``hold`` is its id, drawn where left out; placing the same one again spells it out for who was found since.
        ``words`` say what it is for, and are committed to. Raises UsageError where incident or account is unknown or the
        person erased, ConflictError where that id is another hold's, ends at another time or was lifted, RejectedError
        where a value is unusable.
        """
        if (account is None) == (incident is None):
            raise UsageError("a hold lies on an account or on an incident: name one of them")
        hold = hold or f"h-{self._randomness.token(_ID_BYTES).hex()}"
        if not is_id(hold):
            raise RejectedError("a hold's id is 1 to 64 of A-Z a-z 0-9 . _ -")
        now_ms = self._clock.now_ms()
        if until_ms is not None and until_ms <= now_ms:
            raise RejectedError("a hold ends after it begins: name a later time")
        if words is not None and not 1 <= len(words.strip()) <= len(words) <= WORDS_CHARACTERS_MAX:
            raise RejectedError(f"what a hold is for takes 1 to {WORDS_CHARACTERS_MAX} characters")
        standing = [one for one in self._book.load_holds() if one.hold == hold]
        first = next((one for one in standing if one.account == (account or "")), None)
        if standing and (first is None or first.incident != (incident or "")):
            raise ConflictError(f"the hold {hold} lies on something else: choose another id")
        if first is None:
            if incident is not None and not self._incidents.is_known(incident):
                raise UsageError(f"there is no incident {incident!r}; see `grantledger incident list`")
            if account is not None:
                self._check_account(account)
            first = self._place_first(hold, account, incident, until_ms, words, placed_by, now_ms)
        elif until_ms not in (None, first.until_ms):
            raise ConflictError(
                f"the hold {hold} is there and ends at another time: place a second one beside it, under another id; what "
                "is held is held until the last of them has ended"
            )
        if first.lifted_at_ms is not None:
            raise ConflictError(f"the hold {hold} was lifted: place another one")
        self._spell_out(first, standing)
        return first

    def lift(self, hold: str, *, lifted_by: str) -> LegalHold:
        """End ``hold``, on whatever it lies, durably; one that was lifted stays so. Raises UsageError where there is none."""
        found = [one for one in self._book.load_holds() if one.hold == hold]
        if not found:
            raise UsageError(f"there is no hold {hold!r}; see `grantledger hold list`")
        first = _main(found)
        stated: dict[str, JsonValue] = {"hold": hold}
        if first.account:
            stated["account"] = first.account
        if first.incident:
            stated["incident"] = first.incident
        change = self._book.lift_hold(hold, lifted_by, self._clock.now_ms())
        draft = live_draft("hold.lifted", lifted_by, stated, uid=f"hold.lifted/{hold}", changes=[change])
        expect(self._sequencer.append(draft))
        return _main([one for one in self._book.load_holds() if one.hold == hold])

    def load_all(self) -> Sequence[tuple[LegalHold, int]]:
        """Every hold once, by age, with how many accounts it is placed on."""
        by_hold: dict[str, list[LegalHold]] = {}
        for one in self._book.load_holds():
            by_hold.setdefault(one.hold, []).append(one)
        return [(_main(rows), sum(bool(row.account) for row in rows)) for rows in by_hold.values()]

    def words_of(self, hold: LegalHold) -> str | None:
        """What ``hold`` is for; None where nobody said. Raises StoreError where it was altered."""
        if hold.words_sealed is None:
            return None
        return self._sealing.open_secret(_context(hold.hold), hold.words_sealed)

    def extend(self) -> int:
        """Spell out standing holds on incidents for who was found to be affected since; for how many that was."""
        now_ms = self._clock.now_ms()
        holds = self._book.load_holds()
        mains = [one for one in holds if one.incident and not one.account and one.stands(now_ms)]
        return sum(self._spell_out(one, [row for row in holds if row.hold == one.hold]) for one in mains)

    def rebuild(self) -> list[Change]:
        """What makes the rows of holds that the log has and the tables, put back from a backup, do not know."""
        there = {(one.hold, one.account, one.incident) for one in self._book.load_holds()}
        placed, lifted = self._sequencer.look(
            lambda history, _now_ms: (list(history.holds.placed), dict(history.holds.lifted))
        )
        changes: list[Change] = []
        for one in placed:
            row = LegalHold(
                one.hold,
                one.account or "",
                one.incident or "",
                None,
                None,
                one.actor,
                one.at_ms,
                one.until_ms,
            )
            if (row.hold, row.account, row.incident) not in there:
                changes.append(self._book.put_hold(row))
        changes += [self._book.lift_hold(hold, one.actor, one.at_ms) for hold, one in lifted.items()]
        return changes

    def held_accounts(self) -> frozenset[str]:
        """The tags on which a hold stands now."""
        now_ms = self._clock.now_ms()
        return frozenset(one.account for one in self._book.load_holds() if one.account and one.stands(now_ms))

    def _place_first(
        self,
        hold: str,
        account: str | None,
        incident: str | None,
        until_ms: int | None,
        words: str | None,
        placed_by: str,
        now_ms: int,
    ) -> LegalHold:
        salt = self._randomness.token(SALT_BYTES) if words is not None else None
        sealed = None if words is None else self._sealing.seal_secret(_context(hold), words)
        row = LegalHold(hold, account or "", incident or "", salt, sealed, placed_by, now_ms, until_ms)
        text = None if words is None or salt is None else hmac.digest(salt, words.encode(), "sha256").hex()
        expect(self._sequencer.append(self._draft(row, text)))
        return row

    def _spell_out(self, main: LegalHold, standing: Sequence[LegalHold]) -> int:
        """Place the hold on each person of its incident on whom it does not lie yet; how many those were."""
        if not main.incident:
            return 0
        erased = self._sequencer.look(lambda history, _now_ms: frozenset(history.holds.erased))
        there = {one.account for one in standing} | erased
        people = iter(self._incidents.people_of(main.incident))
        count = 0
        while some := list(islice(people, PLACED_AT_ONCE)):
            drafts = [
                self._draft(
                    LegalHold(
                        main.hold,
                        account,
                        main.incident,
                        None,
                        None,
                        main.placed_by,
                        self._clock.now_ms(),
                        main.until_ms,
                    ),
                    None,
                )
                for account in some
                if account not in there
            ]
            for outcome in self._sequencer.append_many(drafts):
                expect(outcome)
            count += len(drafts)
        return count

    def _draft(self, hold: LegalHold, text: str | None) -> Draft:
        stated: dict[str, JsonValue] = {"hold": hold.hold}
        if hold.account:
            stated["account"] = hold.account
        if hold.incident:
            stated["incident"] = hold.incident
        if hold.until_ms is not None:
            stated["until"] = hold.until_ms
        if text is not None:
            stated["text"] = text
        uid = f"hold.placed/{hold.hold}/{hold.account or hold.incident}"
        return live_draft("hold.placed", hold.placed_by, stated, uid=uid, changes=[self._book.put_hold(hold)])

    def _check_account(self, account: str) -> None:
        """Raise UsageError unless ``account`` is somebody's tag, and the person is not erased."""
        is_known, is_erased = self._sequencer.look(
            lambda history, _now_ms: (account in history.accounts, account in history.holds.erased)
        )
        if is_erased:
            raise UsageError(f"the account {account} is erased: there is nothing left to be held")
        if not is_known:
            raise UsageError(
                f"no account of the log has the tag {account}: nobody would be held; see `grantledger history`"
            )


def _main(rows: Sequence[LegalHold]) -> LegalHold:
    """The row that the hold was placed with: an incident's own, or the one account's."""
    return next((row for row in rows if not (row.account and row.incident)), rows[0])


def _context(hold: str) -> str:
    return f"hold/{hold}"
