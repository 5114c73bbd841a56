"""Telling people that an incident concerns them: queued once each and medium, read in an inbox (section 5.2).

Everybody affected is told: the accounts whose events they were, and every other person in them. A notice's id and the
``uid`` of its entries are made of incident, person and medium alone, so that whoever queues again, after a crash or on
purpose, queues nobody twice. A later revision of the incident queues those who are new, and lets the others' notices tell of
the later revision: they are not told again.

Somebody who was erased cannot be told: ``notice.given_up`` with the reason ``erased`` ends what was queued, or stands for
what never was, so that the log says of everybody what became of them. Where the log has an entry already whose row is missing
or behind, as after a backup was put back, the row is put right by it, and nothing is done twice.

Sending is :mod:`ledger.incidents.sending`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from ledger.core.canonical import JsonValue
from ledger.core.incident_clock import GONE
from ledger.errors import RejectedError, UsageError
from ledger.gateway.drafts import digest_of, live_draft
from ledger.incidents.attestations import count_claims
from ledger.incidents.contacts import Contacts
from ledger.incidents.notice_words import (
    About,
    deletion_in_words,
    read_summary,
    subject_of,
    summary_of,
    template_hash,
    write_notice,
)
from ledger.ports import Change, Clock, EntryStore
from ledger.ports.incidents import AffectedPerson, Incidents
from ledger.ports.notices import MEDIA, IncidentNotice, Medium, NoticeCount, Notices, Retold
from ledger.ports.obligations import Obligations
from ledger.ports.registry import Registry
from ledger.ports.vault import Keyring
from ledger.sequencer.draft import Appended, Draft, Outcome, Rejection, expect
from ledger.sequencer.sequencer import Sequencer

PEOPLE_AT_ONCE = 1_000
DESK = "system:notices"
UPDATES_SHOWN = 5
PROVENANCE = frozenset({"actor", "via", "template", "attempt", "reason"})
"""What the comparison of a repeated ``uid`` leaves out: who did it, by which words, at which try."""


@dataclass(frozen=True, slots=True)
class Queued:
    """What queuing did: new notices, people who had theirs already, and people who were erased and cannot be told."""

    people: int
    queued: int
    known: int
    erased: int


@dataclass(frozen=True, slots=True)
class Told:
    """A notice in somebody's inbox, as it reads now; ``deletion`` is a sentence for each developer that has the data."""

    notice: IncidentNotice
    title: str
    text: str
    deletion: tuple[str, ...]


def _ignore_progress(done: int, total: int) -> None:
    """Nobody watches."""


