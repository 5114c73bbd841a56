"""Entries of one layout, and what was read from their columns (see :mod:`ledger.engines.layout_match`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ledger.engines.chunk_bytes import Integers
from ledger.engines.layout import Layout, Span
from ledger.engines.text_hash import Bytes, Words, hex_words


@dataclass(slots=True)
class Values:
    """The recurring values met so far in the layouts of one form: their bytes -> their number, and what was noted."""

    ids: dict[bytes, int] = field(default_factory=dict)
    noted: list[Any] = field(default_factory=list)
    _columns: dict[str, Any] = field(default_factory=dict)

    def column(self, name: str) -> Any:
        """One attribute of all that was noted, an array by number."""
        made = self._columns.get(name)
        if made is None or len(made) < len(self.noted):
            made = self._columns[name] = np.array([getattr(noted, name) for noted in self.noted])
        return made


@dataclass(slots=True)
class Group:
    """Entries of one layout: their ``places`` in the chunk (ascending), their bytes, and what was read from them.

    ``which[i]`` is the number among ``values`` of what recurs in row i.
    """

    layout: Layout
    places: Integers
    rows: Bytes
    numbers: Integers
    values: Values
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

    def noted(self, name: str) -> Any:
        """An attribute of what was noted, for each row."""
        return self.values.column(name)[self.which]

    def distinct(self) -> tuple[list[Any], Integers]:
        """All that was noted of these rows, each once, and the place in it for each row."""
        used, which = np.unique(self.which, return_inverse=True)
        return [self.values.noted[number] for number in used.tolist()], which
