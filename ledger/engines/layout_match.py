"""Entries of a chunk matched with layouts, whole columns at a time (see :mod:`ledger.engines.layout`).

Entries are grouped by their length and by where their quotation marks stand, which nearly always is one layout. What does
not match a layout is left over, for the decoder that reads entries one by one: nothing is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ledger.core.canonical import ENTRY_BYTES_MAX
from ledger.core.entries.members import UID_REGEX
from ledger.core.strict import ID_REGEX
from ledger.engines.layout import Layout, Span, layout_of
from ledger.engines.text_hash import WORD_BYTES, Bytes, Words, hex_words, odd_words

Integers = NDArray[np.int64]
Noted = Callable[[Any], Any]
"""What a caller wants to know of the values that recur, made from one strictly decoded entry that has them."""

DecodeOne = Callable[[bytes], Any]
"""The strictly decoded entry of a known kind without unlisted members, or None."""

PIECE_ROWS = 2_048
"""Rows matched at once, so that they stay in the processor's cache."""

LAYOUTS_MAX = 4_096
RECURRING_MAX = 100_000
NEW_LAYOUTS_MAX = 8
"""How often a group of one length and shape may turn out to be of yet another layout."""

_QUOTE = ord('"')
_LITTLE = np.dtype("<u8")


class ChunkBytes:
    """The bytes of a chunk's entries, one after the other; rows of any width can be cut out at their starts."""

    def __init__(self, data: Sequence[bytes]) -> None:
        self.lengths: Integers = np.fromiter(map(len, data), np.int64, len(data))
        self.starts: Integers = np.cumsum(self.lengths) - self.lengths
        longest = int(self.lengths.max(initial=0))
        self.buffer: Bytes = np.frombuffer(b"".join((*data, bytes(longest + WORD_BYTES))), np.uint8)

    def rows(self, offsets: Integers, width: int) -> Bytes:
        """A matrix of the ``width`` bytes from each of ``offsets`` on."""
        if not width or not len(offsets):
            return np.zeros((len(offsets), width), np.uint8)
        wide = np.ndarray(
            (len(self.buffer) - width + 1,), np.dtype(("V", width)), self.buffer.data, strides=(1,)
        )
        return wide[offsets].view(np.uint8).reshape(len(offsets), width)


@dataclass(slots=True)
class Group:
    """Entries of one layout: their ``places`` in the chunk (ascending), their bytes, and what was read from them.

    ``noted[which[i]]`` is what the caller noted of the recurring values of row i.
    """

    layout: Layout
    places: Integers
    rows: Bytes
    numbers: Integers
    noted: list[Any]
    which: Integers

    def text(self, member: str) -> Bytes:
        """The bytes of a member's value, a row each."""
        start, end = self.layout.members[member]
        return self.rows[:, start:end]

    def number(self, member: str) -> Integers:
        """The values of a number that may be any; see :meth:`Layout.number_columns` for which are."""
        return self.numbers[:, self.layout.number_columns[member]]

    def tag(self, member: str) -> tuple[Words, Words]:
        """The 128 bits of a tag, as two words."""
        return self.tag_at(self.layout.tag_span(member))

    def tag_at(self, span: Span) -> tuple[Words, Words]:
        """The 128 bits of the tag whose hex digits lie at ``span``."""
        words = hex_words(self.rows[:, span[0] : span[1]])
        return words[:, 0], words[:, 1]

    def noted_column(self, read: Callable[[Any], Any], dtype: Any) -> Any:
        """One value of what was noted, for each row."""
        return np.array([read(noted) for noted in self.noted], dtype)[self.which]


@dataclass(slots=True)
class _Known:
    """A layout and the recurring values met so far: their bytes -> what was noted of them."""

    layout: Layout
    noted: dict[bytes, Any] = field(default_factory=dict)


