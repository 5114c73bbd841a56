"""A verification from end to end, where what its parts say has to be put together."""

from __future__ import annotations

import pytest

from ledger.audit.report import Report
from ledger.engines.duck import DuckEngine
from ledger.engines.scalar import ScalarEngine
from tests.support.builders import Log, seen
from tests.support.forged_logs import (
    Members,
    MemoryLog,
    encode_log,
    open_log,
    report_bytes,
    tell_events_apart,
    verify_source,
)


def begin() -> Log:
    log = open_log()
    log.parties()
    log.add("endpoint.verified", 1, endpoint="wh-a")
    log.issue(at=100)
    return log


def verified(entries: list[Members]) -> Report:
    """The scalar engine's report, which DuckDB's must repeat."""
    source = MemoryLog(encode_log(entries))
    reports = [
        verify_source(source, engine, unsettled_max=0).report for engine in (ScalarEngine(), DuckEngine(1))
    ]
    assert report_bytes(reports[1]) == report_bytes(reports[0])
    return reports[0]


@pytest.mark.parametrize(("later_ms", "unsettled"), [(59_999, 0), (60_000, 1)])
def test_an_attempt_counts_as_unsettled_sixty_seconds_after_it_was_recorded(
    later_ms: int, unsettled: int
) -> None:
    log = begin()
    log.attempt(at=150)
    log.add("developer.registered", 150 + later_ms, developer="dev-z")
    report = verified(tell_events_apart(log))
    assert (report.unsettled, report.exit_status) == (unsettled, unsettled)


@pytest.mark.parametrize(
    "kind", ["grant.issued", "endpoint.verified", "endpoint.registered", "app.registered"]
)
def test_an_event_whose_seq_lies_beyond_the_log_backs_nothing(kind: str) -> None:
    log = begin()
    log.settle(log.attempt("d-1", at=150))
    log.imported("d-2", at=150, observed=seen())
    entries = tell_events_apart(log)
    for each in entries:
        if each["kind"] == kind:
            each["seq"] = 10**12
    assert verified(entries).codes()["SEQ_GAP"]


def test_a_settlement_whose_seq_lies_before_its_attempts_was_sent_without_it() -> None:
    log = begin()
    log.settle(log.attempt(at=150))
    entries = tell_events_apart(log)
    entries[-1]["seq"] = 3
    assert verified(entries).codes() == {"SEQ_DUPLICATE": 1, "SENT_WITHOUT_ATTEMPT": 1}


def test_engines_agree_that_a_status_belies_no_disclosure() -> None:
    log = begin()
    log.settle(log.attempt("d-1", at=150), disclosure="none", status=200)
    log.imported("d-2", at=150, disclosure="none", status=200)
    assert verified(tell_events_apart(log)).codes() == {"ENTRY_MALFORMED": 2}
