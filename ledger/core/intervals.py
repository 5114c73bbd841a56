"""The rule as disjoint half-open intervals, for engines that decide millions at once (verdict rules, section 2.1).

Engines say only backed or not; the reason is :mod:`ledger.core.grants`'s. A delivery at ``t`` to R's developer, app and
environment is backed when

- some :class:`GrantInterval` of its account and R, with the bit of its event type's scope, contains ``t``, and
- no :class:`StandingInterval` of R's app or R's developer contains ``t``;

and R is looked up in :func:`destination_intervals` (several live endpoints: the intended one, else the lowest seq),
with :func:`intended_intervals` and :func:`app_intervals` for who was meant and :func:`processor_intervals` for whom a
receiver stands in. The account's standing is inside its grant intervals.

What is shared with the scalar rule are the folds (:mod:`ledger.core.timelines`, :mod:`ledger.core.parties`), not the
decision. Everything is generated one account, app or endpoint at a time, in the order in which the log first names
them, so that millions stream. An interval contains ``t`` when ``from_ms <= t < to_ms``; one that nothing ends has
``to_ms`` = :data:`~ledger.core.folding.OPEN_END_MS`, so that neither execution backs a delivery at that last instant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ledger.core.folding import OPEN_END_MS, Line, Steps
from ledger.core.history import EndpointRecord, History, Holding
from ledger.core.parties import GOOD, fold_holdings, fold_owners, fold_processors, fold_standing
from ledger.core.timelines import timeline_of

Pair = tuple[int, int]
"""``(from_ms, to_ms)``, half-open."""


class GrantInterval(NamedTuple):
    """When ``account``'s data of ``scopes`` (a mask of section 2.1) may go to the developer's app.

    Those of two grants may overlap.
    """

    account: str
    developer: str
    app: str
    environment: str
    scopes: int
    from_ms: int
    to_ms: int


class StandingInterval(NamedTuple):
    """When an app or a developer was suspended; disjoint for one ``name``."""

    name: str
    from_ms: int
    to_ms: int


class DestinationInterval(NamedTuple):
    """When ``destination`` (a :attr:`Destination.key`) belonged to whom; ``seq`` decides between several endpoints."""

    destination: str
    endpoint: str
    app: str
    environment: str
    developer: str
    from_ms: int
    to_ms: int
    seq: int


class IntendedInterval(NamedTuple):
    """Whom naming ``endpoint`` means, and its URL's destination ("" for none that can be read), for all time."""

    endpoint: str
    destination: str
    app: str
    environment: str
    developer: str
    from_ms: int
    to_ms: int


class AppInterval(NamedTuple):
    """Whose an app is, for all time: the first owner also before its registration."""

    app: str
    developer: str
    from_ms: int
    to_ms: int


class ProcessorInterval(NamedTuple):
    """When what ``processor`` received was judged as received by ``developer``."""

    developer: str
    processor: str
    from_ms: int
    to_ms: int


def merge(pairs: Iterable[Pair]) -> list[Pair]:
    """The union of half-open ``pairs`` as ascending disjoint ones that do not touch; empty ones vanish."""
    merged: list[Pair] = []
    for start, end in sorted(pairs):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            if end > merged[-1][1]:
                merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def subtract(pairs: Iterable[Pair], holes: Iterable[Pair]) -> list[Pair]:
    """What of the ascending disjoint ``pairs`` lies outside of the ascending disjoint ``holes``."""
    left = list(pairs)
    for hole_start, hole_end in holes:
        rest: list[Pair] = []
        for start, end in left:
            if start < min(end, hole_start):
                rest.append((start, min(end, hole_start)))
            if max(start, hole_end) < end:
                rest.append((max(start, hole_end), end))
        left = rest
    return left


def grant_intervals(history: History) -> Iterator[GrantInterval]:
    """Every effective grant: the live spans of each, without the bad standing of its account."""
    for record in history.accounts.values():
        bad = _bad_pairs(record.standing)
        for grant in record.grants:
            timeline = timeline_of(grant, keep=False)
            if timeline is None:
                continue
            parties = (timeline.app, timeline.environment)
            for from_ms, to_ms, developer, scopes, _ in timeline.spans:
                for start_ms, end_ms in subtract([(from_ms, to_ms)], bad) if bad else ((from_ms, to_ms),):
                    yield GrantInterval(record.account, developer, *parties, scopes, start_ms, end_ms)


