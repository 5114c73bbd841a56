"""Findings about entries and endpoints rather than deliveries (verdict rules, sections 2.2, 2.3 and 2.6).

- ``GRANT_AFTER_TERMINAL``: an event on a dead grant. From a file it is history that changes nothing (P), found in the
  fold over everything, so that it does not depend on the order of the file; otherwise the ledger should have refused
  it on what stood before it (I).
- ``ENTRY_MALFORMED`` (I): any other event that :mod:`ledger.core.admission` would have refused in its place: of an
  unknown grant, app or endpoint, of another account's grant, of an unknown scope. It was forced in. The folds ignore it
  where it is not its author's to say.
- ``HOLD_VIOLATED`` (P): somebody was erased while a legal hold on the account stood. It was forced in as well, and what was
  destroyed is gone; the log itself is as sound as before.
- ``GRANT_BACKDATED`` and ``REVOCATION_RECORDED_LATE`` (P): recorded live, more than 5 s after it took effect.
  Every live restrictive event can be late, but an invalidation is no late restriction: it is about the past.
- ``SCHEMA_UNKNOWN``: an unlisted member or an unknown kind (A); of the families that verdicts depend on, I.
- ``ENDPOINT_COLLISION`` (A): endpoints of two developers share resolved address, port and path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import combinations
from typing import Any, NamedTuple

from ledger.core.admission import MEMBERS_READ, RULED_KINDS, find_refusal
from ledger.core.folding import OPEN_END_MS, RESTRICTIVE, rank_of
from ledger.core.history import EndpointRecord, History
from ledger.core.intervals import destination_intervals, merge
from ledger.core.timelines import deleted_at_ms, is_dead_before, timeline_of
from ledger.core.verdicts import Code, Severity

LATE_AFTER_MS = 5_000
"""How much later than its ``at`` a live event may be recorded without a finding (section 2.2)."""

SHARING_WINDOW_MS = 360_000
"""How long an observed address is taken to go on after it was last seen: the window of section 2.4."""

_GRANTING = frozenset({"grant.issued", "grant.amended", "grant.resumed"})
_REFUSED_WHEN_DEAD = frozenset({"grant.issued", "grant.amended", "grant.resumed", "grant.suspended"})
_STATE_FAMILIES = frozenset(
    {"account", "developer", "app", "endpoint", "processor", "grant", "subscription", "delivery"}
)


class LedgerFinding(NamedTuple):
    """Something found about entry ``seq``."""

    seq: int
    code: Code
    severity: Severity
    text: str


class Sighting(NamedTuple):
    """Deliveries to ``endpoint`` found its name to resolve to ``address`` between two instants, both included."""

    endpoint: str
    address: str
    first_seen_ms: int
    last_seen_ms: int


class Collision(NamedTuple):
    """Endpoints of two developers share address, port and path, ``since_ms`` being the first instant; ids ascending."""

    endpoints: tuple[str, str]
    developers: tuple[str, str]
    address: str
    port: int
    path: str
    since_ms: int


def rests_on_what_follows(entry: Any) -> bool:
    """Whether only a history of the whole log tells what is wrong with ``entry``: others need no more than is before it."""
    return entry.via == "file" and entry.kind in _REFUSED_WHEN_DEAD


def find_entry_findings(entry: Any, history: History) -> list[LedgerFinding]:
    """What is wrong with ``entry``, judged by a history of the whole log; any kind but deliveries can have findings.

    For one that does not rest on what follows, a history of all that stands before it gives the same.
    """
    return [found for found in (_misplaced(entry, history), _late(entry)) if found is not None]


def _misplaced(entry: Any, history: History) -> LedgerFinding | None:
    if entry.kind not in RULED_KINDS:
        return None
    live = entry.via != "file"
    read = _members_read(entry.__class__)
    stated = {name: value for name in read if (value := getattr(entry, name)) is not None}
    refusal = find_refusal(history, stated, live, as_of_size=entry.seq)
    if refusal is not None:
        severity: Severity = "P" if refusal.code == "HOLD_VIOLATED" else "I"
        return LedgerFinding(entry.seq, refusal.code, severity, refusal.reason)
    if not live and entry.kind in _REFUSED_WHEN_DEAD and _is_dead_letter(entry, history):
        return LedgerFinding(
            entry.seq, "GRANT_AFTER_TERMINAL", "P", f"the grant {entry.grant} was dead by then"
        )
    return None


@cache
def _members_read(entry_type: type) -> tuple[str, ...]:
    """The members of an entry's type, whichever decoder made it, that a refusal can depend on."""
    return tuple(name for name in MEMBERS_READ if hasattr(entry_type, name))