class NoticeDesk:
    """Queues notices and shows them to the people that they are for. Safe from any thread."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        store: EntryStore,
        notices: Notices,
        incidents: Incidents,
        obligations: Obligations,
        contacts: Contacts,
        keyring: Keyring,
        registry: Registry,
        clock: Clock,
    ) -> None:
        self._sequencer = sequencer
        self._store = store
        self._erased_seen = 0
        self._notices = notices
        self._incidents = incidents
        self._obligations = obligations
        self._contacts = contacts
        self._keyring = keyring
        self._registry = registry
        self._clock = clock

    def queue(
        self,
        incident: str,
        revision: int | None = None,
        *,
        actor: str,
        on_progress: Callable[[int, int], None] = _ignore_progress,
    ) -> Queued:
        """Queue a notice to everybody whom ``revision`` (the last, where None) of ``incident`` affects.

        ``actor`` (``role:id``) does it. All that is counted is durable when this returns. Raises UsageError where there is no
        such incident or it was not assessed yet, StoreError where nothing is known: the same call made again goes on.
        """
        revision = self._revision_of(incident, revision)
        assessment = self._incidents.assessment(incident, revision)
        total = 0 if assessment is None else assessment.people
        done = Queued(0, 0, 0, 0)
        after = ""
        while people := self._incidents.people(incident, revision, after=after, limit=PEOPLE_AT_ONCE):
            after = people[-1].account
            done = _sum(done, self._queue_some(incident, revision, people, actor))
            on_progress(done.people, total)
        return done

    def _revision_of(self, incident: str, revision: int | None) -> int:
        found = self._incidents.load(incident)
        if found is None:
            raise UsageError(f"there is no incident {incident!r}; see `grantledger incident list`")
        wanted = found.revision if revision is None else revision
        if not 1 <= wanted <= found.revision:
            raise UsageError(
                f"the incident has no revision {wanted}: assess it first, with `grantledger incident assess`"
            )
        return wanted

    def _queue_some(
        self, incident: str, revision: int, people: Sequence[AffectedPerson], actor: str
    ) -> Queued:
        tags = [person.account for person in people]
        there = self._keyring.subjects_behind(tags)
        media = self._contacts.media_of(tags)
        wanted: dict[str, tuple[AffectedPerson, Medium]] = {
            notice_id(incident, person.account, medium): (person, medium)
            for person in people
            if person.account in there
            for medium in ("inbox", *media.get(person.account, ()))
        }
        known = self._notices.fetch_known(list(wanted))
        # What is told changes with the revision, which is an entry of its own; that somebody is told does not.
        self._notices.retell(
            [Retold(name, revision, summary_of(wanted[name][0])) for name in wanted if name in known]
        )
        now_ms = self._clock.now_ms()
        drafts = [
            self._draft(name, incident, revision, person, medium, now_ms, actor)
            for name, (person, medium) in wanted.items()
            if name not in known
        ]
        queued = 0
        for outcome in append_right(self._sequencer, self._notices, drafts):
            if isinstance(outcome, Rejection):
                raise outcome.error()
            queued += outcome.created
        gone = [person.account for person in people if person.account not in there]
        self._give_up(incident, self._erased_of(gone), actor)
        return Queued(len(people), queued, len(wanted) - queued, len(people) - len(there))

    def _draft(
        self,
        name: str,
        incident: str,
        revision: int,
        person: AffectedPerson,
        medium: Medium,
        now_ms: int,
        actor: str,
    ) -> Draft:
        notice = IncidentNotice(
            notice=name,
            incident=incident,
            account=person.account,
            medium=medium,
            template=template_hash(medium),
            revision=revision,
            summary=summary_of(person),
            state="waiting",
            attempt=0,
            due_at_ms=now_ms,
            queued_at_ms=now_ms,
        )
        return draft_of(
            "notice.queued", notice, actor, {"template": notice.template}, [self._notices.put(notice)]
        )

    def give_up_erased(self) -> int:
        """End the notices of people who were erased since they were queued; how many. A later call looks at later ones."""
        seen = self._erased_seen
        tags = self._sequencer.look(lambda history, _: list(islice(history.holds.erased, seen, None)))
        ended = 0
        for tag in tags:
            for incident, _ in self._incidents.incidents_of(tag):
                # Of an incident of which nobody was queued, nobody was told yet: that is for whoever queues.
                if self._fetch(incident, [tag], "notice.queued"):
                    ended += self._give_up(incident, [tag], DESK)
        self._erased_seen = max(self._erased_seen, seen + len(tags))
        return ended

    def _erased_of(self, tags: Sequence[str]) -> list[str]:
        """Those of ``tags`` that the log says are erased."""
        if not tags:
            return []
        return self._sequencer.look(lambda history, _: [tag for tag in tags if tag in history.holds.erased])

    def _give_up(self, incident: str, tags: Sequence[str], actor: str) -> int:
        """Say of each of ``tags`` that nobody can be told there any more, unless it was; how many entries are new."""
        queued = self._fetch(incident, tags, "notice.queued")
        ended = self._fetch(incident, tags, "notice.sent") | self._fetch(incident, tags, "notice.given_up")
        drafts = [
            draft_of("notice.given_up", _gone(incident, tag, medium), actor, {"reason": GONE}, [])
            for tag in tags
            for medium in MEDIA
            if (tag, medium) not in ended and (medium == "inbox" or (tag, medium) in queued)
        ]
        new = 0
        for outcome in self._sequencer.append_many(drafts):
            if isinstance(outcome, Rejection):
                raise outcome.error()
            new += outcome.created
        return new

    def _fetch(self, incident: str, tags: Collection[str], kind: str) -> set[tuple[str, str]]:
        """Of which person and medium the log has an entry of ``kind``."""
        named = {f"{kind}/{incident}/{tag}/{medium}": (tag, medium) for tag in tags for medium in MEDIA}
        return {named[uid] for uid in self._store.fetch_by_uids(list(named))} if named else set()

    def about(self, incident: str) -> About:
        """What all notices of ``incident`` share, as of now."""
        its = self._obligations.load_all(incident)
        attested = [self._obligations.load_attestation(one.attestation) for one in its if one.attestation]
        return About(
            incident=incident,
            title=self._incidents.text(incident, "title"),
            what_happened=self._incidents.text(incident, "notice"),
            names=_Names(self._registry),
            obligations=its,
            updates=[one.text for one in self._incidents.updates(incident)][-UPDATES_SHOWN:],
            claims={one.attestation: count_claims(one.claims) for one in attested if one is not None},
        )

    def inbox(self, account: str, after: str = "", count_max: int = 100) -> list[Told]:
        """The notices in the inbox of ``account`` (a tag), in order of their id, behind ``after``."""
        found = self._notices.load_of_account(account, after, count_max)
        shared = {incident: self.about(incident) for incident in {one.incident for one in found}}
        return [_told(one, shared[one.incident]) for one in found]

    def show(self, notice: IncidentNotice) -> Told:
        """A notice as its inbox has it now."""
        return _told(notice, self.about(notice.incident))

    def mark_read(self, account: str, notice: str, actor: str) -> IncidentNotice:
        """Note that ``account`` (a tag) has read ``notice``; once. Raises RejectedError where it is none of its own."""
        found = self._notices.load(notice)
        if found is None or found.account != account or found.medium != "inbox" or found.state != "sent":
            raise RejectedError("there is no notice of this id in this inbox")
        if found.read_at_ms is None:
            now_ms = self._clock.now_ms()
            change = self._notices.mark_read(notice, now_ms)
            expect(self._sequencer.append(draft_of("notice.read", found, actor, {}, [change])))
            found = self._notices.load(notice) or replace(found, read_at_ms=now_ms)
        return found

    def count(self, incident: str) -> Sequence[NoticeCount]:
        """How many notices of ``incident`` there are, by medium and state."""
        return self._notices.count(incident)

    def load_of_incident(
        self, incident: str, after: str = "", count_max: int = 1_000
    ) -> Sequence[IncidentNotice]:
        """The notices of ``incident`` in order of their id, behind ``after``."""
        return self._notices.load_of_incident(incident, after, count_max)


def _told(notice: IncidentNotice, about: About) -> Told:
    summary = read_summary(notice.summary)
    return Told(
        notice,
        subject_of(about),
        write_notice("inbox", summary, about),
        tuple(deletion_in_words(summary, about)),
    )


class _Names(dict[str, str]):
    """Developers' names by id, looked up when they are asked for; the id where there is no name."""

    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self._registry = registry

    def get(self, developer: str, default: str | None = None) -> str:  # type: ignore[override]
        if developer not in self:
            found = self._registry.load_developer(developer)
            self[developer] = developer if found is None else found.name
        return self[developer]


