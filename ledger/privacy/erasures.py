"""Erasing a person: asked for by one, approved by another, and destroyed behind the entry that says so (section 1.2).

::

    request   what is asked for is kept; nothing has happened yet
    approve   claimed -> grants end -> account.deleted and subject.erased, in one transaction -> destroyed
              (ledger.privacy.destroying)

========================================  =====================================================================
if the process dies                       then
========================================  =====================================================================
while grants end                          some have ended; approving again ends the rest
after that, before the entries            no grant is left, and the request is still open, and can be withdrawn
                                          once its claim has lapsed
after the entries                         the request stands as ``erasing``, in the same transaction: whoever
                                          runs next destroys what the entry says is destroyed
========================================  =====================================================================

Rules kept here:

- The second person is another one than the first, by the names that the log holds. The ledger refuses it as well.
- Nobody is erased under a legal hold. The ledger refuses ``subject.erased`` while a hold on the account stands, on the state
  before that very entry, so no hold is overlooked that is placed meanwhile; for a hold on an incident that is not yet
  spelled out for this person, the incidents that affect the person are looked up and held against the log's holds, likewise.
- Whoever took a request back and was told so is not erased. Approving claims the request before anything happens, and once
  more right before the entry; while a claim lasts nobody withdraws.
- An erasure by a rule names a policy that somebody has set.
- What restricts comes first. ``account.deleted`` ends every grant by the rule and calls permits off, so nothing is sent to
  anybody between the entry and the destruction.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ledger.core.canonical import JsonValue
from ledger.core.granted import Granted, list_granted
from ledger.core.history import History
from ledger.core.holds import Placed
from ledger.core.timelines import deleted_at_ms
from ledger.errors import ConflictError, RejectedError, UsageError
from ledger.gateway.drafts import append_whole, live_draft
from ledger.gateway.revocation import Endings
from ledger.ports import Clock, Randomness, Subject
from ledger.ports.privacy import (
    AccountIncidents,
    Erasure,
    ErasureBasis,
    ErasureState,
    PrivacyBook,
    RetentionPolicies,
)
from ledger.ports.registry import Registry
from ledger.ports.sealing import Sealing
from ledger.privacy.destroying import BUSY, Destroyer
from ledger.sequencer.draft import Draft
from ledger.sequencer.sequencer import Sequencer

SALT_BYTES = 32
WORDS_CHARACTERS_MAX = 4_096
CHANNEL = "erasure"
"""Where grants are said to have ended."""

LATER = "the database's files are rewritten by the service's own loop"

CLAIM_LASTS_MS = 600_000
"""How long a claim keeps a request from being withdrawn: longer than from one to the entry, however slow the disk."""

_ID_BYTES = 8


@dataclass(frozen=True, slots=True)
class Held:
    """Why an erasure may not be: legal holds that stand, the first one first."""

    holds: tuple[Placed, ...]

    def __str__(self) -> str:
        """The holds by name, and what to do."""
        names = ", ".join(dict.fromkeys(_shown(one) for one in self.holds))
        first = self.holds[0].hold
        return (
            f"the account is under the legal hold {names}: nothing of it may be erased. When the hold has ended, lift it "
            f"with `grantledger hold lift {first}`, then approve again; the request stays open"
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What erasing ``account`` (a tag) would do now.

    ``destroyed`` counts rows by what they are, in words; ``grants`` are ended first; ``held`` stands in the way, None where
    nothing does. ``is_known`` says that the vault has the person, ``is_deleted`` that the account was deleted before.
    """

    account: str
    is_known: bool
    is_deleted: bool
    erased_seq: int | None
    destroyed: Mapping[str, int]
    grants: Sequence[Granted]
    held: Held | None
    open_request: Erasure | None


@dataclass(frozen=True, slots=True)
class Erased:
    """``account`` was erased, by entry ``seq``: ``state`` is how far the destruction has come, ``left`` what is left."""

    erasure: str
    account: str
    seq: int
    state: ErasureState
    destroyed: Mapping[str, int]
    left: str


def _no_step(step: str) -> None:
    """Pass by: outside tests nothing happens between two steps."""


