"""Statements of the service's tables: what may be bound to them, and how they run.

A change that goes with an entry runs in the transaction of a whole batch of entries, most of them other people's. So what
some database cannot keep (a NUL, half a surrogate pair, too long a text, too large a number) is refused here, to whoever
brings it, when the change is made and not when it runs; and the statements are written so that what others did meanwhile
makes them change nothing instead of failing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from sqlalchemy import BigInteger, Engine, Integer, TextClause, text
from sqlmodel import SQLModel

from ledger.errors import RejectedError, StoreError
from ledger.ports import Change
from ledger.store.engine import begin_read
from ledger.store.steps import TABLE_OPTION

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

TEXT_CHARACTERS_MAX = 65_536
INTEGER_MAX = 2**63 - 1
SMALL_INTEGER_MAX = 2**31 - 1

Value = str | int | bytes | None


class ChangeStatement:
    """The SQL of one kind of change to ``table``, whose columns' names it binds; made once, where a module begins.

    It reads and writes that table only, so that changes run in few steps (:mod:`ledger.store.steps`).
    """

    __slots__ = ("_bounds", "text")

    def __init__(self, table: type[SQLModel], sql: str) -> None:
        self.text = text(sql).execution_options(**{TABLE_OPTION: table.__tablename__})
        self._bounds = bounds_of(table)

    def change(self, **values: Value) -> Change:
        """The change with ``values``; raises RejectedError where the table cannot keep one of them."""
        check_values(values, self._bounds)
        return Change(self.text, values)


def columns_of(value: type[DataclassInstance]) -> str:
    """The members of the dataclass ``value``, in order: the columns of a table that names them the same."""
    return ", ".join(field.name for field in fields(value))


def bounds_of(table: type[SQLModel]) -> dict[str, int]:
    """For each column of ``table`` with a bound the most characters, or the largest number, that it takes."""
    bounds = {}
    for column in SQLModel.metadata.tables[str(table.__tablename__)].columns:
        if isinstance(column.type, Integer):
            is_big = isinstance(column.type, BigInteger)
            bounds[column.name] = INTEGER_MAX if is_big else SMALL_INTEGER_MAX
        else:
            bounds[column.name] = getattr(column.type, "length", None) or TEXT_CHARACTERS_MAX
    return bounds


def check_values(values: Mapping[str, Value], bounds: Mapping[str, int]) -> None:
    """Raise RejectedError, which repeats no value, where a table of these ``bounds`` cannot keep one of ``values``."""
    for name, value in values.items():
        kind = type(value)
        if kind is str:
            assert isinstance(value, str)
            most = bounds.get(name, TEXT_CHARACTERS_MAX)
            if len(value) > most:
                raise RejectedError(f"{name} has {len(value)} characters, more than {most}")
            if not is_storable(value):
                raise RejectedError(f"{name} holds a NUL or half a character")
        elif kind is int:
            assert isinstance(value, int)
            if not 0 <= value <= bounds.get(name, INTEGER_MAX):
                raise RejectedError(f"{name} is out of range")


def is_storable(value: str) -> bool:
    """Whether every database can keep ``value``: no NUL in it, and no half of a surrogate pair."""
    if "\0" in value:
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def fetch(engine: Engine, doing: str, statement: TextClause, **values: Value) -> Sequence[Any]:
    """The rows that ``statement`` finds for ``values``, which may be anything that a stranger sent.

    No row holds a text that no database can keep, and no number lies beyond the largest one.
    """
    if not all(is_storable(value) for value in values.values() if isinstance(value, str)):
        return ()
    with begin_read(engine, doing) as connection:
        return connection.execute(statement, within(values)).fetchall()


def within(values: Mapping[str, Value]) -> dict[str, Value]:
    """``values`` with numbers that no column holds replaced by the outermost that one does."""
    return {
        name: max(-INTEGER_MAX, min(value, INTEGER_MAX)) if isinstance(value, int) else value
        for name, value in values.items()
    }


def each_of(texts: Iterable[str]) -> str:
    """``texts`` as the one parameter of :func:`asked`, without those that no row can hold."""
    return json.dumps([one for one in texts if is_storable(one)], ensure_ascii=False)


def asked(engine: Engine, parameter: str) -> str:
    """SQL of a table with a column ``value``: the texts that :func:`each_of` put into ``parameter``.

    One statement for any number of texts, so that it is prepared once.
    """
    if engine.dialect.name == "postgresql":
        return f"json_array_elements_text(CAST(:{parameter} AS json)) AS asked (value)"
    return f"json_each(:{parameter}) AS asked"


def each_pair_of(pairs: Iterable[tuple[str, str]]) -> str:
    """``pairs`` as the one parameter of :func:`asked_pairs`, without those that no row can hold."""
    return json.dumps([pair for pair in pairs if all(map(is_storable, pair))], ensure_ascii=False)


def asked_pairs(engine: Engine, parameter: str) -> str:
    """SQL of a query for the pairs that :func:`each_pair_of` put into ``parameter``."""
    if engine.dialect.name == "postgresql":
        source = f"json_array_elements(CAST(:{parameter} AS json)) AS asked (value)"
        return f"SELECT asked.value ->> 0, asked.value ->> 1 FROM {source}"
    return (
        "SELECT json_extract(asked.value, '$[0]'), json_extract(asked.value, '$[1]') "
        f"FROM json_each(:{parameter}) AS asked"
    )


def encode_texts(texts: Sequence[str]) -> str:
    """``texts`` as they are kept in one column: a JSON array."""
    return json.dumps(list(texts), ensure_ascii=False, separators=(",", ":"))


def encode_numbers(numbers: Sequence[int]) -> str:
    """``numbers`` as they are kept in one column: a JSON array."""
    return json.dumps(list(numbers), separators=(",", ":"))


_T = TypeVar("_T")

_TEXTS = msgspec.json.Decoder(tuple[str, ...])
_NUMBERS = msgspec.json.Decoder(tuple[int, ...])


def decode_texts(kept: str) -> tuple[str, ...]:
    """What :func:`encode_texts` encoded; StoreError where it was altered."""
    return _decode(_TEXTS, kept)


def decode_numbers(kept: str) -> tuple[int, ...]:
    """What :func:`encode_numbers` encoded; StoreError where it was altered."""
    return _decode(_NUMBERS, kept)


def _decode(decoder: msgspec.json.Decoder[_T], kept: str) -> _T:
    try:
        return decoder.decode(kept)
    except (msgspec.DecodeError, TypeError):
        raise StoreError(
            "a list in the service's tables cannot be read: somebody edited the database; restore a backup"
        ) from None