def notice_id(incident: str, account: str, medium: Medium) -> str:
    """The id of the one notice of ``incident`` to ``account`` (a tag) in ``medium``."""
    return f"n-{digest_of(incident, account, medium)}"


def append_right(sequencer: Sequencer, notices: Notices, drafts: Sequence[Draft]) -> list[Outcome]:
    """Append ``drafts``, durably, and put the rows right of those whose entries were there before; all outcomes.

    Raises StoreError where nothing is known.
    """
    outcomes = sequencer.append_many(drafts)
    notices.put_right(
        [
            change
            for draft, outcome in zip(drafts, outcomes, strict=True)
            if isinstance(outcome, Appended) and not outcome.created
            for change in draft.changes
        ]
    )
    return outcomes


def _gone(incident: str, account: str, medium: Medium) -> IncidentNotice:
    """The notice that nobody can get: no row is kept of it."""
    name = notice_id(incident, account, medium)
    return IncidentNotice(name, incident, account, medium, "", 0, "", "given_up", 0, 0, 0, reason=GONE)


def draft_of(
    kind: str,
    notice: IncidentNotice,
    actor: str,
    stated: dict[str, JsonValue],
    changes: Sequence[Change],
    suffix: str = "",
) -> Draft:
    """The draft of an entry about ``notice``, of which there is one of its ``kind`` (and ``suffix``)."""
    members: dict[str, JsonValue] = {
        "notice": notice.notice,
        "incident": notice.incident,
        "account": notice.account,
        "medium": notice.medium,
        **stated,
    }
    uid = f"{kind}/{notice.incident}/{notice.account}/{notice.medium}{suffix}"
    draft = live_draft(kind, actor, members, uid=uid, via="system", changes=changes)
    return replace(draft, compare_exclude=draft.compare_exclude | PROVENANCE)


def _sum(one: Queued, other: Queued) -> Queued:
    return Queued(
        one.people + other.people,
        one.queued + other.queued,
        one.known + other.known,
        one.erased + other.erased,
    )
