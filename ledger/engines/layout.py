"""Where the members of an entry lie in its canonical bytes (ledger format, sections 1.1 and 1.7).

Canonical bytes have no freedom: entries of one kind whose values have the same lengths have every member at the same
place. A :class:`Layout` is that grid, read off one entry that was decoded strictly. Any other entry of the same length
is of the same form, and well typed, when

- its *fixed* bytes (names, punctuation, booleans) are those of the layout,
- its *variable* bytes are of their member's characters: hex digits, the characters of ids and uids, decimal digits
  without a leading zero, in numbers so long that their bounds follow,
- its *recurring* bytes (all other values) are those of an entry of this layout that was decoded strictly itself.

None of these bytes can be a quotation mark or a backslash, so the object has the same members with values of the same
lengths, and its bytes are the canonical ones. :mod:`ledger.engines.layout_match` compares whole columns of entries.
"""

from __future__ import annotations

import typing
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ledger.core.entries import KINDS
from ledger.core.entries.codec import split_optional
from ledger.core.entries.members import HASH_REGEX, SIGNATURE_REGEX, UID_REGEX, Bounds, Pattern, SortedSet
from ledger.core.strict import EVENT_TAG_REGEX, ID_REGEX, TAG_REGEX
from ledger.engines.text_hash import WORD_BYTES, Bytes

VARIABLE_IDS = frozenset({"delivery", "grant", "subscription", "replay"})
"""Ids that seldom stand twice; other ids name parties and the like, which recur."""

NUMBER_DIGITS_MAX = 15
"""Numbers of more digits are left to the decoder: sums of their digits' products would not be exact."""

TAG_PREFIX_BYTES = 2
_HEX_FROM = {
    HASH_REGEX: 0,
    SIGNATURE_REGEX: 0,
    TAG_REGEX: TAG_PREFIX_BYTES,
    EVENT_TAG_REGEX: TAG_PREFIX_BYTES,
}

RECURRING_GAP = 24
"""Recurring values so close to each other, with fixed bytes between them, are looked at as one."""

Span = tuple[int, int]
"""``[start, end)`` in the entry's bytes, without quotation marks."""


@dataclass(slots=True)
class Layout:
    """The grid of one form of entries of one kind; template and mask are ``width`` bytes, a multiple of 8.

    ``hex_spans``, ``id_spans`` and ``uid_spans`` are checked for their characters, ``digit_spans`` are numbers:
    ``(start, end, low)`` where ``low`` is the least first digit. ``number_columns`` tells the column of a number among them.
    ``recurring_spans`` are all other values, with the fixed bytes between neighbours; in layouts of one ``form`` they hold
    the same members at the same places.
    ``members`` are the spans of all top-level values, ``tag_lists`` those of the hex digits of the tags in each list.
    """

    kind: str
    length: int
    template: Bytes
    fixed: Bytes
    members: dict[str, Span]
    recurring_spans: list[Span] = field(default_factory=list)
    hex_spans: list[Span] = field(default_factory=list)
    id_spans: list[Span] = field(default_factory=list)
    uid_spans: list[Span] = field(default_factory=list)
    digit_spans: list[tuple[int, int, int]] = field(default_factory=list)
    number_columns: dict[str, int] = field(default_factory=dict)
    tag_lists: dict[str, list[Span]] = field(default_factory=dict)
    weights: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    form: Hashable = None

    @property
    def width(self) -> int:
        """The bytes of a row: the length, filled up to whole words."""
        return len(self.template)

    def is_of(self, kind: str, data: bytes) -> bool:
        """Whether an entry that was decoded strictly is laid out like this one."""
        other = layout_of(kind, data)
        return other is not None and (kind, other.members, other.tag_lists) == (
            self.kind,
            self.members,
            self.tag_lists,
        )

    def tag_span(self, member: str) -> Span:
        """The hex digits of a tag."""
        start, end = self.members[member]
        return start + TAG_PREFIX_BYTES, end


