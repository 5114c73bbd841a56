"""What egress proxies counted, held against the requests that the log tells of (verdict rules, section 2.3).

``EGRESS_COUNT_MISMATCH``: more went to a name in an hour than can be accounted for; or less than the recorded requests must
have sent, where every proxy has closed the hour; or the statements of an hour do not sum up, so that one was changed or left
out. A count that is not signed with its key is ``ENTRY_MALFORMED``.

Each hour is compared by itself (:meth:`EgressBook.compare`), so that whoever follows a log compares again only the hours of
which something new is known; whoever verifies a whole log compares all of them, once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ledger.audit.attempt_ends import Waiting
from ledger.audit.findings import Finding
from ledger.core.egress_counts import (
    EDGE_MS,
    HOUR_MS,
    Counted,
    Told,
    find_excess,
    find_shortfall,
    is_count_signed,
)
from ledger.core.history import History
from ledger.core.parties import destination_of
from ledger.core.receipts import SignatureCheck
from ledger.core.verdicts import Code, severity_of

SUBMITTED_AFTER_MS = 2 * HOUR_MS
"""How long after its beginning an hour is to be closed."""


class Count(NamedTuple):
    """A signed count; ``names`` is None for one of a single name."""

    seq: int
    counted: Counted
    names: int | None


class Uncertain(NamedTuple):
    """An attempt of which nobody tells where it went: for whom it was meant, when (ms), and the size of its body."""

    endpoint: str
    at_ms: int
    body_bytes: int


@dataclass(slots=True)
class Hour:
    """One hour: what proxies counted by name, how they closed it, and what the log tells by name."""

    rows: dict[str, dict[str, Count]] = field(default_factory=dict)
    closed: dict[str, Count] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)
    uncertain: list[Uncertain] = field(default_factory=list)

    @property
    def is_counted(self) -> bool:
        """Whether any proxy says anything about it."""
        return bool(self.rows or self.closed)


class EgressBook:
    """The counts of one log, taken in order, and the requests that it tells of, by hour.

    ``touched`` are the hours of which something new is known; whoever compares empties it. ``faults`` are the findings about
    single counts, by their places.
    """

    def __init__(self, log: str, check: SignatureCheck) -> None:
        """``log`` is the origin, ``check`` verifies Ed25519 signatures."""
        self._log = log
        self._check = check
        self.hours: dict[int, Hour] = {}
        self.touched: set[int] = set()
        self.faults: dict[int, Finding] = {}

    def add(self, place: int, count: Any, history: History) -> None:
        """Take the next ``egress.counted``, known by ``place``; ``history`` holds all that stands before it."""
        if history.keys.in_force("proxy", count.proxy) != count.key:
            return
        if not is_count_signed(count, self._log, self._check):
            text = f"not signed with the key of the proxy {count.proxy}"
            self.faults[place] = _finding("ENTRY_MALFORMED", count.seq, text)
            return
        hour = self._hour(count.from_at)
        made = Count(count.seq, Counted(count.connections, count.bytes_up, count.bytes_down), count.names)
        if count.sni is None:
            before = hour.closed.setdefault(count.proxy, made)
        else:
            before = hour.rows.setdefault(count.proxy, {}).setdefault(count.sni, made)
        if before is not made:
            text = f"{count.proxy} counted this twice, and otherwise"
            self.faults[place] = _finding("EGRESS_COUNT_MISMATCH", count.seq, text)

    def _hour(self, from_ms: int) -> Hour:
        self.touched.add(from_ms)
        return self.hours.setdefault(from_ms, Hour())

    @property
    def is_empty(self) -> bool:
        """Whether the log has no count that says anything."""
        return not any(hour.is_counted for hour in self.hours.values())

    # --- What the log tells.

    def see_settled(self, settled: Any, attempted: Waiting | None) -> None:
        """See how an attempt ended; ``attempted`` has its endpoint and the size of its body, None where it is not known."""
        sni = None if settled.observed is None else settled.observed.sni
        if sni is None:
            if attempted is not None:
                self.see_uncertain(attempted, settled.started_at)
            return
        body_bytes = 0 if attempted is None else attempted.body_bytes
        is_sure = settled.by == "transport" and settled.via == "gate" and settled.disclosure != "none"
        hours = hours_of(settled.started_at)
        for each in hours:
            _tell(self._hour(each).told, sni.lower(), body_bytes, is_sure=is_sure and len(hours) == 1)

    def see_uncertain(self, attempted: Waiting, at_ms: int) -> None:
        """See an attempt of which nobody tells where it went."""
        own_ms = at_ms - at_ms % HOUR_MS
        self._hour(own_ms).uncertain.append(Uncertain(attempted.endpoint, at_ms, attempted.body_bytes))
        self.touch(at_ms)

    def touch(self, at_ms: int) -> None:
        """Something is known anew about a request at ``at_ms``."""
        self.touched |= hours_of(at_ms)

    def uncertain_about(self, from_ms: int) -> Iterator[Uncertain]:
        """The requests that may have been in the hour ``from_ms``, of which nobody tells where they went."""
        for near in (from_ms - HOUR_MS, from_ms, from_ms + HOUR_MS):
            hour = self.hours.get(near)
            if hour is not None:
                yield from (one for one in hour.uncertain if from_ms in hours_of(one.at_ms))

    # --- Comparing.

    def compare(
        self, from_ms: int, history: History, hosts: Collection[str], waiting: Iterable[Waiting] = ()
    ) -> dict[str, Finding]:
        """What does not fit about one hour, by what it is about.

        ``hosts`` are the names of all endpoints, ``waiting`` attempts without an end so far.
        """
        hour = self.hours.get(from_ms)
        if hour is None or not hour.is_counted:
            return {}
        told = self._told(from_ms, hour, history, waiting)
        found = {
            f"sum:{proxy}": _finding("EGRESS_COUNT_MISMATCH", closing.seq, text)
            for proxy, closing in hour.closed.items()
            if (text := _sum_fault(proxy, from_ms, hour, closing)) is not None
        }
        counted: dict[str, Counted] = {}
        seqs: dict[str, int] = {}
        for names in hour.rows.values():
            for sni, count in names.items():
                counted[sni] = counted.get(sni, Counted()).plus(count.counted)
                seqs[sni] = min(count.seq, seqs.get(sni, count.seq))
        for sni, sums in counted.items():
            fault = find_excess(sums, told.get(sni, Told()), sni in hosts)
            if fault is not None:
                text = f"{sni}, hour {from_ms}: {fault}"
                found[f"excess:{sni}"] = _finding("EGRESS_COUNT_MISMATCH", seqs[sni], text)
        if self._is_closed(hour, history):
            seq = min(closing.seq for closing in hour.closed.values())
            for sni, one in told.items():
                fault = find_shortfall(counted.get(sni, Counted()), one) if one.requests else None
                if fault is not None:
                    text = f"{sni}, hour {from_ms}: {fault}"
                    found[f"shortfall:{sni}"] = _finding("EGRESS_COUNT_MISMATCH", seq, text)
        return found

    @staticmethod
    def _is_closed(hour: Hour, history: History) -> bool:
        """Whether every proxy that ever had a key has closed the hour."""
        return bool(hour.closed) and all(proxy in hour.closed for proxy in history.keys.proxies())

    def _told(
        self, from_ms: int, hour: Hour, history: History, waiting: Iterable[Waiting]
    ) -> dict[str, Told]:
        told = dict(hour.told)
        unsettled = (Uncertain(one.endpoint, one.recorded_at, one.body_bytes) for one in waiting)
        doubtful = [one for one in unsettled if from_ms in hours_of(one.at_ms)]
        own: set[str] = set()
        for endpoint, at_ms, body_bytes in (*self.uncertain_about(from_ms), *doubtful):
            destination = destination_of(history, endpoint, at_ms)
            if destination is None:
                continue
            sni = destination.host.lower()
            if sni not in own:
                # What the book keeps stays as it is: where this one went may be known otherwise later.
                own.add(sni)
                known = told.get(sni, Told())
                told[sni] = Told(known.requests, known.body_bytes, known.maybe, known.maybe_bytes)
            _tell(told, sni, body_bytes, is_sure=False)
        return told

    def count_unclosed(self, history: History, ledger_time_ms: int) -> int:
        """How many hours with deliveries since the first count should be closed by now and are not."""
        began_ms = min(from_ms for from_ms, hour in self.hours.items() if hour.is_counted)
        return sum(
            from_ms >= began_ms
            and from_ms + SUBMITTED_AFTER_MS <= ledger_time_ms
            and any(one.requests for one in hour.told.values())
            and not self._is_closed(hour, history)
            for from_ms, hour in self.hours.items()
        )


def hours_of(at_ms: int) -> set[int]:
    """The hours (their beginnings, ms) in which a request at ``at_ms`` may have been counted."""
    return {(at_ms + edge) - (at_ms + edge) % HOUR_MS for edge in (-EDGE_MS, 0, EDGE_MS)}


def _tell(told: dict[str, Told], sni: str, body_bytes: int, *, is_sure: bool) -> None:
    one = told.setdefault(sni, Told())
    if is_sure:
        one.requests += 1
        one.body_bytes += body_bytes
    else:
        one.maybe += 1
        one.maybe_bytes += body_bytes


def _sum_fault(proxy: str, from_ms: int, hour: Hour, closing: Count) -> str | None:
    rows = hour.rows.get(proxy, {})
    total = Counted()
    for count in rows.values():
        total = total.plus(count.counted)
    if (len(rows), total) == (closing.names, closing.counted):
        return None
    return f"the counts of {proxy} for the hour {from_ms} do not sum up to its total: one is missing or wrong"


def _finding(code: Code, seq: int, text: str) -> Finding:
    return Finding(code, (code,), severity_of(code), (seq,), text)
