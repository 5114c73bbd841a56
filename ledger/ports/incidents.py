"""What is kept of incidents beside the log: their state, frozen findings, words (incidents and exports, section 5.1).

Every change is an entry, and what changes here becomes durable together with it: the ``put_*`` methods return the
:class:`~ledger.ports.store.Change` that goes with the draft. Only the lines of a frozen finding set are too many for that:
they are staged before the entry that freezes them, and nobody sees them until that entry is durable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ledger.core.frozen_findings import Evidence, ExposedDelivery
from ledger.ports.store import Change

__all__ = [
    "AffectedPerson",
    "Assessment",
    "Event",
    "EventKind",
    "Evidence",
    "ExposedDelivery",
    "Incident",
    "Incidents",
    "Policy",
    "PublicUpdate",
]

PAGE_ROWS = 1_000

EventKind = Literal["opened", "assessed", "status", "moment", "described", "decided", "update", "authority"]


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident: one cause. ``revision`` is the last assessment's, 0 before the first.

    ``cause`` is its class, ``cause_of`` what it is of, None where it is of the whole fleet. It counts exposures that no
    concluded incident of the same cause froze; ``from_entry`` is how far the last of those was assessed. Times in ms UTC;
    ``updated_at_ms`` is when its status or revision changed last.
    """

    incident: str
    cause: str
    cause_of: str | None
    from_entry: int
    status: str
    revision: int
    opened_at_ms: int
    updated_at_ms: int


@dataclass(frozen=True, slots=True)
class Assessment:
    """A frozen finding set: what the verification of the first ``tree_size`` entries found of this cause.

    ``query`` are the canonical bytes of what selected it, as text; ``findings_root`` (hex) is the root over the lines of
    :func:`ledger.core.frozen_findings.encode_line`. ``people`` counts distinct people altogether; somebody definite is not
    counted as possible. ``copies`` counts attempts, ``deliveries`` deliveries. ``breakdown`` maps ``developers``,
    ``event_types`` and ``codes`` each to name -> ``{"definite": n, "possible": n}`` of attempts.
    ``window_from_ms`` and ``window_to_ms`` are the first and last ``started_at``, ``active_accounts`` what shares are of.
    """

    incident: str
    revision: int
    tree_size: int
    root: str
    rule_set: str
    rule_set_sha256: str
    query: str
    findings: int
    findings_root: str
    window_from_ms: int
    window_to_ms: int
    accounts_definite: int
    accounts_possible: int
    others_definite: int
    others_possible: int
    people: int
    deliveries: int
    copies: int
    active_accounts: int
    breakdown: Mapping[str, Mapping[str, Mapping[str, int]]]
    assessed_at_ms: int


@dataclass(frozen=True, slots=True)
class AffectedPerson:
    """Somebody affected, once: the tag ``account``.

    ``is_granting`` where a delivery was of this account's own events, ``is_other`` where the person is in somebody
    else's; both may hold. ``is_definite`` where one of ``deliveries`` (attempts) is. ``received_by`` are the developers
    that have, or may have, something; ``event_types`` what kinds of events; ``private`` whether one was not public.
    """

    account: str
    is_definite: bool
    is_granting: bool
    is_other: bool
    deliveries: int
    first_at_ms: int
    last_at_ms: int
    received_by: tuple[str, ...]
    event_types: tuple[str, ...]
    private: bool


@dataclass(frozen=True, slots=True)
class Event:
    """One entry about an incident, with the words behind its commitments.

    ``uid`` is the entry's. ``name`` is the status, moment, field, decision, jurisdiction or revision that it is about;
    ``detail`` the type of an authority's notification. ``text`` opens its commitment under ``salt``, ``reasons`` that of
    the reasons for delay under ``reasons_salt``. ``at_ms`` is when it was, ``told_at_ms`` when it was recorded here.
    """

    incident: str
    kind: EventKind
    uid: str
    name: str
    actor: str
    at_ms: int
    told_at_ms: int
    text: str | None = None
    salt: bytes | None = None
    detail: str | None = None
    reasons: str | None = None
    reasons_salt: bytes | None = None