def layout_of(kind: str, data: bytes) -> Layout | None:
    """The layout of an entry of a known ``kind`` whose bytes were decoded strictly; None where a number is too long."""
    width = -(-len(data) // WORD_BYTES) * WORD_BYTES
    template = np.zeros(width, np.uint8)
    template[: len(data)] = np.frombuffer(data, np.uint8)
    fixed = np.zeros(width, np.uint8)
    fixed[: len(data)] = 0xFF
    members = dict(_members(data))
    layout = Layout(kind, len(data), template, fixed, members)
    for name, span in members.items():
        hint = _hints(kind)[name]
        if _has_bounds(hint) and span[1] - span[0] > NUMBER_DIGITS_MAX:
            return None
        _Placing(layout, data, name, span).place(hint)
    layout.weights = _weights(layout.digit_spans)
    layout.form = (kind, tuple(members), tuple(_recurring_members(layout)))
    return layout


@cache
def _hints(kind: str) -> dict[str, object]:
    hints = typing.get_type_hints(KINDS[kind], include_extras=True)
    return {name: split_optional(hint)[0] for name, hint in hints.items()}


def _has_bounds(hint: object) -> bool:
    return typing.get_origin(hint) is typing.Annotated and isinstance(typing.get_args(hint)[1], Bounds)


class _Placing:
    """Decides what one member's bytes are."""

    def __init__(self, layout: Layout, data: bytes, name: str, span: Span) -> None:
        self._layout = layout
        self._data = data
        self._name = name
        self._span = span

    def place(self, hint: object) -> None:
        note = typing.get_args(hint)[1] if typing.get_origin(hint) is typing.Annotated else None
        if hint is bool or self._name == "kind":
            return  # fixed: another value has another length, or is another kind
        if isinstance(note, Bounds) and self._is_free(note):
            self._number(note.low)
        elif isinstance(note, Pattern) and note.regex in _HEX_FROM:
            self._hex((self._span[0] + _HEX_FROM[note.regex], self._span[1]))
        elif isinstance(note, Pattern) and note.regex == UID_REGEX:
            self._vary(self._span)
            self._layout.uid_spans.append(self._span)
        elif isinstance(note, Pattern) and note.regex == ID_REGEX and self._name in VARIABLE_IDS:
            self._vary(self._span)
            self._layout.id_spans.append(self._span)
        elif isinstance(note, SortedSet) and self._holds_tags(hint):
            self._tags()
        else:
            self._recur()

    @staticmethod
    def _holds_tags(hint: object) -> bool:
        item = typing.get_args(typing.get_args(hint)[0])[0]
        return typing.get_origin(item) is typing.Annotated and typing.get_args(item)[1].regex == TAG_REGEX

    def _is_free(self, bounds: Bounds) -> bool:
        """Whether every number of so many digits lies within the bounds (one of one digit: all but 0, perhaps)."""
        digits = self._span[1] - self._span[0]
        return bounds.low <= 1 and 10**digits - 1 <= bounds.high

    def _number(self, low: int) -> None:
        start, end = self._span
        self._vary(self._span)
        self._layout.number_columns[self._name] = len(self._layout.digit_spans)
        self._layout.digit_spans.append((start, end, 1 if low or end - start > 1 else 0))

    def _hex(self, span: Span) -> None:
        self._vary(span)
        self._layout.hex_spans.append(span)

    def _tags(self) -> None:
        start, end = self._span
        tags = [span for _, span in _values(self._data, start + 1, end - 1)]
        digits = [(tag_start + TAG_PREFIX_BYTES, tag_end) for tag_start, tag_end in tags]
        self._layout.tag_lists[self._name] = digits
        for span in digits:
            self._hex(span)

    def _recur(self) -> None:
        start, end = self._span
        self._vary(self._span)
        spans = self._layout.recurring_spans
        if spans and start - spans[-1][1] <= RECURRING_GAP and not self._varies_after(spans[-1][1]):
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append(self._span)

    def _varies_after(self, place: int) -> bool:
        """Whether anything between ``place`` and this value varies by itself."""
        return not self._layout.fixed[place : self._span[0]].all()

    def _vary(self, span: Span) -> None:
        self._layout.fixed[span[0] : span[1]] = 0


def _recurring_members(layout: Layout) -> Iterator[tuple[str, int, int, int]]:
    """The members in the recurring spans: name, number of the span, and where in it they begin and end."""
    for number, (start, end) in enumerate(layout.recurring_spans):
        for name, (from_, to) in layout.members.items():
            if start <= from_ and to <= end:
                yield name, number, from_ - start, to - start


def _weights(digit_spans: list[tuple[int, int, int]]) -> NDArray[np.float64]:
    """What to multiply the digits of all numbers with, so that each column sums to one number."""
    widths = [end - start for start, end, _ in digit_spans]
    weights = np.zeros((sum(widths), len(widths)))
    row = 0
    for column, width in enumerate(widths):
        for power in range(width - 1, -1, -1):
            weights[row, column] = 10.0**power
            row += 1
    return weights


def _members(data: bytes) -> Iterator[tuple[str, Span]]:
    """The names of an object's members and the spans of their values; ``data`` is canonical."""
    place = 1
    while data[place] != _BRACE_CLOSE:
        name_end = data.index(b'"', place + 1)
        value, span = next(_values(data, name_end + 2, len(data)))
        yield data[place + 1 : name_end].decode(), span
        place = value + (data[value] == _COMMA)


def _values(data: bytes, start: int, end: int) -> Iterator[tuple[int, Span]]:
    """The values from ``start`` on, separated by commas: where each ends, and its span without quotation marks."""
    while start < end:
        first = data[start]
        if first == _QUOTE:
            close = data.index(b'"', start + 1)
            span, after = (start + 1, close), close + 1
        elif first in _OPEN:
            after = _end_of_nested(data, start)
            span = (start, after)
        else:
            after = start
            while data[after] not in _AFTER_VALUE:
                after += 1
            span = (start, after)
        yield after, span
        start = after + 1


def _end_of_nested(data: bytes, start: int) -> int:
    depth, place = 0, start
    while True:
        byte = data[place]
        if byte == _QUOTE:
            place = data.index(b'"', place + 1)
        elif byte in _OPEN:
            depth += 1
        elif byte in _CLOSE:
            depth -= 1
            if not depth:
                return place + 1
        place += 1


_QUOTE, _COMMA, _BRACE_CLOSE = b'",}'
_OPEN, _CLOSE, _AFTER_VALUE = b"{[", b"}]", b",}]"