class LayoutMatcher:
    """Matches chunks; layouts and recurring values are kept from chunk to chunk."""

    def __init__(self, decode: DecodeOne, note: Noted, rows_min: int) -> None:
        self._decode = decode
        self._note = note
        self._rows_min = rows_min
        self._known: dict[tuple[int, int], list[_Known]] = {}
        self._layouts = 0
        self._values = 0
        # Only the order of work depends on these: which entries are looked at together.
        self._odd = odd_words(b"rows", ENTRY_BYTES_MAX // WORD_BYTES + 1)

    def match(self, data: Sequence[bytes], chunk: ChunkBytes) -> tuple[list[Group], Integers]:
        """The groups of a chunk's entries, and the places of all that are in none, ascending."""
        self._forget()
        groups: list[Group] = []
        left: list[Integers] = [np.zeros(0, np.int64)]
        order = np.argsort(chunk.lengths, kind="stable")
        lengths = chunk.lengths[order]
        cuts = np.flatnonzero(np.diff(lengths)) + 1
        for places in np.split(order, cuts):
            if len(places) < self._rows_min or chunk.lengths[places[0]] > ENTRY_BYTES_MAX:
                left.append(places)
            else:
                self._match_length(data, chunk, places, groups, left)
        return groups, np.sort(np.concatenate(left))

    def _forget(self) -> None:
        if self._layouts > LAYOUTS_MAX or self._values > RECURRING_MAX:
            self._known.clear()
            self._layouts = self._values = 0

    def _match_length(
        self,
        data: Sequence[bytes],
        chunk: ChunkBytes,
        places: Integers,
        groups: list[Group],
        left: list[Integers],
    ) -> None:
        """Entries of one length: group them by where their quotation marks stand."""
        length = int(chunk.lengths[places[0]])
        width = -(-length // WORD_BYTES) * WORD_BYTES
        rows = chunk.rows(chunk.starts[places], width)
        rows[:, length:] = 0
        shapes = self._shapes(rows)
        order = np.argsort(shapes, kind="stable")
        cuts = np.flatnonzero(np.diff(shapes[order])) + 1
        for members in np.split(order, cuts):
            if len(members) < self._rows_min:
                left.append(places[members])
                continue
            known = self._known.setdefault((length, int(shapes[members[0]])), [])
            rest = _Rest(places[members], rows[members])
            for candidate in known:
                self._match_layout(data, candidate, rest, groups)
            for _ in range(NEW_LAYOUTS_MAX):
                if len(rest.places) < self._rows_min:
                    break
                entry = data[rest.places[0]]
                decoded = self._decode(entry)
                layout = None if decoded is None else layout_of(decoded.kind, entry)
                if layout is None:
                    # Set aside what has no layout, and go on with the others.
                    left.append(rest.places[:1])
                    rest.keep(slice(1, None))
                    continue
                candidate = _Known(layout)
                self._layouts += 1
                before = len(rest.places)
                self._match_layout(data, candidate, rest, groups)
                known.append(candidate)
                if len(rest.places) == before:
                    break
            left.append(rest.places)

    def _shapes(self, rows: Bytes) -> Words:
        """A number for each row that tells where its quotation marks stand."""
        bits = np.packbits(rows == _QUOTE, axis=1)
        count, width = bits.shape
        padded = np.zeros((count, -(-width // WORD_BYTES) * WORD_BYTES), np.uint8)
        padded[:, :width] = bits
        words = padded.view(_LITTLE)
        # Low bits of a product know nothing of the high ones, so those are folded in first.
        words ^= words >> np.uint64(31)
        return words @ self._odd[: words.shape[1]]

    def _match_layout(self, data: Sequence[bytes], known: _Known, rest: _Rest, groups: list[Group]) -> None:
        """Take out of ``rest`` what is of this layout."""
        good = np.zeros(len(rest.places), bool)
        for start in range(0, len(good), PIECE_ROWS):
            places = rest.places[start : start + PIECE_ROWS]
            group, fits = self._match_piece(data, known, places, rest.rows[start : start + PIECE_ROWS])
            good[start : start + PIECE_ROWS] = fits
            if group is not None:
                groups.append(group)
        rest.keep(~good)

    def _match_piece(
        self, data: Sequence[bytes], known: _Known, places: Integers, rows: Bytes
    ) -> tuple[Group | None, NDArray[np.bool_]]:
        layout = known.layout
        fits = _fit(layout, rows)
        if not fits.any():
            return None, fits
        if not fits.all():
            places, rows = places[fits], rows[fits]
        noted, which, sound = self._recurring(data, known, places, rows)
        if not sound.all():
            fits[np.flatnonzero(fits)[~sound]] = False
            places, rows = places[sound], rows[sound]
            if not len(places):
                return None, fits
            used, which = np.unique(which[sound], return_inverse=True)
            noted = [noted[number] for number in used.tolist()]
        return Group(layout, places, rows, _numbers(layout, rows), noted, which), fits

    def _recurring(
        self, data: Sequence[bytes], known: _Known, places: Integers, rows: Bytes
    ) -> tuple[list[Any], Integers, NDArray[np.bool_]]:
        """What was noted of the recurring values: the distinct ones, which each row has, and whether they are sound."""
        layout = known.layout
        values = _in_words(rows, layout.recurring_spans)
        words = values.view(_LITTLE)
        keys = (words ^ (words >> np.uint64(29))) @ self._odd[: words.shape[1]]
        _, firsts, which = np.unique(keys, return_index=True, return_inverse=True)
        # Equal keys may be chance: what counts is that the bytes are equal.
        sound = (words == words[firsts][which]).all(axis=1)
        noted = []
        for number, first in enumerate(firsts.tolist()):
            value = values[first].tobytes()
            found = known.noted.get(value, self)
            if found is self:
                data_of_first = data[places[first]]
                entry = self._decode(data_of_first)
                # Values that recur may hold quotation marks, and so a member more: the entry's own grid must be this one.
                is_like = entry is not None and layout.is_of(entry.kind, data_of_first)
                found = known.noted[value] = self._note(entry) if is_like else None
                self._values += 1
            if found is None:
                sound &= which != number
            noted.append(found)
        return noted, which, sound


@dataclass(slots=True)
class _Rest:
    """Entries of one length and shape that no layout has taken yet."""

    places: Integers
    rows: Bytes

    def keep(self, which: Any) -> None:
        self.places, self.rows = self.places[which], self.rows[which]


def _fit(layout: Layout, rows: Bytes) -> NDArray[np.bool_]:
    """Which rows have the layout's fixed bytes, and in the places of variable ones nothing but their characters."""
    fits: NDArray[np.bool_] = _all_rows(((rows ^ layout.template) & layout.fixed).view(_LITTLE) == 0)
    if layout.hex_spans:
        fits &= _all_rows(_is_hex(_side_by_side(rows, layout.hex_spans)))
    if layout.id_spans:
        fits &= _all_rows(_IS_ID[_side_by_side(rows, layout.id_spans)])
    if layout.uid_spans:
        fits &= _all_rows(_IS_UID[_side_by_side(rows, layout.uid_spans)])
    if layout.digit_spans:
        digits = _side_by_side(rows, [(start, end) for start, end, _ in layout.digit_spans])
        fits &= _all_rows((digits - _ZERO) <= 9)
        for start, _, low in layout.digit_spans:
            if low:
                fits &= rows[:, start] > _ZERO
    for tags in layout.tag_lists.values():
        for (start, end), (next_start, next_end) in pairwise(tags):
            before, after = rows[:, start:end], rows[:, next_start:next_end]
            fits &= _as_texts(before) < _as_texts(after)
    return fits


_ZERO = np.uint8(ord("0"))
_A = np.uint8(ord("a"))


def _one_of(regex: str) -> NDArray[np.bool_]:
    """For each byte whether it is a character of the texts that ``regex`` matches whole."""
    match = re.compile(regex, re.ASCII).fullmatch
    return np.array([match(chr(byte)) is not None for byte in range(256)])


_IS_ID, _IS_UID = _one_of(ID_REGEX), _one_of(UID_REGEX)


def _all_rows(good: Any) -> Any:
    return good.all(axis=1)


def _is_hex(characters: Bytes) -> NDArray[np.bool_]:
    return ((characters - _ZERO) <= 9) | ((characters - _A) <= 5)


def _side_by_side(rows: Bytes, spans: Sequence[Span]) -> Bytes:
    return np.concatenate([rows[:, start:end] for start, end in spans], axis=1)


def _in_words(rows: Bytes, spans: Sequence[Span]) -> Bytes:
    """:func:`_side_by_side`, filled up with zeros to whole words."""
    width = sum(end - start for start, end in spans)
    joined = np.zeros((len(rows), -(-width // WORD_BYTES) * WORD_BYTES), np.uint8)
    place = 0
    for start, end in spans:
        joined[:, place : place + end - start] = rows[:, start:end]
        place += end - start
    return joined


def _as_texts(characters: Bytes) -> Any:
    return np.ascontiguousarray(characters).view(f"S{characters.shape[1]}")[:, 0]


def _numbers(layout: Layout, rows: Bytes) -> Integers:
    """All numbers of all rows, a column each."""
    if not layout.digit_spans:
        return np.zeros((len(rows), 0), np.int64)
    digits = _side_by_side(rows, [(start, end) for start, end, _ in layout.digit_spans]) - _ZERO
    # Exact: every product and sum is an integer below 10**15.
    return (digits.astype(np.float64) @ layout.weights).astype(np.int64)
