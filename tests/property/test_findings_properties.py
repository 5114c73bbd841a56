"""Findings about entries over random histories."""

from __future__ import annotations

from hypothesis import given

from ledger.core.history import History
from ledger.core.ledger_findings import find_entry_findings, rests_on_what_follows
from tests.property.test_rule_properties import STEPS, Step, build


@given(STEPS)
def test_findings_that_rest_on_what_stands_before_are_found_without_the_rest(
    steps: list[tuple[int, Step]],
) -> None:
    log = build(steps)
    before = History()
    for entry in log.entries:
        if not rests_on_what_follows(entry):
            assert find_entry_findings(entry, before) == find_entry_findings(entry, log.history)
        before.add(entry)
