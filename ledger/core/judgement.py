"""The verdict on one attempt: known then, known now, and the code that explains it (verdict rules, 2.2 to 2.6).

:func:`judge` finds who received (the observed destination's owner, else the intended one's), asks
:func:`ledger.core.grants.check` what was known then and what is known now, and chooses the codes by the steps of
section 2.3. Deterministic and pure: the same history and attempt give the same judgement, on every engine.

Read where the text leaves room:

- Who received is resolved with everything known, for both answers: a misdelivery was never "right on what it knew".
  Only grants and standing are folded as known then.
- Where nothing was observed, the intended endpoint's *URL* stands in: whoever owns that destination received, be it
  under another endpoint id.
- Processor: where the intended developer has a live declaration that names the real owner of the destination, the
  receiver is judged as the intended developer, app and environment. Another developer's declaration does not help.
- ``IN_FLIGHT`` needs a sender who was right on what it knew, a revocation that is recorded after the attempt, takes
  effect at or after the attempt was recorded, and a first byte before ``send_before``. A revocation that was dated back
  to before the attempt leaves the plain code, and so an exposure.
- ``KNOWING_DELIVERY_AFTER_REVOCATION`` needs a sender who was not right on what it knew, and a revocation of that grant
  among what it knew.
- ``COVERED_RETROACTIVELY`` always has the primary code ``GRANT_BACKDATED``, as an exposure.
- With an integrity code of this entry that is the primary one; the verdict is computed all the same.
- The severity of a judgement is the highest of its primary code's and its entry's own codes', so that an advisory
  primary code never hides a leaked key.
- Disclosure ``none`` lowers X to P and touches neither I nor A.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ledger.core.delivery import Delivery
from ledger.core.destinations import Destination, observed_destination
from ledger.core.entry_codes import find_entry_codes
from ledger.core.grants import Backed, Miss, Question, Unbacked, check, find_backing
from ledger.core.history import History
from ledger.core.parties import (
    Owner,
    destination_of,
    developer_of_app,
    intended_owner,
    is_processor,
    owner_of_destination,
)
from ledger.core.verdicts import (
    Code,
    Evidence,
    Exposure,
    Severity,
    Verdict,
    highest,
    in_table_order,
    primary_of,
    severity_of,
)


@dataclass(frozen=True, slots=True)
class Party:
    """Who was meant, or who received; None for what nobody knows."""

    developer: str | None
    app: str | None
    environment: str | None
    endpoint: str | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with its reasons.

    ``cause`` is the code that the steps of section 2.3 choose, which is the primary ``code`` unless an integrity code
    comes before it. ``then`` and ``now`` are the two answers of section 2.2, None where the question was not asked.
    ``actual`` is the real owner of the destination, never a processor's principal; None where nobody owns it.
    ``misses`` are the candidate grants, nearest first, with refined codes; ``backing`` is the grant of a "yes" now, and
    ``held_elsewhere`` a live covering grant to another developer where that is the reason. ``entries`` are the seqs
    that the judgement rests on: the attempt's own, and those that made the nearest candidate fail. ``severity`` is None
    where there is no code. ``exposure`` is ``definite`` where egress was observed, ``possible`` where it was not, None
    for no exposure (section 2.4).
    """

    delivery: Delivery
    verdict: Verdict
    cause: Code | None
    code: Code | None
    codes: tuple[Code, ...]
    severity: Severity | None
    exposure: Exposure | None
    evidence: Evidence
    expected: Party
    actual: Party | None
    then: bool | None
    now: bool | None
    backing: Backed | None
    misses: tuple[Miss, ...]
    held_elsewhere: str | None
    entries: tuple[int, ...]
    tree_size: int

    @property
    def disclosure(self) -> str:
        """``none``, ``possible`` or ``confirmed``."""
        return self.delivery.disclosure


class _Where(NamedTuple):
    """Where the data went and who that is, resolved with everything known.

    ``received`` is the owner, or the intended party where the owner is its declared processor.
    """

    evidence: Evidence
    expected: Party
    owner: Owner | None
    received: Party | None
    is_own_url: bool
    is_mismatch: bool


