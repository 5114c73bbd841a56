"""Entry bytes <-> entry, strictly: the definition that every faster decoder is tested against (section 1.1).

``decode_entry`` accepts exactly the canonical bytes of an object with well-typed common members. A known kind with a
missing or ill-typed member is refused (``ENTRY_MALFORMED``); an unknown kind, or a member that this version does
not list, is kept and told (``SCHEMA_UNKNOWN``). It does not look at neighbours: links are :mod:`ledger.core.chain`'s.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass

from ledger.core import canonical
from ledger.core.canonical import JsonValue
from ledger.core.entries.base import KINDS, Entry
from ledger.core.entries.members import (
    Bounds,
    Check,
    Pattern,
    SortedSet,
    check_bounds,
    check_choice,
    check_exact,
    check_pattern,
    check_sorted_set,
)
from ledger.errors import FormatError


@dataclass(frozen=True, slots=True)
class MemberRule:
    """One member of a kind: its name, its check, and whether it may be left out."""

    name: str
    check: Check
    optional: bool
    nested: type | None = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """An entry read from its bytes.

    ``members`` is the whole object; ``unknown`` the names that this version does not list (dotted when nested),
    ``known`` whether the kind is listed: then ``entry`` is of its dataclass, else a plain :class:`Entry`.
    """

    entry: Entry
    members: dict[str, JsonValue]
    known: bool
    unknown: tuple[str, ...]


def split_optional(hint: object) -> tuple[object, bool]:
    """``(T, True)`` for ``T | None``, else ``(hint, False)``."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        inner = [argument for argument in typing.get_args(hint) if argument is not type(None)]
        assert len(inner) == 1, f"a member has one type: {hint}"
        return inner[0], True
    return hint, False


def _check_of(hint: object) -> Check:
    if typing.get_origin(hint) is typing.Annotated:
        base, *notes = typing.get_args(hint)
        for note in notes:
            if isinstance(note, Pattern):
                return check_pattern(note)
            if isinstance(note, Bounds):
                return check_bounds(note)
            if isinstance(note, SortedSet):
                return check_sorted_set(note, _check_of(typing.get_args(base)[0]))
    if typing.get_origin(hint) is typing.Literal:
        return check_choice(frozenset(typing.get_args(hint)))
    assert hint in (str, bool), f"no check for the type {hint}"
    return check_exact(typing.cast(type, hint))


def _check_nested(nested: type) -> Check:
    rules = {rule.name: rule for rule in member_rules(nested)}

    def check(value: object) -> str | None:
        if not isinstance(value, dict):
            return "is not an object"
        return _first_fault(value, rules.values())

    return check


def member_rules(entry_type: type) -> tuple[MemberRule, ...]:
    """The rules of the members of a dataclass of this package, in the order of its fields."""
    hints = typing.get_type_hints(entry_type, include_extras=True)
    rules = []
    for field in fields(entry_type):
        hint, optional = split_optional(hints[field.name])
        if isinstance(hint, type) and is_dataclass(hint):
            rules.append(MemberRule(field.name, _check_nested(hint), optional, hint))
            continue
        rules.append(MemberRule(field.name, _check_of(hint), optional))
    return tuple(rules)


def _first_fault(members: Mapping[str, object], rules: typing.Iterable[MemberRule]) -> str | None:
    for rule in rules:
        if rule.name not in members:
            if rule.optional:
                continue
            return f"has no member {rule.name}"
        reason = rule.check(members[rule.name])
        if reason:
            return f"member {rule.name} {reason}"
    return None


_RULES: dict[type, tuple[MemberRule, ...]] = {}


def rules_of(entry_type: type) -> tuple[MemberRule, ...]:
    """:func:`member_rules`, made once for each dataclass."""
    rules = _RULES.get(entry_type)
    if rules is None:
        rules = _RULES[entry_type] = member_rules(entry_type)
    return rules


def encode_entry(members: Mapping[str, JsonValue]) -> bytes:
    """The canonical bytes of an entry given as its members.

    Raises :class:`FormatError` when a member of a known kind is missing or ill-typed, or the value has no canonical
    form. Members that the kind does not list are written as they are.
    """
    fault = check_members(members)
    if fault:
        raise FormatError(f"{members.get('kind', 'an entry')} {fault}")
    return canonical.encode(dict(members))


def check_members(members: Mapping[str, object]) -> str | None:
    """Why ``members`` are not those of their kind (of an unknown kind: the common ones), or None."""
    kind = members.get("kind")
    entry_type = KINDS.get(kind, Entry) if isinstance(kind, str) else Entry
    return _first_fault(members, rules_of(entry_type))


def decode_entry(data: bytes) -> Decoded:
    """Read one entry from its canonical bytes.

    Raises :class:`FormatError` when the bytes are not canonical, a common member is missing or ill-typed, or the kind
    is known and a member of it is missing or ill-typed.
    """
    members = canonical.decode(data)
    fault = check_members(members)
    if fault:
        raise FormatError(f"{members.get('kind', 'an entry')} {fault}")
    kind = typing.cast(str, members["kind"])
    known = kind in KINDS
    entry_type = KINDS.get(kind, Entry)
    unknown: list[str] = []
    entry = typing.cast(Entry, _build(entry_type, members, unknown, ""))
    return Decoded(entry, members, known, tuple(unknown) if known else ())


def _build(entry_type: type, members: Mapping[str, JsonValue], unknown: list[str], prefix: str) -> object:
    values: dict[str, object] = {}
    rules = rules_of(entry_type)
    for rule in rules:
        value = members.get(rule.name)
        if rule.nested is not None and isinstance(value, dict):
            values[rule.name] = _build(rule.nested, value, unknown, f"{prefix}{rule.name}.")
        else:
            values[rule.name] = value
    listed = {rule.name for rule in rules}
    unknown.extend(prefix + name for name in members if name not in listed)
    return entry_type(**values)
