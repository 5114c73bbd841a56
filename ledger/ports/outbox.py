"""Events that wait to be delivered, and what became of each attempt (delivery protocol, section 3.5).

An event is kept once, its body sealed under the account's key; a *parcel* is one event on its way to one webhook. A
parcel is leased to one dispatcher at a time; whoever finds a lease expired finds a dispatcher that died or hangs, asks
about the same attempt again, and learns from the log whether it was decided. Nothing is ever in the outbox alone: what
was sent, refused or given up has its entries.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ledger.ports.store import Change

ParcelState = Literal["waiting", "delivered", "refused", "dead", "expired"]
"""``dead``: the last attempt of the schedule failed; ``expired``: too old to be sent or replayed."""


@dataclass(frozen=True, slots=True)
class HeldEvent:
    """An event as it is kept: people as tags, the body sealed, the id as the account's event tag.

    ``event`` is the tag of section 1.2 and unique for an account. ``content`` is a keyed digest of the body, so that the
    same id with another body is noticed.
    """

    event: str
    account: str
    subjects: tuple[str, ...]
    event_type: str
    is_private: bool
    received_at_ms: int
    body_sealed: bytes
    body_bytes: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Parcel:
    """One event to one webhook. ``attempt`` (from 1) is the attempt that is to be made next, or was made last."""

    delivery: str
    event: str
    account: str
    subscription: str | None
    webhook: str
    app: str
    developer: str
    environment: str
    attempt: int
    due_at_ms: int
    created_at_ms: int
    replay: str | None = None


@dataclass(frozen=True, slots=True)
class Leased:
    """A parcel in this dispatcher's hands until ``lease_until_ms``, with its event and where it is to go."""

    parcel: Parcel
    held: HeldEvent
    lease_until_ms: int


AttemptOutcome = Literal["delivered", "failed", "refused", "unknown"]
"""``unknown``: nobody saw how it ended (the process died), so the body may have been sent."""


@dataclass(frozen=True, slots=True)
class AttemptNote:
    """One attempt, as its developer may see it: no person, no body, no id of the platform's event.

    ``reason`` is the gate's code for a refusal, else the transport's error in words, without addresses of ours.
    """

    delivery: str
    attempt: int
    webhook: str
    app: str
    event_type: str
    at_ms: int
    outcome: AttemptOutcome
    status: int | None
    duration_ms: int | None
    reason: str | None
    seq: int | None
    replay: str | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """A developer's order to send ``[from_ms, to_ms)`` again; ``through`` is the last event that was put in, or empty."""

    job: str
    webhook: str
    app: str
    from_ms: int
    to_ms: int
    created_at_ms: int
    state: Literal["running", "done", "failed"] = "running"
    through: str = ""
    sent: int = 0
    ended_at_ms: int | None = None


