"""The patterns of section 1.7 over many values at once, for decoded structs (ledger format, sections 1.1 and 1.7).

A column of strings is joined and its characters counted in C, which costs some nanoseconds a value where a regular
expression costs hundreds. The quick look may only say "surely right": whatever it doubts, the regular expression of
the dataclass decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, pairwise
from operator import attrgetter
from typing import Any

from ledger.core.entries import KINDS
from ledger.core.entries.members import HASH_REGEX, SIGNATURE_REGEX, UID_REGEX, Pattern, SortedSet
from ledger.core.strict import EVENT_TAG_REGEX, ID_REGEX, TAG_REGEX
from ledger.engines.structs import patterns_of

_HEX = b"0123456789abcdef"
_ID = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

ColumnCheck = Callable[[Sequence[str]], bool]


def _prefixed_hex(prefix: bytes, digits: int) -> ColumnCheck:
    """Whether every value is ``prefix`` and ``digits`` hex digits."""
    length = len(prefix) + digits
    row = b"\n" + prefix

    def check(values: Sequence[str]) -> bool:
        joined = "\n".join(values).encode("ascii", "replace")
        if len(joined) != len(values) * (length + 1) - 1 or set(map(len, values)) != {length}:
            return False
        if prefix and (b"\n" + joined).count(row) != len(values):
            return False
        # The prefix's own characters (`a`, `e`, `_`): letters that are hex digits cannot be told from the digits by
        # counting, so only the underscore is added, and its number must be that of the prefixes.
        if joined.count(b"_") != len(values) * prefix.count(b"_"):
            return False
        return joined.translate(None, _HEX + b"_") == b"\n" * (len(values) - 1)

    return check


def _of_characters(allowed: bytes, length_max: int) -> ColumnCheck:
    """Whether every value has 1 to ``length_max`` characters, all of ``allowed``."""

    def check(values: Sequence[str]) -> bool:
        lengths = set(map(len, values))
        if min(lengths) < 1 or max(lengths) > length_max:
            return False
        return "\n".join(values).encode("ascii", "replace").translate(None, allowed) == b"\n" * (
            len(values) - 1
        )

    return check


_QUICK: dict[str, ColumnCheck] = {
    ID_REGEX: _of_characters(_ID, 64),
    UID_REGEX: _of_characters(_ID + b"/:", 320),
    TAG_REGEX: _prefixed_hex(b"a_", 32),
    EVENT_TAG_REGEX: _prefixed_hex(b"e_", 32),
    HASH_REGEX: _prefixed_hex(b"", 64),
    SIGNATURE_REGEX: _prefixed_hex(b"", 128),
}


@cache
def column_check(pattern: Pattern) -> ColumnCheck:
    """Whether every value of a column (not empty) matches ``pattern``; exact, quick where most values do match."""
    match = re.compile(pattern.regex, re.ASCII).fullmatch
    quick = _QUICK.get(pattern.regex)

    def check(values: Sequence[str]) -> bool:
        return (quick is not None and quick(values)) or all(map(match, set(values)))

    return check


@dataclass(frozen=True, slots=True)
class MemberCheck:
    """One member that a struct leaves open: how to read it, and its pattern over a column and for one value.

    ``outer`` names the nested object that holds it, where there is one. ``is_list`` members hold sorted sets; their
    patterns (None: any text) are about the items.
    """

    name: str
    outer: str | None
    get: Callable[[Any], Any]
    column: ColumnCheck | None
    match: Callable[[str], object] | None
    is_list: bool
    optional: bool
    regex: str


@cache
def member_checks(kind: str) -> list[MemberCheck]:
    """The checks of the members of a kind that its struct leaves open, the nested ones of one object together."""
    checks: list[MemberCheck] = []
    for path, rule, item, optional in patterns_of(KINDS[kind]):
        pattern = item if isinstance(rule, SortedSet) else rule
        outer = path[0] if len(path) > 1 else None
        column = column_check(pattern) if pattern else None
        match = re.compile(pattern.regex, re.ASCII).fullmatch if pattern else None
        is_list = isinstance(rule, SortedSet)
        get, regex = attrgetter(path[-1]), pattern.regex if pattern else ""
        checks.append(MemberCheck(path[-1], outer, get, column, match, is_list, optional, regex))
    return checks


def _is_sorted_set(items: list[str]) -> bool:
    return all(left < right for left, right in pairwise(items))


class KindColumns:
    """The checks of one kind over many entries at once; members with one pattern are checked together."""

    def __init__(self, kind: str) -> None:
        self._lists: list[MemberCheck] = []
        self._optional: list[MemberCheck] = []
        together: dict[ColumnCheck, list[str]] = {}
        nested: dict[str, list[MemberCheck]] = {}
        for check in member_checks(kind):
            if check.outer is not None:
                nested.setdefault(check.outer, []).append(check)
            elif check.is_list:
                self._lists.append(check)
            elif check.optional:
                self._optional.append(check)
            else:
                assert check.column is not None, "a member that is no list has a pattern"
                together.setdefault(check.column, []).append(check.name)
        self._together = list(together.items())
        self._getters = [(column, len(names), attrgetter(*names)) for column, names in self._together]
        self._nested = [(attrgetter(outer), checks) for outer, checks in nested.items()]

    def match(self, entries: Sequence[Any]) -> bool:
        """Whether every entry passes; ``entries`` is not empty and all of this kind."""
        for column, width, get in self._getters:
            values: Any = map(get, entries)
            if not column(list(values if width == 1 else chain.from_iterable(values))):
                return False
        if not all(_list_matches(entries, check) for check in self._lists):
            return False
        if not all(_optional_matches(entries, check) for check in self._optional):
            return False
        for outer, checks in self._nested:
            holders = [holder for holder in map(outer, entries) if holder is not None]
            if holders and not all(_optional_matches(holders, check) for check in checks):
                return False
        return True


def _list_matches(holders: Sequence[Any], check: MemberCheck) -> bool:
    values: list[str] = []
    for items in map(check.get, holders):
        if items:
            if len(items) > 1 and not _is_sorted_set(items):
                return False
            values += items
    return check.column is None or not values or check.column(values)


def _optional_matches(holders: Sequence[Any], check: MemberCheck) -> bool:
    values = [value for value in map(check.get, holders) if value is not None]
    return check.column is None or not values or check.column(values)


class SingleMatch:
    """The checks of one kind for one entry at a time, for callers that see entries one by one.

    Members that are always there are matched by one expression over their values, a line each: no pattern matches a
    newline, so that a value cannot reach into the next line. Values that recur (optional ids, nested objects, tags) are
    remembered once they were good.
    """

    REMEMBERED_MAX = 200_000

    def __init__(self, checks: Sequence[MemberCheck]) -> None:
        nested: dict[str, list[MemberCheck]] = {}
        required: list[MemberCheck] = []
        self._lists: list[MemberCheck] = []
        self._optional: list[tuple[Callable[[Any], Any], Callable[[str], object]]] = []
        for check in checks:
            if check.outer is not None:
                nested.setdefault(check.outer, []).append(check)
            elif check.is_list:
                self._lists.append(check)
            elif check.optional:
                assert check.match is not None, "a member that is no list has a pattern"
                self._optional.append((check.get, check.match))
            else:
                required.append(check)
        self._nested = [(attrgetter(outer), inner) for outer, inner in nested.items()]
        self._get, self._match = _joined(required)
        self._good: set[Any] = set()

    def __call__(self, entry: Any) -> bool:
        """Whether ``entry`` passes."""
        if not self._match(self._get(entry)):
            return False
        good = self._good
        if len(good) > self.REMEMBERED_MAX:
            good.clear()
        for get, match in self._optional:
            value = get(entry)
            if value is not None and (match, value) not in good:
                if not match(value):
                    return False
                good.add((match, value))
        for check in self._lists:
            if not self._list_matches(check, check.get(entry)):
                return False
        for get, inner in self._nested:
            value = get(entry)
            if value is not None and value not in good:
                if not all(_value_matches(value, check) for check in inner):
                    return False
                good.add(value)
        return True

    def _list_matches(self, check: MemberCheck, items: list[str] | None) -> bool:
        if not items:
            return True
        if len(items) > 1 and not _is_sorted_set(items):
            return False
        match, good = check.match, self._good
        if match is None:
            return True
        for item in items:
            if (match, item) not in good:
                if not match(item):
                    return False
                good.add((match, item))
        return True


def _value_matches(holder: Any, check: MemberCheck) -> bool:
    value = check.get(holder)
    return value is None or check.match is None or bool(check.match(value))


def _joined(checks: Sequence[MemberCheck]) -> tuple[Callable[[Any], str], Callable[[str], object]]:
    """How to read the checked members as lines, and the expression that matches them all."""
    if not checks:
        return (lambda entry: ""), re.compile("").fullmatch
    regex = "\n".join(f"(?:{check.regex})" for check in checks)
    match = re.compile(regex, re.ASCII).fullmatch
    get: Callable[[Any], Any] = attrgetter(*(check.name for check in checks))
    if len(checks) == 1:
        return get, match
    return (lambda entry: "\n".join(get(entry))), match