def _is_dead_letter(entry: Any, history: History) -> bool:
    """Whether an event from a file found its grant dead, in the fold by ``at`` over everything."""
    record = history.grants.get(entry.grant)
    timeline = None if record is None else timeline_of(record)
    if record is None or timeline is None:
        return False
    if entry.kind == "grant.issued" and entry.at <= timeline.versions[0].from_ms:
        # The issue that starts a grant is no event on it; only a deleted account leaves nothing to start.
        deleted_ms = deleted_at_ms(record.account)
        return deleted_ms is not None and deleted_ms < entry.at
    return is_dead_before(timeline, entry.at)


def _late(entry: Any) -> LedgerFinding | None:
    late_ms = entry.recorded_at - entry.at
    if entry.via == "file" or late_ms <= LATE_AFTER_MS:
        return None
    code: Code
    if entry.kind in _GRANTING:
        code = "GRANT_BACKDATED"
    elif rank_of(entry.kind) == RESTRICTIVE and entry.kind != "grant.invalidated":
        code = "REVOCATION_RECORDED_LATE"
    else:
        return None
    return LedgerFinding(entry.seq, code, "P", f"recorded {late_ms} ms after it took effect")


def schema_finding(seq: int, kind: str, known: bool, unknown: tuple[str, ...]) -> LedgerFinding | None:
    """What an entry's schema gives rise to: ``known`` whether its kind is listed, ``unknown`` its unlisted members."""
    if not known:
        severity: Severity = "I" if kind.partition(".")[0] in _STATE_FAMILIES else "A"
        return LedgerFinding(seq, "SCHEMA_UNKNOWN", severity, f"the kind {kind} is unknown")
    if unknown:
        return LedgerFinding(seq, "SCHEMA_UNKNOWN", "A", f"{kind} has unlisted members: {', '.join(unknown)}")
    return None


def find_collisions(history: History, sightings: Iterable[Sighting] = ()) -> list[Collision]:
    """Every pair of endpoints of different developers that shared address, port and path, with the first instant.

    An address counts from a passed challenge until the next one that resolved, and from when deliveries first found it
    until 360 s after they last did. Ascending by instant, then endpoints.
    """
    addresses = _addresses(history, sightings)
    spots: dict[tuple[str, int, str], list[tuple[int, int, str, str]]] = {}
    for held in destination_intervals(history):
        record = history.endpoints[held.endpoint]
        destination = _destination(record, held.destination)
        for address, from_ms, to_ms in addresses.get(held.endpoint, ()):
            start_ms, end_ms = max(from_ms, held.from_ms), min(to_ms, held.to_ms)
            if start_ms < end_ms:
                spot = (address, destination[0], destination[1])
                spots.setdefault(spot, []).append((start_ms, end_ms, held.endpoint, held.developer))
    return sorted(_meetings(spots), key=lambda collision: (collision.since_ms, collision))


def _destination(record: EndpointRecord, key: str) -> tuple[int, str]:
    """Port and path of the destination ``key`` of ``record``."""
    for event in record.holdings.events:
        if event.verb == "registered" and event.value.destination is not None:
            destination = event.value.destination
            if destination.key == key:
                return destination.port, destination.path
    raise AssertionError("a destination interval comes from a registration")


def _addresses(history: History, sightings: Iterable[Sighting]) -> dict[str, list[tuple[str, int, int]]]:
    """Endpoint -> its ``(address, from_ms, to_ms)``."""
    found: dict[str, dict[str, list[tuple[int, int]]]] = {}
    for name, record in history.endpoints.items():
        passed = sorted(
            (check for check in record.checks if check.passed and check.addresses),
            key=lambda check: (check.at, check.seq),
        )
        for place, check in enumerate(passed):
            to_ms = passed[place + 1].at if place + 1 < len(passed) else OPEN_END_MS
            for address in check.addresses:
                found.setdefault(name, {}).setdefault(address, []).append((check.at, to_ms))
    for seen in sightings:
        window = (seen.first_seen_ms, seen.last_seen_ms + SHARING_WINDOW_MS)
        found.setdefault(seen.endpoint, {}).setdefault(seen.address, []).append(window)
    return {
        name: [(address, start, end) for address, pairs in by_address.items() for start, end in merge(pairs)]
        for name, by_address in found.items()
    }


def _meetings(spots: Mapping[tuple[str, int, str], list[tuple[int, int, str, str]]]) -> list[Collision]:
    """For each pair of endpoints at one spot the first instant at which two developers were there."""
    first: dict[Collision, int] = {}
    for spot, stays in spots.items():
        for left, right in combinations(sorted(stays, key=lambda stay: stay[2:]), 2):
            since_ms = max(left[0], right[0])
            if left[2] == right[2] or left[3] == right[3] or since_ms >= min(left[1], right[1]):
                continue
            pair = Collision((left[2], right[2]), (left[3], right[3]), *spot, since_ms=0)
            first[pair] = min(since_ms, first.get(pair, since_ms))
    return [pair._replace(since_ms=since_ms) for pair, since_ms in first.items()]
