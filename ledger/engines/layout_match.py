"""Entries of a chunk matched with layouts, whole columns at a time (see :mod:`ledger.engines.layout`).

Entries are grouped by their length and by where their quotation marks stand, which nearly always is one layout. What does
not match a layout is left over, for the decoder that reads entries one by one: nothing is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ledger.core.canonical import ENTRY_BYTES_MAX
from ledger.core.entries.members import UID_REGEX
from ledger.core.strict import ID_REGEX
from ledger.engines.chunk_bytes import ChunkBytes, Integers
from ledger.engines.groups import Group, Values
from ledger.engines.layout import Layout, Span, layout_of
from ledger.engines.text_hash import WORD_BYTES, Bytes, Words, as_words, odd_words

Noted = Callable[[Any], Any]
"""What a caller wants to know of the values that recur, made from one strictly decoded entry that has them."""

DecodeOne = Callable[[bytes], Any]
"""The strictly decoded entry of a known kind without unlisted members, or None."""

PIECE_ROWS = 1_024
"""Rows matched at once, so that they stay in the processor's cache."""

LAYOUTS_MAX = 4_096
RECURRING_MAX = 100_000
NEW_LAYOUTS_MAX = 8
"""How often a group of one length and shape may turn out to be of yet another layout."""

UNSOUND = -1
_QUOTE = ord('"')
_LITTLE = np.dtype("<u8")


@dataclass(slots=True)
class _Known:
    """A layout, and what recurs in all layouts of its form."""

    layout: Layout
    values: Values


class _Length:
    """The layouts that entries of one length have had, and how to tell at a glance which one it may be.

    ``probes`` are places of fixed bytes in which the layouts differ.
    """

    def __init__(self) -> None:
        self.layouts: list[_Known] = []
        self._probes = np.zeros(0, np.int64)

    def add(self, known: _Known) -> None:
        """Take one more."""
        self.layouts.append(known)
        templates = np.stack([each.layout.template for each in self.layouts])
        is_fixed = np.stack([each.layout.fixed for each in self.layouts]).all(axis=0)
        telling = np.flatnonzero(is_fixed & (templates != templates[0]).any(axis=0))
        probes: list[int] = []
        apart = 1
        for place in telling.tolist():
            found = len(np.unique(templates[:, [*probes, place]], axis=0))
            if found > apart:
                probes.append(place)
                apart = found
        self._probes = np.array(probes, np.int64)

    def guess(self, chunk: ChunkBytes, places: Integers) -> tuple[list[tuple[_Known, Integers]], Integers]:
        """Each layout with the places of the entries that may have it, and the places of those that have none."""
        probed = chunk.buffer[chunk.starts[places][:, np.newaxis] + self._probes]
        guessed = []
        for known in self.layouts:
            looks_so = (probed == known.layout.template[self._probes]).all(axis=1)
            guessed.append((known, places[looks_so]))
            places, probed = places[~looks_so], probed[~looks_so]
        return guessed, places


