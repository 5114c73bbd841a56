"""An operator tries every lie of docs/threat-model.md, and account, auditor, witness, developer or proxy catches it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from tests.lies.machine import SETTINGS, Lying
from tests.lies.place import DEVELOPERS, PEOPLE
from tests.lies.rows import ROWS
from tests.lies.told_lies import TOLD_LIES
from tests.lies.trial import ALL_LIES, USES, Trial

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "threat-model.md").read_text("utf-8")
SECTIONS = (
    "The operator, about the log",
    "The log, to whoever follows it",
    "The operator, about what happened",
)


class Chance:
    """Choices as hypothesis would make them, fixed by a name."""

    def __init__(self, name: str) -> None:
        self._random = random.Random(name)

    def __call__(self, strategy: st.SearchStrategy[int]) -> int:
        """A number out of the bounds of ``strategy``."""
        bounds = strategy.wrapped_strategy  # type: ignore[attr-defined]
        return self._random.randint(bounds.start, bounds.end)

    def pick(self, count: int) -> int:
        """One of the first ``count`` numbers."""
        return self._random.randrange(count)


def test_whatever_happened_before_it_each_lie_is_caught_by_whom_it_should_be() -> None:
    run_state_machine_as_test(Lying, settings=SETTINGS)


@pytest.mark.parametrize("lie", ALL_LIES, ids=lambda lie: lie.__name__)
def test_no_lie_is_left_untried(lie: Callable[..., object]) -> None:
    chance, trial = Chance(lie.__name__), Trial()
    try:
        trial.begin(DEVELOPERS[chance.pick(2)])
        trial.place.back_up()
        for _ in range(2 + chance.pick(4)):
            grant = trial.place.grant(PEOPLE[chance.pick(3)], DEVELOPERS[chance.pick(2)])
            trial.use(grant, USES[chance.pick(len(USES))])
            if not chance.pick(3):
                trial.place.pass_time(70)
                trial.place.close_hours()
        if lie not in TOLD_LIES and not chance.pick(3):
            trial.tell(TOLD_LIES[chance.pick(len(TOLD_LIES))], chance)
        trial.tell(lie, chance)
        assert trial.judged[-1] == lie.__name__
    finally:
        trial.close()


def rows() -> dict[str, str]:
    """What catches each lie of the operator's sections, by what the page says of it."""
    found: dict[str, str] = {}
    for section in PAGE.split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        if title in SECTIONS:
            cells = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| ")]
            found |= {row[0].strip(): row[1].strip() for row in cells if row[0].strip() not in ("lie", "---")}
    return found


def test_no_row_of_the_operators_lies_is_left_out() -> None:
    assert set(ROWS) == set(rows())


def test_each_row_has_a_lie_here_or_says_itself_why_there_is_none() -> None:
    lies = {one.__name__ for one in ALL_LIES}
    tried = set()
    for row, (names, reason) in ROWS.items():
        assert set(names) <= lies, row
        assert names or reason, row
        assert reason in rows()[row], f"{row}: the page says {rows()[row]!r}"
        tried |= set(names)
    assert tried == lies, "each lie belongs to a row"