def _bad_pairs(line: Line[Steps[str]] | None) -> list[Pair]:
    if line is None or not line.events:
        return []
    standing = line.folded(fold_standing)
    return merge((start, end) for start, end, value in standing.spans() if value != GOOD)


def app_suspensions(history: History) -> Iterator[StandingInterval]:
    """When each app was suspended."""
    for name, record in history.apps.items():
        for from_ms, to_ms in _bad_pairs(record.standing):
            yield StandingInterval(name, from_ms, to_ms)


def developer_suspensions(history: History) -> Iterator[StandingInterval]:
    """When each developer was suspended."""
    for name, record in history.developers.items():
        for from_ms, to_ms in _bad_pairs(record.standing):
            yield StandingInterval(name, from_ms, to_ms)


def app_intervals(history: History) -> Iterator[AppInterval]:
    """Whose each app is, covering ``[0, OPEN_END_MS)``; nothing for an app that was never registered."""
    for app in history.apps:
        for from_ms, to_ms, developer in _app_owners(history, app):
            yield AppInterval(app, developer, from_ms, to_ms)


def _app_owners(history: History, app: str) -> list[tuple[int, int, str]]:
    record = history.apps.get(app)
    if record is None or not record.owners.events:
        return []
    owners = record.owners.folded(fold_owners)
    spans = owners.spans()
    if not spans:
        return [(0, OPEN_END_MS, owners.values[0])]
    return [(0, spans[0][1], spans[0][2]), *spans[1:]]


def destination_intervals(history: History) -> Iterator[DestinationInterval]:
    """Who owned each destination when; several endpoints can own one at once."""
    for record in history.endpoints.values():
        for from_ms, to_ms, holding in record.holdings.folded(fold_holdings).spans():
            if holding is None or holding.destination is None:
                continue
            key = holding.destination.key
            for start, end, developer in _clipped(history, holding.app, from_ms, to_ms):
                yield DestinationInterval(
                    key, record.endpoint, holding.app, holding.environment, developer, start, end, record.seq
                )


def _clipped(history: History, app: str, from_ms: int, to_ms: int) -> Iterator[tuple[int, int, str]]:
    for start, end, developer in _app_owners(history, app):
        if max(start, from_ms) < min(end, to_ms):
            yield max(start, from_ms), min(end, to_ms), developer


def intended_intervals(history: History) -> Iterator[IntendedInterval]:
    """Whom each endpoint names, covering ``[0, OPEN_END_MS)``: owner, else the last before, else the first."""
    for record in history.endpoints.values():
        yield from _intended(history, record)


def _intended(history: History, record: EndpointRecord) -> Iterator[IntendedInterval]:
    owned = [
        (max(start, from_ms), min(end, to_ms), holding, developer)
        for from_ms, to_ms, holding in record.holdings.folded(fold_holdings).spans()
        if holding is not None
        for start, end, developer in _app_owners(history, holding.app)
        if max(start, from_ms) < min(end, to_ms)
    ]
    for place, (start, _, holding, developer) in enumerate(owned):
        # The first reaches back to the beginning, and each one on to the next: a retired endpoint keeps its last owner.
        from_ms = start if place else 0
        to_ms = owned[place + 1][0] if place + 1 < len(owned) else OPEN_END_MS
        yield IntendedInterval(
            record.endpoint,
            _key(holding),
            holding.app,
            holding.environment,
            developer,
            from_ms,
            to_ms,
        )


def _key(holding: Holding) -> str:
    return "" if holding.destination is None else holding.destination.key


def processor_intervals(history: History) -> Iterator[ProcessorInterval]:
    """When each processor declaration was live."""
    for developer, record in history.developers.items():
        if not record.processors.events:
            continue
        for processor, steps in record.processors.folded(fold_processors).items():
            live = merge((start, min(end, until_ms)) for start, end, until_ms in steps.spans())
            for from_ms, to_ms in live:
                yield ProcessorInterval(developer, processor, from_ms, to_ms)
