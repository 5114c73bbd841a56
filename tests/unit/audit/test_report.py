"""The report counts what it cannot list, and its exit status is that of the worst finding."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from ledger.audit.findings import Finding, of_fault
from ledger.audit.report import Exposed, Report
from ledger.core.faults import Fault
from ledger.engines.scalar import ScalarEngine
from tests.support.builders import seen, tag
from tests.support.forged_logs import MemoryLog, encode_log, open_log, tell_events_apart, verify_source


def report(*findings: Finding, **members: Any) -> Report:
    made: dict[str, Any] = {
        "tree_size": 9, "root": None, "origin": "o", "vkey": "v", "checkpoint_size": None, "engine": "scalar",
        "verdicts": Counter(), "evidence": Counter(), "findings": list(findings), "unlisted": {},
        "exposed": Exposed(), "unsettled": 0, "notes": [],
    }  # fmt: skip
    return Report(**(made | members))


def finding(severity: Any) -> Finding:
    return of_fault(Fault(3, "SCHEMA_UNKNOWN", "", severity))


@pytest.mark.parametrize(("severities", "status"), [("", 0), ("A", 0), ("PA", 0), ("XPA", 1), ("AXI", 2)])
def test_the_exit_status_is_that_of_the_worst_finding(severities: str, status: int) -> None:
    assert report(*map(finding, severities)).exit_status == status


@pytest.mark.parametrize(("unsettled", "allowed", "status"), [(2, None, 0), (2, 2, 0), (2, 1, 1), (0, 0, 0)])
def test_more_unsettled_attempts_than_allowed_exit_1(
    unsettled: int, allowed: int | None, status: int
) -> None:
    assert report(unsettled=unsettled, unsettled_max=allowed).exit_status == status


def test_unsettled_attempts_never_hide_that_a_ledger_is_broken() -> None:
    assert report(finding("I"), unsettled=5, unsettled_max=0).exit_status == 2


def test_findings_too_many_to_list_are_counted() -> None:
    assert report(finding("A"), unlisted={"SCHEMA_UNKNOWN": 7}).codes() == {"SCHEMA_UNKNOWN": 8}


def test_somebody_definitely_affected_is_not_counted_as_possibly_affected() -> None:
    log = open_log()
    log.parties()
    people = sorted([tag("ann"), tag("bob"), tag("cat")])
    members: list[Any] = []
    log.imported("d-1", at=150, observed=seen())
    log.imported("d-2", at=150)
    log.imported("d-3", at=150, account="dan")
    for each in tell_events_apart(log):
        if each.get("delivery") == "d-1":
            each["subjects"] = people
        elif each.get("delivery") == "d-2":
            each["subjects"] = sorted([tag("bob"), tag("eve")])
        members.append(each)
    found = verify_source(MemoryLog(encode_log(members)), ScalarEngine()).report.to_json()
    assert found["accounts_affected"] == {"definite": 1, "possible": 1}
    # Ann's own data is no other person's; Bob is definite already.
    assert found["subjects_affected"] == {"definite": 2, "possible": 1}
    assert found["developers"] == [{"developer": "dev-a", "deliveries": 3, "accounts": 2, "subjects": 3}]


def test_what_was_not_disclosed_affects_nobody_and_exits_0() -> None:
    log = open_log()
    log.parties()
    log.imported("d-1", at=150, observed=seen(), disclosure="none")
    found = verify_source(MemoryLog(encode_log(log)), ScalarEngine()).report
    assert (found.exit_status, found.codes()) == (0, {"NO_GRANT": 1})
    assert found.to_json()["accounts_affected"] == {"definite": 0, "possible": 0}
