"""Changes are made in few steps, and as if they had been made one by one."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import TextClause, text

from ledger.ports import Change
from ledger.store.steps import TABLE_OPTION, steps_of


def of_table(table: str, sql: str) -> TextClause:
    return text(sql).execution_options(**{TABLE_OPTION: table})


NOTES_A = of_table("notes", "a")
NOTES_B = of_table("notes", "b")
PARCELS = of_table("parcels", "c")
ANY = text("d")
OTHER = text("e")
STATEMENTS = [NOTES_A, NOTES_B, PARCELS, ANY, OTHER]


def shown(*statements: TextClause) -> list[tuple[str, list[int]]]:
    """The steps for one change of each of ``statements``, whose values are their places."""
    changes = [Change(statement, {"place": place}) for place, statement in enumerate(statements)]
    return [(statement.text, [value["place"] for value in values]) for statement, values in steps_of(changes)]


def test_no_changes_are_no_steps() -> None:
    assert shown() == []


def test_changes_of_one_statement_are_one_step() -> None:
    assert shown(NOTES_A, NOTES_A, NOTES_A) == [("a", [0, 1, 2])]


def test_changes_of_other_tables_between_them_do_not_part_them() -> None:
    assert shown(PARCELS, NOTES_A, PARCELS, NOTES_A) == [("c", [0, 2]), ("a", [1, 3])]


def test_changes_of_one_table_keep_their_order() -> None:
    assert shown(NOTES_A, NOTES_B, PARCELS, NOTES_B, NOTES_A) == [
        ("a", [0]),
        ("b", [1, 3]),
        ("a", [4]),
        ("c", [2]),
    ]


def test_nothing_passes_a_change_that_names_no_table() -> None:
    assert shown(NOTES_A, ANY, NOTES_A, ANY, ANY, OTHER) == [
        ("a", [0]),
        ("d", [1]),
        ("a", [2]),
        ("d", [3, 4]),
        ("e", [5]),
    ]


def places(steps: Any, *, table: str | None) -> list[int]:
    return [
        value["place"]
        for statement, values in steps
        for value in values
        if table is None or statement.get_execution_options().get(TABLE_OPTION, table) == table
    ]


@given(st.lists(st.sampled_from(STATEMENTS), max_size=40))
def test_every_change_is_made_once_and_in_the_order_of_its_table(statements: list[TextClause]) -> None:
    changes = [Change(statement, {"place": place}) for place, statement in enumerate(statements)]
    steps = list(steps_of(changes))
    assert sorted(places(steps, table=None)) == list(range(len(changes)))
    for table in ("notes", "parcels"):
        ours = places(steps, table=table)
        assert ours == sorted(ours)