class LayoutMatcher:
    """Matches chunks; layouts and recurring values are kept from chunk to chunk."""

    def __init__(self, decode: DecodeOne, note: Noted, rows_min: int) -> None:
        self._decode = decode
        self._note = note
        self._rows_min = rows_min
        self._known: dict[int, _Length] = {}
        self._forms: dict[Hashable, Values] = {}
        self._layouts = 0
        self._values = 0
        # Only the order of work depends on these: which entries are looked at together.
        self._odd = odd_words(b"rows", ENTRY_BYTES_MAX // WORD_BYTES + 1)

    def match(self, chunk: ChunkBytes) -> tuple[list[Group], Integers]:
        """The groups of a chunk's entries, and the places of all that are in none, ascending."""
        self._forget()
        groups: list[Group] = []
        left: list[Integers] = [np.zeros(0, np.int64)]
        for places in _alike(chunk.lengths):
            if len(places) < self._rows_min or chunk.lengths[places[0]] > ENTRY_BYTES_MAX:
                left.append(places)
            else:
                self._match_length(chunk, places, groups, left)
        return groups, np.sort(np.concatenate(left))

    def _forget(self) -> None:
        if self._layouts > LAYOUTS_MAX or self._values > RECURRING_MAX:
            self._known.clear()
            self._forms.clear()
            self._layouts = self._values = 0

    def _match_length(
        self,
        chunk: ChunkBytes,
        places: Integers,
        groups: list[Group],
        left: list[Integers],
    ) -> None:
        """Entries of one length: those of the layouts that it has had so far, then the others by their shapes."""
        length = int(chunk.lengths[places[0]])
        known = self._known.setdefault(length, _Length())
        guessed, unlike = known.guess(chunk, places)
        rest = [self._match_layout(chunk, candidate, chosen, groups) for candidate, chosen in guessed]
        others = np.sort(np.concatenate([unlike, *rest]))
        if len(others) < self._rows_min:
            left.append(others)
            return
        shapes = np.concatenate([self._shapes(chunk, piece, length) for piece in _pieces(others)])
        for members in _alike(shapes):
            left.append(self._match_shape(chunk, known, others[members], groups, left))

    def _match_shape(
        self,
        chunk: ChunkBytes,
        known: _Length,
        places: Integers,
        groups: list[Group],
        left: list[Integers],
    ) -> Integers:
        """Entries whose quotation marks stand at the same places: find their layouts. Returns the others' places."""
        for candidate in known.layouts:
            places = self._match_layout(chunk, candidate, places, groups)
        for _ in range(NEW_LAYOUTS_MAX):
            if len(places) < self._rows_min:
                break
            entry = chunk.entry(places[0])
            decoded = self._decode(entry)
            layout = None if decoded is None else layout_of(decoded.kind, entry)
            if layout is None:
                # Set aside what has no layout, and go on with the others.
                left.append(places[:1])
                places = places[1:]
                continue
            candidate = _Known(layout, self._forms.setdefault(layout.form, Values()))
            self._layouts += 1
            before = len(places)
            places = self._match_layout(chunk, candidate, places, groups)
            if len(places) == before:
                break
            known.add(candidate)
        return places

    def _shapes(self, chunk: ChunkBytes, places: Integers, length: int) -> Words:
        """A number for each entry of one length that tells where its quotation marks stand."""
        bits = np.packbits(chunk.rows(chunk.starts[places], length) == _QUOTE, axis=1)
        words = as_words(bits)
        # Low bits of a product know nothing of the high ones, so those are folded in first.
        words ^= words >> np.uint64(31)
        return words @ self._odd[: words.shape[1]]

    def _match_layout(
        self, chunk: ChunkBytes, known: _Known, places: Integers, groups: list[Group]
    ) -> Integers:
        """Take what is of this layout into ``groups``; returns the others' places."""
        rest: list[Integers] = []
        for piece in _pieces(places):
            rows = chunk.rows(chunk.starts[piece], known.layout.width)
            fits = _fit(known.layout, rows)
            if fits.all():
                self._add_group(chunk, known, piece, rows, groups, rest)
            else:
                rest.append(piece[~fits])
                if fits.any():
                    self._add_group(chunk, known, piece[fits], rows[fits], groups, rest)
        return np.concatenate(rest) if rest else places[:0]

    def _add_group(
        self,
        chunk: ChunkBytes,
        known: _Known,
        places: Integers,
        rows: Bytes,
        groups: list[Group],
        rest: list[Integers],
    ) -> None:
        """Make a group of rows that fit a layout but for what recurs in them; those that do not go to ``rest``."""
        which, sound = self._recurring(chunk, known, places, rows)
        if not sound.all():
            rest.append(places[~sound])
            places, rows, which = places[sound], rows[sound], which[sound]
        if len(places):
            groups.append(
                Group(known.layout, places, rows, _numbers(known.layout, rows), known.values, which)
            )

    def _recurring(
        self, chunk: ChunkBytes, known: _Known, places: Integers, rows: Bytes
    ) -> tuple[Integers, NDArray[np.bool_]]:
        """Which recurring values each row has, and whether they are sound."""
        layout = known.layout
        joined = _in_words(rows, layout.recurring_spans)
        words = joined.view(_LITTLE)
        keys = (words ^ (words >> np.uint64(29))) @ self._odd[: words.shape[1]]
        _, firsts, which = np.unique(keys, return_index=True, return_inverse=True)
        # Equal keys may be chance: what counts is that the bytes are equal.
        sound = np.ones(len(rows), bool)
        _require(sound, words == words[firsts][which])
        numbers = np.zeros(len(firsts), np.int64)
        ids = known.values.ids
        for place, first in enumerate(firsts.tolist()):
            value = joined[first].tobytes()
            number = ids.get(value)
            if number is None:
                number = ids[value] = self._learn(chunk.entry(places[first]), known)
            numbers[place] = number
        which = numbers[which]
        sound &= which >= 0
        return which, sound

    def _learn(self, data: bytes, known: _Known) -> int:
        """The number of the recurring values of an entry that fits a layout, or -1 where they are not sound."""
        self._values += 1
        entry = self._decode(data)
        # Values that recur may hold quotation marks, and so a member more: the entry's own grid must be this one.
        if entry is None or not known.layout.is_of(entry.kind, data):
            return UNSOUND
        known.values.noted.append(self._note(entry))
        return len(known.values.noted) - 1


def _alike(values: Any) -> list[Integers]:
    """The places of equal values, ascending, for each value."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    return np.split(order, np.flatnonzero(ordered[1:] != ordered[:-1]) + 1)


def _pieces(places: Integers) -> Iterator[Integers]:
    """``places`` in pieces whose rows stay in the processor's cache."""
    return (places[start : start + PIECE_ROWS] for start in range(0, len(places), PIECE_ROWS))


def _fit(layout: Layout, rows: Bytes) -> NDArray[np.bool_]:
    """Which rows have the layout's fixed bytes, and in the places of variable ones nothing but their characters."""
    fits = np.ones(len(rows), bool)
    differing = np.bitwise_xor(rows, layout.template)
    np.bitwise_and(differing, layout.fixed, out=differing)
    words = differing.view(_LITTLE)
    # Nearly always nothing differs at all, which is quicker to see than where something does.
    if words.max(initial=0):
        fits &= ~words.any(axis=1)
    if layout.hex_spans:
        _require(fits, _is_hex(_side_by_side(rows, layout.hex_spans)))
    if layout.id_spans:
        _require(fits, _IS_ID[_side_by_side(rows, layout.id_spans)])
    if layout.uid_spans:
        _require(fits, _IS_UID[_side_by_side(rows, layout.uid_spans)])
    if layout.digit_spans:
        digits = _side_by_side(rows, [(start, end) for start, end, _ in layout.digit_spans])
        _require(fits, (digits - _ZERO) <= 9)
        for start, _, low in layout.digit_spans:
            if low:
                fits &= rows[:, start] > _ZERO
    for tags in layout.tag_lists.values():
        for (start, end), (next_start, next_end) in pairwise(tags):
            before, after = rows[:, start:end], rows[:, next_start:next_end]
            fits &= _as_texts(before) < _as_texts(after)
    return fits


def _require(fits: NDArray[np.bool_], good: NDArray[np.bool_]) -> None:
    """Take out of ``fits`` the rows in which not all is good."""
    if not good.all():
        fits &= good.all(axis=1)


_ZERO = np.uint8(ord("0"))
_A = np.uint8(ord("a"))


def _one_of(regex: str) -> NDArray[np.bool_]:
    """For each byte whether it is a character of the texts that ``regex`` matches whole."""
    match = re.compile(regex, re.ASCII).fullmatch
    return np.array([match(chr(byte)) is not None for byte in range(256)])


_IS_ID, _IS_UID = _one_of(ID_REGEX), _one_of(UID_REGEX)


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