class Erasures:
    """Takes requests for erasure and carries approved ones out. Safe from any thread, and beside other processes."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        registry: Registry,
        book: PrivacyBook,
        destroyer: Destroyer,
        incidents: AccountIncidents,
        policies: RetentionPolicies,
        sealing: Sealing,
        clock: Clock,
        randomness: Randomness,
        reached: Callable[[str], None] = _no_step,
    ) -> None:
        """``reached`` is called at each named step, so that tests can stop the process there."""
        self._sequencer = sequencer
        self._registry = registry
        self._book = book
        self._destroyer = destroyer
        self._incidents = incidents
        self._policies = policies
        self._sealing = sealing
        self._clock = clock
        self._randomness = randomness
        self._reached = reached
        self._endings = Endings(sequencer=sequencer, registry=registry, clock=clock)

    def plan(self, account: str) -> Plan:
        """What erasing ``account`` (a tag) would do now; changes nothing."""
        is_deleted, erased_seq = self._sequencer.look(partial(_standing_of, account))
        granted = self._sequencer.look(lambda history, now_ms: list_granted(history, account, now_ms))
        return Plan(
            account=account,
            is_known=self._destroyer.is_known(account),
            is_deleted=is_deleted,
            erased_seq=erased_seq,
            destroyed=self._destroyer.count(account),
            grants=granted,
            held=self.held(account),
            open_request=self.open_request(account),
        )

    def open_request(self, account: str) -> Erasure | None:
        """The request for ``account`` (a tag) that is open; None where there is none."""
        return self._book.load_open(account)

    def held(self, account: str) -> Held | None:
        """The legal holds that stand on ``account`` (a tag), or on an incident that affects it; None where none does."""
        incidents = frozenset(self._incidents.of_account(account))
        found = self._sequencer.look(partial(_holds_on, account, incidents))
        return Held(tuple(found)) if found else None

    def request(
        self,
        subject: Subject,
        *,
        basis: ErasureBasis,
        requested_by: str,
        policy: str | None = None,
        words: str | None = None,
    ) -> Erasure:
        """Keep that ``requested_by`` (``role:id``) asks to erase ``subject``; durable when this returns.

        ``words`` are what the person wrote, which is committed to; ``policy`` is the rule where ``basis`` is ``retention``.
        Where a request is open already it is that one. A hold does not keep a request from being kept. Raises
        RejectedError where a value is unusable, UsageError where the account is erased already or nobody has set the rule.
        """
        if (basis == "retention") != (policy is not None):
            raise RejectedError(
                "an erasure by a retention rule names its policy, and one on request does not"
            )
        if policy is not None and self._policies.period_ms(policy) is None:
            raise UsageError(
                f"there is no rule {policy!r}: nobody has set that policy; see `grantledger policy list`, and set it with "
                "`grantledger policy set` first"
            )
        _, erased_seq = self._sequencer.look(partial(_standing_of, subject.tag))
        if erased_seq is not None:
            raise UsageError(f"the account {subject.tag} is erased already, by entry {erased_seq}")
        erasure = f"er-{self._randomness.token(_ID_BYTES).hex()}"
        salt = request = sealed = None
        if words is not None:
            if not words.strip() or len(words) > WORDS_CHARACTERS_MAX:
                raise RejectedError(f"a request's words are 1 to {WORDS_CHARACTERS_MAX} characters")
            salt = self._randomness.token(SALT_BYTES)
            request = hmac.digest(salt, words.encode(), "sha256").hex()
            sealed = self._sealing.seal_for(subject, f"erasure/{erasure}", words.encode())
        return self._book.add_erasure(
            Erasure(
                erasure=erasure,
                account=subject.tag,
                basis=basis,
                policy=policy,
                request=request,
                salt=salt,
                words_sealed=sealed,
                requested_by=requested_by,
                requested_at_ms=self._clock.now_ms(),
            )
        )

    def words_of(self, subject: Subject, erasure: Erasure) -> str | None:
        """What the person wrote, for whoever decides; None where nothing was, or the request is over."""
        if erasure.words_sealed is None:
            return None
        return self._sealing.open_for(subject, f"erasure/{erasure.erasure}", erasure.words_sealed).decode()

    def withdraw(self, erasure: str, *, withdrawn_by: str) -> Erasure:
        """Take a request back, durably; nobody is erased by it then, whoever approves.

        Raises UsageError where there is none of this id, ConflictError where it is over, or being carried out.
        """
        now_ms = self._clock.now_ms()
        self._load(erasure)
        if not self._book.withdraw(erasure, withdrawn_by, now_ms, now_ms - CLAIM_LASTS_MS):
            found = self._load(erasure)
            state = "approved" if found.state == "requested" else found.state
            raise ConflictError(f"the erasure {erasure} is {state} and cannot be withdrawn")
        return self._load(erasure)

    def approve(self, erasure: str, *, approved_by: str, with_files: bool = True) -> Erased:
        """Carry out the request ``erasure``, approved by another person than asked for it (``role:id``).

        When this returns, the entry and the destruction of key, mapping and rows are durable; ``left`` says what of the
        files is not rewritten yet: without ``with_files`` that is left to whoever runs next. The same call again goes on
        where it ended. Raises RejectedError (under a hold, the same person, or the ledger refuses), UsageError (no such
        request), ConflictError (withdrawn), StoreError or ForkError where nothing is known: then call it again.
        """
        found = self._load(erasure)
        if found.state == "withdrawn":
            raise ConflictError(f"the erasure {erasure} was withdrawn: ask for it again")
        if found.state == "requested":
            if approved_by == found.requested_by:
                raise RejectedError(f"{approved_by} asked for this erasure: another person has to approve it")
            self._check_holds(found.account)
            try:
                self._carry_out(found, approved_by)
            except RejectedError:
                # Refused, so the request is open as before: its person may still take it back.
                self._book.unclaim(erasure, approved_by)
                raise
        self._reached("erasure.appended")
        destroyed = self._destroyer.destroy(self._load(erasure))
        left = self._destroyer.clean() if with_files else LATER
        _, seq = self._sequencer.look(partial(_standing_of, found.account))
        assert seq is not None, "the entry was appended"
        state = self._load(erasure).state
        return Erased(erasure, found.account, seq, state, destroyed, BUSY if state == "erasing" else left)

    def _carry_out(self, found: Erasure, approved_by: str) -> None:
        """End what the account granted, then append; what becomes of the request when that fails is the caller's."""
        self._claim(found, approved_by)
        self._end_grants(found.account, approved_by)
        self._reached("erasure.grants_ended")
        if self._claim(found, approved_by):
            self._append(found, approved_by)

    def _claim(self, found: Erasure, approved_by: str) -> bool:
        """Keep the request from being withdrawn; False where somebody else has carried it out, who was faster.

        Raises ConflictError where it was withdrawn.
        """
        if self._book.claim(found.erasure, approved_by, self._clock.now_ms()):
            return True
        if self._load(found.erasure).state == "withdrawn":
            raise ConflictError(f"the erasure {found.erasure} was withdrawn: ask for it again")
        return False

    def load_all(
        self, states: Sequence[ErasureState], after: str = "", count_max: int | None = None
    ) -> Sequence[Erasure]:
        """The erasures in one of ``states``, by age, from the one behind ``after`` on; at most ``count_max``."""
        return self._book.load_erasures(states, after, count_max)

    def load(self, erasure: str) -> Erasure:
        """The erasure of this id; raises UsageError where there is none."""
        return self._load(erasure)

    def _load(self, erasure: str) -> Erasure:
        found = self._book.load_erasure(erasure)
        if found is None:
            raise UsageError(f"there is no erasure {erasure!r}; see `grantledger erase list`")
        return found

    def _check_holds(self, account: str) -> None:
        held = self.held(account)
        if held is not None:
            raise RejectedError(str(held))

    def _end_grants(self, account: str, actor: str) -> None:
        rows = self._registry.load_subscriptions_of(account)
        self._endings.end(rows, actor=actor, channel=CHANNEL)
        # What still stands has no row here: a record brought it in.
        left = self._sequencer.look(lambda history, now_ms: list_granted(history, account, now_ms))
        self._endings.revoke(left, actor=actor, channel=CHANNEL)

    def _append(self, found: Erasure, approved_by: str) -> None:
        now_ms = self._clock.now_ms()
        account = found.account
        decided = self._book.decide(found.erasure, "erasing", approved_by, now_ms)
        is_deleted, _ = self._sequencer.look(partial(_standing_of, account))
        stated: dict[str, JsonValue] = {
            "account": account,
            "basis": found.basis,
            "approved_by": approved_by,
        }
        if found.request is not None:
            stated["request"] = found.request
        if found.policy is not None:
            stated["policy"] = found.policy
        erased = live_draft(
            "subject.erased", found.requested_by, stated, uid=f"subject.erased/{account}", changes=[decided]
        )
        incidents = frozenset(self._incidents.of_account(account))
        erased = replace(
            erased,
            # A person is erased once, whoever asked for it first.
            compare_exclude=erased.compare_exclude | (stated.keys() - {"account"}),
            overtaken=partial(_overtaken, account, incidents),
        )
        drafts: list[Draft] = [erased]
        if not is_deleted:
            drafts.insert(0, live_draft("account.deleted", approved_by, {"account": account}))
        (*_, appended) = append_whole(self._sequencer, drafts)
        if not appended.created:
            # Somebody else's request for the same person was carried out, and this one is over with it.
            self._registry.apply([decided])


def _standing_of(account: str, history: History, _now_ms: int) -> tuple[bool, int | None]:
    """Whether ``account`` is deleted, and the entry that erased it."""
    record = history.accounts.get(account)
    is_deleted = record is not None and deleted_at_ms(record) is not None
    return is_deleted, history.holds.erased.get(account)


def _holds_on(account: str, incidents: frozenset[str], history: History, now_ms: int) -> list[Placed]:
    return [
        *history.holds.standing_on(account, now_ms),
        *history.holds.standing_on_incidents(incidents, now_ms),
    ]


def _overtaken(account: str, incidents: frozenset[str], history: History, now_ms: int) -> str | None:
    """Why the erasure may not be appended to ``history``: a hold was placed since it was looked at."""
    found = _holds_on(account, incidents, history, now_ms)
    return str(Held(tuple(found))) if found else None


def _shown(placed: Placed) -> str:
    return placed.hold if placed.incident is None else f"{placed.hold} (incident {placed.incident})"
