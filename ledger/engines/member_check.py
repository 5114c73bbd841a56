"""The members of one entry, checked as Python values before they are encoded (ledger format, sections 1.1 and 1.7).

Made from the dataclasses of ``ledger.core.entries``. What members there are, their exact types and bounds are compared
as tuples; all their texts are matched by one expression, a line each, which no newline in a value can deceive because
no pattern matches one. Nested objects and optional texts recur, and are remembered once they were good. The answer is
"surely good" or "not sure": then the core's own check decides.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from itertools import pairwise
from operator import itemgetter
from typing import Any

from ledger.core.entries.codec import rules_of, split_optional
from ledger.core.entries.members import Bounds, Pattern, SortedSet

TEXT_REGEX = r"[\x20\x21\x23-\x5b\x5d-\x7e]*"
"""What canonical bytes hold as text: printable ASCII without quotation mark and backslash (section 1.1)."""

REMEMBERED_MAX = 200_000


class _Member:
    """One member's type, bounds and expression, read from its annotation."""

    type: type

    def __init__(self, name: str, hint: Any) -> None:
        self.name = name
        self.hint: Any
        self.hint, self.is_optional = split_optional(hint)
        self.regex: str | None = None
        self.bounds: Bounds | None = None
        self.items: Pattern | None = None
        self.count_min = 0
        note: Any = None
        base: Any = self.hint
        if typing.get_origin(self.hint) is typing.Annotated:
            base, note = typing.get_args(self.hint)
        if isinstance(note, Pattern):
            self.type, self.regex = str, note.regex
        elif isinstance(note, Bounds):
            self.type, self.bounds = int, note
        elif isinstance(note, SortedSet):
            self.type, self.count_min = list, note.count_min
            item = typing.get_args(base)[0]
            self.items = typing.get_args(item)[1] if typing.get_origin(item) else Pattern(TEXT_REGEX, "text")
        elif typing.get_origin(base) is typing.Literal:
            self.type, self.regex = str, "|".join(map(re.escape, typing.get_args(base)))
        elif isinstance(base, type) and is_dataclass(base):
            self.type = dict
        else:
            assert base in (str, bool), f"no check for {self.hint}"
            self.type, self.regex = base, TEXT_REGEX if base is str else None


class MemberCheck:
    """Whether the members of one kind are surely well typed; call it with them."""

    def __init__(self, source: type) -> None:
        hints = typing.get_type_hints(source, include_extras=True)
        members = [_Member(field.name, hints[field.name]) for field in fields(source)]
        required = [member for member in members if not member.is_optional]
        self._optional = [(member.name, self._one(member)) for member in members if member.is_optional]
        self._count = len(required)
        self._get = itemgetter(*(member.name for member in required))
        self._types = tuple(member.type for member in required)
        texts = [member for member in required if member.regex is not None]
        self._get_texts = itemgetter(*(member.name for member in texts))
        self._match = re.compile("\n".join(f"(?:{member.regex})" for member in texts), re.ASCII).fullmatch
        numbers = [(member.name, member.bounds) for member in required if member.bounds is not None]
        self._numbers = [(name, bounds.low, bounds.high) for name, bounds in numbers]
        self._others = [
            (member.name, self._one(member))
            for member in required
            if member.regex is None and member.bounds is None
        ]
        self._good: set[Any] = set()
        self._each = {member.name: self._one(member) for member in members}

    def stated(self, members: Mapping[str, Any]) -> bool:
        """Whether those of the kind's members that are there are surely well typed, and there are no others."""
        each = self._each
        try:
            for name, value in members.items():
                if not each[name](value):
                    return False
        except (KeyError, TypeError):
            return False
        return True

    def __call__(self, members: Mapping[str, Any]) -> bool:
        """Whether ``members`` are surely those of the kind, and no others."""
        try:
            if tuple(map(type, self._get(members))) != self._types:
                return False
            if not self._match("\n".join(self._get_texts(members))):
                return False
            for name, low, high in self._numbers:
                if not low <= members[name] <= high:
                    return False
            for name, check in self._others:
                if not check(members[name]):
                    return False
            count = self._count
            for name, check in self._optional:
                if name in members:
                    count += 1
                    if not check(members[name]):
                        return False
        except (KeyError, TypeError):
            return False
        return count == len(members)

    def _one(self, member: _Member) -> Callable[[Any], bool]:
        """The check of one value by itself."""
        if member.type is dict:
            return self._nested(member)
        if member.type is list:
            return self._sorted_set(member)
        if member.bounds is not None:
            low, high = member.bounds.low, member.bounds.high
            return lambda value: type(value) is int and low <= value <= high
        if member.regex is None:
            return lambda value: type(value) is bool
        return self._text(member.regex)

    def _text(self, regex: str) -> Callable[[Any], bool]:
        match = re.compile(regex, re.ASCII).fullmatch

        def check(value: Any) -> bool:
            return value.__class__ is str and ((match, value) in self._good or self._remember(match, value))

        return check

    def _remember(self, match: Callable[[str], Any], value: str) -> bool:
        if not match(value):
            return False
        if len(self._good) > REMEMBERED_MAX:
            self._good.clear()
        self._good.add((match, value))
        return True

    def _sorted_set(self, member: _Member) -> Callable[[Any], bool]:
        assert member.items is not None, "a list has items"
        item, count_min = self._text(member.items.regex), member.count_min

        def check(values: Any) -> bool:
            if type(values) is not list or len(values) < count_min:
                return False
            for value in values:
                if not item(value):
                    return False
            return len(values) < 2 or all(left < right for left, right in pairwise(values))

        return check

    def _nested(self, member: _Member) -> Callable[[Any], bool]:
        rules = {rule.name: rule for rule in rules_of(member.hint)}
        required = frozenset(rule.name for rule in rules.values() if not rule.optional)

        def check(value: Any) -> bool:
            if type(value) is not dict:
                return False
            items = tuple(value.items())
            # Types stand beside the values: True and 1 are equal, and 1.0 is. What is good as one member may be none of
            # another's: the member's own type stands there too.
            known = (member.hint, items, tuple(map(type, value.values())))
            if known in self._good:
                return True
            if not required <= value.keys() <= rules.keys():
                return False
            for name, inner in items:
                if rules[name].check(inner) is not None or not _is_plain(inner):
                    return False
            if len(self._good) > REMEMBERED_MAX:
                self._good.clear()
            self._good.add(known)
            return True

        return check


_is_text = re.compile(TEXT_REGEX).fullmatch


def _is_plain(value: Any) -> bool:
    return type(value) is int or (type(value) is str and _is_text(value) is not None)
