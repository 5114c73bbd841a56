"""The tables of verdicts, codes and severities (verdict rules, sections 2.2 and 2.3)."""

from __future__ import annotations

import hashlib

import pytest

from ledger.core import canonical
from ledger.core.verdicts import (
    CODES,
    RULE_SET_HASH,
    VERDICTS,
    Severity,
    describe_rules,
    exit_status,
    highest,
    in_table_order,
    primary_of,
    severity_of,
)


def test_there_are_five_verdicts() -> None:
    assert set(VERDICTS) == {
        "AUTHORIZED",
        "VOIDED_LATER",
        "COVERED_RETROACTIVELY",
        "UNAUTHORIZED",
        "INDETERMINATE",
    }


@pytest.mark.parametrize(
    ("family", "severity", "count"),
    [
        ("recipient", "X", 8),
        ("time", "X", 9),
        ("time", "A", 1),
        ("time", "I", 1),
        ("content", "X", 3),
        ("authority", "X", 1),
        ("authority", "P", 2),
        ("authority", "I", 1),
        ("integrity", "I", 15),
        ("integrity", "A", 1),
        ("hygiene", "P", 6),
        ("hygiene", "A", 3),
        ("hygiene", "X", 3),
        ("hygiene", "I", 2),
        ("obligations", "P", 7),
    ],
)
def test_a_family_has_as_many_codes_of_a_severity_as_the_table(
    family: str, severity: str, count: int
) -> None:
    assert sum(row.family == family and row.severity == severity for row in CODES.values()) == count


def test_the_table_has_no_other_codes() -> None:
    assert len(CODES) == 63


def test_codes_are_listed_once_in_table_order() -> None:
    assert in_table_order(["SNI_MISMATCH", "NO_GRANT", "SCOPE_EXCEEDED", "NO_GRANT"]) == (
        "NO_GRANT",
        "SCOPE_EXCEEDED",
        "SNI_MISMATCH",
    )


def test_a_broken_ledger_is_higher_than_an_exposure_that_it_tells_of() -> None:
    assert highest(["A", "P", "X", "I"]) == "I"
    assert highest([]) is None


def test_the_primary_code_has_the_highest_severity_and_then_comes_first_in_the_table() -> None:
    severities: dict[str, Severity] = {
        "DUPLICATE_DELIVERY": "A",
        "SNI_MISMATCH": "P",
        "DESTINATION_MISMATCH": "P",
    }
    assert primary_of(severities) == "DESTINATION_MISMATCH"  # type: ignore[arg-type]
    assert primary_of({}) is None


@pytest.mark.parametrize(
    ("severities", "status"),
    [([], 0), (["A", "P"], 0), (["P", "X"], 1), (["X", "I", "A"], 2)],
)
def test_only_exposures_and_broken_ledgers_make_the_exit_status(
    severities: list[Severity], status: int
) -> None:
    assert exit_status(severities) == status


def test_the_rule_set_hash_covers_every_code_and_scope() -> None:
    described = canonical.decode(describe_rules())
    assert [row[0] for row in described["codes"]] == list(CODES)  # type: ignore[index, union-attr]
    assert "all" in described["scopes"]  # type: ignore[operator]
    assert hashlib.sha256(describe_rules()).hexdigest() == RULE_SET_HASH


def test_the_usual_severity_of_in_flight_is_advisory() -> None:
    assert severity_of("IN_FLIGHT") == "A"
