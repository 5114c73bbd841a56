"""What egress proxies counted, held against the requests that the log tells of (verdict rules, section 2.3).

``EGRESS_COUNT_MISMATCH``: more went to a name in an hour than can be accounted for; or less than the recorded requests must
have sent, where every proxy has closed the hour; or the statements of an hour do not sum up, so that one was changed or left
out. A count that is not signed with its key is ``ENTRY_MALFORMED``.
"""

from __future__ import annotations

from typing import Any

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

NameAndHour = tuple[str, int]

SUBMITTED_AFTER_MS = 2 * HOUR_MS
"""How long after its beginning an hour is to be closed."""


class EgressBook:
    """The counts of one log, taken in order; then, after a look at the deliveries, what does not fit."""

    def __init__(self, log: str, check: SignatureCheck) -> None:
        self._log = log
        self._check = check
        self._rows: dict[tuple[str, int], dict[str, Any]] = {}
        self._closed: dict[tuple[str, int], Any] = {}
        self._told: dict[NameAndHour, Told] = {}
        self._uncertain: list[tuple[str, int, int]] = []
        self.findings: list[Finding] = []

    def add(self, count: Any, history: History) -> None:
        """Take the next ``egress.counted``; ``history`` holds all that stands before it."""
        if history.keys.in_force("proxy", count.proxy) != count.key:
            return
        if not is_count_signed(count, self._log, self._check):
            self._tell("ENTRY_MALFORMED", count.seq, f"not signed with the key of the proxy {count.proxy}")
            return
        of_hour = (count.proxy, count.from_at)
        if count.sni is None:
            before = self._closed.setdefault(of_hour, count)
        else:
            before = self._rows.setdefault(of_hour, {}).setdefault(count.sni, count)
        if before is not count:
            self._tell("EGRESS_COUNT_MISMATCH", count.seq, f"{count.proxy} counted this twice, and otherwise")

    @property
    def is_empty(self) -> bool:
        """Whether the log has no count that says anything."""
        return not self._rows and not self._closed

    def _tell(self, code: Code, seq: int, text: str) -> None:
        self.findings.append(Finding(code, (code,), severity_of(code), (seq,), text))

    # --- The second look.

    def see_settled(self, settled: Any, attempted: Any | None) -> None:
        """See how an attempt ended; ``attempted`` has its endpoint and the size of its body, None where it is not known."""
        sni = None if settled.observed is None else settled.observed.sni
        if sni is None:
            if attempted is not None:
                self.see_uncertain(attempted, settled.started_at)
            return
        body_bytes = 0 if attempted is None else attempted.body_bytes
        is_sure = settled.by == "transport" and settled.via == "gate" and settled.disclosure != "none"
        self._see(sni, settled.started_at, body_bytes, is_sure)

    def see_uncertain(self, attempted: Any, at_ms: int) -> None:
        """See an attempt of which nobody tells where it went."""
        self._uncertain.append((attempted.endpoint, at_ms, attempted.body_bytes))

    def _see(self, sni: str, at_ms: int, body_bytes: int, is_sure: bool) -> None:
        hour_ms = at_ms - at_ms % HOUR_MS
        hours = {(at_ms + edge) - (at_ms + edge) % HOUR_MS for edge in (-EDGE_MS, 0, EDGE_MS)}
        for each in hours:
            told = self._told.setdefault((sni.lower(), each), Told())
            if is_sure and each == hour_ms and len(hours) == 1:
                told.requests += 1
                told.body_bytes += body_bytes
            else:
                told.maybe += 1
                told.maybe_bytes += body_bytes

    def conclude(self, history: History, ledger_time_ms: int, notes: list[str]) -> None:
        """Compare; after the last ``see``."""
        for endpoint, at_ms, body_bytes in self._uncertain:
            destination = destination_of(history, endpoint, at_ms)
            if destination is not None:
                self._see(destination.host, at_ms, body_bytes, is_sure=False)
        hosts = {destination.host for destination in history.destinations}
        for (proxy, from_at), closing in sorted(self._closed.items()):
            self._check_sums(proxy, from_at, closing)
        counted, seqs = self._sums()
        for key, sums in sorted(counted.items()):
            fault = find_excess(sums, self._told.get(key, Told()), key[0] in hosts)
            if fault is not None:
                self._tell("EGRESS_COUNT_MISMATCH", seqs[key], f"{key[0]}, hour {key[1]}: {fault}")
        uncounted = self._check_shortfalls(history, counted, ledger_time_ms)
        if uncounted:
            notes.append(f"{uncounted} hours with deliveries have no closed count of every egress proxy")

    def _sums(self) -> tuple[dict[NameAndHour, Counted], dict[NameAndHour, int]]:
        """What all proxies counted together, and the first entry that says so."""
        counted: dict[NameAndHour, Counted] = {}
        seqs: dict[NameAndHour, int] = {}
        for (_, from_at), names in self._rows.items():
            for sni, count in names.items():
                key = (sni, from_at)
                counted[key] = counted.get(key, Counted()).plus(_of(count))
                seqs[key] = min(count.seq, seqs.get(key, count.seq))
        return counted, seqs

    def _check_sums(self, proxy: str, from_at: int, closing: Any) -> None:
        rows = self._rows.get((proxy, from_at), {})
        total = Counted()
        for count in rows.values():
            total = total.plus(_of(count))
        if (len(rows), total) != (closing.names, _of(closing)):
            self._tell(
                "EGRESS_COUNT_MISMATCH",
                closing.seq,
                f"the counts of {proxy} for the hour {from_at} do not sum up to its total: one is missing or wrong",
            )

    def _check_shortfalls(
        self, history: History, counted: dict[NameAndHour, Counted], ledger_time_ms: int
    ) -> int:
        """Tell what was not counted in closed hours; how many hours should be closed by now and are not."""
        proxies = history.keys.proxies()
        began_ms = min(from_at for _, from_at in (*self._rows, *self._closed))
        uncounted: set[int] = set()
        for (sni, hour_ms), told in sorted(self._told.items()):
            if not told.requests or hour_ms < began_ms:
                continue
            closings = [self._closed[proxy, hour_ms] for proxy in proxies if (proxy, hour_ms) in self._closed]
            if len(closings) < len(proxies):
                if hour_ms + SUBMITTED_AFTER_MS <= ledger_time_ms:
                    uncounted.add(hour_ms)
                continue
            fault = find_shortfall(counted.get((sni, hour_ms), Counted()), told)
            if fault is not None:
                seq = min(closing.seq for closing in closings)
                self._tell("EGRESS_COUNT_MISMATCH", seq, f"{sni}, hour {hour_ms}: {fault}")
        return len(uncounted)


def _of(count: Any) -> Counted:
    return Counted(count.connections, count.bytes_up, count.bytes_down)
