"""When a delivery on a route that arrived as it did is clean but for its grant (verdict rules, sections 2.1 to 2.5).

Routes and arrivals are few, so all that does not depend on account and time is decided here once for each pair of them,
in Python over the core's folds: that the destination observed is the intended endpoint's own, who owned it, that the
claims in the entries agree, that app and developer were in good standing, that nothing else would raise a code. What is
left is a list of intervals of ``started_at``. Whatever is in doubt is left out: it is then judged one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ledger.core.destinations import Destination, has_sni_mismatch, observed_destination
from ledger.core.history import EndpointRecord, History
from ledger.core.intervals import (
    Pair,
    StandingInterval,
    app_intervals,
    app_suspensions,
    developer_suspensions,
    merge,
    subtract,
)
from ledger.core.parties import fold_holdings
from ledger.core.scopes import scope_of


class Route(NamedTuple):
    """What was intended; None where the entry does not state it."""

    gated: bool
    developer: str | None
    app: str | None
    environment: str | None
    endpoint: str
    event_type: str


class Party(NamedTuple):
    """Whom a grant must name."""

    developer: str
    app: str
    environment: str


class CleanSpan(NamedTuple):
    """From ``from_ms`` until ``to_ms`` only the grant is open: to ``party``, with ``scope`` or all."""

    from_ms: int
    to_ms: int
    party: Party
    scope: str


def route_of(kind: str, values: tuple[Any, ...]) -> Route:
    """The route in an interned tuple (see :mod:`ledger.engines.recurring`)."""
    _, developer, app, environment, endpoint, event_type, *_ = values
    return Route(kind == "delivery.attempted", developer, app, environment, endpoint, event_type)


class Pairs:
    """Decides pairs of route and arrival over one history."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._owners: dict[str, list[tuple[int, int, str]]] = {}
        for owned in app_intervals(history):
            self._owners.setdefault(owned.app, []).append((owned.from_ms, owned.to_ms, owned.developer))
        self._bad_apps = _by_name(app_suspensions(history))
        self._bad_developers = _by_name(developer_suspensions(history))
        holders = Counter(
            held
            for record in history.endpoints.values()
            for held in set(self._held(record))
            if held is not None
        )
        self._shared = {held for held, count in holders.items() if count > 1}

    def is_stray(self, route: Route, observed: Any) -> bool:
        """Whether another endpoint than the intended one may have received, as far as observed."""
        destination = observed_destination(observed)
        record = self._history.endpoints.get(route.endpoint)
        if record is None:
            return destination is not None
        held = set(self._held(record))
        if destination is not None and destination not in held:
            return True
        return not held.isdisjoint(self._shared)

    def _held(self, record: EndpointRecord) -> Iterator[Destination | None]:
        return (held for _, _, held in self._destinations(record))

    @staticmethod
    def _destinations(record: EndpointRecord) -> Iterator[tuple[int, int, Destination | None]]:
        for from_ms, to_ms, holding in record.holdings.folded(fold_holdings).spans():
            yield from_ms, to_ms, None if holding is None else holding.destination

    def clean_spans(self, route: Route, observed: Any, received_by: Any) -> Iterator[CleanSpan]:
        """The intervals in which a delivery on ``route`` that arrived like this is clean but for its grant."""
        scope = scope_of(route.event_type)
        record = self._history.endpoints.get(route.endpoint)
        if record is None or scope is None or received_by is None or has_sni_mismatch(observed):
            return
        verified_ms = self._verified_from(record, observed) if route.gated else 0
        if verified_ms is None:
            return
        destination = observed_destination(observed)
        for from_ms, to_ms, holding in record.holdings.folded(fold_holdings).spans():
            if holding is None or holding.destination is None:
                continue  # a URL that leads nowhere, which only a forced entry can hold, is nobody's
            if destination is not None and holding.destination != destination:
                continue
            for start_ms, end_ms, developer in self._owned_by(holding.app, max(from_ms, verified_ms), to_ms):
                party = Party(developer, holding.app, holding.environment)
                if self._agrees(route, received_by, party):
                    bad = self._bad_apps.get(party.app, []) + self._bad_developers.get(party.developer, [])
                    for good_from_ms, good_to_ms in subtract([(start_ms, end_ms)], merge(bad)):
                        yield CleanSpan(good_from_ms, good_to_ms, party, scope)

    def _verified_from(self, record: EndpointRecord, observed: Any) -> int | None:
        """The instant from which a gate-made attempt raises no code about challenges and keys; None: it always might."""
        passed = [check.at for check in record.checks if check.passed]
        spki = None if observed is None else observed.spki_sha256
        if spki is not None:
            if any(check.spki_sha256 not in (None, spki) for check in record.checks):
                return None
            if any(other is not record for other in self._history.pins.get(spki, ())):
                return None
        return min(passed, default=None)

    def _owned_by(self, app: str, from_ms: int, to_ms: int) -> Iterator[tuple[int, int, str]]:
        for start_ms, end_ms, developer in self._owners.get(app, ()):
            if max(start_ms, from_ms) < min(end_ms, to_ms):
                yield max(start_ms, from_ms), min(end_ms, to_ms), developer

    @staticmethod
    def _agrees(route: Route, received_by: Any, party: Party) -> bool:
        if (route.developer, received_by.developer) != (party.developer, party.developer):
            return False
        if (received_by.app, received_by.environment) != (party.app, party.environment):
            return False
        if received_by.endpoint != route.endpoint:
            return False
        return route.app in (None, party.app) and route.environment in (None, party.environment)


def _by_name(suspensions: Iterable[StandingInterval]) -> dict[str, list[Pair]]:
    found: dict[str, list[Pair]] = {}
    for name, from_ms, to_ms in suspensions:
        found.setdefault(name, []).append((from_ms, to_ms))
    return found
