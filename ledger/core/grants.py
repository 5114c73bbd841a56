"""**The rule**: is a delivery to these parties at this instant backed by a live grant (verdict rules, section 2.1)?

:func:`check` is asked by the gate before a byte leaves and by the verifier afterwards; everything else that
decides the same, in SQL or over intervals, is a faster execution of it and is tested against it. "No" is a
value with the code and the candidates that came nearest (section 2.3, steps 3, 5 and 6).

What is asked here starts from the receiving developer, app and environment. Who that is, whether the
destination was the intended one (steps 1, 2 and 4), and what was known then rather than now, is
:mod:`ledger.core.judgement`'s.

A delivery is backed when some grant of the account, for the app and the environment, has at that instant a
live span that names the developer and covers the event type, and the app, the developer and the account are
in good standing. One is enough; grants may overlap; there is no latest one that counts, no grace and no clock
tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ledger.core.history import History
from ledger.core.parties import is_account_active, is_app_good, is_developer_good
from ledger.core.scopes import EVENT_TYPE_BITS
from ledger.core.timelines import Ending, Stint, Timeline, timeline_of
from ledger.core.verdicts import Code


class Question(NamedTuple):
    """May the developer's app receive an event of this type about the account in the environment at ``at_ms``?"""

    account: str
    developer: str
    app: str
    environment: str
    event_type: str
    at_ms: int


class Backed(NamedTuple):
    """Yes: by this grant and version. ``until_ms`` is when the version's live span ends, as far as is known."""

    grant: str
    version: int
    until_ms: int


class Miss(NamedTuple):
    """A candidate grant and the one test that it failed first.

    ``test`` counts how far it got: 0 app, 1 environment, 2 standing, 3 time, 4 scope. ``began_at_ms`` and
    ``began_seq`` are the start of the developer's stint under it; ``failed_at_ms`` and ``failed_seq`` the
    instant and the entry that made it fail, where one did. ``endings`` are the revocations (a change to
    another developer is one) in force at the instant asked about, the earliest first, when the grant had
    ended by one.
    """

    grant: str
    code: Code
    test: int
    began_at_ms: int
    began_seq: int
    failed_at_ms: int | None = None
    failed_seq: int | None = None
    endings: tuple[Ending, ...] = ()


@dataclass(frozen=True, slots=True)
class Unbacked:
    """No: ``code`` is the reason, ``misses`` the candidates, the one that got furthest first.

    ``held_elsewhere`` is a grant, live and covering, that names another developer than the one asked about:
    the reason for ``DEVELOPER_CHANGED_BY_TRANSFER`` and ``WRONG_DEVELOPER``; None where neither applies.
    """

    code: Code
    misses: tuple[Miss, ...]
    held_elsewhere: str | None = None


_APP, _ENVIRONMENT, _STANDING, _TIME, _SCOPE = range(5)


def check(history: History, question: Question, as_of_size: int | None = None) -> Backed | Unbacked:
    """The answer to ``question`` from the entries with ``seq < as_of_size``, or from all when it is None.

    Of several grants that back it, the one issued first in the log is named.
    """
    backed = find_backing(history, question, as_of_size)
    return explain(history, question, as_of_size) if backed is None else backed


def find_backing(history: History, question: Question, as_of_size: int | None = None) -> Backed | None:
    """The "yes" of :func:`check`, or None, without looking for the reason."""
    if find_failing_party(history, question.app, question.developer, question.at_ms, as_of_size) is not None:
        return None
    return find_backing_among_good(history, *question, as_of_size)


