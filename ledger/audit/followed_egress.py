"""Egress counts of a log that is followed: each hour compared again where something new is known of it.

One rule with a verification's, :class:`~ledger.audit.egress.EgressBook`. What the log tells of requests is summed up by name
and hour as it comes; from the first proxy's key on, when all that stands before it is read once more, so that a log without
proxies pays nothing. An hour is compared again when a proxy says something about it, when a request in it is told of, when
the endpoint of a request of which nobody saw where it went is changed, and when an endpoint at a counted name, or a proxy,
is new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from ledger.audit.attempt_ends import AttemptEnds, Waiting
from ledger.audit.egress import Count, EgressBook, Hour, Uncertain, hours_of
from ledger.audit.findings import Finding, keep_finding, kept_finding
from ledger.audit.watched_history import WatchedHistory
from ledger.core.egress_counts import Counted, Told
from ledger.core.tiles import TILE_WIDTH
from ledger.ports import Block
from ledger.ports.growth import ALWAYS_MS

Deliveries = Callable[[int, Sequence[bytes]], Iterator[tuple[int, Any]]]


class Groups(Protocol):
    """Where groups of 256 entries that were read come from."""

    def read_block(self, first: int, count: int) -> Block:
        """The group that begins at ``first``; ProofError where it is another one than before."""
        ...


class FollowedEgress:
    """The egress counts of one log as far as it was read; ``findings`` are those about hours, by key."""

    def __init__(self, egress: EgressBook, deliveries: Deliveries, history: WatchedHistory) -> None:
        """Nothing read yet; ``deliveries`` decodes what tells of attempts."""
        self._egress = egress
        self._deliveries = deliveries
        self._history = history
        self._ends = AttemptEnds()
        self._seen_to = 0
        self._hosts: frozenset[str] = frozenset()
        self._proxies = 0
        self._by_hour: dict[int, dict[str, Finding]] = {}

    def add(self, position: int, count: Any) -> None:
        """Take the ``egress.counted`` at ``position``; the history holds all that stands before it."""
        self._egress.add(position, count, self._history)

    def compare(self, groups: Groups, tree_size: int) -> None:
        """Compare the hours of which something new is known; where an entry cannot be read, the next time."""
        proxies = len(self._history.keys.proxies())
        if not proxies:
            return
        self._read_to(groups, tree_size)
        self._touch_changed(proxies)
        for from_ms in sorted(self._egress.touched):
            hour = self._egress.hours.get(from_ms)
            if hour is not None and hour.is_counted:
                waiting = self._ends.waiting.values()
                found = self._egress.compare(from_ms, self._history, self._hosts, waiting)
                self._by_hour[from_ms] = {f"egress:{from_ms}:{about}": one for about, one in found.items()}
        self._egress.touched.clear()

    def _read_to(self, groups: Groups, tree_size: int) -> None:
        while self._seen_to < tree_size:
            first = self._seen_to - self._seen_to % TILE_WIDTH
            entries = groups.read_block(first, TILE_WIDTH).entries[: tree_size - first]
            for position, entry in self._deliveries(first, entries):
                if position >= self._seen_to:
                    self._see(position, entry)
            self._seen_to = first + len(entries)

    def _see(self, position: int, entry: Any) -> None:
        egress = self._egress
        if entry.kind == "delivery.attempted":
            before = self._ends.begin(position, entry)
            egress.touch(entry.recorded_at)
        elif entry.kind == "delivery.settled":
            before = self._ends.end(entry)
            egress.see_settled(entry, before)
        else:
            return
        if before is not None:
            egress.touch(before.recorded_at)

    def _touch_changed(self, proxies: int) -> None:
        egress, history = self._egress, self._history
        counted = [from_ms for from_ms, hour in egress.hours.items() if hour.is_counted]
        if proxies != self._proxies:
            egress.touched.update(counted)
            self._proxies = proxies
        changed = history.changed_parties
        if not changed and self._hosts:
            return
        hosts = frozenset(destination.host for destination in history.destinations)
        new_hosts, self._hosts = hosts - self._hosts, hosts
        endpoints = {name for table, name in changed if table == "endpoints"}
        # An app that had no owner before makes all its endpoints somebody's.
        is_any = any(table == "apps" and at == ALWAYS_MS for (table, _), at in changed.items())
        for from_ms in counted:
            names = egress.hours[from_ms].rows.values()
            if any(not new_hosts.isdisjoint(rows) for rows in names) or any(
                is_any or one.endpoint in endpoints for one in egress.uncertain_about(from_ms)
            ):
                egress.touched.add(from_ms)
        for one in self._ends.waiting.values():
            if is_any or one.endpoint in endpoints:
                egress.touched |= hours_of(one.recorded_at)

    def findings(self) -> dict[str, Finding]:
        """All findings about counts that stand, by key."""
        found = {f"egress-count:{place}": one for place, one in self._egress.faults.items()}
        for each in self._by_hour.values():
            found.update(each)
        return found

    # What is kept.

    def to_json(self) -> dict[str, Any]:
        """All that a later start needs."""
        return {
            "seen_to": self._seen_to,
            "waiting": [[*key, *one] for key, one in self._ends.waiting.items()],
            "faults": [[place, keep_finding(one)] for place, one in self._egress.faults.items()],
            "hours": [[from_ms, *_kept_hour(hour)] for from_ms, hour in self._egress.hours.items()],
        }

    def restore(self, kept: dict[str, Any]) -> None:
        """Take what was kept; every counted hour is compared again at the next call."""
        egress = self._egress
        self._seen_to = kept["seen_to"]
        for delivery, attempt, *values in kept["waiting"]:
            self._ends.waiting[delivery, attempt] = Waiting(*values)
        egress.faults = {place: kept_finding(row) for place, row in kept["faults"]}
        egress.hours = {from_ms: _hour(*values) for from_ms, *values in kept["hours"]}
        egress.touched = set(egress.hours)


def _kept_hour(hour: Hour) -> list[Any]:
    return [
        [[proxy, sni, *one] for proxy, names in hour.rows.items() for sni, one in names.items()],
        [[proxy, *one] for proxy, one in hour.closed.items()],
        [[sni, one.requests, one.body_bytes, one.maybe, one.maybe_bytes] for sni, one in hour.told.items()],
        hour.uncertain,
    ]


def _hour(rows: Any, closed: Any, told: Any, uncertain: Any) -> Hour:
    made = Hour()
    for proxy, sni, seq, counted, names in rows:
        made.rows.setdefault(proxy, {})[sni] = Count(seq, Counted(*counted), names)
    made.closed = {proxy: Count(seq, Counted(*counted), names) for proxy, seq, counted, names in closed}
    made.told = {sni: Told(*values) for sni, *values in told}
    made.uncertain = [Uncertain(*values) for values in uncertain]
    return made
