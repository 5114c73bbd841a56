"""msgspec structs made from the dataclasses of ``ledger.core.entries``, so that the schema is stated once.

A struct has the fields, names and optionality of its dataclass, tagged by ``kind``. Its types and integer bounds are
the dataclass's; its *patterns* are left to the caller (``patterns_of``), because msgspec checks a pattern by calling
a regular expression for each value, while whole columns can be checked far faster (:mod:`ledger.engines.patterns`).
"""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import msgspec

from ledger.core.entries import KINDS
from ledger.core.entries.codec import split_optional
from ledger.core.entries.members import Bounds, Pattern, SortedSet

StructType = type[msgspec.Struct]


def _field_type(hint: Any) -> Any:
    """The msgspec type of a member's annotation, without its pattern."""
    if isinstance(hint, type) and is_dataclass(hint):
        return struct_of(hint)
    if typing.get_origin(hint) is not typing.Annotated:
        return hint
    _, note = typing.get_args(hint)
    if isinstance(note, Bounds):
        return typing.Annotated[int, msgspec.Meta(ge=note.low, le=note.high)]
    if isinstance(note, Pattern):
        return str
    assert isinstance(note, SortedSet), f"no struct field for {hint}"
    return typing.Annotated[list[str], msgspec.Meta(min_length=note.count_min)]


_STRUCTS: dict[tuple[type, str], StructType] = {}


def struct_of(source: type, kind: str = "") -> StructType:
    """The struct of a dataclass; with ``kind``, tagged by that kind and with a ``kind`` attribute like an entry's.

    Those of nested objects (without ``kind``) are frozen, so that equal ones can be looked up.
    """
    made = _STRUCTS.get((source, kind))
    if made is not None:
        return made
    hints = typing.get_type_hints(source, include_extras=True)
    members: list[Any] = []
    for field in fields(source):
        if kind and field.name == "kind":
            continue
        hint, is_optional = split_optional(hints[field.name])
        field_type: Any = _field_type(hint)
        members.append((field.name, field_type | None, None) if is_optional else (field.name, field_type))
    made = msgspec.defstruct(
        f"{source.__name__}Struct",
        members,
        omit_defaults=True,
        kw_only=True,
        gc=False,
        frozen=not kind,
        forbid_unknown_fields=True,
        tag_field="kind" if kind else None,
        tag=kind or None,
        namespace={"kind": kind} if kind else None,
    )
    _STRUCTS[(source, kind)] = made
    return made


def known_entry_type() -> Any:
    """The union of the structs of all known kinds, for a decoder."""
    union: Any = None
    for kind, source in KINDS.items():
        made = struct_of(source, kind)
        union = made if union is None else union | made
    return union


def patterns_of(source: type) -> Iterator[tuple[tuple[str, ...], Pattern | SortedSet, Pattern | None, bool]]:
    """What the struct of ``source`` does not check: ``(path, rule, item pattern, optional)`` for each such member.

    ``path`` is the member's name, or the names down to a nested one. For a list the rule is its :class:`SortedSet`
    and the item pattern that of its items (None: any text).
    """
    hints = typing.get_type_hints(source, include_extras=True)
    for field in fields(source):
        hint: Any
        hint, optional = split_optional(hints[field.name])
        if isinstance(hint, type) and is_dataclass(hint):
            for path, rule, item, inner_optional in patterns_of(hint):
                yield (field.name, *path), rule, item, inner_optional
        elif typing.get_origin(hint) is typing.Annotated:
            base, note = typing.get_args(hint)
            if isinstance(note, Pattern):
                yield (field.name,), note, None, optional
            elif isinstance(note, SortedSet):
                item_hint = typing.get_args(base)[0]
                item_note = typing.get_args(item_hint)[1] if typing.get_origin(item_hint) else None
                yield (field.name,), note, item_note, optional
