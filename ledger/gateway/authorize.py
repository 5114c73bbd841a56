"""Deliveries that another system makes by itself: it asks first, and gets a signed permit or a refusal (section 1.5).

``delivery.attempted`` is appended before a byte leaves, whoever sends it. A system that delivers by itself asks here
for each attempt; what it gets for a permitted one is the URL, the instant before which the first body byte must leave,
and the ticket that goes along. It reports what became of it to :mod:`ledger.gateway.reports`. Whether it kept to the
permit is for the verifier: a permit that is in another system's hands cannot be called off, so a first byte after a
revocation, within the second that a permit lasts, is ``IN_FLIGHT`` there.

What a caller states is checked one by one, and one that is malformed does not hold up the others. Of the body only a
commitment and the rounded length are kept; who does not want to show it states its length alone, and then the
commitment is to nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from ledger.core.body_bytes import rounded_body_bytes
from ledger.core.canonical import JsonValue
from ledger.core.strict import is_id, is_tag
from ledger.gateway.asked import (
    Answer,
    AttemptAsked,
    Missed,
    NotPermitted,
    Permitted,
    Rejected,
    Repeated,
)
from ledger.gateway.attempt_entries import attempt_uid
from ledger.gateway.collecting import collect_seldom
from ledger.gateway.endpoint_owners import EndpointOwners
from ledger.gateway.inflight import InFlight
from ledger.gateway.meeting import meet_all
from ledger.gateway.people import People
from ledger.gateway.refusal_words import REFUSAL_WORDS
from ledger.gateway.ticketing import Tickets
from ledger.ports import Clock, Codec, Permit, Refused, Subject
from ledger.ports.commitments import Commitments
from ledger.sequencer.draft import Appended, AttemptDraft, Decision, Draft, Rejection, checked, expect
from ledger.sequencer.instants import SEND_WINDOW_MS
from ledger.sequencer.sequencer import BATCH_ITEMS_MAX, Sequencer

_NOT_COMPARED = frozenset({"actor", "payload", "via", "worker"})
"""Who asks, and on which machine, is no part of what is asked: a stand-by asks again for the same attempt."""

_STATED = ("developer", "app", "environment", "subscription", "replay", "worker")
"""What a caller may leave out: the parties are looked up then, the rest is left out of the entry, too."""


class _Addressed(msgspec.Struct):
    """What a body may say of whom it is for."""

    for_user_id: Any = None


_read_addressee = msgspec.json.Decoder(_Addressed).decode


class Authorizer:
    """Decides on attempts that others make. Safe from any thread; calls that overlap are prepared one after the other."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        people: People,
        commitments: Commitments,
        owners: EndpointOwners,
        tickets: Tickets,
        inflight: InFlight,
        codec: Codec,
        clock: Clock,
    ) -> None:
        """``codec`` is used by this object alone."""
        self._inflight = inflight
        self._sequencer = sequencer
        self._people = people
        self._commitments = commitments
        self._owners = owners
        self._tickets = tickets
        self._codec = codec
        self._clock = clock
        self._preparing = threading.Lock()
        collect_seldom()

    def authorize(self, asked: Sequence[tuple[str, AttemptAsked]]) -> list[Answer]:
        """Decide on each of ``asked`` (who asks as ``role:id``, and what), in order; durable when this returns.

        At most :data:`~ledger.sequencer.sequencer.BATCH_ITEMS_MAX`. Raises StoreError, SettingsError or ForkError where
        nothing is known; the same call again then finds what was decided, and gives no permit for it.
        """
        assert len(asked) <= BATCH_ITEMS_MAX, f"at most {BATCH_ITEMS_MAX} attempts are decided in one call"
        answers: list[Answer | None] = [None] * len(asked)
        with self._preparing:
            places, met, registrations, drafts = self._prepare(asked, answers)
        decisions = self._decide(registrations, drafts)
        self._people.note(met)
        now_ms = self._clock.now_ms()
        for place, decision in zip(places, decisions, strict=True):
            answers[place] = self._answer(asked[place][1], decision, now_ms)
        return cast("list[Answer]", answers)

    def _prepare(
        self, asked: Sequence[tuple[str, AttemptAsked]], answers: list[Answer | None]
    ) -> tuple[list[int], list[Subject], list[Draft], list[AttemptDraft]]:
        """The drafts of what can be judged, with their places; of everything else the answer is put into ``answers``."""
        sound: list[int] = []
        for place, (_, one) in enumerate(asked):
            fault = _fault_of(one)
            if fault is None:
                sound.append(place)
            else:
                answers[place] = fault
        subjects, registrations, erased = meet_all(
            self._people, (person for place in sound for person in _people_of(asked[place][1]))
        )
        if any(not _states_parties(asked[place][1]) for place in sound):
            self._owners.catch_up()
        places: list[int] = []
        drafts: list[AttemptDraft] = []
        for place in sound:
            actor, one = asked[place]
            made: AttemptDraft | Rejected
            if erased and not erased.isdisjoint(_people_of(one)):
                made = _rejected(one, "erased", "a person that it names was erased")
            else:
                made = self._draft(actor, one, subjects)
            if isinstance(made, Rejected):
                answers[place] = made
            else:
                places.append(place)
                drafts.append(checked(made, self._codec))
        return places, list(subjects.values()), registrations, drafts

    def _draft(
        self, actor: str, asked: AttemptAsked, subjects: Mapping[str, Subject]
    ) -> AttemptDraft | Rejected:
        parties: Mapping[str, str | msgspec.UnsetType] = {}
        if not _states_parties(asked):
            owner = self._owners.owner_of(asked.endpoint, self._clock.now_ms())
            if owner is None:
                return _rejected(
                    asked,
                    "unknown_endpoint",
                    "nobody owns the endpoint: it was never registered, or is retired",
                )
            parties = owner._asdict()
        account = subjects[asked.account]
        body = b"" if asked.body is msgspec.UNSET else asked.body.encode()
        body_bytes = len(body) if asked.body_bytes is msgspec.UNSET else asked.body_bytes
        tags: list[JsonValue] = [*sorted({subjects[person].tag for person in asked.subjects})]
        members: dict[str, JsonValue] = {
            "delivery": asked.delivery,
            "attempt": asked.attempt,
            "event": self._commitments.event_tag(account, asked.event),
            "event_type": asked.event_type,
            "private": asked.private,
            "channel": asked.channel,
            "account": account.tag,
            "subjects": tags,
            "endpoint": asked.endpoint,
            "body_bytes": rounded_body_bytes(body_bytes),
            "actor": actor,
            "via": "api",
        }
        for name in _STATED:
            value = getattr(asked, name)
            if value is msgspec.UNSET:
                value = parties.get(name, msgspec.UNSET)
            if value is not msgspec.UNSET:
                members[name] = value
        uid = attempt_uid(asked.delivery, asked.attempt)
        members["payload"] = self._commitments.commit(account, uid, "payload", body)
        return AttemptDraft(members, _NOT_COMPARED)

    def _decide(self, registrations: list[Draft], drafts: list[AttemptDraft]) -> Sequence[Decision]:
        if len(registrations) + len(drafts) > BATCH_ITEMS_MAX:
            # Durable before any attempt names them, because the two do not fit into one batch.
            for outcome in self._sequencer.append_many(registrations):
                expect(outcome)
            registrations = []
        if not drafts and not registrations:
            return []
        decisions = self._sequencer.submit([*registrations, *drafts]).result()
        for decision in decisions[: len(registrations)]:
            if isinstance(decision, Rejection):
                # Its uid holds a tag that nobody else knows: nothing can be in its way.
                raise decision.error()
        return decisions[len(registrations) :]

    def _answer(self, asked: AttemptAsked, decision: Decision, now_ms: int) -> Answer:
        if isinstance(decision, Permit) and self._inflight.lend(decision):
            return Permitted(
                delivery=asked.delivery,
                attempt=asked.attempt,
                seq=decision.seq,
                leaf_hash=decision.leaf_hash.hex(),
                ticket=self._tickets.sign(decision.seq, decision.leaf_hash),
                url=decision.url,
                grant=decision.grant,
                send_before=decision.send_before_ms,
                # Whoever measures the permit by the difference gets a second at most, also while this host's clock, which
                # went back, is behind the ledger's.
                now=max(now_ms, decision.send_before_ms - SEND_WINDOW_MS),
            )
        if isinstance(decision, Refused):
            return _refused(asked, decision)
        if isinstance(decision, Appended | Permit):
            # Decided before, or called off since: either way nobody gets leave to send by this answer.
            return Repeated(
                delivery=asked.delivery,
                attempt=asked.attempt,
                decided="permitted",
                seq=decision.seq,
                leaf_hash=decision.leaf_hash.hex(),
            )
        return _rejected(asked, "conflict" if decision.code == "conflict" else "malformed", decision.reason)