def find_backing_among_good(
    history: History,
    account: str,
    developer: str,
    app: str,
    environment: str,
    event_type: str,
    at_ms: int,
    as_of_size: int | None = None,
    only: str | None = None,
) -> Backed | None:
    """:func:`find_backing` where :func:`find_failing_party` has no objection to the app and the developer at ``at_ms``.

    With ``only``, no grant but that one counts.
    """
    record = history.accounts.get(account)
    bit = EVENT_TYPE_BITS.get(event_type, 0)
    if record is None or not bit:
        return None
    for grant in record.grants:
        if grant.app != app or grant.environment != environment:
            continue
        if only is not None and grant.grant != only:
            continue
        timeline = grant.timeline if as_of_size is None else None
        if timeline is None:
            timeline = timeline_of(grant, as_of_size)
            if timeline is None:
                continue
        for from_ms, to_ms, held_by, scopes, version in timeline.spans:
            if from_ms > at_ms:
                break
            if at_ms < to_ms and held_by == developer and scopes & bit:
                if not is_account_active(history, account, at_ms, as_of_size):
                    return None
                return Backed(grant.grant, version, to_ms)
    return None


def find_failing_party(
    history: History, app: str, developer: str, at_ms: int, as_of_size: int | None = None
) -> Code | None:
    """The first standing that fails, of the app, then of the developer; None where both are good."""
    if not is_app_good(history, app, at_ms, as_of_size):
        return "APP_OR_DEVELOPER_SUSPENDED"
    if not is_developer_good(history, developer, at_ms, as_of_size):
        return "APP_OR_DEVELOPER_SUSPENDED"
    return None


def _failing_standing(history: History, question: Question, as_of_size: int | None) -> Code | None:
    """The first standing that fails: of the app, of the developer, then of the account."""
    at_ms = question.at_ms
    failing = find_failing_party(history, question.app, question.developer, at_ms, as_of_size)
    if failing is None and not is_account_active(history, question.account, at_ms, as_of_size):
        return "ACCOUNT_NOT_ACTIVE"
    return failing


def explain(
    history: History, question: Question, as_of_size: int | None = None, only: str | None = None
) -> Unbacked:
    """Why ``question``, which :func:`find_backing` found no grant for, is answered with no.

    With ``only``, no grant but that one is looked at.
    """
    record = history.accounts.get(question.account)
    if record is None:
        return Unbacked("NO_GRANT", ())
    timelines = [
        timeline
        for timeline in (timeline_of(grant, as_of_size) for grant in record.grants)
        if timeline is not None and only in (None, timeline.grant)
    ]
    standing = _failing_standing(history, question, as_of_size)
    misses = [
        _first_failure(timeline, stint, question, standing)
        for timeline in timelines
        if (stint := _stint_of(timeline, question.developer, question.at_ms)) is not None
    ]
    misses.sort(key=lambda miss: _nearness(miss, question.at_ms), reverse=True)
    transferred = _held_elsewhere(timelines, question, same_place=True)
    if transferred is not None:
        return Unbacked("DEVELOPER_CHANGED_BY_TRANSFER", tuple(misses), transferred)
    if misses:
        return Unbacked(misses[0].code, tuple(misses))
    elsewhere = _held_elsewhere(timelines, question, same_place=False)
    return Unbacked("NO_GRANT" if elsewhere is None else "WRONG_DEVELOPER", (), elsewhere)


def _nearness(miss: Miss, at_ms: int) -> tuple[int, bool, int, int]:
    """Section 2.3, step 5: furthest, then begun before later, then the latest start, then the highest seq."""
    return miss.test, miss.began_at_ms <= at_ms, miss.began_at_ms, miss.began_seq


def _held_elsewhere(timelines: list[Timeline], question: Question, same_place: bool) -> str | None:
    """A grant that is live and covering and names another developer; ``same_place``: for the app and environment asked.

    Nobody's standing is asked: who was entitled does not change because somebody was suspended. A deleted
    account's grants have ended, and so are not live.
    """
    bit = EVENT_TYPE_BITS.get(question.event_type, 0)
    for timeline in timelines:
        if same_place and (timeline.app, timeline.environment) != (question.app, question.environment):
            continue
        for span in timeline.spans:
            if (
                span.from_ms <= question.at_ms < span.to_ms
                and span.scopes & bit
                and span.developer != question.developer
            ):
                return timeline.grant
    return None


