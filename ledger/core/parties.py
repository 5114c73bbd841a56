"""Who owned what, and who was in good standing, at an instant (verdict rules, sections 2.1 and 2.5).

- An endpoint is owned from ``endpoint.registered`` on, through transfers, until it is retired, which is
  final. Whose app it is, is the endpoint's; whose developer, the app's: an app's endpoints go with it.
- An app belongs to whoever its last registration or transfer names; before the first of them, to the first,
  because registration times limit nothing. An endpoint of an app that was never registered (forced in) is
  owned by nobody.
- An account, app or developer is in good standing until it is suspended and again when that is lifted; an
  account's deletion is final.
- A processor declaration is live from its ``at`` until its ``until``; a later one of the same two developers
  replaces it, which is how a declaration without ``until`` can be ended.

Every question takes ``as_of_size``: only entries with a lower seq count; None means everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ledger.core.destinations import Destination
from ledger.core.folding import OPEN_END_MS, Event, Line, Steps
from ledger.core.history import EndpointRecord, History, Holding

GOOD = "good"
SUSPENDED = "suspended"
DELETED = "deleted"


class Owner(NamedTuple):
    """An endpoint and the app, environment and developer that it belongs to."""

    endpoint: str
    app: str
    environment: str
    developer: str


def fold_standing(events: Sequence[Event]) -> Steps[str]:
    """The standing of an account, app or developer through time, from its events in fold order."""
    changes: list[tuple[int, str]] = []
    for event in events:
        if event.verb == "deleted":
            changes.append((event.at, DELETED))
            break  # final: what comes after it in time changes nothing
        changes.append((event.at, SUSPENDED if event.verb == "suspended" else GOOD))
    return Steps(changes)


def fold_owners(events: Sequence[Event]) -> Steps[str]:
    """An app's developers through time, from its registrations and transfers in fold order."""
    return Steps([(event.at, event.value) for event in events])


def fold_holdings(events: Sequence[Event]) -> Steps[Holding | None]:
    """Where an endpoint lay and whose app's it was, from its events in fold order; None once it is retired."""
    changes: list[tuple[int, Holding | None]] = []
    holding: Holding | None = None
    for event in events:
        if event.verb == "retired":
            changes.append((event.at, None))
            break  # final
        if event.verb == "registered":
            holding = event.value
        elif holding is None:
            continue  # a transfer of what is not owned yet
        else:
            app, environment = event.value
            holding = holding._replace(app=app, environment=environment or holding.environment)
        changes.append((event.at, holding))
    return Steps(changes)


def fold_processors(events: Sequence[Event]) -> dict[str, Steps[int]]:
    """Processor -> until when it is declared (ms), through time, from a developer's declarations in fold order."""
    changes: dict[str, list[tuple[int, int]]] = {}
    for event in events:
        until_ms = OPEN_END_MS if event.value.until_ms is None else event.value.until_ms
        changes.setdefault(event.value.processor, []).append((event.at, until_ms))
    return {processor: Steps(made) for processor, made in changes.items()}


def _is_good(line: Line[Steps[str]] | None, at_ms: int, as_of_size: int | None) -> bool:
    if line is None or not line.events:
        return True
    return line.folded(fold_standing, as_of_size).at(at_ms) in (GOOD, None)


def is_account_active(history: History, account: str, at_ms: int, as_of_size: int | None = None) -> bool:
    """Whether ``account`` is neither suspended nor deleted at ``at_ms``."""
    record = history.accounts.get(account)
    return record is None or _is_good(record.standing, at_ms, as_of_size)


def is_app_good(history: History, app: str, at_ms: int, as_of_size: int | None = None) -> bool:
    """Whether ``app`` is not suspended at ``at_ms``."""
    record = history.apps.get(app)
    return record is None or _is_good(record.standing, at_ms, as_of_size)


def is_developer_good(history: History, developer: str, at_ms: int, as_of_size: int | None = None) -> bool:
    """Whether ``developer`` is not suspended at ``at_ms``."""
    record = history.developers.get(developer)
    return record is None or _is_good(record.standing, at_ms, as_of_size)


def developer_of_app(history: History, app: str, at_ms: int, as_of_size: int | None = None) -> str | None:
    """The developer that ``app`` belongs to at ``at_ms``; before its first event the first one; None when unknown."""
    record = history.apps.get(app)
    if record is None or not record.owners.events:
        return None
    owners = record.owners.folded(fold_owners, as_of_size)
    if not owners.values:
        return None
    return owners.at(at_ms) or owners.values[0]


