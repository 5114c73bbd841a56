"""What only circumstances say: who may have been exposed, and who was active at all (verdict rules, section 2.4).

A log is gone through once for what all its deliveries have in common: account and time. Only where there are deliveries
that nobody observed, and that circumstances could match, is it gone through again; then some 300 bytes are held for each.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import msgspec

from ledger.audit.backing import load_deliveries
from ledger.audit.entry_reader import EntryReader
from ledger.audit.exposure import BLOCK_ENTRIES, read_deliveries, sent_of
from ledger.core.delivery import Delivery
from ledger.core.destinations import observed_destination
from ledger.core.exposure import Circumstances, Sent, match_circumstances
from ledger.core.frozen_findings import ExposedDelivery
from ledger.core.history import History
from ledger.core.parties import intended_owner
from ledger.ports import Attempt, Codec, LogSource

_NEEDLE = b'"kind":"delivery.'
_TELLING = frozenset({"delivery.attempted", "delivery.settled", "delivery.imported"})


class _Seen(msgspec.Struct, gc=False):
    host: str | None = None
    path: str | None = None
    sni: str | None = None


class _Told(msgspec.Struct, gc=False):
    """As much of an entry about a delivery as is asked of all of them."""

    kind: str
    recorded_at: int
    account: str = ""
    started_at: int | None = None
    disclosure: str = "possible"
    resolved_ip: str | None = None
    observed: _Seen | None = None


@dataclass(frozen=True, slots=True)
class PossiblyExposed:
    """A delivery that the circumstances match, and the developers that may have it beside the one it was meant for."""

    delivery: Delivery
    developer: str | None
    candidates: frozenset[str]

    def exposed(self) -> ExposedDelivery:
        """As a line of a finding set, at position 0."""
        one = self.delivery
        return ExposedDelivery(
            position=0,
            delivery=one.delivery,
            attempt=one.attempt,
            code="WRONG_DEVELOPER",
            verdict=None,
            evidence="possible",
            account=one.account,
            subjects=tuple(sorted(set(one.subjects))),
            developer=self.developer,
            received_by=None,
            candidates=tuple(sorted(self.candidates)),
            app=None,
            endpoint=one.endpoint,
            event_type=one.event_type,
            private=one.private,
            started_at_ms=one.started_at_ms,
            seqs=one.seqs,
        )


class Activity:
    """Whose deliveries there were and when, over the first ``size`` entries of a log that was verified."""

    def __init__(self, source: LogSource, size: int, codec: Codec) -> None:
        self._source = source
        self._size = size
        self._codec = codec
        self._numbers: dict[str, int] = {}
        self._accounts = array("Q")
        self._started = array("q")
        self._is_in_order = False
        self._unobserved = self._unobserved_imports = 0

    @classmethod
    def read(
        cls,
        source: LogSource,
        size: int,
        codec: Codec,
        on_progress: Callable[[str, int, int], None],
    ) -> Activity:
        """Go through the log; entries that are malformed tell of no activity."""
        made = cls(source, size, codec)
        decode = msgspec.json.Decoder(_Told).decode
        for first in range(0, size, BLOCK_ENTRIES):
            for data in source.read_block(first, min(BLOCK_ENTRIES, size - first)).entries:
                if _NEEDLE in data:
                    try:
                        told = decode(data)
                    except msgspec.DecodeError:
                        continue
                    if told.kind in _TELLING:
                        made._take(told)
            on_progress("reading deliveries", min(first + BLOCK_ENTRIES, size), size)
        return made

    def _take(self, told: _Told) -> None:
        self._accounts.append(self._numbers.setdefault(told.account, len(self._numbers)))
        self._started.append(told.recorded_at if told.started_at is None else told.started_at)
        seen = told.observed
        if told.kind == "delivery.attempted" or told.disclosure == "none":
            return
        if seen is None or seen.path is None or (seen.host is None and seen.sni is None):
            if told.kind == "delivery.imported" and told.resolved_ip is not None:
                self._unobserved_imports += 1
            else:
                self._unobserved += 1

    def count_active(self, from_ms: int, to_ms: int) -> int:
        """How many accounts had a delivery that began between both instants, included."""
        if not self._is_in_order:
            # Once: many incidents ask, mostly about short windows.
            order = sorted(range(len(self._started)), key=self._started.__getitem__)
            self._accounts = array("Q", (self._accounts[place] for place in order))
            self._started = array("q", (self._started[place] for place in order))
            self._is_in_order = True
        first, end = bisect_left(self._started, from_ms), bisect_right(self._started, to_ms)
        return len(set(self._accounts[first:end]))

    def match(
        self, history: History, circumstances: Circumstances, judged: Collection[int]
    ) -> Sequence[PossiblyExposed]:
        """The unobserved deliveries that ``circumstances`` match, in order, without those that begin at ``judged``."""
        # Where addresses have to coincide, what has none matches nothing.
        could = self._unobserved_imports + (0 if circumstances.same_ip else self._unobserved)
        if not could:
            return []
        sent: list[Sent] = []
        unobserved: dict[int, tuple[int, ...]] = {}
        for delivery in read_deliveries(self._source, self._size, self._codec):
            if delivery.disclosure == "none":
                continue
            one = sent_of(delivery, history)
            if one is None:
                continue
            sent.append(_shared(one))
            if observed_destination(delivery.observed) is None and delivery.seqs[0] not in judged:
                unobserved[delivery.seqs[0]] = delivery.seqs
        matched = match_circumstances(sent, circumstances)
        reader = EntryReader(self._source, self._codec)
        found = []
        for first in sorted(matched.keys() & unobserved.keys()):
            for _, delivery in load_deliveries(Attempt(unobserved[first]), reader):
                found.append(PossiblyExposed(delivery, _meant_for(delivery, history), matched[first]))
        return found


def _meant_for(delivery: Delivery, history: History) -> str | None:
    if delivery.developer is not None or delivery.endpoint is None:
        return delivery.developer
    owner = intended_owner(history, delivery.endpoint, delivery.started_at_ms)
    return None if owner is None else owner.developer


def _shared(sent: Sent) -> Sent:
    """``sent`` with texts that many deliveries have in common kept once."""
    return Sent(
        sent.seq,
        sent.started_at_ms,
        sys.intern(sent.developer),
        None if sent.worker is None else sys.intern(sent.worker),
        None if sent.address is None else sys.intern(sent.address),
        sent.port,
        None if sent.path is None else sys.intern(sent.path),
    )
