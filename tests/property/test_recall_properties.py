"""A history that remembers answers gives the same ones as a history that was never asked before."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ledger.core.completion import complete
from ledger.core.grants import Question
from ledger.core.history import History
from ledger.sequencer.gate import Backing, NotBacked, check_gate
from tests.property.test_rule_properties import ENDPOINTS, QUESTIONS, STEPS, Step, build, try_add
from tests.support.builders import Log, seen

INSTANTS_MS = range(16)


def _told(answer: Backing | NotBacked) -> object:
    if isinstance(answer, NotBacked):
        return answer.code
    return answer.grant, answer.version, answer.url, answer.until_ms


def _completed(history: History, size: int, endpoint: str, at_ms: int) -> list[dict[str, Any]]:
    """What is looked up for imports and settlements of deliveries that started at ``at_ms``."""
    completed: list[dict[str, Any]] = []
    for observed in (seen("shared.example"), seen("nobody.example"), None):
        common = {"at": 0, "started_at": at_ms} | ({} if observed is None else {"observed": observed})
        imported = common | {"kind": "delivery.imported", "endpoint": endpoint}
        settled = common | {"kind": "delivery.settled"}
        complete(imported, history, size)
        complete(settled, history, size, endpoint=endpoint)
        completed += [imported, settled]
    return completed


def _answers(history: History, size: int, members: dict[str, Any], at_ms: int) -> tuple[object, ...]:
    """The gate's answer to one intent at ``at_ms``, and what is looked up there by the entries below ``size``."""
    gate = _told(check_gate(history, members, at_ms))
    return gate, _completed(history, size, members["endpoint"], at_ms)


def _never_asked(log: Log) -> History:
    history = History()
    for entry in log.entries:
        history.add(entry)
    return history


@given(
    steps=st.lists(STEPS, min_size=1, max_size=3),
    question=QUESTIONS,
    endpoint=st.sampled_from(ENDPOINTS),
)
def test_no_answer_depends_on_what_was_asked_before(
    steps: list[list[tuple[int, Step]]], question: Question, endpoint: str
) -> None:
    members = {**question._asdict(), "endpoint": endpoint}
    log = build(steps[0])
    for more in [[], *steps[1:]]:
        for at, (kind, stated) in more:
            try_add(log, at, kind, stated)
        for size in (log.size, log.size // 2):
            asked_before = [_answers(log.history, size, members, at_ms) for at_ms in INSTANTS_MS]
            assert asked_before == [
                _answers(_never_asked(log), size, members, at_ms) for at_ms in INSTANTS_MS
            ]
