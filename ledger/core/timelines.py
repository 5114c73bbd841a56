"""The fold of one grant: from its events to what held when (verdict rules, section 2.1).

A :class:`Timeline` says which version of a grant held from which instant, to which developer, with which
scopes, when the grant paused, when it ended and by what. :mod:`ledger.core.grants` answers single questions
from it, and :mod:`ledger.core.intervals` turns it into intervals for engines; both decide for themselves.

How events are folded, beyond the order of :mod:`ledger.core.folding`:

- Issues and amendments that take effect at one instant are one version: the intersection of the scopes *that
  they state*, the earliest expiry that they state; what none of them states is carried over. Of several
  developers named at one instant the lowest seq's holds, because it is applied last.
- An ``expires_at`` that is not after the version's own instant ends the grant at that instant.
- Expiry is terminal: whatever takes effect at or after the expiry then in force is an event on a dead grant
  and changes nothing, and so is what comes after a revocation, an invalidation or the account's deletion.
  Permissive events *at* the instant of those three are applied before them.
- Another developer ends the grant to the old one, as a revocation, and starts one to the new: a stint of
  each.
- An amendment before the grant's start finds nothing to amend. A suspension before it holds until it is
  resumed.
- A revocation before the start leaves nothing of the grant: the earliest end counts, wherever it lies.
- A second ``grant.issued`` of the same account, app and environment, which only a file can bring, starts a
  version.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from ledger.core.folding import OPEN_END_MS, Event, in_fold_order
from ledger.core.history import AccountRecord, GrantRecord


class Version(NamedTuple):
    """What holds of a grant from ``from_ms`` until the next version; ``scopes`` is a mask, ``number`` counts from 1.

    ``developer`` is the one named last at that instant, ``expires_at_ms`` the expiry then in force, or None.
    """

    from_ms: int
    number: int
    developer: str
    scopes: int
    expires_at_ms: int | None


class Stint(NamedTuple):
    """A developer's time under a grant, ``[from_ms, to_ms)`` before any end or pause; to_seq is None where open.

    Empty where another developer was named at the same instant: it was named all the same.
    """

    developer: str
    from_ms: int
    from_seq: int
    to_ms: int
    to_seq: int | None


class Ending(NamedTuple):
    """A revocation, or a change to another developer, which is one to the old."""

    at_ms: int
    seq: int


class Span(NamedTuple):
    """``[from_ms, to_ms)`` in which one version of a grant was live without a break."""

    from_ms: int
    to_ms: int
    developer: str
    scopes: int
    version: int


class Timeline(NamedTuple):
    """A grant folded. ``spans`` is what is left of ``versions`` after pauses and the end, ascending; empty when void.

    ``expires_at_ms`` is the last expiry in force (:data:`OPEN_END_MS` for none), ``end_ms`` the earliest end
    of any sort; ``closed_ms`` the earliest revocation, deletion of the account or invalidation (at its own
    ``at``), and ``died_ms`` the earlier of that and the expiry; ``void`` is the seq of the invalidation.
    """

    grant: str
    app: str
    environment: str
    versions: tuple[Version, ...]
    stints: tuple[Stint, ...]
    spans: tuple[Span, ...]
    pauses: tuple[tuple[int, int, int], ...]
    revocations: tuple[Ending, ...]
    expires_at_ms: int
    end_ms: int
    closed_ms: int
    void: int | None

    @property
    def died_ms(self) -> int:
        """From when on the grant is dead."""
        return min(self.closed_ms, self.expires_at_ms)

    def version_at(self, at_ms: int) -> Version | None:
        """The version that had started last at ``at_ms``, live or not; None before the grant's start."""
        found = None
        for version in self.versions:
            if version.from_ms > at_ms:
                break
            found = version
        return found


def timeline_of(record: GrantRecord, as_of_size: int | None = None, keep: bool = True) -> Timeline | None:
    """The fold of ``record`` over the entries with ``seq < as_of_size``; None when it is not issued by then.

    The fold over everything is kept in the record until one of its events, or the deletion of its account, is
    added; ``keep=False`` leaves nothing behind, for a walk over millions.
    """
    if as_of_size is not None and not _all_known(record, as_of_size):
        return fold_grant(record, as_of_size)
    if record.timeline is not None:
        return record.timeline
    timeline = fold_grant(record, None)
    if keep:
        record.timeline = timeline
    return timeline


