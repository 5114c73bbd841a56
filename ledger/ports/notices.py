"""What the service keeps of notices about incidents, and where people can be reached (incidents and exports, section 5.2).

People are tags here. An address is sealed under the person's own key, so that it is unreadable once that is destroyed.

A notice that leaves the process (``email``, ``webhook``) is ``sending`` from before its first byte until the entry that says
what became of it. Whoever finds it there when its lease is over knows that it may have arrived: it is recorded as sent and
``unconfirmed``, and never sent again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from ledger.ports.store import Change

Medium = Literal["inbox", "email", "webhook"]
MEDIA: tuple[Medium, ...] = ("inbox", "email", "webhook")

NoticeState = Literal["waiting", "sending", "sent", "unconfirmed", "given_up"]


@dataclass(frozen=True, slots=True)
class IncidentNotice:
    """One notice to one person (``account``, a tag) in one medium.

    ``template`` is the SHA-256 (hex) of its template. ``summary`` is what it tells of the person's deliveries as of
    ``revision`` of the incident, as JSON. ``attempt`` counts the tries that have begun. ``due_at_ms`` is when the next one
    may, ``lease_until_ms`` until when the one under way is somebody's (``lease_owner``). ``reason`` is why the last try
    failed, or that the outcome is not known.
    """

    notice: str
    incident: str
    account: str
    medium: Medium
    template: str
    revision: int
    summary: str
    state: NoticeState
    attempt: int
    due_at_ms: int
    queued_at_ms: int
    sent_at_ms: int | None = None
    read_at_ms: int | None = None
    reason: str | None = None
    lease_owner: str = ""
    lease_until_ms: int = 0


class Retold(NamedTuple):
    """What a notice tells from now on: the person's deliveries as of a later revision."""

    notice: str
    revision: int
    summary: str


class NoticeCount(NamedTuple):
    """How many notices of an incident are in one state in one medium, and how many of these were read."""

    medium: Medium
    state: NoticeState
    notices: int
    read: int


@dataclass(frozen=True, slots=True)
class Contact:
    """Where the person ``account`` (a tag) is reached by ``medium``: ``sealed`` under the person's key."""

    account: str
    medium: Medium
    sealed: bytes
    updated_at_ms: int


class Notices(Protocol):
    """Notices by id, person and incident; safe for use from any number of threads and processes."""

    def put(self, notice: IncidentNotice) -> Change:
        """What keeps ``notice`` together with its ``notice.queued``; one that is there stays."""
        ...

    def settle(self, notice: str, state: NoticeState, at_ms: int, reason: str | None) -> Change:
        """What ends a notice as ``state`` (sent, unconfirmed, given up); one that has ended stays as it ended."""
        ...

    def put_back(self, notice: str, due_at_ms: int, reason: str) -> Change:
        """What lets a notice that is ``sending`` wait for its next try; one that has ended stays as it ended."""
        ...

    def mark_read(self, notice: str, at_ms: int) -> Change:
        """What notes that the person has read it, the first time."""
        ...

    def retell(self, retold: Sequence[Retold]) -> None:
        """Let notices tell of a later revision; an older one changes nothing. Durable when this returns."""
        ...

    def put_right(self, changes: Sequence[Change]) -> None:
        """Make changes whose entries are in the log already: rows of a backup know less. Durable when this returns."""
        ...

    def load(self, notice: str) -> IncidentNotice | None:
        """The notice of this id."""
        ...

    def fetch_known(self, notices: Sequence[str]) -> set[str]:
        """Those of ``notices`` that are there."""
        ...

    def load_of_account(
        self, account: str, after: str = "", count_max: int = 100
    ) -> Sequence[IncidentNotice]:
        """The inbox of ``account`` (a tag): notices that were put into it, in order of their id, those behind ``after``."""
        ...

    def load_of_incident(
        self, incident: str, after: str = "", count_max: int = 1_000
    ) -> Sequence[IncidentNotice]:
        """All notices of ``incident`` in order of their id, those behind ``after``."""
        ...

    def count(self, incident: str) -> Sequence[NoticeCount]:
        """How many there are of each, by medium and state."""
        ...

    def load_waiting_inbox(self, count_max: int) -> Sequence[IncidentNotice]:
        """Notices that wait to be put into an inbox, the longest waiting first."""
        ...

    def claim(
        self, medium: Medium, owner: str, now_ms: int, lease_ms: int, count_max: int
    ) -> Sequence[IncidentNotice]:
        """Take notices of ``medium`` that are due: they are ``sending`` and ``attempt`` has counted, durably, on return.

        No two callers get the same one. What is not sent after all is given back by :meth:`release`.
        """
        ...

    def release(self, notices: Sequence[str], owner: str) -> None:
        """Give back what ``owner`` took and certainly did not send: it waits as before, and the try does not count."""
        ...

    def load_abandoned(self, now_ms: int, count_max: int) -> Sequence[IncidentNotice]:
        """Notices that are ``sending`` although their lease is over: whoever sent them died, or cannot say."""
        ...

    def put_contact(self, contact: Contact) -> None:
        """Keep where a person is reached, in place of what was there. Durable when this returns."""
        ...

    def forget_contact(self, account: str, medium: Medium) -> bool:
        """Forget where a person is reached; False where nothing was kept."""
        ...

    def fetch_contacts(self, accounts: Sequence[str]) -> Mapping[str, Sequence[Contact]]:
        """What is kept of each of ``accounts`` (tags) that can be reached."""
        ...