class _Answer(NamedTuple):
    """What is said about an attempt before its entry's own codes are looked at."""

    verdict: Verdict
    cause: Code | None = None
    then: bool | None = None
    now: bool | None = None
    backing: Backed | None = None
    misses: tuple[Miss, ...] = ()
    held_elsewhere: str | None = None


def judge(
    delivery: Delivery,
    history: History,
    *,
    tree_size: int,
    ledger_time_ms: int,
    require_tickets: bool = False,
) -> Judgement:
    """The verdict on ``delivery`` as of ``tree_size`` entries; ``ledger_time_ms`` is their last ``recorded_at``."""
    where = _locate(delivery, history, tree_size)
    own = find_entry_codes(
        delivery,
        history,
        where.owner,
        tree_size=tree_size,
        ledger_time_ms=ledger_time_ms,
        require_tickets=require_tickets,
    )
    return _conclude(delivery, where, _answer(delivery, history, where, tree_size), own, tree_size)


def _locate(delivery: Delivery, history: History, tree_size: int) -> _Where:
    at_ms, endpoint = delivery.started_at_ms, delivery.endpoint
    observed = observed_destination(delivery.observed)
    registered: Destination | None = None
    if endpoint is not None:
        registered = destination_of(history, endpoint, at_ms, tree_size)
    destination = registered if observed is None else observed
    owner = None
    if destination is not None:
        owner = owner_of_destination(history, destination, at_ms, endpoint, tree_size)
    expected = _expected(delivery, history, tree_size)
    received = None
    if owner is not None:
        received = _party(owner)
        if _is_declared(history, expected, owner.developer, at_ms, tree_size):
            received = expected
    return _Where(
        evidence="intended" if observed is None else "observed",
        expected=expected,
        owner=owner,
        received=received,
        is_own_url=destination is not None and destination == registered,
        is_mismatch=observed is not None and registered is not None and observed != registered,
    )


def _is_declared(history: History, expected: Party, owner: str, at_ms: int, tree_size: int) -> bool:
    """Whether the intended party has a live declaration that makes ``owner`` its processor."""
    return (
        expected.developer is not None
        and expected.app is not None
        and expected.environment is not None
        and expected.developer != owner
        and is_processor(history, expected.developer, owner, at_ms, tree_size)
    )


def _expected(delivery: Delivery, history: History, tree_size: int) -> Party:
    """The intended party: as an attempt states it; of an import what it states, else the intended endpoint's owner."""
    if not delivery.is_imported:
        return Party(delivery.developer, delivery.app, delivery.environment, delivery.endpoint)
    at_ms, endpoint = delivery.started_at_ms, delivery.endpoint
    owner = None if endpoint is None else intended_owner(history, endpoint, at_ms, tree_size)
    app, environment = delivery.app, delivery.environment
    developer = None
    if app is not None and (owner is None or owner.app != app):
        developer = developer_of_app(history, app, at_ms, tree_size)
    elif owner is not None:
        developer, app = owner.developer, owner.app
    if environment is None and owner is not None:
        environment = owner.environment
    return Party(developer, app, environment, endpoint)


def _answer(delivery: Delivery, history: History, where: _Where, tree_size: int) -> _Answer:
    """Both answers about who received, and the code that explains a "no" (section 2.3, steps 1 to 6)."""
    if not delivery.is_settled or delivery.event_type is None:
        return _Answer("INDETERMINATE")
    received = where.received
    if received is None:
        return _Answer("UNAUTHORIZED", "ENDPOINT_UNKNOWN", None if delivery.is_imported else False, False)
    assert received.developer is not None, "an owner is complete, and so is who declares a processor"
    assert received.app is not None, "see above"
    assert received.environment is not None, "see above"
    question = Question(
        delivery.account,
        received.developer,
        received.app,
        received.environment,
        delivery.event_type,
        delivery.started_at_ms,
    )
    now = check(history, question, tree_size)
    then: bool | None = None
    if delivery.decided_at_size is not None:
        known = min(delivery.decided_at_size, tree_size)
        then = find_backing(history, question, known) is not None
    if isinstance(now, Backed):
        if then is False:
            return _Answer("COVERED_RETROACTIVELY", "GRANT_BACKDATED", then, True, now)
        return _Answer("AUTHORIZED", None, then, True, now)
    misses = tuple(miss._replace(code=_refine(miss, delivery, then)) for miss in now.misses)
    cause = _choose(where, received, now, misses)
    verdict: Verdict = "VOIDED_LATER" if then else "UNAUTHORIZED"
    return _Answer(verdict, cause, then, False, None, misses, now.held_elsewhere)