def _refused(asked: AttemptAsked, decision: Refused) -> NotPermitted | Repeated:
    if not decision.created:
        return Repeated(
            delivery=asked.delivery,
            attempt=asked.attempt,
            decided="refused",
            seq=decision.seq,
            leaf_hash=decision.leaf_hash.hex(),
            code=decision.code,
        )
    return NotPermitted(
        delivery=asked.delivery,
        attempt=asked.attempt,
        seq=decision.seq,
        leaf_hash=decision.leaf_hash.hex(),
        code=decision.code,
        words=REFUSAL_WORDS[decision.code],
        nearest=[
            Missed(
                miss.grant,
                miss.code,
                REFUSAL_WORDS[miss.code],
                msgspec.UNSET if miss.failed_at_ms is None else miss.failed_at_ms,
            )
            for miss in decision.nearest
        ],
    )


def _people_of(asked: AttemptAsked) -> tuple[str, ...]:
    return asked.account, *asked.subjects


def _states_parties(asked: AttemptAsked) -> bool:
    return (
        asked.developer is not msgspec.UNSET
        and asked.app is not msgspec.UNSET
        and asked.environment is not msgspec.UNSET
    )


def _fault_of(asked: AttemptAsked) -> Rejected | None:
    """What is wrong with ``asked`` that its entry would not show: people and the event are written otherwise there."""
    for person in _people_of(asked):
        # Not repeated: it may be anything about a person.
        if not is_id(person):
            return _rejected(
                asked, "malformed", "it names somebody by what is not 1 to 64 of A-Z a-z 0-9 . _ -"
            )
        if is_tag(person):
            return _rejected(
                asked, "malformed", "it holds a tag of the ledger where the platform's own id belongs"
            )
    if not is_id(asked.event):
        return _rejected(asked, "malformed", "the event is not 1 to 64 of A-Z a-z 0-9 . _ -")
    if (asked.body is msgspec.UNSET) == (asked.body_bytes is msgspec.UNSET):
        return _rejected(asked, "malformed", "state the body, or body_bytes in its place, and not both")
    if asked.body is not msgspec.UNSET and not _is_for(asked.body, asked.account):
        return _rejected(asked, "payload_of_another_account", "the body's for_user_id is another account")
    return None


def _is_for(body: str, account: str) -> bool:
    """Whether ``body`` does not say that it is for another account than ``account`` (verdict rules, section 2.5)."""
    try:
        addressee = _read_addressee(body).for_user_id
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        return True  # Not JSON, or no object: such a body names nobody.
    return addressee is None or str(addressee) == account


def _rejected(asked: AttemptAsked, code: Any, reason: str) -> Rejected:
    return Rejected(delivery=asked.delivery, attempt=asked.attempt, code=code, reason=reason)
