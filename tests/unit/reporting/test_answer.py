"""The one line with which the page of a verification begins."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.reporting.answer import answer_of
from tests.support.report_samples import broken_report, clean_report, finding, ledger_finding, verify_report

_STATE = "as of tree size 2,981 under key ledger.example/log+8a1f20c4"


def _of(*findings: dict[str, Any], **members: Any) -> tuple[str, str]:
    answer = answer_of(verify_report(list(findings), **members))
    return answer.headline, answer.lede


def test_a_clean_ledger_is_intact_and_every_delivery_backed_as_of_a_size_under_a_key() -> None:
    answer = answer_of(clean_report())
    assert answer.headline == f"The ledger is intact and every delivery was backed, {_STATE}"
    assert not answer.is_bad


def test_an_empty_ledger_claims_nothing_of_deliveries() -> None:
    headline, lede = _of(counts={})
    assert headline == f"The ledger is intact and holds no delivery yet, {_STATE}"
    assert lede == ""


def test_a_delivery_that_cannot_be_judged_is_not_called_backed() -> None:
    unsettled = finding("ATTEMPT_UNSETTLED", "P", verdict="INDETERMINATE")
    headline, lede = _of(unsettled, counts={"AUTHORIZED": 1_203, "INDETERMINATE": 1})
    assert headline == f"The ledger is intact and shows no exposure, {_STATE}"
    assert lede == (
        "1,203 of 1,204 deliveries were backed. Of the rest, cannot say: 1. 1 finding of procedure or advice is below."
    )


@pytest.mark.parametrize(
    ("code", "count", "headline"),
    [
        (
            "WRONG_DEVELOPER",
            3,
            "3 of 1,204 deliveries went to a developer that the account had not authorized",
        ),
        ("NO_GRANT", 1, "1 of 1,204 deliveries went to a developer that the account had not authorized"),
        ("ENDPOINT_UNKNOWN", 1, "1 of 1,204 deliveries went to an address that nobody owned"),
        (
            "WRONG_APP",
            2,
            "2 of 1,204 deliveries went to another app or environment than the account had authorized",
        ),
        ("RETRY_AFTER_REVOCATION", 2, "2 of 1,204 deliveries fell outside the time of a permission"),
        ("SCOPE_NARROWED", 2, "2 of 1,204 deliveries held data that no permission covered"),
        ("GRANT_INVALIDATED", 1, "1 of 1,204 deliveries was sent without a valid permission"),
        ("GRANT_BACKDATED", 2, "2 of 1,204 deliveries were sent without a valid permission"),
    ],
)
def test_exposures_of_one_kind_are_told_by_what_happened(code: str, count: int, headline: str) -> None:
    assert _of(*(finding(code, "X", index) for index in range(count)))[0] == headline


def test_exposures_of_several_kinds_are_counted_kind_by_kind() -> None:
    codes = ("WRONG_DEVELOPER", "NO_GRANT", "DELIVERED_AFTER_EXPIRY", "GRANT_INVALIDATED")
    headline, lede = _of(*(finding(code, "X") for code in codes))
    assert headline == "4 of 1,204 deliveries were sent without a valid permission"
    assert lede == (
        f"The ledger itself is intact, {_STATE}. Of the exposed deliveries, 2 went to a developer that the account had "
        f"not authorized, 1 fell outside the time of a permission and 1 was sent without a valid permission."
    )


def test_an_exposure_that_no_delivery_explains_is_not_counted_as_a_delivery() -> None:
    leak = ledger_finding("CANARY_LEAKED", "X", "seen by somebody", [7])
    assert _of(leak)[0] == "1 finding points to data that got out by a way that is not recorded"
    headline, lede = _of(leak, finding("NO_GRANT", "X"))
    assert headline.startswith("1 of 1,204 deliveries went to")
    assert lede.endswith("Besides, 1 finding points to data that got out by a way that is not recorded.")


def test_a_broken_ledger_comes_before_an_exposure_and_devalues_every_figure() -> None:
    answer = answer_of(broken_report())
    assert answer.headline.startswith("The ledger is broken: an entry does not carry the fingerprint")
    assert answer.lede.startswith(f"2 findings of integrity, {_STATE}.")
    assert answer.is_bad
