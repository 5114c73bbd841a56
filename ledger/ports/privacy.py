"""Erasures and legal holds beside the log, and what destroying a person takes (ledger format, sections 1.2 and 1.5).

The log says who was erased and which holds stand; what is kept here is what was asked for and is not decided yet, how far
a destruction has come, and people's words, sealed. Rows about holds change with the entry that says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ledger.ports.store import Change

ErasureBasis = Literal["request", "retention"]
ErasureState = Literal["requested", "withdrawn", "erasing", "erased", "clean", "done"]
"""``erasing``: the entry is durable, and what it says may not be so yet. ``erased``: no table has anything of the person any
more. ``clean``: neither have the database's files. ``done``: and what was on its way meanwhile was swept out."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erasure of ``account`` (a tag) that ``requested_by`` (``role:id``) asked for.

    ``policy`` is the retention rule. ``request`` is the commitment (hex) to what the person wrote, ``salt`` opens it for
    whoever still has it, ``words_sealed`` is it, under the account's own key. ``decided_by`` approved or withdrew it; of one
    that is still ``requested`` it is about to be carried out, at their word.
    """

    erasure: str
    account: str
    basis: ErasureBasis
    policy: str | None
    request: str | None
    salt: bytes | None
    words_sealed: bytes | None
    requested_by: str
    requested_at_ms: int
    state: ErasureState = "requested"
    decided_by: str | None = None
    decided_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class LegalHold:
    """A hold on ``account`` (a tag; empty: on the incident as such) or because of ``incident`` (empty: of none)."""

    hold: str
    account: str
    incident: str
    salt: bytes | None
    words_sealed: bytes | None
    placed_by: str
    placed_at_ms: int
    until_ms: int | None
    lifted_by: str | None = None
    lifted_at_ms: int | None = None

    def stands(self, now_ms: int) -> bool:
        """Whether it stands at ``now_ms``."""
        return self.lifted_at_ms is None and (self.until_ms is None or now_ms < self.until_ms)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Whether nothing that was deleted is left in the database's files; ``left`` says why some may be, and what to do."""

    is_clean: bool
    left: str = ""


class PrivacyBook(Protocol):
    """Erasures and holds by id; safe for use from any number of threads and processes."""

    def add_erasure(self, erasure: Erasure) -> Erasure:
        """Keep a request, durably; where one for the account is open already, that one is returned and nothing kept."""
        ...

    def load_erasure(self, erasure: str) -> Erasure | None:
        """The erasure of this id."""
        ...

    def load_erasures(
        self, states: Iterable[ErasureState], after: str = "", count_max: int | None = None
    ) -> Sequence[Erasure]:
        """Those in one of ``states``, by age, from the one behind ``after`` on; at most ``count_max``, all for None."""
        ...

    def load_open(self, account: str) -> Erasure | None:
        """The request for ``account`` (a tag) that is open."""
        ...

    def claim(self, erasure: str, decided_by: str, at_ms: int) -> bool:
        """Say, durably, that a request is about to be carried out: nobody withdraws it then. False where it is not open."""
        ...

    def unclaim(self, erasure: str, decided_by: str) -> None:
        """Take back what ``decided_by`` claimed last, durably: the request is open as before."""
        ...

    def decide(self, erasure: str, state: ErasureState, decided_by: str, at_ms: int) -> Change:
        """What takes a request that is open to ``state``; changes nothing where it is not open any more."""
        ...

    def withdraw(self, erasure: str, decided_by: str, at_ms: int, lapsed_ms: int) -> bool:
        """Withdraw a request, durably; False where it is not open, or was claimed at ``lapsed_ms`` or later."""
        ...

    def adopt(self, erasure: Erasure) -> None:
        """Let the erasure of the account that is there and not withdrawn be ``erasing``, else ``erasure``; durably."""
        ...

    def go_on(self, erasure: str, state: ErasureState) -> None:
        """Say, durably, how far a destruction has come: ``erased``, ``clean`` or ``done``. Forgets the person's words."""
        ...

    def put_hold(self, hold: LegalHold) -> Change:
        """What keeps a hold; one that is there stays."""
        ...

    def lift_hold(self, hold: str, lifted_by: str, at_ms: int) -> Change:
        """What lifts a hold, on whatever it lies; lifted ones stay as they are."""
        ...

    def load_holds(self) -> Sequence[LegalHold]:
        """All holds, by age."""
        ...

    def has_hold(self, hold: str) -> bool:
        """Whether there is, or was, a hold of this id."""
        ...