def _all_known(record: GrantRecord, as_of_size: int) -> bool:
    standing = record.account.standing
    return record.events[-1].seq < as_of_size and (standing is None or standing.events[-1].seq < as_of_size)


def deleted_at_ms(account: AccountRecord, as_of_size: int | None = None) -> int | None:
    """When ``account`` was deleted, the earliest time counting, or None."""
    if account.standing is None:
        return None
    times = [
        event.at
        for event in account.standing.events
        if event.verb == "deleted" and (as_of_size is None or event.seq < as_of_size)
    ]
    return min(times, default=None)


def fold_grant(record: GrantRecord, as_of_size: int | None) -> Timeline | None:
    """The timeline of ``record`` over the entries with ``seq < as_of_size``, made afresh."""
    if len(record.events) == 1 and record.account.standing is None:
        # Nearly all grants of a large log: issued, and nothing since. A property test holds this to the fold below.
        issue = record.events[0]
        return _only_issued(record, issue) if as_of_size is None or issue.seq < as_of_size else None
    return fold_events(record, as_of_size)


def _only_issued(record: GrantRecord, issue: Event) -> Timeline:
    developer, scopes, expiry_ms = issue.value
    at_ms = issue.at
    expires_at_ms = OPEN_END_MS if expiry_ms is None else max(expiry_ms, at_ms)
    version = Version(at_ms, 1, developer, scopes, None if expires_at_ms == OPEN_END_MS else expires_at_ms)
    return Timeline(
        record.grant,
        record.app,
        record.environment,
        (version,),
        (Stint(developer, at_ms, issue.seq, OPEN_END_MS, None),),
        (Span(at_ms, expires_at_ms, developer, scopes, 1),) if at_ms < expires_at_ms else (),
        (),
        (),
        expires_at_ms,
        expires_at_ms,
        OPEN_END_MS,
        None,
    )


def fold_events(record: GrantRecord, as_of_size: int | None) -> Timeline | None:
    """:func:`fold_grant` of any events."""
    terms: list[Event] = []
    pausing: list[Event] = []
    revoked: list[Event] = []
    invalidated: list[Event] = []
    for event in in_fold_order(record.events, as_of_size):
        verb = event.verb
        if verb == "issued" or (verb == "amended" and terms):
            terms.append(event)
        elif verb == "revoked":
            revoked.append(event)
        elif verb == "invalidated":
            invalidated.append(event)
        elif verb != "amended":
            pausing.append(event)
    if not terms:
        return None
    revocations = _earliest_first(revoked)
    ended_ms = revocations[0].at_ms if revocations else OPEN_END_MS
    deleted_ms = deleted_at_ms(record.account, as_of_size)
    if deleted_ms is not None and deleted_ms < ended_ms:
        ended_ms = deleted_ms
    closed_ms = min(ended_ms, invalidated[0].at) if invalidated else ended_ms
    versions, stints, expires_at_ms = _fold_terms(terms, closed_ms)
    pauses = _fold_pauses(pausing) if pausing else ()
    end_ms = min(ended_ms, expires_at_ms)
    return Timeline(
        grant=record.grant,
        app=record.app,
        environment=record.environment,
        versions=versions,
        stints=stints,
        spans=() if invalidated else _live_spans(versions, end_ms, pauses),
        pauses=pauses,
        revocations=revocations,
        expires_at_ms=expires_at_ms,
        end_ms=end_ms,
        closed_ms=closed_ms,
        void=min(event.seq for event in invalidated) if invalidated else None,
    )


def _earliest_first(revoked: Sequence[Event]) -> tuple[Ending, ...]:
    """Revocations by time; at one instant the lowest seq, which is applied last and holds, stands first."""
    return tuple(sorted(Ending(event.at, event.seq) for event in revoked))


def _event_at(event: Event) -> int:
    return event.at


