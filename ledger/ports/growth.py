"""A log that is read as it grows, and the attempts in it, of which some have to be judged again later."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ledger.core.entries import Entry
from ledger.core.history import History
from ledger.ports.log import ChunkFacts

Dependency = tuple[str, str]
"""Something that a judgement looked up: a table of :class:`~ledger.core.history.History` and the name asked for in it."""

IsReceipted = Callable[[Sequence[int]], Sequence[bool]]
"""Of each of some places whether a receipt confirms the attempt of which the entry there tells."""

SOUGHT_ATTEMPTS = 1 << 16
"""Attempts of one delivery that are found by its name have lower numbers."""

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

    # What second sources ask.

    def positions(self, row: int) -> tuple[int, ...]:
        """Where the entries of an attempt stand, ascending."""
        ...

    def row_of(self, delivery: str, attempt: int) -> int | None:
        """The attempt of this name, or None."""
        ...

    def rows_of(self, delivery: str) -> list[int]:
        """All attempts of a delivery with numbers below :data:`SOUGHT_ATTEMPTS`; generously, for names are hashed."""
        ...

    def watch_delivery(self, delivery: str) -> None:
        """Note from now on when something new is told of a delivery."""
        ...

    def take_told(self) -> set[str]:
        """The watched deliveries of which something may have been told since the last call."""
        ...

    def is_watched(self, row: int) -> bool:
        """Whether an attempt is watched."""
        ...

    def doubt(self, rows: Iterable[int]) -> None:
        """These attempts are doubtful again, and are never called surely clean any more."""
        ...

    def doubt_unasked(
        self,
        until_ms: int,
        first_of: Callable[[frozenset[Dependency]], int | None],
        is_receipted: IsReceipted,
    ) -> bool:
        """Doubt the plain attempts that started at or before an instant, once each since they were doubtful; whether any.

        Only those that stand behind ``first_of`` what they rest on (None: behind nothing), and that are not receipted.
        """
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

    def deliveries(self, first: int, entries: Sequence[bytes]) -> Iterator[tuple[int, Any]]:
        """Every sound entry about an attempt, settlement or import among ``entries`` from ``first`` on, with its place."""
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