def holding_at(record: EndpointRecord, at_ms: int, as_of_size: int | None = None) -> Holding | None:
    """Where the endpoint lies and whose app's it is at ``at_ms``; None while it is nobody's."""
    return record.holdings.folded(fold_holdings, as_of_size).at(at_ms)


def owner_of_endpoint(
    history: History, endpoint: str, at_ms: int, as_of_size: int | None = None
) -> Owner | None:
    """Who owns ``endpoint`` at ``at_ms``; None before its registration, once retired, and when it is unknown."""
    record = history.endpoints.get(endpoint)
    if record is None:
        return None
    return _owned(history, record, holding_at(record, at_ms, as_of_size), at_ms, as_of_size)


def _owned(
    history: History, record: EndpointRecord, holding: Holding | None, at_ms: int, as_of_size: int | None
) -> Owner | None:
    if holding is None:
        return None
    developer = developer_of_app(history, holding.app, at_ms, as_of_size)
    if developer is None:
        return None
    return Owner(record.endpoint, holding.app, holding.environment, developer)


def intended_owner(
    history: History, endpoint: str, at_ms: int, as_of_size: int | None = None
) -> Owner | None:
    """Whom ``endpoint`` names as intended at ``at_ms``: its owner, else its last one before, else its first.

    The last owner before is the developer that it had in the millisecond before it was retired. None for an
    endpoint that was never registered.
    """
    found = _intended_holding(history, endpoint, at_ms, as_of_size)
    if found is None:
        return None
    holding, asked_ms = found
    return _owned(history, history.endpoints[endpoint], holding, asked_ms, as_of_size)


def _intended_holding(
    history: History, endpoint: str, at_ms: int, as_of_size: int | None = None
) -> tuple[Holding, int] | None:
    """The holding that :func:`intended_owner` speaks of, and the instant (ms) at which its app's owner is asked."""
    record = history.endpoints.get(endpoint)
    if record is None:
        return None
    steps = record.holdings.folded(fold_holdings, as_of_size)
    held = steps.at(at_ms)
    if held is not None and developer_of_app(history, held.app, at_ms, as_of_size) is not None:
        return held, at_ms
    last: tuple[Holding, int] | None = None
    for from_ms, to_ms, holding in steps.spans():
        if holding is None or developer_of_app(history, holding.app, from_ms, as_of_size) is None:
            continue
        if last is not None and from_ms > at_ms:
            break
        # After the span ask at its last millisecond, before the first at its start.
        last = holding, max(from_ms, min(at_ms, to_ms - 1))
    return last


def destination_of(
    history: History, endpoint: str, at_ms: int, as_of_size: int | None = None
) -> Destination | None:
    """Where ``endpoint``'s URL points at ``at_ms``; without owner then, where it last did before, else first did."""
    found = _intended_holding(history, endpoint, at_ms, as_of_size)
    return None if found is None else found[0].destination


def owner_of_destination(
    history: History,
    destination: Destination,
    at_ms: int,
    intended_endpoint: str | None = None,
    as_of_size: int | None = None,
) -> Owner | None:
    """Who owns ``destination`` at ``at_ms``; None for nobody.

    Where several live endpoints lie there: ``intended_endpoint`` if among them, else the one that was
    registered first.
    """
    chosen: Owner | None = None
    chosen_seq = 0
    for record in history.destinations.get(destination, ()):
        holding = holding_at(record, at_ms, as_of_size)
        if holding is None or holding.destination != destination:
            continue
        owner = _owned(history, record, holding, at_ms, as_of_size)
        if owner is None:
            continue
        if record.endpoint == intended_endpoint:
            return owner
        if chosen is None or record.seq < chosen_seq:
            chosen, chosen_seq = owner, record.seq
    return chosen


def is_processor(
    history: History, developer: str, processor: str, at_ms: int, as_of_size: int | None = None
) -> bool:
    """Whether ``developer`` has a live declaration at ``at_ms`` that names ``processor``."""
    record = history.developers.get(developer)
    if record is None or not record.processors.events:
        return False
    steps = record.processors.folded(fold_processors, as_of_size).get(processor)
    if steps is None:
        return False
    until_ms = steps.at(at_ms)
    return until_ms is not None and at_ms < until_ms
