"""Answers about parties are kept exactly as long as they hold (verdict rules, sections 2.1 and 2.5)."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.core import recall as recall_module
from ledger.core.recall import SINGLY_MAX, Recall

HISTORY = object()


class Rule:
    """A rule that remembers the instants at which it was asked, and answers with them."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, history: Any, name: str, at_ms: int) -> str:
        assert history is HISTORY, "the rule is asked about the history that it was asked about"
        self.asked.append(at_ms)
        return f"{name} at {at_ms}"


@pytest.fixture
def recall() -> Recall:
    """Something changes at 100, at 200 and at 300."""
    made = Recall()
    made.add(0, 200)
    made.add(4, 100, 300)
    return made


def test_between_two_changes_a_rule_is_asked_once(recall: Recall) -> None:
    rule = Rule()
    answers = {recall.ask(rule, HISTORY, ("x",), at_ms) for at_ms in (150, 100, 199)}
    assert (answers, rule.asked) == ({"x at 150"}, [150])


def test_each_stretch_of_time_has_its_own_answers_and_keeps_them(recall: Recall) -> None:
    rule = Rule()
    instants = [0, 99, 100, 199, 200, 299, 300, 2**53 - 1]
    once = [recall.ask(rule, HISTORY, ("x",), at_ms) for at_ms in instants]
    again = [recall.ask(rule, HISTORY, ("x",), at_ms) for at_ms in reversed(instants)]
    assert once == [f"x at {at_ms}" for at_ms in (0, 0, 100, 100, 200, 200, 300, 300)]
    assert again == list(reversed(once))


def test_two_rules_and_two_questions_never_share_an_answer(recall: Recall) -> None:
    rules = Rule(), Rule()
    answers = [recall.ask(rule, HISTORY, (name,), 150) for rule in rules for name in "xy"]
    assert answers == ["x at 150", "y at 150"] * 2
    assert [rule.asked for rule in rules] == [[150, 150], [150, 150]]


def test_an_event_about_a_party_throws_away_every_answer(recall: Recall) -> None:
    rule = Rule()
    recall.ask(rule, HISTORY, ("x",), 150)
    recall.add(9, 500)
    recall.ask(rule, HISTORY, ("x",), 160)
    assert (rule.asked, recall.last_seq) == ([150, 160], 9)


@pytest.mark.parametrize("count", [1, SINGLY_MAX, SINGLY_MAX + 1, 1_000])
def test_changes_count_in_whatever_order_they_were_recorded(recall: Recall, count: int) -> None:
    rule = Rule()
    recall.ask(rule, HISTORY, ("x",), 150)
    for number in range(count):
        recall.add(10 + number, 1_000 + (number * 7_919) % count)
    answers = [recall.ask(rule, HISTORY, ("x",), 1_000 + number) for number in range(count)]
    assert answers == [f"x at {1_000 + number}" for number in range(count)]


def test_none_is_an_answer_like_any_other(recall: Recall) -> None:
    asked: list[int] = []
    for at_ms in (150, 160):
        assert recall.ask(answer_nothing, asked, (), at_ms) is None
    assert asked == [150]


def answer_nothing(asked: list[int], at_ms: int) -> None:
    asked.append(at_ms)


def test_what_a_rule_raises_is_not_kept(recall: Recall) -> None:
    def failing(_history: object, at_ms: int) -> int:
        if at_ms == 150:
            raise ValueError("not now")
        return at_ms

    with pytest.raises(ValueError, match="not now"):
        recall.ask(failing, HISTORY, (), 150)
    assert recall.ask(failing, HISTORY, (), 160) == 160


def test_no_more_answers_are_kept_than_the_bound(recall: Recall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall_module, "KEPT_MAX", 10)
    rule = Rule()
    for number in range(1_000):
        at_ms = number % 400
        assert recall.ask(rule, HISTORY, (str(number),), at_ms) == f"{number} at {at_ms}"
    assert recall.ask(rule, HISTORY, ("999",), 199) == "999 at 199"
    assert recall.ask(rule, HISTORY, ("0",), 0) == "0 at 0"
    assert len(rule.asked) == 1_001