@dataclass(frozen=True, slots=True)
class PublicUpdate:
    """Update ``number`` of an incident, as everybody may read it; ``text_sha256`` stands in the log."""

    number: int
    text: str
    text_sha256: str
    published_at_ms: int


@dataclass(frozen=True, slots=True)
class Policy:
    """A period that an entry set; ``jurisdiction`` is empty where it holds everywhere. The last of its name holds."""

    policy: str
    jurisdiction: str
    period_ms: int
    set_at_ms: int
    uid: str


class Incidents(Protocol):
    """Incidents and all that hangs on them; safe for use from any number of threads and processes."""

    def load(self, incident: str) -> Incident | None:
        """The incident of this id."""
        ...

    def load_all(self) -> Sequence[Incident]:
        """All of them, by age."""
        ...

    def load_of_cause(self, cause: str, cause_of: str | None) -> Sequence[Incident]:
        """Those of one cause, by age; at most the last one is not concluded."""
        ...

    def put_incident(self, incident: Incident) -> Change:
        """What keeps a new incident."""
        ...

    def put_status(self, incident: str, status: str, now_ms: int) -> Change:
        """What sets the status."""
        ...

    def put_revision(self, incident: str, revision: int, now_ms: int) -> Change:
        """What makes ``revision`` the incident's last; it never goes back."""
        ...

    def put_event(self, event: Event) -> Change:
        """What keeps the words of an entry; one of this ``uid`` that is there stays."""
        ...

    def events(self, incident: str) -> Sequence[Event]:
        """All entries about ``incident``, in the order in which they were recorded."""
        ...

    def text(self, incident: str, field: str) -> str | None:
        """What ``field`` of the incident says now, or None where nobody has described it."""
        ...

    def put_update(self, incident: str, update: PublicUpdate) -> Change:
        """What keeps a public update."""
        ...

    def updates(self, incident: str) -> Sequence[PublicUpdate]:
        """All public updates, by number."""
        ...

    def stage(self, incident: str, now_ms: int) -> int:
        """Begin to stage a finding set; its number. What others staged long ago and never froze goes away."""
        ...

    def stage_deliveries(self, staging: int, exposed: Sequence[ExposedDelivery]) -> None:
        """Add exposures to a staged set; durable when this returns."""
        ...

    def stage_people(self, staging: int, people: Iterable[AffectedPerson]) -> None:
        """Add people to a staged set, each tag once; durable when this returns."""
        ...

    def discard(self, staging: int) -> None:
        """Forget a staged set that was not frozen."""
        ...

    def put_assessment(self, assessment: Assessment, staging: int) -> Change:
        """What freezes the staged set as ``assessment``'s, where its revision is new."""
        ...

    def assessment(self, incident: str, revision: int | None = None) -> Assessment | None:
        """The assessment of this revision, the last one where None is given."""
        ...

    def assessments(self, incident: str) -> Sequence[Assessment]:
        """All revisions, in order."""
        ...

    def deliveries(
        self,
        incident: str,
        revision: int,
        *,
        after: int = -1,
        limit: int = PAGE_ROWS,
        received_by: str | None = None,
    ) -> Sequence[ExposedDelivery]:
        """The next exposures behind position ``after``, in order; only those that ``received_by`` has, where it is named."""
        ...

    def people(
        self, incident: str, revision: int, *, after: str = "", limit: int = PAGE_ROWS
    ) -> Sequence[AffectedPerson]:
        """The next people behind the tag ``after``, by tag."""
        ...

    def person(self, incident: str, revision: int, account: str) -> AffectedPerson | None:
        """Whether and how ``account`` is affected."""
        ...

    def incidents_of(self, account: str) -> Sequence[tuple[str, AffectedPerson]]:
        """The incidents whose last revision affects ``account``, by id."""
        ...

    def receivers(self, incident: str, revision: int) -> Sequence[tuple[str, int]]:
        """The developers that have what is exposed, by id, with how many attempts brought it."""
        ...

    def put_policy(self, policy: Policy) -> Change:
        """What keeps a policy."""
        ...

    def policies(self) -> Sequence[Policy]:
        """All policies ever set, in the order in which they were recorded."""
        ...
