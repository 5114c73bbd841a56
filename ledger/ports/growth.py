"""A log that is read as it grows, and the attempts in it, of which some have to be judged again later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ledger.core.entries import Entry
from ledger.core.history import History
from ledger.ports.log import ChunkFacts

Dependency = tuple[str, str]
"""Something that a judgement looked up: a table of :class:`~ledger.core.history.History` and the name asked for in it."""

ALWAYS_MS = -1
"""As the instant from which on something changes: whatever the instant."""


@dataclass(slots=True)
class Stretch:
    """Consecutive entries as read: leaf hashes, what joins them to their neighbours, and what a fold needs of them.

    ``state`` are entries with their positions, in order; ``data`` are the bytes of these. ``repeated`` are the positions of
    entries whose ``uid`` may be an earlier entry's, with where that one stands.
    """

    first: int
    leaves: list[bytes]
    facts: ChunkFacts
    state: list[tuple[int, Entry]]
    data: list[bytes]
    repeated: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Doubt:
    """An attempt that the scalar rule has to judge: its number in the book, and where its entries stand, ascending."""

    row: int
    positions: tuple[int, ...]


class AttemptBook(Protocol):
    """Every attempt of a log, by numbers from 0 up; for each of them whether it is *plain*, *watched* or *doubtful*.

    Plain ones are clean, and only what takes effect at or before their start can change that. Watched ones are in the care
    of whoever judged them, who marks them when what they rest on has changed. New ones are doubtful.
    """

    def touch_accounts(self, changed: Mapping[str, int]) -> None:
        """Plain attempts of these accounts that started at or after the instant (ms) are doubtful again."""
        ...

    def touch_parties(self, changed: Mapping[Dependency, int]) -> None:
        """Plain attempts that rest on these and started at or after the instant (ms) are doubtful again."""
        ...

    def mark(self, rows: Iterable[int]) -> None:
        """These attempts are doubtful again."""
        ...

    def take_doubtful(self, history: History) -> Iterator[list[Doubt]]:
        """The doubtful attempts that are not surely clean, in groups that may be copies of each other.

        ``history`` is whole as of now. Those that are surely clean are plain from now on; each of the others has to be filed.
        """
        ...

    def file_plain(self, row: int, account: str, started_at_ms: int, rests_on: frozenset[Dependency]) -> None:
        """The attempt was judged to be clean; its account is not among what it ``rests_on``."""
        ...

    def file_watched(self, row: int) -> None:
        """Whoever judged the attempt watches it."""
        ...

    def plain_count(self) -> int:
        """How many attempts are plain."""
        ...

    def watched_rows(self) -> list[int]:
        """The attempts that are watched."""
        ...

    def copies_of(self, row: int) -> Sequence[int]:
        """The attempts that may be copies of this one, itself among them; none for one that delivers alone."""
        ...


class Growth(Protocol):
    """One log as far as it was read, in memory; used from one thread and closed at the end."""

    @property
    def book(self) -> AttemptBook:
        """The attempts that were read."""
        ...

    @property
    def resolved(self) -> dict[tuple[str, str], tuple[int, int]]:
        """``(endpoint, resolved_ip) -> (first, last)`` instants (ms) at which a delivery says so."""
        ...

    def read(self, first: int, entries: Sequence[bytes]) -> Stretch:
        """Take the entries from ``first`` on, which follow those that were read before; nothing is trusted."""
        ...

    def ask_roots(self, map_sizes: Sequence[int]) -> None:
        """Begin to compute the index map's root over the first n entries, for each n: ascending, and already read."""
        ...

    def answer_roots(self) -> list[bytes]:
        """The roots that were asked for last; each question is answered before the next one and before reading on."""
        ...

    def save(self, directory: Path) -> None:
        """Write everything into ``directory``, which is empty; whoever calls makes it durable."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...