class Outbox(Protocol):
    """Events, parcels, attempts and replays; safe for use from any number of threads and processes."""

    def put(self, events: Sequence[HeldEvent], parcels: Sequence[Parcel]) -> Mapping[str, str]:
        """Add what is not there, in one transaction; durable when this returns.

        The result has, for each event that was there before, ``"same"`` or ``"conflict"`` (another body, type or
        subjects; then neither it nor its parcels are added), by its ``event``. Two of ``events`` that are one and differ are
        a conflict, too. A parcel may be of an event that is not among ``events`` but kept already (a replay); where its
        event has gone, it is left out. RejectedError where a value cannot be kept (see :mod:`ledger.ports.registry`).
        """
        ...

    def claim(
        self,
        owner: str,
        now_ms: int,
        lease_ms: int,
        count_max: int,
        per_webhook_max: int,
        busy: Mapping[str, int],
    ) -> Sequence[Leased]:
        """Lease waiting parcels that are due to ``owner``, oldest first, and no parcel to two at a time.

        At most ``count_max``, and of each webhook at most ``per_webhook_max`` less what ``busy`` has of it. Parcels of
        webhooks that are invalid or deleted are left where they are. A parcel whose lease has run out is claimed again,
        with the same attempt. Waits for no other claim's parcels. What it costs grows with the number of webhooks that have
        something waiting, not with how much waits.
        """
        ...

    def release(self, deliveries: Collection[str], owner: str) -> None:
        """Give parcels back untouched (the dispatcher is stopping); only those that ``owner`` holds."""
        ...

    def end(self, delivery: str, attempt: int, state: ParcelState) -> Change:
        """End the parcel whose next attempt is ``attempt``; changes nothing when it has gone on."""
        ...

    def retry(self, delivery: str, attempt: int, due_at_ms: int) -> Change:
        """Put the parcel back with ``attempt`` + 1, due then; changes nothing when it has gone on."""
        ...

    def note(self, note: AttemptNote) -> Change:
        """Keep what became of an attempt, once; ``unknown`` gives way to what somebody knows."""
        ...

    def again(self, delivery: str, now_ms: int) -> Parcel | None:
        """Make a dead, refused or delivered parcel wait again, with the next attempt; None where it cannot be (gone).

        One that waits already is returned as it is, so that the call may be repeated.
        """
        ...

    def load_parcel(self, delivery: str) -> tuple[Parcel, ParcelState] | None:
        """The parcel of this id."""
        ...

    def load_events(
        self, account: str, from_ms: int, to_ms: int, after: tuple[int, str], count_max: int
    ) -> Sequence[HeldEvent]:
        """Events of the account (a tag) received in ``[from_ms, to_ms)``, oldest first, behind ``after`` (time, event)."""
        ...

    def load_privacy(self, events: Collection[tuple[str, str]]) -> Mapping[str, bool]:
        """Whether each of ``events`` (account and event) is private, by event; those not kept any more are left out."""
        ...

    def load_sent(
        self, webhook: str, from_ms: int, to_ms: int, after: tuple[int, str], count_max: int
    ) -> Sequence[Parcel]:
        """Parcels of ``webhook`` made in ``[from_ms, to_ms)``, in whatever state, that are no replays themselves.

        Only those whose subscription lives and whose event is kept; the oldest first, behind ``after`` (when it was made
        and the delivery).
        """
        ...

    def count_parcels(self, replay: str) -> Mapping[ParcelState, int]:
        """How many parcels of the job ``replay`` are in each state; states without any are left out."""
        ...

    def load_notes(
        self,
        app: str,
        *,
        webhook: str | None = None,
        outcome: AttemptOutcome | None = None,
        event_type: str | None = None,
        delivery: str | None = None,
        from_ms: int = 0,
        to_ms: int | None = None,
        before: tuple[int, str, int] | None = None,
        count_max: int = 100,
    ) -> Sequence[AttemptNote]:
        """Attempts of the app's deliveries, the newest first, those that fit the filters."""
        ...

    def count_waiting(self, now_ms: int) -> tuple[int, int]:
        """How many parcels wait, and for how long the longest due has been, in milliseconds."""
        ...

    def expire(self, before_ms: int, count_max: int) -> int:
        """Delete up to ``count_max`` events received before ``before_ms``, the oldest first; how many went.

        Parcels of theirs that have ended go with them. Those that wait become ``expired`` and are remembered as such for
        some days more.
        """
        ...

    def expire_notes(self, before_ms: int, count_max: int) -> int:
        """Delete up to ``count_max`` notes of attempts made before ``before_ms``, the oldest first; how many went."""
        ...

    def start_replay(self, replay: Replay) -> bool:
        """Add a job; False, and nothing changes, where another one of this webhook is running."""
        ...

    def load_replays(self, *, running: bool = True, webhook: str | None = None) -> Sequence[Replay]:
        """Jobs that are ``running``, or all, of every webhook or of one, by age."""
        ...

    def save_replay(self, replay: Replay) -> None:
        """Change how far a running job has come, or end it; one that has ended stays as it is."""
        ...