def _choose(where: _Where, received: Party, now: Unbacked, misses: tuple[Miss, ...]) -> Code:
    """Steps 3 to 6 for an unbacked delivery that ``received`` got."""
    if now.code == "DEVELOPER_CHANGED_BY_TRANSFER":
        return now.code
    expected = where.expected
    if expected.app is not None and expected.app != received.app:
        if where.is_own_url or received.developer == expected.developer:
            return "ENDPOINT_NOT_OWNED"
        return "WRONG_DEVELOPER"
    return misses[0].code if misses else now.code


def _refine(miss: Miss, delivery: Delivery, then: bool | None) -> Code:
    """The code of ``miss`` for this attempt: after a revocation it depends on what the sender knew and was doing."""
    if miss.code != "DELIVERED_AFTER_REVOCATION":
        return miss.code
    if then and _is_in_flight(miss, delivery):
        return "IN_FLIGHT"
    known = delivery.decided_at_size
    if then is False and known is not None and any(ending.seq < known for ending in miss.endings):
        return "KNOWING_DELIVERY_AFTER_REVOCATION"
    if delivery.replay is not None:
        return "REPLAY_AFTER_REVOCATION"
    if delivery.attempt > 1:
        return "RETRY_AFTER_REVOCATION"
    return miss.code


def _is_in_flight(miss: Miss, delivery: Delivery) -> bool:
    seq, send_before_ms = delivery.attempted_seq, delivery.send_before_ms
    assert seq is not None, "only an attempt was decided on"
    assert send_before_ms is not None, "every attempt states until when it may be sent"
    return (
        all(ending.seq > seq for ending in miss.endings)
        and miss.endings[0].at_ms >= delivery.recorded_at_ms
        and delivery.started_at_ms < send_before_ms
    )


def _conclude(
    delivery: Delivery, where: _Where, answer: _Answer, own: dict[Code, Severity], tree_size: int
) -> Judgement:
    """Put the codes together, choose the primary one, and weigh it by what was disclosed."""
    severities: dict[Code, Severity] = {miss.code: severity_of(miss.code) for miss in answer.misses}
    if where.is_mismatch and answer.verdict != "INDETERMINATE":
        severities["DESTINATION_MISMATCH"] = "P" if answer.now else "X"
    if answer.cause is not None:
        severities[answer.cause] = "X" if answer.cause == "GRANT_BACKDATED" else severity_of(answer.cause)
    severities.update(own)
    if delivery.disclosure == "none":
        severities = {code: "P" if severity == "X" else severity for code, severity in severities.items()}
    integrity = in_table_order(code for code in own if severities[code] == "I")
    code = integrity[0] if integrity else answer.cause or primary_of(severities)
    weighed = {severities[heard] for heard in (code, answer.cause, *own) if heard is not None}
    return Judgement(
        delivery=delivery,
        verdict=answer.verdict,
        cause=answer.cause,
        code=code,
        codes=in_table_order(severities),
        severity=highest(weighed),
        exposure=_exposure(weighed, where.evidence),
        evidence=where.evidence,
        expected=where.expected,
        actual=None if where.owner is None else _party(where.owner),
        then=answer.then,
        now=answer.now,
        backing=answer.backing,
        misses=answer.misses,
        held_elsewhere=answer.held_elsewhere,
        entries=_entries(delivery, answer.misses),
        tree_size=tree_size,
    )


def _party(owner: Owner) -> Party:
    return Party(owner.developer, owner.app, owner.environment, owner.endpoint)


def _exposure(severities: set[Severity], evidence: Evidence) -> Exposure | None:
    if "X" not in severities:
        return None
    return "definite" if evidence == "observed" else "possible"


def _entries(delivery: Delivery, misses: tuple[Miss, ...]) -> tuple[int, ...]:
    seqs = set(delivery.seqs)
    if misses:
        nearest = misses[0]
        seqs.add(nearest.began_seq)
        if nearest.failed_seq is not None:
            seqs.add(nearest.failed_seq)
    return tuple(sorted(seqs))