def _fold_terms(terms: Sequence[Event], closed_ms: int) -> tuple[tuple[Version, ...], tuple[Stint, ...], int]:
    """Versions, stints and the last expiry in force, from issues and amendments in fold order."""
    versions: list[Version] = []
    stints: list[Stint] = []
    scopes = 0
    expires_at_ms = OPEN_END_MS
    for at_ms, together in groupby(terms, key=_event_at):
        if versions and (at_ms >= expires_at_ms or at_ms > closed_ms):
            break  # an event on a dead grant changes nothing
        stated_scopes: int | None = None
        stated_expiry_ms: int | None = None
        for event in together:
            stated = event.value
            if stated.scopes is not None:
                stated_scopes = stated.scopes if stated_scopes is None else stated_scopes & stated.scopes
            if stated.expires_at_ms is not None and (
                stated_expiry_ms is None or stated.expires_at_ms < stated_expiry_ms
            ):
                stated_expiry_ms = stated.expires_at_ms
            if stated.developer is not None and (not stints or stints[-1].developer != stated.developer):
                if stints:
                    stints[-1] = stints[-1]._replace(to_ms=at_ms, to_seq=event.seq)
                stints.append(Stint(stated.developer, at_ms, event.seq, OPEN_END_MS, None))
        if stated_scopes is not None:
            scopes = stated_scopes
        if stated_expiry_ms is not None:
            expires_at_ms = max(stated_expiry_ms, at_ms)
        shown_expiry = None if expires_at_ms == OPEN_END_MS else expires_at_ms
        versions.append(Version(at_ms, len(versions) + 1, stints[-1].developer, scopes, shown_expiry))
    return tuple(versions), tuple(stints), expires_at_ms


def _fold_pauses(events: Sequence[Event]) -> tuple[tuple[int, int, int], ...]:
    """``(from_ms, to_ms, seq of the suspension)`` of each pause, from suspensions and resumptions in fold order."""
    pauses: list[tuple[int, int, int]] = []
    since: tuple[int, int] | None = None
    for event in events:
        if event.verb == "suspended":
            if since is None or since[0] == event.at:
                since = (event.at, event.seq)
        elif event.verb == "resumed" and since is not None:
            pauses.append((since[0], event.at, since[1]))
            since = None
    if since is not None:
        pauses.append((since[0], OPEN_END_MS, since[1]))
    return tuple(pause for pause in pauses if pause[0] < pause[1])


def _live_spans(
    versions: Sequence[Version], end_ms: int, pauses: Sequence[tuple[int, int, int]]
) -> tuple[Span, ...]:
    """What is left of each version before ``end_ms`` and outside of ``pauses``."""
    spans: list[Span] = []
    for place, version in enumerate(versions):
        next_ms = versions[place + 1].from_ms if place + 1 < len(versions) else OPEN_END_MS
        start_ms, to_ms = version.from_ms, min(next_ms, end_ms)
        for pause_from_ms, pause_to_ms, _ in pauses:
            if pause_to_ms <= start_ms or pause_from_ms >= to_ms:
                continue
            if start_ms < pause_from_ms:
                spans.append(Span(start_ms, pause_from_ms, version.developer, version.scopes, version.number))
            start_ms = pause_to_ms
        if start_ms < to_ms:
            spans.append(Span(start_ms, to_ms, version.developer, version.scopes, version.number))
    return tuple(spans)


def is_dead_before(timeline: Timeline, at_ms: int) -> bool:
    """Whether the grant had ended when a fold comes to apply a permissive event at ``at_ms``.

    A revocation, an invalidation or the account's deletion at that very instant is applied after it and does
    not count, nor does a version that starts there; so the answer does not depend on the order in which a
    file was written.
    """
    return at_ms > timeline.closed_ms or _expired_before(timeline, at_ms)


def _expired_before(timeline: Timeline, at_ms: int) -> bool:
    """Whether the expiry in force before the versions of ``at_ms`` itself lies at or before ``at_ms``."""
    expiry_ms = OPEN_END_MS
    for version in timeline.versions:
        if version.from_ms >= at_ms:
            break
        expiry_ms = OPEN_END_MS if version.expires_at_ms is None else version.expires_at_ms
    return expiry_ms <= at_ms
