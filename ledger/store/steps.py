"""In which steps changes beside the log are made: few, because each costs a call of the database.

A step is one statement with the values of many changes. Changes of one table are made in the order in which they came;
those of different tables do not depend on one another, since a statement that names its table
(:data:`TABLE_OPTION`) reads and writes no other, and so one step takes all of a statement's changes to a table between which
no other statement's came. Nothing is moved past a change whose statement names no table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ledger.ports import Change

TABLE_OPTION = "ledger_table"
"""The execution option of a statement that names the one table that it reads and writes."""

Step = tuple[Any, list[Mapping[str, Any]]]
"""A statement and the values to run it with, one after the other."""


def steps_of(changes: Iterable[Change]) -> Iterator[Step]:
    """The steps that make ``changes``."""
    waiting: dict[str | None, list[Step]] = {}
    tables: dict[int, str | None] = {}
    for statement, values in changes:
        if id(statement) not in tables:
            tables[id(statement)] = statement.get_execution_options().get(TABLE_OPTION)
        table = tables[id(statement)]
        if waiting and (table is None) != (None in waiting):
            yield from _all_of(waiting)
            waiting.clear()
        steps = waiting.setdefault(table, [])
        if steps and steps[-1][0] is statement:
            steps[-1][1].append(values)
        else:
            steps.append((statement, [values]))
    yield from _all_of(waiting)


def _all_of(waiting: Mapping[str | None, list[Step]]) -> Iterator[Step]:
    for steps in waiting.values():
        yield from steps
