"""Which attempts are surely clean as a log grows: the sweep of :mod:`ledger.engines.sweep`, one row after another.

The same conditions: the pair of route and arrival was clean at ``started_at`` (:mod:`ledger.engines.clean_pairs`), a live
span of a grant of the account covers it (:func:`ledger.core.grants.find_backing_among_good`), and nothing recorded after the
decision could change the answer. What is in doubt goes to the scalar rule.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ledger.core.grants import find_backing_among_good
from ledger.core.history import AccountRecord, History
from ledger.engines.clean_pairs import Pairs, Party, Route, route_of
from ledger.engines.rows import NO_SEQ
from ledger.ports.growth import Dependency

Recurring = dict[int, tuple[str, tuple[Any, ...]]]
"""Id of a route or arrival -> its kind and values (:mod:`ledger.engines.recurring`)."""


class _Span(NamedTuple):
    """From when to when a pair is clean but for the grant, whose it must be, and the last event about their standing."""

    from_ms: int
    to_ms: int
    party: Party
    standing_seq: int
    rests_on: frozenset[Dependency]


class QuickClean:
    """Decides rows over one history that grows; what it knows of pairs lasts until a party's event."""

    def __init__(self, recurring: Recurring) -> None:
        """``recurring`` has every route and arrival that is asked about."""
        self._recurring = recurring
        self._pairs: Pairs | None = None
        self._spans: dict[tuple[int, int], tuple[Route, list[_Span]]] = {}

    def forget(self) -> None:
        """Something about a party has changed."""
        self._pairs = None
        self._spans.clear()

    def rests_on(
        self,
        history: History,
        route: int,
        arrival: int,
        account: str,
        started_at_ms: int,
        decided_at_size: int,
    ) -> frozenset[Dependency] | None:
        """On which parties a row's being clean rests; None where it is in doubt."""
        known = self._spans.get((route, arrival))
        if known is None:
            known = self._spans[(route, arrival)] = self._look(history, route, arrival)
        way, spans = known
        for span in spans:
            if span.from_ms <= started_at_ms < span.to_ms:
                break
        else:
            return None
        if decided_at_size != NO_SEQ:
            record = history.accounts.get(account)
            if record is None or span.standing_seq >= decided_at_size:
                return None
            if _is_late(record, decided_at_size, started_at_ms):
                return None
        party = span.party
        backed = find_backing_among_good(history, account, *party, way.event_type, started_at_ms)
        return None if backed is None else span.rests_on

    def _look(self, history: History, route: int, arrival: int) -> tuple[Route, list[_Span]]:
        if self._pairs is None:
            self._pairs = Pairs(history)
        way = route_of(*self._recurring[route])
        observed, received_by, *_ = self._recurring[arrival][1]
        spki = None if observed is None else observed.spki_sha256
        spans = []
        for clean in self._pairs.clean_spans(way, observed, received_by):
            party = clean.party
            rests_on = {
                ("endpoints", way.endpoint),
                ("apps", party.app),
                ("developers", party.developer),
            }
            if spki is not None:
                rests_on.add(("pins", spki))
            spans.append(
                _Span(
                    clean.from_ms,
                    clean.to_ms,
                    party,
                    _standing_seq(history, party),
                    frozenset(rests_on),
                )
            )
        return way, spans


def _is_late(record: AccountRecord, size: int, at_ms: int) -> bool:
    """Whether an event of the account or of one of its grants stands at or behind ``size``, and takes effect by ``at_ms``."""
    for grant in record.grants:
        for event in grant.events:
            if event.seq >= size and event.at <= at_ms:
                return True
    standing = record.standing
    return standing is not None and any(event.seq >= size and event.at <= at_ms for event in standing.events)


def _standing_seq(history: History, party: Party) -> int:
    """The last event about the standing of the party's app and developer."""
    records = (history.apps.get(party.app), history.developers.get(party.developer))
    return max(
        (event.seq for record in records if record is not None for event in record.standing.events),
        default=NO_SEQ,
    )
