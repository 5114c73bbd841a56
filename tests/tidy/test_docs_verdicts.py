"""docs/verdicts.md against the code: codes, severities, verdicts, and the members of the report."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ledger.audit.findings import of_judgement
from ledger.audit.report import Exposed, Report
from ledger.core.verdicts import CODES, RULE_SET, VERDICTS
from tests.support.builders import Log

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "verdicts.md").read_text("utf-8")
SHARED_MEMBERS = {"code", "codes", "severity", "entries"}


def rows(first: str, text: str = PAGE) -> Iterator[list[str]]:
    """The cells of each row of the table whose head begins with ``first``, in each of its places."""
    for body in re.findall(rf"^\| {first} \|.*\n\| ---.*\n((?:\|.*\n)+)", text, re.MULTILINE):
        for line in body.splitlines():
            yield [cell.strip() for cell in line.strip("|").split("|")]


def ticked(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_codes_and_severities_are_those_of_the_rules_in_their_order() -> None:
    listed = [(ticked(code)[0], severity) for code, severity, *_ in rows("code")]
    assert listed == [(row.code, row.severity) for row in CODES.values()]


def test_every_verdict_is_in_the_table_of_then_and_now() -> None:
    assert [ticked(verdict)[0] for _, _, verdict in rows("then")] == list(VERDICTS)


def test_the_rule_set_is_named() -> None:
    assert f"`{RULE_SET}`" in PAGE


def test_the_members_of_the_report_are_listed_in_their_order() -> None:
    empty = Report(
        tree_size=0,
        root=None,
        origin="",
        vkey="",
        checkpoint_size=None,
        engine="scalar",
        verdicts=Counter(),
        evidence=Counter(),
        findings=[],
        unlisted={},
        exposed=Exposed(),
        unsettled=0,
        notes=[],
    )
    report = PAGE.partition("Every finding has")[0].partition("## The report")[2]
    assert [name for cell, _ in rows("member", report) for name in ticked(cell)] == list(empty.to_json())


def test_the_members_of_a_finding_about_an_attempt_are_listed() -> None:
    log = Log()
    log.parties()
    found = of_judgement(log.judge(log.imported()))
    assert found is not None
    section = PAGE.partition("Every finding has")[2]
    listed = {name for cell, _ in rows("member", section) for name in ticked(cell)}
    assert listed == set(found.to_json()) - SHARED_MEMBERS