class Eraser(Protocol):
    """What takes a person out of the tables beside the log; safe for use from any number of threads and processes."""

    def count(self, account: str) -> Mapping[str, int]:
        """How many rows :meth:`purge` would take, by what they are, in words; what has none is there with 0."""
        ...

    def purge(self, account: str) -> Mapping[str, int]:
        """Destroy every row about ``account`` (a tag), durably; as :meth:`count`. May be repeated, and is, after a crash.

        It takes many short transactions, so dying on the way leaves some rows, and the next call destroys them.
        """
        ...

    def clean(self) -> Cleaned:
        """Make what was deleted disappear from the database's own files, write-ahead ones too, as far as that goes.

        Takes as long as the database is large, and others wait to write meanwhile.
        """
        ...

    def purge_contacts(self, account: str) -> int:
        """Destroy the addresses of ``account`` (a tag) alone, durably; how many."""
        ...

    def purge_dead_letters(self, before_ms: int) -> int:
        """Destroy parcels that ended undelivered before then, with bodies that nothing else waits for; how many parcels."""
        ...


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many copies are gone; ``is_busy`` where somebody works on one that may be about the person as well."""

    copies: int
    is_busy: bool = False


class OpenCopies(Protocol):
    """Copies outside the database, in files of ours, that say in clear who somebody is."""

    def count(self, account: str) -> int:
        """How many say so of ``account`` (a tag)."""
        ...

    def forget(self, accounts: Collection[str]) -> Forgotten:
        """Remove those that say so of any of ``accounts`` (tags), durably. May be repeated, and is, where one was busy."""
        ...


class SubjectEraser(Protocol):
    """What of the vault an erasure needs."""

    def account_of(self, tags: Iterable[str]) -> dict[str, str]:
        """Platform ids of those of ``tags`` that the vault knows."""
        ...

    def erase(self, tags: Iterable[str]) -> set[str]:
        """Destroy the rows of ``tags`` and mark their ids for ever, durably; the tags that had a row."""
        ...

    def marks_of(self, tags: Iterable[str]) -> dict[str, bytes]:
        """The marks that erasing ``tags`` would leave, of those that the vault knows."""
        ...

    def suppress(self, marks: Iterable[bytes]) -> None:
        """Keep ``marks`` of people who were erased when this database was another one, durably."""
        ...


class Suppressions(Protocol):
    """The marks of erased people, outside the database; safe for use from any number of processes."""

    def keep(self, marks: Iterable[bytes]) -> None:
        """Add ``marks``, durably; raises StoreError where that fails."""
        ...

    def load(self) -> set[bytes]:
        """All marks."""
        ...


class AccountIncidents(Protocol):
    """Which incidents affect whom, as far as they were assessed."""

    def of_account(self, account: str) -> Sequence[str]:
        """The incidents whose last assessment affects ``account`` (a tag)."""
        ...

    def is_known(self, incident: str) -> bool:
        """Whether there is such an incident."""
        ...

    def people_of(self, incident: str) -> Iterable[str]:
        """The tags of everybody whom the last assessment of ``incident`` affects, in order."""
        ...


class RetentionPolicies(Protocol):
    """Periods that ``policy.set`` gave."""

    def period_ms(self, policy: str) -> int | None:
        """The period in force of ``policy``, where no jurisdiction is asked for; None where nobody has set one."""
        ...