def _stint_of(timeline: Timeline, developer: str, at_ms: int) -> Stint | None:
    """The developer's last stint that had begun at ``at_ms``, else its first; None when it was never named."""
    chosen: Stint | None = None
    for stint in timeline.stints:
        if stint.developer == developer and (chosen is None or stint.from_ms <= at_ms):
            chosen = stint
    return chosen


def _first_failure(timeline: Timeline, stint: Stint, question: Question, standing: Code | None) -> Miss:
    """The first failing test of a candidate that does not back ``question``, in the order of step 5."""
    started = timeline.grant, stint.from_ms, stint.from_seq
    if timeline.app != question.app:
        return _miss(started, "WRONG_APP", _APP)
    if timeline.environment != question.environment:
        return _miss(started, "WRONG_ENVIRONMENT", _ENVIRONMENT)
    if standing is not None:
        return _miss(started, standing, _STANDING)
    failed = _time_failure(timeline, stint, question.at_ms, started)
    if failed is not None:
        return failed
    return _miss(started, _scope_failure(timeline, question), _SCOPE)


def _miss(
    started: tuple[str, int, int],
    code: Code,
    test: int,
    failed_at_ms: int | None = None,
    failed_seq: int | None = None,
    endings: tuple[Ending, ...] = (),
) -> Miss:
    grant, began_at_ms, began_seq = started
    return Miss(grant, code, test, began_at_ms, began_seq, failed_at_ms, failed_seq, endings)


def _time_failure(timeline: Timeline, stint: Stint, at_ms: int, started: tuple[str, int, int]) -> Miss | None:
    """Before its start, invalidated, ended by the earliest end, suspended: the first that holds at ``at_ms``."""
    if at_ms < stint.from_ms:
        return _miss(started, "DELIVERED_BEFORE_GRANT", _TIME, stint.from_ms, stint.from_seq)
    if timeline.void is not None:
        return _miss(started, "GRANT_INVALIDATED", _TIME, None, timeline.void)
    endings = _endings(timeline, stint, at_ms)
    if timeline.expires_at_ms <= at_ms and not (endings and endings[0].at_ms < timeline.expires_at_ms):
        return _miss(started, "DELIVERED_AFTER_EXPIRY", _TIME, timeline.expires_at_ms)
    if endings:
        first = endings[0]
        return _miss(started, "DELIVERED_AFTER_REVOCATION", _TIME, first.at_ms, first.seq, endings)
    for from_ms, to_ms, seq in timeline.pauses:
        if from_ms <= at_ms < to_ms:
            return _miss(started, "GRANT_SUSPENDED", _TIME, from_ms, seq)
    return None


def _endings(timeline: Timeline, stint: Stint, at_ms: int) -> tuple[Ending, ...]:
    """What had ended ``stint`` at ``at_ms`` other than expiry, the earliest first, then the lowest seq."""
    endings = [ending for ending in timeline.revocations if ending.at_ms <= at_ms]
    if stint.to_seq is not None and stint.to_ms <= at_ms:
        endings.append(Ending(stint.to_ms, stint.to_seq))
    return tuple(sorted(endings))


def _scope_failure(timeline: Timeline, question: Question) -> Code:
    bit = EVENT_TYPE_BITS.get(question.event_type, 0)
    if not bit:
        return "EVENT_TYPE_UNMAPPED"
    now = timeline.version_at(question.at_ms)
    assert now is not None, "a candidate whose stint has begun has a version"
    assert not now.scopes & bit, "a candidate that fails no test backs the delivery"
    if any(version.scopes & bit for version in timeline.versions if version.from_ms < now.from_ms):
        return "SCOPE_NARROWED"
    return "SCOPE_EXCEEDED"


def is_dead_at(history: History, grant: str, at_ms: int, as_of_size: int | None = None) -> bool:
    """Whether ``grant`` is dead at ``at_ms`` in a fold by ``at`` (section 2.5); False while it is not issued."""
    record = history.grants.get(grant)
    timeline = None if record is None else timeline_of(record, as_of_size)
    return timeline is not None and timeline.died_ms <= at_ms
