"""What people record of an incident: status, moments, words, decisions, updates (incidents and exports, section 5.1).

Each is one entry, and its words become durable with it. A call that is made again with the same words changes nothing, so
that whoever does not know whether it went in makes it again. An entry's ``uid`` counts, so that two who record at once
collide there, and the second looks at what the first said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ledger.core.canonical import JsonValue
from ledger.errors import ConflictError, UsageError
from ledger.gateway.drafts import append_whole, live_draft
from ledger.incidents.words import (
    DOCUMENT_CHARACTERS_MAX,
    MOMENTS,
    NOTIFICATIONS,
    check_field,
    check_id,
    check_status,
    check_text,
    commit,
    sha256_hex,
)
from ledger.ports import Change, Clock, Randomness
from ledger.ports.incidents import Event, EventKind, Incident, Incidents, PublicUpdate
from ledger.sequencer.draft import Draft
from ledger.sequencer.sequencer import Sequencer

RACES_MAX = 5
LOOK_BYTES = 16

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Written:
    """What a call came to: ``number`` of its kind, and whether it was made now."""

    number: int
    created: bool


class Recorder:
    """Records what is said of incidents. Safe from any thread; nothing is durable before a call returns."""

    def __init__(
        self, *, sequencer: Sequencer, incidents: Incidents, clock: Clock, randomness: Randomness
    ) -> None:
        self._sequencer = sequencer
        self._incidents = incidents
        self._clock = clock
        self._randomness = randomness

    def load(self, incident: str) -> Incident:
        """The incident of this id; raises UsageError where there is none."""
        found = self._incidents.load(incident)
        if found is None:
            raise UsageError(f"there is no incident {incident!r}; see `grantledger incident list`")
        return found

    def set_status(self, incident: str, status: str, actor: str) -> Written:
        """Let the incident be ``status`` from now on; raises UsageError where it cannot become that."""

        def attempt() -> Written:
            found = self.load(incident)
            known = self._events(incident, "status")
            if found.status == status:
                return Written(len(known), False)
            check_status(found.status, status)
            self._append([self._status_draft(incident, status, len(known) + 1, actor)])
            return Written(len(known) + 1, True)

        return self._again(attempt)

    def claim_moment(
        self, incident: str, moment: str, evidence: str, actor: str, at_ms: int | None = None
    ) -> Written:
        """Claim that ``moment`` was at ``at_ms`` (now, where None), by ``evidence``, as words.

        Raises UsageError for a moment that nobody knows, or one that has not come yet.
        """
        if moment not in MOMENTS:
            raise UsageError(f"there is no moment {moment!r}; there are: {', '.join(MOMENTS)}")
        self._check_past(at_ms)

        def attempt() -> Written:
            self.load(incident)
            known = [one for one in self._events(incident, "moment") if one.name == moment]
            if any(one.text == evidence and at_ms in (None, one.at_ms) for one in known):
                return Written(len(known), False)
            number = len(known) + 1
            committed = commit(self._randomness, evidence)
            uid = f"incident.moment_claimed/{incident}/{moment}/{number}"
            kept = self._event(incident, "moment", uid, moment, actor, at_ms)
            kept = replace(kept, text=evidence, salt=committed.salt)
            stated: dict[str, JsonValue] = {"moment": moment, "evidence_given": committed.commitment}
            self._append([self._draft("incident.moment_claimed", kept, stated, at_ms=kept.at_ms)])
            return Written(number, True)

        return self._again(attempt)

    def describe(self, incident: str, field: str, text: str, actor: str) -> Written:
        """Let ``field`` say ``text`` from now on; what it said before stays readable."""
        check_field(field, text)

        def attempt() -> Written:
            self.load(incident)
            known = [one for one in self._events(incident, "described") if one.name == field]
            if known and known[-1].text == text:
                return Written(len(known), False)
            number = len(known) + 1
            committed = commit(self._randomness, text)
            uid = f"incident.described/{incident}/{field}/{number}"
            kept = replace(
                self._event(incident, "described", uid, field, actor), text=text, salt=committed.salt
            )
            stated: dict[str, JsonValue] = {"field": field, "text": committed.commitment}
            self._append([self._draft("incident.described", kept, stated)])
            return Written(number, True)

        return self._again(attempt)

    def decide(self, incident: str, decision: str, text: str, actor: str) -> Written:
        """Record the decision ``decision`` (an id) with its reasons."""
        check_id("decision", decision)

        def attempt() -> Written:
            self.load(incident)
            known = [one for one in self._events(incident, "decided") if one.name == decision]
            if known and known[-1].text == text:
                return Written(len(known), False)
            number = len(known) + 1
            committed = commit(self._randomness, text)
            uid = f"incident.decided/{incident}/{decision}/{number}"
            kept = replace(
                self._event(incident, "decided", uid, decision, actor), text=text, salt=committed.salt
            )
            stated: dict[str, JsonValue] = {"decision": decision, "text": committed.commitment}
            self._append([self._draft("incident.decided", kept, stated)])
            return Written(number, True)

        return self._again(attempt)

    def publish_update(self, incident: str, text: str, actor: str) -> Written:
        """Publish ``text`` as the next numbered update, for everybody to read."""
        check_text(text)

        def attempt() -> Written:
            self.load(incident)
            known = self._incidents.updates(incident)
            if known and known[-1].text == text:
                return Written(known[-1].number, False)
            number = len(known) + 1
            digest = sha256_hex(text)
            uid = f"incident.update_published/{incident}/{number}"
            kept = replace(self._event(incident, "update", uid, str(number), actor), text=text)
            update = PublicUpdate(number, text, digest, kept.at_ms)
            stated: dict[str, JsonValue] = {"number": number, "text_sha256": digest}
            changes = [self._incidents.put_update(incident, update)]
            self._append([self._draft("incident.update_published", kept, stated, changes)])
            return Written(number, True)

        return self._again(attempt)

    def note_told(
        self,
        incident: str,
        jurisdiction: str,
        notification: str,
        document: str,
        actor: str,
        *,
        at_ms: int | None = None,
        reasons: str | None = None,
        is_late: Callable[[int], bool] = lambda at_ms: False,
    ) -> Written:
        """Record that the authority of ``jurisdiction`` was told at ``at_ms`` (now, where None), by ``document``.

        ``notification`` is first, follow_up or final. ``is_late`` says whether a first notification at an instant is behind
        its deadline: then ``reasons`` for the delay are demanded. Raises UsageError without them, or out of order.
        """
        check_id("jurisdiction", jurisdiction)
        if notification not in NOTIFICATIONS:
            raise UsageError(f"a notification is {', '.join(NOTIFICATIONS)}, not {notification!r}")
        self._check_past(at_ms)

        def attempt() -> Written:
            self.load(incident)
            known = [one for one in self._events(incident, "authority") if one.name == jurisdiction]
            same = [one for one in known if one.detail == notification and one.text == document]
            if any(at_ms in (None, one.at_ms) for one in same):
                return Written(len(known), False)
            _check_order(known, notification, jurisdiction)
            number = len(known) + 1
            uid = f"incident.authority_notified/{incident}/{jurisdiction}/{number}"
            kept = self._event(incident, "authority", uid, jurisdiction, actor, at_ms)
            if notification == "first" and reasons is None and is_late(kept.at_ms):
                raise UsageError(
                    f"the authority of {jurisdiction} is told late: say why with --reasons (GDPR Art. 33(1))"
                )
            committed = commit(self._randomness, document, DOCUMENT_CHARACTERS_MAX)
            stated: dict[str, JsonValue] = {
                "jurisdiction": jurisdiction,
                "notification": notification,
                "document": committed.commitment,
            }
            kept = replace(kept, text=document, salt=committed.salt, detail=notification)
            if reasons is not None:
                why = commit(self._randomness, reasons)
                stated["reasons_for_delay"] = why.commitment
                kept = replace(kept, reasons=reasons, reasons_salt=why.salt)
            self._append([self._draft("incident.authority_notified", kept, stated, at_ms=kept.at_ms)])
            return Written(number, True)

        return self._again(attempt)

    def note_look(self, incident: str, actor: str) -> None:
        """Make durable that ``actor`` looks at a page of whom ``incident`` affects, before it is shown."""
        uid = f"access.viewed/{self._randomness.token(LOOK_BYTES).hex()}"
        append_whole(self._sequencer, [live_draft("access.viewed", actor, {"purpose": incident}, uid=uid)])

    # --- How one entry is made.

    def _events(self, incident: str, kind: EventKind) -> Sequence[Event]:
        return [one for one in self._incidents.events(incident) if one.kind == kind]

    def _event(
        self, incident: str, kind: EventKind, uid: str, name: str, actor: str, at_ms: int | None = None
    ) -> Event:
        now_ms = self._clock.now_ms()
        return Event(incident, kind, uid, name, actor, now_ms if at_ms is None else at_ms, now_ms)

    def _draft(
        self,
        kind: str,
        kept: Event,
        stated: dict[str, JsonValue],
        changes: Sequence[Change] = (),
        at_ms: int | None = None,
    ) -> Draft:
        """The draft of an entry about an incident, which keeps its words; ``at`` is stated where somebody claims it."""
        members: dict[str, Any] = {"incident": kept.incident, **stated}
        if at_ms is not None:
            members["at"] = at_ms
        return live_draft(
            kind, kept.actor, members, uid=kept.uid, changes=[*changes, self._incidents.put_event(kept)]
        )

    def _status_draft(self, incident: str, status: str, number: int, actor: str) -> Draft:
        uid = f"incident.status_set/{incident}/{number}"
        kept = self._event(incident, "status", uid, status, actor)
        change = self._incidents.put_status(incident, status, kept.told_at_ms)
        return self._draft("incident.status_set", kept, {"incident_status": status}, [change])

    def _append(self, drafts: Sequence[Draft]) -> bool:
        """Append all of ``drafts`` or nothing; whether they were created by this call."""
        return all(appended.created for appended in append_whole(self._sequencer, drafts))

    def _check_past(self, at_ms: int | None) -> None:
        if at_ms is not None and at_ms > self._clock.now_ms():
            raise UsageError("that instant has not come yet")

    @staticmethod
    def _again(attempt: Callable[[], _T]) -> _T:
        """What ``attempt`` returns, made anew where somebody else recorded in between."""
        for left in reversed(range(RACES_MAX)):
            try:
                return attempt()
            except ConflictError:
                if not left:
                    raise
        raise AssertionError("the last try returns or raises")


def _check_order(known: Sequence[Event], notification: str, jurisdiction: str) -> None:
    told = [one.detail for one in known]
    if notification == "first" and told:
        raise UsageError(f"the authority of {jurisdiction} was told before: this is a follow_up, or final")
    if notification != "first" and not told:
        raise UsageError(f"the authority of {jurisdiction} was told nothing yet: this is the first")
    if "final" in told:
        raise UsageError(f"the authority of {jurisdiction} had the final notification already")
